/* The vocabulary of template/gemm_int8.inc in AVX512_VNNI: four bytes are multiplied and summed by one instruction. */
#ifndef DIO_KERNELS_VNNI_QUADS_H
#define DIO_KERNELS_VNNI_QUADS_H

#include "kernels/avx512/pairs.h"
#include "kernels/avx512/bytes.h"

typedef __m512i ivec, quad, weights;

static inline ivec i_zero(void) { return _mm512_setzero_si512(); }
static inline ivec i_load(const int32_t *p) { return _mm512_loadu_si512(p); }
static inline void i_store(int32_t *p, ivec value) { _mm512_storeu_si512(p, value); }
static inline vec i_to_float(ivec value) { return _mm512_cvtepi32_ps(value); }
static inline weights q_load(const int8_t *p) { return _mm512_loadu_si512(p); }

/* Written out: gcc 12 moves the sums to memory and back around the intrinsic. */
static inline ivec i_dot(ivec sum, quad a, weights b)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

/* Written out for the reason that v_broadcast has. */
static inline quad q_broadcast(const uint8_t *p)
{
    quad value;
    typedef struct { uint8_t bytes[4]; } four;
    __asm__("vpbroadcastd %1, %0" : "=v"(value) : "m"(*(const four *)(const void *)p));
    return value;
}

static inline quad q_broadcast_part(const uint8_t *p, int count)
{
    uint32_t bytes = 0;
    for (int i = 0; i < count; i++) bytes |= (uint32_t)p[i] << (8 * i);
    return _mm512_set1_epi32((int)bytes);
}

enum { QUAD_MAX_ROWS = TILE_MAX_ROWS, QUAD_MAX_VECTORS = TILE_MAX_VECTORS };
#define QUAD_ROWS TILE_ROWS
#define QUAD_TILES TILES
#define QUAD_FINISHES FINISH(1) FINISH(2) FINISH(3) FINISH(4)

#endif
