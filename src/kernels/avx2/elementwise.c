#include "kernels/avx2/vector.h"

#define DIO_FILL dio_fill_elementwise_avx2
#include "kernels/template/elementwise.inc"
