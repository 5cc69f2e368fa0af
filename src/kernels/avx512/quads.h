/* The vocabulary of template/gemm_int8.inc in AVX-512 without VNNI: even and odd bytes are widened to 16 bits, whose products
 * are summed in pairs, exactly. */
#ifndef DIO_KERNELS_AVX512_QUADS_H
#define DIO_KERNELS_AVX512_QUADS_H

#include "kernels/avx512/bytes.h"
#include "kernels/avx512/pairs.h"

typedef __m512i ivec;
typedef struct {
    __m512i even, odd;
} quad, weights;

static inline ivec i_zero(void) { return _mm512_setzero_si512(); }
static inline ivec i_load(const int32_t *p) { return _mm512_loadu_si512(p); }
static inline void i_store(int32_t *p, ivec value) { _mm512_storeu_si512(p, value); }
static inline vec i_to_float(ivec value) { return _mm512_cvtepi32_ps(value); }

static inline ivec i_dot(ivec sum, quad a, weights b)
{
    return _mm512_add_epi32(_mm512_add_epi32(sum, _mm512_madd_epi16(a.even, b.even)), _mm512_madd_epi16(a.odd, b.odd));
}

static inline weights q_load(const int8_t *p)
{
    const __m512i bytes = _mm512_loadu_si512(p);
    return (weights){_mm512_srai_epi16(_mm512_slli_epi16(bytes, 8), 8), _mm512_srai_epi16(bytes, 8)};
}

static inline quad q_split(uint32_t bytes)
{
    return (quad){_mm512_set1_epi32((int)(bytes & 0xff00ffu)), _mm512_set1_epi32((int)(bytes >> 8 & 0xff00ffu))};
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

enum { QUAD_MAX_ROWS = PAIR_MAX_ROWS, QUAD_MAX_VECTORS = PAIR_MAX_VECTORS };
#define QUAD_ROWS PAIR_ROWS
#define QUAD_TILES PAIR_TILES
#define QUAD_FINISHES FINISH(1) FINISH(2) FINISH(3) FINISH(4)

#endif
