/* Ceiling of vpdpbusd. */
#include <immintrin.h>

#include "kernels/kernels.h"

enum { CHAINS = 12, UNROLLED = 8, LANES = 16 };
#define UNROLL _Pragma("GCC unroll 16")

static int64_t burn_int8(int64_t rounds, float *work)
{
    const __m512i bytes = _mm512_set1_epi32(work[1] > 0 ? 0x01010101 : 0);
    __m512i acc[CHAINS];
    UNROLL for (int i = 0; i < CHAINS; i++) acc[i] = _mm512_set1_epi32(i);
    for (int64_t r = 0; r < rounds; r++) {
        UNROLL for (int u = 0; u < UNROLLED; u++) {
            UNROLL for (int i = 0; i < CHAINS; i++) acc[i] = _mm512_dpbusd_epi32(acc[i], bytes, bytes);
        }
    }
    __m512i sum = acc[0];
    UNROLL for (int i = 1; i < CHAINS; i++) sum = _mm512_add_epi32(sum, acc[i]);
    work[0] = (float)_mm_cvtsi128_si32(_mm512_castsi512_si128(sum));
    return rounds * UNROLLED * CHAINS * LANES * 8;
}

void dio_fill_peak_vnni(struct dio_kernels *k);
void dio_fill_peak_vnni(struct dio_kernels *k)
{
    k->burn_int8 = burn_int8;
}
