#include "kernels/portable/pairs.h"

#define DIO_BF16
#define DIO_FILL dio_fill_depthwise_bf16_portable
#include "kernels/template/depthwise.inc"
