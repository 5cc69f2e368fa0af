#include "kernels/avx2/vector.h"

#define DIO_FILL dio_fill_rows_avx2
#include "kernels/template/rows.inc"
