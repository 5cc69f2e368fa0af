#include "kernels/bf16/pairs.h"

#define DIO_FILL dio_fill_gemm_bf16_bf16
#include "kernels/template/gemm_bf16.inc"
