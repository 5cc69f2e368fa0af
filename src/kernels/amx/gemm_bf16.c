#ifdef __AMX_BF16__
#include "kernels/bf16/pairs.h"
#include "kernels/amx/tiles.h"

#define DIO_FILL dio_fill_gemm_bf16_amx
#include "kernels/template/gemm_tiles.inc"
#else
typedef int dio_built_without_amx;
#endif
