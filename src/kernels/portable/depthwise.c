#include "kernels/portable/vector.h"

#define DIO_FILL dio_fill_depthwise_portable
#include "kernels/template/depthwise.inc"
