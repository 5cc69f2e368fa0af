/* The vocabulary of template/depthwise_int8.inc in sixteen bytes. */
#ifndef DIO_KERNELS_PORTABLE_WEAVE_H
#define DIO_KERNELS_PORTABLE_WEAVE_H

#include "kernels/portable/quads.h"

typedef struct {
    uint8_t of[16];
} bytes;
typedef weights woven;

/* Sides of filters, strides: what has an instance. */
#define FILTER_SIZES(DO) /* unrolled without vectors of bytes they would be large, and little faster */

static inline bytes d_load(const uint8_t *p)
{
    bytes value;
    memcpy(value.of, p, sizeof value.of);
    return value;
}
static inline void d_store(uint8_t *p, bytes value) { memcpy(p, value.of, sizeof value.of); }

static inline bytes d_set(uint8_t value)
{
    bytes all;
    memset(all.of, value, sizeof all.of);
    return all;
}

static inline bytes d_max(bytes a, bytes b)
{
    for (int i = 0; i < 16; i++) a.of[i] = a.of[i] > b.of[i] ? a.of[i] : b.of[i];
    return a;
}

static inline bytes d_load_two(const uint8_t *low, const uint8_t *high)
{
    bytes value;
    memcpy(value.of, low, 8);
    memcpy(value.of + 8, high, 8);
    return value;
}
static inline void d_store_low(uint8_t *p, bytes value) { memcpy(p, value.of, 8); }
static inline void d_store_high(uint8_t *p, bytes value) { memcpy(p, value.of + 8, 8); }

static inline void d_weave(const bytes line[4], woven out[4])
{
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < 4; i++) {
            const uint8_t *of = line[i].of + 4 * k;
            out[k].of[i] = (ivec){of[0], of[1], of[2], of[3]};
        }
    }
}

static inline ivec d_dot(ivec sum, woven a, weights b)
{
    for (int i = 0; i < 4; i++) sum += a.of[i] * b.of[i];
    return sum;
}

/* Rounded, cut to 0..255; no number lies above 255, a NaN becomes 0. */
static inline bytes d_pack(const vec value[4])
{
    bytes out;
    for (int i = 0; i < 16; i++) out.of[i] = value[i / 4][i % 4] > 0 ? (uint8_t)lrintf(value[i / 4][i % 4]) : 0;
    return out;
}

#endif
