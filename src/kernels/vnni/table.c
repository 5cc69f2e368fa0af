#include "kernels/kernels.h"

typedef void fill_fn(struct dio_kernels *kernels);
fill_fn dio_fill_gemm_int8_vnni, dio_fill_peak_vnni, dio_kernels_fill_vnni;
fill_fn dio_fill_resize_vnni, dio_fill_depthwise_int8_vnni;

void dio_kernels_fill_vnni(struct dio_kernels *kernels)
{
    dio_fill_gemm_int8_vnni(kernels);
    dio_fill_peak_vnni(kernels);
    dio_fill_resize_vnni(kernels);
    dio_fill_depthwise_int8_vnni(kernels);
}
