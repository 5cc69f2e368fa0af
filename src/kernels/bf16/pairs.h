/* The vocabulary of template/gemm_bf16.inc in AVX512_BF16: a pair of halves is multiplied and summed by one instruction. */
#ifndef DIO_KERNELS_BF16_PAIRS_H
#define DIO_KERNELS_BF16_PAIRS_H

#include <stdint.h>
#include <string.h>

#include "kernels/avx512/vector.h"

typedef __m512i pair;

static inline pair p_load(const uint16_t *p) { return _mm512_loadu_si512(p); }
static inline vec v_dot(pair a, pair b, vec c) { return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b); }

/* Written out for the reason that v_broadcast has. */
static inline pair p_broadcast(const uint16_t *p)
{
    pair value;
    typedef struct { uint16_t halves[2]; } two;
    __asm__("vpbroadcastd %1, %0" : "=v"(value) : "m"(*(const two *)(const void *)p));
    return value;
}

static inline pair p_broadcast_one(const uint16_t *p) { return _mm512_set1_epi32(*p); }

static inline vec h_load_part(const uint16_t *p, int lanes)
{
    const __m256i halves = lanes == LANES ? _mm256_loadu_si256((const __m256i *)(const void *)p)
                                          : _mm256_maskz_loadu_epi16((__mmask16)((1U << lanes) - 1), p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

static inline void h_store_part(uint16_t *p, vec value, int lanes)
{
    const __m256i halves = (__m256i)_mm512_cvtneps_pbh(value);
    if (lanes == LANES) {
        _mm256_storeu_si256((__m256i *)(void *)p, halves);
    } else {
        _mm256_mask_storeu_epi16(p, (__mmask16)((1U << lanes) - 1), halves);
    }
}

enum { PAIR_MAX_ROWS = TILE_MAX_ROWS, PAIR_MAX_VECTORS = TILE_MAX_VECTORS };
#define PAIR_ROWS TILE_ROWS
#define PAIR_TILES TILES

#endif
