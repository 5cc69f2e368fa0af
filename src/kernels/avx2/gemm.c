#include "kernels/avx2/vector.h"

#define DIO_FILL dio_fill_gemm_avx2
#include "kernels/template/gemm.inc"
