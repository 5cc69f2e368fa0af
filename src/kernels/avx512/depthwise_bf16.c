#include "kernels/avx512/pairs.h"

#define DIO_BF16
#define DIO_FILL dio_fill_depthwise_bf16_avx512
#include "kernels/template/depthwise.inc"
