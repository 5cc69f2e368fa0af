#include "kernels/avx2/quads.h"

#define DIO_FILL dio_fill_gemm_int8_avx2
#include "kernels/template/gemm_int8.inc"
