/* Bytes as floats in AVX-512. */
#ifndef DIO_KERNELS_AVX512_BYTES_H
#define DIO_KERNELS_AVX512_BYTES_H

#include <stdint.h>

#include "kernels/avx512/vector.h"


static inline vec b_load_part(const uint8_t *p, int lanes)
{
    const __m128i bytes = lanes == LANES ? _mm_loadu_si128((const __m128i *)(const void *)p)
                                         : _mm_maskz_loadu_epi8((__mmask16)((1U << lanes) - 1), p);
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
}

/* value lies in 0..255. */
static inline void b_store_part(uint8_t *p, vec value, int lanes)
{
    const __m128i bytes = _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(value));
    if (lanes == LANES) {
        _mm_storeu_si128((__m128i *)(void *)p, bytes);
    } else {
        _mm_mask_storeu_epi8(p, (__mmask16)((1U << lanes) - 1), bytes);
    }
}

/* nv vectors side by side, `last` lanes of the last; each number lies in 0..255. */
static inline __attribute__((always_inline)) void b_store_row(uint8_t *p, const vec *value, const int nv, int last)
{
    if (nv != 4 || last != LANES) {
        UNROLL for (int v = 0; v < nv; v++) b_store_part(p + v * LANES, value[v], v + 1 < nv ? LANES : last);
        return;
    }
    const __m512i low = _mm512_packs_epi32(_mm512_cvtps_epi32(value[0]), _mm512_cvtps_epi32(value[1]));
    const __m512i high = _mm512_packs_epi32(_mm512_cvtps_epi32(value[2]), _mm512_cvtps_epi32(value[3]));
    /* Packing goes by lanes of 128 bits: each has four bytes of every vector. */
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(p, _mm512_permutexvar_epi32(order, _mm512_packus_epi16(low, high)));
}

#endif
