#include "kernels/portable/vector.h"

#define DIO_FILL dio_fill_winograd_portable
#include "kernels/template/winograd.inc"
