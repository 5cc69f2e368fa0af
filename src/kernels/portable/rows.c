#include "kernels/portable/vector.h"

#define DIO_FILL dio_fill_rows_portable
#include "kernels/template/rows.inc"
