#include "kernels/kernels.h"

typedef void fill_fn(struct dio_kernels *kernels);
fill_fn dio_fill_gemm_portable, dio_fill_gemm_bf16_portable, dio_fill_gemm_int8_portable, dio_fill_depthwise_bf16_portable,
    dio_fill_depthwise_portable, dio_fill_elementwise_portable, dio_fill_rows_portable, dio_fill_peak_portable, dio_fill_winograd_portable, dio_kernels_fill_portable;
fill_fn dio_fill_resize_portable, dio_fill_depthwise_int8_portable;

void dio_kernels_fill_portable(struct dio_kernels *kernels)
{
    dio_fill_gemm_portable(kernels);
    dio_fill_gemm_bf16_portable(kernels);
    dio_fill_gemm_int8_portable(kernels);
    dio_fill_depthwise_bf16_portable(kernels);
    dio_fill_depthwise_portable(kernels);
    dio_fill_elementwise_portable(kernels);
    dio_fill_rows_portable(kernels);
    dio_fill_peak_portable(kernels);
    dio_fill_winograd_portable(kernels);
    dio_fill_resize_portable(kernels);
    dio_fill_depthwise_int8_portable(kernels);
    kernels->burn_bf16 = kernels->burn_int8 = kernels->burn_amx_bf16 = kernels->burn_amx_int8 = dio_burn_none;
}
