/* The pass down and the numbers with 512-bit vectors; the arithmetic is that of avx2/resize.c. */
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/template/resize_plain.inc"

enum { SPLIT = 11, BLOCK = 64 };

static inline int32_t low_of(int32_t weight) { return ((weight + (1 << (SPLIT - 1))) & ((1 << SPLIT) - 1)) - (1 << (SPLIT - 1)); }
static inline int32_t high_of(int32_t weight) { return (weight - low_of(weight)) / (1 << SPLIT); }

/* The weights of two taps beside each other: high parts, then low parts; false where one does not fit. */
static bool pack_pairs(const int32_t *w, int32_t taps, int32_t *pairs)
{
    for (int32_t j = 0; j < taps; j += 2, pairs += 2) {
        const int32_t other = j + 1 < taps ? w[j + 1] : 0;
        if (w[j] >= 1 << 25 || w[j] < -(1 << 25) || other >= 1 << 25 || other < -(1 << 25)) return false;
        pairs[0] = (int32_t)((uint32_t)(high_of(w[j]) & 0xffff) | (uint32_t)high_of(other) << 16);
        pairs[1] = (int32_t)((uint32_t)(low_of(w[j]) & 0xffff) | (uint32_t)low_of(other) << 16);
    }
    return true;
}

static inline __m512i put_together(__m512i high, __m512i low)
{
    return _mm512_srai_epi32(_mm512_add_epi32(_mm512_slli_epi32(high, SPLIT), low), DIO_RESIZE_BITS);
}

static inline void down_block(const uint8_t *in, size_t stride, const int32_t *weights, int32_t pairs, bool odd, uint8_t *out)
{
    const __m512i half = _mm512_set1_epi32(1 << (DIO_RESIZE_BITS - 1)), zero = _mm512_setzero_si512();
    __m512i high[4] = {zero, zero, zero, zero}, low[4] = {half, half, half, half};
    for (int32_t j = 0; j < pairs; j++, in += 2 * stride) {
        const __m512i x = _mm512_loadu_si512(in), y = _mm512_loadu_si512(odd && j + 1 == pairs ? in : in + stride);
        const __m512i first = _mm512_unpacklo_epi8(x, y), second = _mm512_unpackhi_epi8(x, y);
        const __m512i both[4] = {_mm512_unpacklo_epi8(first, zero), _mm512_unpackhi_epi8(first, zero),
                                 _mm512_unpacklo_epi8(second, zero), _mm512_unpackhi_epi8(second, zero)};
        const __m512i kh = _mm512_set1_epi32(weights[2 * j]), kl = _mm512_set1_epi32(weights[2 * j + 1]);
        for (int i = 0; i < 4; i++) {
            high[i] = _mm512_add_epi32(high[i], _mm512_madd_epi16(both[i], kh));
            low[i] = _mm512_add_epi32(low[i], _mm512_madd_epi16(both[i], kl));
        }
    }
    const __m512i a = _mm512_packs_epi32(put_together(high[0], low[0]), put_together(high[1], low[1]));
    const __m512i b = _mm512_packs_epi32(put_together(high[2], low[2]), put_together(high[3], low[3]));
    _mm512_storeu_si512(out, _mm512_packus_epi16(a, b));
}

dio_resize_down_fn dio_resize_down_avx512; /* the level of VNNI takes it where taps are few */
void dio_resize_down_avx512(const struct dio_resize_down *job)
{
    const struct dio_resize_axis *axis = job->axis;
    for (int32_t y = 0; y < axis->count; y++) {
        const int32_t taps = axis->taps[y], pairs = (taps + 1) / 2;
        if (job->samples < BLOCK || !pack_pairs(axis->weights + (size_t)y * (size_t)axis->width, taps, job->scratch)) {
            plain_down(job, y, 0, job->samples);
            continue;
        }
        const uint8_t *in = job->in + (ptrdiff_t)(axis->first[y] - job->shift) * (ptrdiff_t)job->in_stride;
        uint8_t *out = job->out + (size_t)y * job->out_stride;
        for (size_t at = 0; at < job->samples; at += BLOCK) {
            const size_t from = job->samples - at < BLOCK ? job->samples - BLOCK : at; /* the last block may overlap */
            if (pairs == 1) down_block(in + from, job->in_stride, job->scratch, 1, taps & 1, out + from);
            else down_block(in + from, job->in_stride, job->scratch, pairs, taps & 1, out + from);
        }
    }
}

/* A quotient is the product with the reciprocal, set right by the product's error. */
static inline __m512 quotient(__m512 value, __m512 divisor, __m512 inverse)
{
    const __m512 q = _mm512_mul_ps(value, inverse);
    return _mm512_fmadd_ps(_mm512_fnmadd_ps(q, divisor, value), inverse, q);
}

static void normalise_u8(const struct dio_normalise *n, const uint8_t *in, int64_t samples, float *out)
{
    const __m512 largest = _mm512_set1_ps(255.0f), scale = _mm512_set1_ps(1.0f / 255.0f);
    int64_t i = 0;
    for (; n->by_formula && i + DIO_NORMALISE_LANES <= samples; i += DIO_NORMALISE_LANES) {
        for (int k = 0; k < DIO_NORMALISE_LANES; k += 16) {
            const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(in + i + k));
            const __m512 v = quotient(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)), largest, scale);
            const __m512 d = _mm512_sub_ps(v, _mm512_loadu_ps(n->mean + k));
            _mm512_storeu_ps(out + i + k, quotient(d, _mm512_loadu_ps(n->std + k), _mm512_loadu_ps(n->inverse + k)));
        }
    }
    plain_numbers(n, in, i, samples, out);
}

void dio_fill_resize_avx512(struct dio_kernels *kernels);
void dio_fill_resize_avx512(struct dio_kernels *kernels)
{
    kernels->resize_down = dio_resize_down_avx512;
    kernels->normalise_u8 = normalise_u8;
}
