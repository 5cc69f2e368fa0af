/* The vocabulary of template/gemm_int8.inc in four whole numbers. */
#ifndef DIO_KERNELS_PORTABLE_QUADS_H
#define DIO_KERNELS_PORTABLE_QUADS_H

#include <math.h>

#include "kernels/portable/pairs.h"

typedef int32_t ivec __attribute__((vector_size(16)));
typedef struct {
    int32_t of[4];
} quad;
typedef struct {
    ivec of[4];
} weights;

static inline ivec i_zero(void) { return (ivec){0, 0, 0, 0}; }
static inline ivec i_load(const int32_t *p)
{
    ivec value;
    memcpy(&value, p, sizeof value);
    return value;
}
static inline void i_store(int32_t *p, ivec value) { memcpy(p, &value, sizeof value); }
static inline vec i_to_float(ivec value) { return (vec){(float)value[0], (float)value[1], (float)value[2], (float)value[3]}; }

static inline ivec i_dot(ivec sum, quad a, weights b)
{
    for (int i = 0; i < 4; i++) sum += a.of[i] * b.of[i];
    return sum;
}

static inline weights q_load(const int8_t *p)
{
    weights value;
    for (int i = 0; i < 4; i++) value.of[i] = (ivec){p[i], p[4 + i], p[8 + i], p[12 + i]};
    return value;
}

static inline quad q_broadcast_part(const uint8_t *p, int count)
{
    quad value = {{0, 0, 0, 0}};
    for (int i = 0; i < count; i++) value.of[i] = p[i];
    return value;
}

static inline quad q_broadcast(const uint8_t *p) { return q_broadcast_part(p, 4); }

static inline vec b_load_part(const uint8_t *p, int lanes)
{
    vec value = v_zero();
    for (int i = 0; i < lanes; i++) value[i] = p[i];
    return value;
}

/* value lies in 0..255. */
static inline void b_store_part(uint8_t *p, vec value, int lanes)
{
    for (int i = 0; i < lanes; i++) p[i] = (uint8_t)lrintf(value[i]);
}

/* nv vectors side by side, `last` lanes of the last. */
static inline void b_store_row(uint8_t *p, const vec *value, int nv, int last)
{
    for (int v = 0; v < nv; v++) b_store_part(p + v * LANES, value[v], v + 1 < nv ? LANES : last);
}

enum { QUAD_MAX_ROWS = TILE_MAX_ROWS, QUAD_MAX_VECTORS = TILE_MAX_VECTORS };
#define QUAD_ROWS TILE_ROWS
#define QUAD_TILES TILES
#ifdef __aarch64__
#define QUAD_FINISHES FINISH(1) FINISH(2) FINISH(3) FINISH(4)
#else
#define QUAD_FINISHES FINISH(1) FINISH(2)
#endif

#endif
