/* The vocabulary of template/gemm_bf16.inc in four floats: halves are widened; a pair takes two multiply-adds. */
#ifndef DIO_KERNELS_PORTABLE_PAIRS_H
#define DIO_KERNELS_PORTABLE_PAIRS_H

#include <stdint.h>
#include <string.h>

#include "kernels/portable/vector.h"

typedef struct {
    vec low, high;
} pair;

static inline float p_widen(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint16_t p_narrow(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value) return (uint16_t)((bits | 0x400000u) >> 16);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

static inline pair p_load(const uint16_t *p)
{
    pair value;
    for (int i = 0; i < LANES; i++) {
        value.low[i] = p_widen(p[2 * i]);
        value.high[i] = p_widen(p[2 * i + 1]);
    }
    return value;
}

static inline pair p_broadcast(const uint16_t *p) { return (pair){v_set(p_widen(p[0])), v_set(p_widen(p[1]))}; }
static inline pair p_broadcast_one(const uint16_t *p) { return (pair){v_set(p_widen(p[0])), v_zero()}; }
static inline vec v_dot(pair a, pair b, vec c) { return v_fma(a.high, b.high, v_fma(a.low, b.low, c)); }

static inline vec h_load_part(const uint16_t *p, int lanes)
{
    vec value = v_zero();
    for (int i = 0; i < lanes; i++) value[i] = p_widen(p[i]);
    return value;
}

static inline void h_store_part(uint16_t *p, vec value, int lanes)
{
    for (int i = 0; i < lanes; i++) p[i] = p_narrow(value[i]);
}

enum { PAIR_MAX_ROWS = TILE_MAX_ROWS, PAIR_MAX_VECTORS = TILE_MAX_VECTORS };
#define PAIR_ROWS TILE_ROWS
#define PAIR_TILES TILES

#endif
