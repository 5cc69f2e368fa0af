#include "kernels/avx512/vector.h"

#define DIO_FILL dio_fill_gemm_avx512
#include "kernels/template/gemm.inc"
