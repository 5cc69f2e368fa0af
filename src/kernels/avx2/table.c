#include "kernels/kernels.h"

typedef void fill_fn(struct dio_kernels *kernels);
fill_fn dio_fill_gemm_avx2, dio_fill_gemm_bf16_avx2, dio_fill_gemm_int8_avx2, dio_fill_depthwise_bf16_avx2,
    dio_fill_depthwise_avx2, dio_fill_elementwise_avx2, dio_fill_rows_avx2, dio_fill_peak_avx2, dio_fill_winograd_avx2, dio_kernels_fill_avx2;
fill_fn dio_fill_resize_avx2, dio_fill_depthwise_int8_avx2;

void dio_kernels_fill_avx2(struct dio_kernels *kernels)
{
    dio_fill_gemm_avx2(kernels);
    dio_fill_gemm_bf16_avx2(kernels);
    dio_fill_gemm_int8_avx2(kernels);
    dio_fill_depthwise_bf16_avx2(kernels);
    dio_fill_depthwise_avx2(kernels);
    dio_fill_elementwise_avx2(kernels);
    dio_fill_rows_avx2(kernels);
    dio_fill_peak_avx2(kernels);
    dio_fill_winograd_avx2(kernels);
    dio_fill_resize_avx2(kernels);
    dio_fill_depthwise_int8_avx2(kernels);
}
