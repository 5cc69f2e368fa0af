/* The vocabulary of template/depthwise_int8.inc in AVX2. */
#ifndef DIO_KERNELS_AVX2_WEAVE_H
#define DIO_KERNELS_AVX2_WEAVE_H

#include "kernels/avx2/quads.h"

typedef __m256i bytes;
typedef quad woven;

/* Sides of filters, strides: what has an instance. */
#define FILTER_SIZES(DO) DO(3, 1) DO(3, 2) DO(5, 1) DO(5, 2)

static inline bytes d_set(uint8_t value) { return _mm256_set1_epi8((char)value); }
static inline bytes d_max(bytes a, bytes b) { return _mm256_max_epu8(a, b); }
static inline bytes d_load(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }
static inline void d_store(uint8_t *p, bytes value) { _mm256_storeu_si256((__m256i *)(void *)p, value); }

static inline bytes d_load_two(const uint8_t *low, const uint8_t *high)
{
    const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)low), b = _mm_loadu_si128((const __m128i *)(const void *)high);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
}
static inline void d_store_low(uint8_t *p, bytes value) { _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(value)); }
static inline void d_store_high(uint8_t *p, bytes value) { _mm_storeu_si128((__m128i *)(void *)p, _mm256_extracti128_si256(value, 1)); }

static inline woven d_split(__m256i quads)
{
    return (woven){_mm256_and_si256(quads, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(quads, 8)};
}

/* out[k]: channels 4 k to 4 k + 3 of every 16. */
static inline void d_weave(const bytes line[4], woven out[4])
{
    const bytes low = _mm256_unpacklo_epi8(line[0], line[1]), high = _mm256_unpackhi_epi8(line[0], line[1]);
    const bytes low2 = _mm256_unpacklo_epi8(line[2], line[3]), high2 = _mm256_unpackhi_epi8(line[2], line[3]);
    out[0] = d_split(_mm256_unpacklo_epi16(low, low2));
    out[1] = d_split(_mm256_unpackhi_epi16(low, low2));
    out[2] = d_split(_mm256_unpacklo_epi16(high, high2));
    out[3] = d_split(_mm256_unpackhi_epi16(high, high2));
}

static inline ivec d_dot(ivec sum, woven a, weights b) { return i_dot(sum, a, b); }

/* Rounded, cut to 0..255, in the order that was there before weaving; no number lies above 255. */
static inline bytes d_pack(const vec value[4])
{
    const __m256i low = _mm256_packs_epi32(_mm256_cvtps_epi32(value[0]), _mm256_cvtps_epi32(value[1]));
    const __m256i high = _mm256_packs_epi32(_mm256_cvtps_epi32(value[2]), _mm256_cvtps_epi32(value[3]));
    return _mm256_packus_epi16(low, high);
}

#endif
