#include "kernels/portable/vector.h"

#define DIO_FILL dio_fill_elementwise_portable
#include "kernels/template/elementwise.inc"
