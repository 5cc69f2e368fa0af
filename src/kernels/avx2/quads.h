/* The vocabulary of template/gemm_int8.inc in AVX2: even and odd bytes are widened to 16 bits, whose products are summed in
 * pairs, exactly. */
#ifndef DIO_KERNELS_AVX2_QUADS_H
#define DIO_KERNELS_AVX2_QUADS_H

#include "kernels/avx2/pairs.h"

typedef __m256i ivec;
typedef struct {
    __m256i even, odd;
} quad, weights;

static inline ivec i_zero(void) { return _mm256_setzero_si256(); }
static inline ivec i_load(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }
static inline void i_store(int32_t *p, ivec value) { _mm256_storeu_si256((__m256i *)(void *)p, value); }
static inline vec i_to_float(ivec value) { return _mm256_cvtepi32_ps(value); }

static inline ivec i_dot(ivec sum, quad a, weights b)
{
    return _mm256_add_epi32(_mm256_add_epi32(sum, _mm256_madd_epi16(a.even, b.even)), _mm256_madd_epi16(a.odd, b.odd));
}

static inline weights q_load(const int8_t *p)
{
    const __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return (weights){_mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8), _mm256_srai_epi16(bytes, 8)};
}

static inline quad q_split(uint32_t bytes)
{
    return (quad){_mm256_set1_epi32((int)(bytes & 0xff00ffu)), _mm256_set1_epi32((int)(bytes >> 8 & 0xff00ffu))};
}

static inline quad q_broadcast(const uint8_t *p)
{
    uint32_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    return q_split(bytes);
}

static inline quad q_broadcast_part(const uint8_t *p, int count)
{
    uint32_t bytes = 0;
    for (int i = 0; i < count; i++) bytes |= (uint32_t)p[i] << (8 * i);
    return q_split(bytes);
}

static inline vec b_load_part(const uint8_t *p, int lanes)
{
    uint8_t copy[16] = {0};
    memcpy(copy, p, (size_t)lanes);
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)copy)));
}

/* value lies in 0..255. */
static inline void b_store_part(uint8_t *p, vec value, int lanes)
{
    const __m256i words = _mm256_cvtps_epi32(value);
    const __m128i shorts = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    uint8_t copy[16];
    _mm_storeu_si128((__m128i *)(void *)copy, _mm_packus_epi16(shorts, shorts));
    memcpy(p, copy, (size_t)lanes);
}

/* nv vectors side by side, `last` lanes of the last. */
static inline void b_store_row(uint8_t *p, const vec *value, int nv, int last)
{
    for (int v = 0; v < nv; v++) b_store_part(p + v * LANES, value[v], v + 1 < nv ? LANES : last);
}

enum { QUAD_MAX_ROWS = PAIR_MAX_ROWS, QUAD_MAX_VECTORS = PAIR_MAX_VECTORS };
#define QUAD_ROWS PAIR_ROWS
#define QUAD_TILES PAIR_TILES
#define QUAD_FINISHES FINISH(1) FINISH(2)

#endif
