#include "kernels/kernels.h"

typedef void fill_fn(struct dio_kernels *kernels);
fill_fn dio_fill_gemm_bf16_amx, dio_fill_peak_amx, dio_kernels_fill_amx;

/* A compiler that does not know tiles leaves the level as it is below. */
void dio_kernels_fill_amx(struct dio_kernels *kernels)
{
#ifdef __AMX_BF16__
    dio_fill_gemm_bf16_amx(kernels);
    dio_fill_peak_amx(kernels);
#else
    (void)kernels;
#endif
}
