#include "kernels/portable/vector.h"

#define DIO_FILL dio_fill_gemm_portable
#include "kernels/template/gemm.inc"
