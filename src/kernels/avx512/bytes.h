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

#endif
