#include "kernels/portable/vector.h"

#define DIO_FILL dio_fill_peak_portable
#include "kernels/template/peak.inc"
