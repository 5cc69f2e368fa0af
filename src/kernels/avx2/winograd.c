#include "kernels/avx2/vector.h"

#define DIO_FILL dio_fill_winograd_avx2
#include "kernels/template/winograd.inc"
