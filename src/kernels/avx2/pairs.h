/* The vocabulary of template/gemm_bf16.inc in AVX2: halves are widened; a pair takes two multiply-adds. */
#ifndef DIO_KERNELS_AVX2_PAIRS_H
#define DIO_KERNELS_AVX2_PAIRS_H

#include <stdint.h>
#include <string.h>

#include "kernels/avx2/vector.h"

typedef struct {
    vec low, high;
} pair;

static inline pair p_split(__m256i both)
{
    return (pair){_mm256_castsi256_ps(_mm256_slli_epi32(both, 16)),
                  _mm256_castsi256_ps(_mm256_and_si256(both, _mm256_set1_epi32((int)0xffff0000u)))};
}

static inline pair p_load(const uint16_t *p) { return p_split(_mm256_loadu_si256((const __m256i *)(const void *)p)); }

static inline pair p_broadcast(const uint16_t *p)
{
    int32_t both;
    memcpy(&both, p, sizeof both);
    return p_split(_mm256_set1_epi32(both));
}

static inline pair p_broadcast_one(const uint16_t *p) { return p_split(_mm256_set1_epi32(*p)); }

static inline vec v_dot(pair a, pair b, vec c) { return v_fma(a.high, b.high, v_fma(a.low, b.low, c)); }

static inline vec h_load_part(const uint16_t *p, int lanes)
{
    __m128i halves;
    if (lanes == LANES) {
        halves = _mm_loadu_si128((const __m128i *)(const void *)p);
    } else {
        uint16_t copy[LANES] = {0};
        for (int i = 0; i < lanes; i++) copy[i] = p[i];
        halves = _mm_loadu_si128((const __m128i *)(const void *)copy);
    }
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

static inline void h_store_part(uint16_t *p, vec value, int lanes)
{
    const __m256i bits = _mm256_castps_si256(value), odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
    const __m256i words = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
    const __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    if (lanes == LANES) {
        _mm_storeu_si128((__m128i *)(void *)p, halves);
    } else {
        uint16_t copy[LANES];
        _mm_storeu_si128((__m128i *)(void *)copy, halves);
        for (int i = 0; i < lanes; i++) p[i] = copy[i];
    }
}

/* Widened operands take twice the registers. */
enum { PAIR_MAX_ROWS = 10, PAIR_MAX_VECTORS = 2 };
#define PAIR_ROWS {0, 10, 5}
#define PAIR_TILES                                                                                                     \
    TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(5, 1) TILE(6, 1) TILE(7, 1) TILE(8, 1) TILE(9, 1) TILE(10, 1)     \
    TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2) TILE(5, 2)

#endif
