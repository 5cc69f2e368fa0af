#include "kernels/portable/quads.h"

#define DIO_FILL dio_fill_gemm_int8_portable
#include "kernels/template/gemm_int8.inc"
