#include "kernels/portable/pairs.h"

#define DIO_FILL dio_fill_gemm_bf16_portable
#include "kernels/template/gemm_bf16.inc"
