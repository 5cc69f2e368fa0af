#include "kernels/portable/weave.h"

#define DIO_FILL dio_fill_depthwise_int8_portable
#include "kernels/template/depthwise_int8.inc"
