#include "kernels/avx512/vector.h"

#define DIO_FILL dio_fill_winograd_avx512
#include "kernels/template/winograd.inc"
