#include "kernels/avx2/weave.h"

#define DIO_FILL dio_fill_depthwise_int8_avx2
#include "kernels/template/depthwise_int8.inc"
