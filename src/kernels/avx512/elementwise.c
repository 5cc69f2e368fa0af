#include "kernels/avx512/vector.h"

#define DIO_FILL dio_fill_elementwise_avx512
#include "kernels/template/elementwise.inc"
