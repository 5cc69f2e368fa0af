#include "kernels/avx2/vector.h"

#define DIO_FILL dio_fill_depthwise_avx2
#include "kernels/template/depthwise.inc"
