#include "kernels/avx2/pairs.h"

#define DIO_BF16
#define DIO_FILL dio_fill_depthwise_bf16_avx2
#include "kernels/template/depthwise.inc"
