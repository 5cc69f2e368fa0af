#include "tensor/convert.h"

#include <math.h>
#include <string.h>

static float f32_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float dio_f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = (half >> 10) & 31, fraction = half & 0x3ff;
    if (exponent == 31) return f32_of_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent) return f32_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    /* Subnormal or zero: fraction * 2^-24, exact in f32. */
    float magnitude = (float)fraction * 0x1p-24f;
    return f32_of_bits(sign | bits_of_f32(magnitude));
}

uint16_t dio_f32_to_f16(float value)
{
    uint32_t bits = bits_of_f32(value), magnitude = bits & 0x7fffffffu;
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00); /* 65520 and above round to infinity */
    if (magnitude < 0x38800000u) {
        /* Below 2^-14: adding 1/2 aligns the last bit of f32 with 2^-24, and the addition rounds to nearest even. */
        float sum = f32_of_bits(magnitude) + 0.5f;
        return (uint16_t)(sign | (bits_of_f32(sum) - bits_of_f32(0.5f)));
    }
    uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | ((rounded >> 13) - (112u << 10)));
}

float dio_bf16_to_f32(uint16_t half)
{
    return f32_of_bits((uint32_t)half << 16);
}

uint16_t dio_f32_to_bf16(float value)
{
    uint32_t bits = bits_of_f32(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* One loop for each source type; memcpy because files keep no alignment. */
#define TO_F32(dtype_, type, expression)                                                                               \
    case dtype_:                                                                                                       \
        for (size_t i = 0; i < count; i++) {                                                                           \
            type x;                                                                                                    \
            memcpy(&x, bytes + i * sizeof x, sizeof x);                                                                \
            dst[i] = (expression);                                                                                     \
        }                                                                                                              \
        return true;

bool dio_convert_to_f32(float *dst, const void *src, enum dio_dtype dtype, size_t count)
{
    const unsigned char *bytes = src;
    switch (dtype) {
    case DIO_F32:
        if (count) memcpy(dst, src, count * sizeof *dst);
        return true;
    TO_F32(DIO_F16, uint16_t, dio_f16_to_f32(x))
    TO_F32(DIO_BF16, uint16_t, dio_bf16_to_f32(x))
    TO_F32(DIO_F64, double, (float)x)
    TO_F32(DIO_BOOL, uint8_t, x ? 1.0f : 0.0f)
    TO_F32(DIO_U8, uint8_t, (float)x)
    TO_F32(DIO_I8, int8_t, (float)x)
    TO_F32(DIO_U16, uint16_t, (float)x)
    TO_F32(DIO_I16, int16_t, (float)x)
    TO_F32(DIO_U32, uint32_t, (float)x)
    TO_F32(DIO_I32, int32_t, (float)x)
    TO_F32(DIO_U64, uint64_t, (float)x)
    TO_F32(DIO_I64, int64_t, (float)x)
    default:
        return false;
    }
}

#define FROM_F32(dtype_, type, expression)                                                                             \
    case dtype_:                                                                                                       \
        for (size_t i = 0; i < count; i++) {                                                                           \
            float v = src[i];                                                                                          \
            type x = (expression);                                                                                     \
            memcpy(bytes + i * sizeof x, &x, sizeof x);                                                                \
        }                                                                                                              \
        return true;

/* Rounds to nearest even and saturates.  Every limit but INT64's and UINT64's is exact in double; those two are the
 * powers of two just above, which the comparison with >= takes to the limit itself. */
static int64_t saturate(float value, double low, double high)
{
    if (isnan(value)) return 0;
    double rounded = nearbyint((double)value);
    if (rounded <= low) return low <= -0x1p63 ? INT64_MIN : (int64_t)low;
    if (rounded >= high) return high >= 0x1p63 ? INT64_MAX : (int64_t)high;
    return (int64_t)rounded;
}

static uint64_t saturate_u64(float value)
{
    if (isnan(value) || value <= 0) return 0;
    double rounded = nearbyint((double)value);
    return rounded >= 0x1p64 ? UINT64_MAX : (uint64_t)rounded;
}

bool dio_convert_from_f32(void *dst, enum dio_dtype dtype, const float *src, size_t count)
{
    unsigned char *bytes = dst;
    switch (dtype) {
    case DIO_F32:
        if (count) memcpy(dst, src, count * sizeof *src);
        return true;
    FROM_F32(DIO_F16, uint16_t, dio_f32_to_f16(v))
    FROM_F32(DIO_BF16, uint16_t, dio_f32_to_bf16(v))
    FROM_F32(DIO_F64, double, (double)v)
    FROM_F32(DIO_BOOL, uint8_t, (uint8_t)(v < 0 || v > 0 || isnan(v)))
    FROM_F32(DIO_U8, uint8_t, (uint8_t)saturate(v, 0, UINT8_MAX))
    FROM_F32(DIO_I8, int8_t, (int8_t)saturate(v, INT8_MIN, INT8_MAX))
    FROM_F32(DIO_U16, uint16_t, (uint16_t)saturate(v, 0, UINT16_MAX))
    FROM_F32(DIO_I16, int16_t, (int16_t)saturate(v, INT16_MIN, INT16_MAX))
    FROM_F32(DIO_U32, uint32_t, (uint32_t)saturate(v, 0, UINT32_MAX))
    FROM_F32(DIO_I32, int32_t, (int32_t)saturate(v, INT32_MIN, INT32_MAX))
    FROM_F32(DIO_U64, uint64_t, saturate_u64(v))
    FROM_F32(DIO_I64, int64_t, saturate(v, -0x1p63, 0x1p63))
    default:
        return false;
    }
}

/* NaN and infinity by their bits: exponent all ones, then by the fraction.  `lanes`: numbers in an element. */
#define COUNT(type, exponent_mask, fraction_mask, lanes)                                                               \
    for (size_t i = 0; i < count * (lanes); i++) {                                                                     \
        type x;                                                                                                        \
        memcpy(&x, bytes + i * sizeof x, sizeof x);                                                                    \
        if ((x & (exponent_mask)) == (exponent_mask)) {                                                                \
            if (x & (fraction_mask)) ++*nan;                                                                           \
            else ++*inf;                                                                                               \
        }                                                                                                              \
    }                                                                                                                  \
    break;

void dio_count_nonfinite(const void *src, enum dio_dtype dtype, size_t count, uint64_t *nan, uint64_t *inf)
{
    const unsigned char *bytes = src;
    switch (dtype) {
    case DIO_F32: COUNT(uint32_t, 0x7f800000u, 0x7fffffu, 1)
    case DIO_C64: COUNT(uint32_t, 0x7f800000u, 0x7fffffu, 2)
    case DIO_F16: COUNT(uint16_t, 0x7c00, 0x3ff, 1)
    case DIO_C32: COUNT(uint16_t, 0x7c00, 0x3ff, 2)
    case DIO_BF16: COUNT(uint16_t, 0x7f80, 0x7f, 1)
    case DIO_F64: COUNT(uint64_t, 0x7ff0000000000000u, 0xfffffffffffffu, 1)
    case DIO_C128: COUNT(uint64_t, 0x7ff0000000000000u, 0xfffffffffffffu, 2)
    case DIO_F8_E5M2: COUNT(uint8_t, 0x7c, 3, 1)
    case DIO_F8_E4M3: /* no infinity: only 0x7f and 0xff are no numbers */
        for (size_t i = 0; i < count; i++) *nan += (bytes[i] & 0x7f) == 0x7f;
        break;
    case DIO_F8_E8M0:
        for (size_t i = 0; i < count; i++) *nan += bytes[i] == 0xff;
        break;
    case DIO_F8_E4M3FNUZ:
    case DIO_F8_E5M2FNUZ:
        for (size_t i = 0; i < count; i++) *nan += bytes[i] == 0x80;
        break;
    default:
        break;
    }
}

static void copy_element(unsigned char *dst, const unsigned char *src, size_t size, size_t swap)
{
    if (swap < 2) {
        memcpy(dst, src, size);
        return;
    }
    for (size_t group = 0; group < size; group += swap) {
        for (size_t i = 0; i < swap; i++) dst[group + i] = src[group + swap - 1 - i];
    }
}

void dio_gather(const struct dio_gather *view, uint64_t begin, size_t count, void *dst)
{
    const unsigned char *src = view->src;
    unsigned char *out = dst;
    size_t size = view->element_size;
    if (count == 0) return;
    if (!view->strides) {
        src += begin * size;
        if (view->swap_size < 2) {
            memcpy(out, src, count * size);
            return;
        }
        for (size_t i = 0; i < count; i++) copy_element(out + i * size, src + i * size, size, view->swap_size);
        return;
    }
    int64_t index[64];
    uint64_t rest = begin;
    int64_t at = 0;
    for (int d = view->rank - 1; d >= 0; d--) {
        index[d] = (int64_t)(rest % (uint64_t)view->dims[d]);
        rest /= (uint64_t)view->dims[d];
        at += index[d] * view->strides[d];
    }
    for (size_t i = 0; i < count; i++) {
        copy_element(out + i * size, src + (size_t)at * size, size, view->swap_size);
        for (int d = view->rank - 1; d >= 0; d--) {
            at += view->strides[d];
            if (++index[d] < view->dims[d]) break;
            at -= view->dims[d] * view->strides[d];
            index[d] = 0;
        }
    }
}
