#include "kernels/avx512/vector.h"

#define DIO_FILL dio_fill_depthwise_avx512
#include "kernels/template/depthwise.inc"
