/* The vocabulary of template/gemm_bf16.inc in AVX-512 without AVX512_BF16: halves are widened; a pair takes two multiply-adds. */
#ifndef DIO_KERNELS_AVX512_PAIRS_H
#define DIO_KERNELS_AVX512_PAIRS_H

#include <stdint.h>
#include <string.h>

#include "kernels/avx512/vector.h"

typedef struct {
    vec low, high;
} pair;

static inline pair p_split(__m512i both)
{
    return (pair){_mm512_castsi512_ps(_mm512_slli_epi32(both, 16)),
                  _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32((int)0xffff0000u)))};
}

static inline pair p_load(const uint16_t *p) { return p_split(_mm512_loadu_si512(p)); }

static inline pair p_broadcast(const uint16_t *p)
{
    int32_t both;
    memcpy(&both, p, sizeof both);
    return p_split(_mm512_set1_epi32(both));
}

static inline pair p_broadcast_one(const uint16_t *p) { return p_split(_mm512_set1_epi32(*p)); }

static inline vec v_dot(pair a, pair b, vec c) { return v_fma(a.high, b.high, v_fma(a.low, b.low, c)); }

static inline vec h_load_part(const uint16_t *p, int lanes)
{
    const __m256i halves = lanes == LANES ? _mm256_loadu_si256((const __m256i *)(const void *)p)
                                          : _mm256_maskz_loadu_epi16((__mmask16)((1U << lanes) - 1), p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

static inline void h_store_part(uint16_t *p, vec value, int lanes)
{
    const __m512i bits = _mm512_castps_si512(value), odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
    const __m512i all = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    const __m256i halves = _mm512_cvtepi32_epi16(_mm512_srli_epi32(all, 16));
    if (lanes == LANES) {
        _mm256_storeu_si256((__m256i *)(void *)p, halves);
    } else {
        _mm256_mask_storeu_epi16(p, (__mmask16)((1U << lanes) - 1), halves);
    }
}

/* Widened operands take twice the registers. */
enum { PAIR_MAX_ROWS = 12, PAIR_MAX_VECTORS = 4 };
#define PAIR_ROWS {0, 12, 10, 7, 5}
#define PAIR_TILES                                                                                                     \
    TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(5, 1) TILE(6, 1) TILE(7, 1) TILE(8, 1) TILE(9, 1) TILE(10, 1)     \
    TILE(11, 1) TILE(12, 1)                                                                                            \
    TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2) TILE(5, 2) TILE(6, 2) TILE(7, 2) TILE(8, 2) TILE(9, 2) TILE(10, 2)     \
    TILE(1, 3) TILE(2, 3) TILE(3, 3) TILE(4, 3) TILE(5, 3) TILE(6, 3) TILE(7, 3)                                       \
    TILE(1, 4) TILE(2, 4) TILE(3, 4) TILE(4, 4) TILE(5, 4)

#endif
