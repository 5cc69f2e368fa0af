#include "kernels/avx2/pairs.h"

#define DIO_FILL dio_fill_gemm_bf16_avx2
#include "kernels/template/gemm_bf16.inc"
