#include "kernels/avx512/pairs.h"

#define DIO_FILL dio_fill_gemm_bf16_avx512
#include "kernels/template/gemm_bf16.inc"
