#include "kernels/avx2/vector.h"

#define DIO_FILL dio_fill_peak_avx2
#include "kernels/template/peak.inc"
