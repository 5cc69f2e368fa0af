#include "kernels/avx512/vector.h"

#define DIO_FILL dio_fill_peak_avx512
#include "kernels/template/peak.inc"
