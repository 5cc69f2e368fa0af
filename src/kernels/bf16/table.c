#include "kernels/kernels.h"

typedef void fill_fn(struct dio_kernels *kernels);
fill_fn dio_fill_gemm_bf16_bf16, dio_fill_depthwise_bf16_bf16, dio_fill_peak_bf16, dio_kernels_fill_bf16;

void dio_kernels_fill_bf16(struct dio_kernels *kernels)
{
    dio_fill_gemm_bf16_bf16(kernels);
    dio_fill_depthwise_bf16_bf16(kernels);
    dio_fill_peak_bf16(kernels);
}
