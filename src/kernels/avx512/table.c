#include "kernels/kernels.h"

typedef void fill_fn(struct dio_kernels *kernels);
fill_fn dio_fill_gemm_avx512, dio_fill_gemm_bf16_avx512, dio_fill_gemm_int8_avx512, dio_fill_depthwise_bf16_avx512,
    dio_fill_depthwise_avx512, dio_fill_elementwise_avx512, dio_fill_rows_avx512, dio_fill_peak_avx512, dio_fill_winograd_avx512, dio_kernels_fill_avx512;
fill_fn dio_fill_resize_avx512;

void dio_kernels_fill_avx512(struct dio_kernels *kernels)
{
    dio_fill_gemm_avx512(kernels);
    dio_fill_gemm_bf16_avx512(kernels);
    dio_fill_gemm_int8_avx512(kernels);
    dio_fill_depthwise_bf16_avx512(kernels);
    dio_fill_depthwise_avx512(kernels);
    dio_fill_elementwise_avx512(kernels);
    dio_fill_rows_avx512(kernels);
    dio_fill_peak_avx512(kernels);
    dio_fill_winograd_avx512(kernels);
    dio_fill_resize_avx512(kernels);
}
