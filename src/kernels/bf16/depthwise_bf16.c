#include "kernels/bf16/pairs.h"

#define DIO_BF16
#define DIO_FILL dio_fill_depthwise_bf16_bf16
#include "kernels/template/depthwise.inc"
