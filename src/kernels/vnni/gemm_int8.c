#include "kernels/vnni/quads.h"

#define DIO_FILL dio_fill_gemm_int8_vnni
#include "kernels/template/gemm_int8.inc"
