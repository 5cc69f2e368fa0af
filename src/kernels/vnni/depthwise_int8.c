#include "kernels/vnni/weave.h"

#define DIO_FILL dio_fill_depthwise_int8_vnni
#include "kernels/template/depthwise_int8.inc"
