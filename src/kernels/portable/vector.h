/* The vocabulary of template/gemm.inc and template/depthwise.inc in the vector types that gcc and clang have on every
 * processor: four floats. */
#ifndef DIO_KERNELS_PORTABLE_VECTOR_H
#define DIO_KERNELS_PORTABLE_VECTOR_H

#include <string.h>

#ifdef __aarch64__
#include <arm_neon.h>
#endif

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#define UNROLL_ALL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define UNROLL_ALL _Pragma("GCC unroll 32")
#endif

enum { LANES = 4, BLOCK_PIXELS = 4, WIDE = 2 };
typedef float vec __attribute__((vector_size(16)));

static inline vec v_set(float value) { return (vec){value, value, value, value}; }
static inline vec v_zero(void) { return v_set(0.0f); }
static inline vec v_broadcast(const float *p) { return v_set(*p); }
static inline vec v_add(vec a, vec b) { return a + b; }
static inline vec v_sub(vec a, vec b) { return a - b; }
static inline vec v_mul(vec a, vec b) { return a * b; }
static inline vec v_div(vec a, vec b) { return a / b; }

static inline vec v_load(const float *p)
{
    vec value;
    memcpy(&value, p, sizeof value);
    return value;
}

static inline void v_store(float *p, vec value)
{
    memcpy(p, &value, sizeof value);
}

/* One rounding where the processor surely has the instruction, else two. */
static inline vec v_fma(vec a, vec b, vec c)
{
#ifdef __aarch64__
    return (vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

/* Where b is a NaN, b. */
static inline vec v_max(vec a, vec b)
{
    for (int i = 0; i < LANES; i++) b[i] = a[i] > b[i] ? a[i] : b[i];
    return b;
}

static inline vec v_min(vec a, vec b)
{
    for (int i = 0; i < LANES; i++) b[i] = a[i] < b[i] ? a[i] : b[i];
    return b;
}

typedef int lane_bits __attribute__((vector_size(16)));
static inline vec v_abs(vec a) { return (vec)((lane_bits)a & 0x7fffffff); }
/* Where x is below zero a, else b. */
static inline vec v_below_zero(vec x, vec a, vec b)
{
    const lane_bits mask = x < v_zero();
    return (vec)((mask & (lane_bits)a) | (~mask & (lane_bits)b));
}
/* value * 2^n, n in the lowest bits of a float that 1.5 * 2^23 was added to; value and product are normal numbers. */
typedef unsigned lane_words __attribute__((vector_size(16)));
static inline vec v_scale(vec value, vec shifted) { return (vec)((lane_words)value + ((lane_words)shifted << 23)); }

static inline vec v_load_part(const float *p, int lanes)
{
    if (lanes == LANES) return v_load(p);
    vec value = v_zero();
    for (int i = 0; i < lanes; i++) value[i] = p[i];
    return value;
}

static inline void v_store_part(float *p, vec value, int lanes)
{
    if (lanes == LANES) {
        v_store(p, value);
        return;
    }
    for (int i = 0; i < lanes; i++) p[i] = value[i];
}

/* Member i of each lane's group of `group` lanes. */
typedef struct {
    int lane[LANES];
} vec_index;
static inline vec_index v_member(int group, int i)
{
    vec_index index;
    for (int lane = 0; lane < LANES; lane++) index.lane[lane] = lane / group * group + i;
    return index;
}
static inline vec v_pick(vec value, vec_index index)
{
    return (vec){value[index.lane[0]], value[index.lane[1]], value[index.lane[2]], value[index.lane[3]]};
}

/* Rows times vectors: 16 accumulators of 32 registers (aarch64), 8 of 16 (x86-64 without AVX). */
#ifdef __aarch64__
enum { TILE_MAX_ROWS = 4, TILE_MAX_VECTORS = 4, TILE_FULL_ROWS = 4 };
#define TILE_ROWS {0, 4, 4, 4, 4}
#define TILES                                                                                                          \
    TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2)                            \
    TILE(1, 3) TILE(2, 3) TILE(3, 3) TILE(4, 3) TILE(1, 4) TILE(2, 4) TILE(3, 4) TILE(4, 4)
#else
enum { TILE_MAX_ROWS = 4, TILE_MAX_VECTORS = 2, TILE_FULL_ROWS = 4 };
#define TILE_ROWS {0, 4, 4}
#define TILES TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2)
#endif

#endif
