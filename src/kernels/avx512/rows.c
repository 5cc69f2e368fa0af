#include "kernels/avx512/vector.h"

#define DIO_FILL dio_fill_rows_avx512
#include "kernels/template/rows.inc"
