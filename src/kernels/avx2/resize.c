/* Pillow's passes with 256-bit vectors.  A weight is split into w = high * 2^11 + low, both of 16 bits, so that vpmaddwd
 * sums two taps at once without an error; the two sums are put together modulo 2^32. */
#include <immintrin.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/template/resize_plain.inc"

enum { SPLIT = 11, LOAD = 16 };

static inline int32_t low_of(int32_t weight) { return ((weight + (1 << (SPLIT - 1))) & ((1 << SPLIT) - 1)) - (1 << (SPLIT - 1)); }
static inline int32_t high_of(int32_t weight) { return (weight - low_of(weight)) / (1 << SPLIT); }

static bool weights_fit(const struct dio_resize_axis *axis)
{
    int32_t most = 0;
    for (int32_t i = 0; i < axis->count; i++) {
        for (int32_t j = 0; j < axis->taps[i]; j++) {
            const int32_t w = axis->weights[(size_t)i * (size_t)axis->width + (size_t)j];
            most |= w < 0 ? ~w : w;
        }
    }
    return most < 1 << 25;
}

static int32_t most_taps(const struct dio_resize_axis *axis)
{
    int32_t most = 0;
    for (int32_t i = 0; i < axis->count; i++) most = axis->taps[i] > most ? axis->taps[i] : most;
    return most;
}

static inline __m256i put_together(__m256i high, __m256i low)
{
    return _mm256_srai_epi32(_mm256_add_epi32(_mm256_slli_epi32(high, SPLIT), low), DIO_RESIZE_BITS);
}

/* ---- Across, few source bytes for four outputs: they come by one shuffle of 16 bytes a pair of taps ---- */

struct dense {
    int32_t vectors, chunks; /* of 8 outputs; of 2 taps */
    int32_t *offset;         /* [vectors][chunks][2]: of the 16 bytes for each half */
    int8_t *shuffle;         /* [vectors][chunks][32] */
    int16_t *high, *low;     /* [vectors][chunks][16] */
};

static struct dense lay_out(const struct dio_resize_across *job)
{
    const int64_t outputs = (int64_t)job->axis->count * job->channels;
    struct dense d = {(int32_t)((outputs + 31) / 32 * 4), (most_taps(job->axis) + 1) / 2, NULL, job->scratch, NULL, NULL};
    const size_t parts = (size_t)d.vectors * (size_t)d.chunks;
    d.high = (int16_t *)(void *)(d.shuffle + parts * 32);
    d.low = d.high + parts * 16;
    d.offset = (int32_t *)(void *)(d.low + parts * 16);
    return d;
}

/* Four outputs from `output` on, their taps 2 * chunk and the next; false when the bytes lie too far apart. */
static bool pack_half(const struct dio_resize_across *job, int64_t output, int32_t chunk, int32_t *offset, int8_t *shuffle,
                      int16_t *high, int16_t *low)
{
    const struct dio_resize_axis *axis = job->axis;
    const int32_t channels = job->channels, row = job->columns * channels;
    const int64_t outputs = (int64_t)axis->count * channels;
    int32_t at[8], first = INT32_MAX, last = 0;
    memset(shuffle, -1, LOAD);
    memset(high, 0, LOAD);
    memset(low, 0, LOAD);
    for (int i = 0; i < 8; i++) {
        const int64_t o = output + i / 2;
        const int32_t x = (int32_t)(o / channels), tap = 2 * chunk + i % 2;
        at[i] = -1;
        if (o >= outputs || tap >= axis->taps[x]) continue;
        const int32_t w = axis->weights[(size_t)x * (size_t)axis->width + (size_t)tap];
        at[i] = (axis->first[x] - job->shift + tap) * channels + (int32_t)(o % channels);
        first = at[i] < first ? at[i] : first;
        last = at[i] > last ? at[i] : last;
        high[i] = (int16_t)high_of(w);
        low[i] = (int16_t)low_of(w);
    }
    *offset = first > row - LOAD ? row - LOAD : first;
    for (int i = 0; i < 8; i++) {
        if (at[i] >= 0) shuffle[2 * i] = (int8_t)(at[i] - *offset);
    }
    return last - *offset < LOAD;
}

static bool pack_dense(const struct dio_resize_across *job, const struct dense *d)
{
    size_t part = 0;
    for (int32_t v = 0; v < d->vectors; v++) {
        for (int32_t chunk = 0; chunk < d->chunks; chunk++, part++) {
            for (size_t half = 0; half < 2; half++) {
                if (!pack_half(job, 8 * (int64_t)v + 4 * (int64_t)half, chunk, &d->offset[2 * part + half],
                               d->shuffle + 32 * part + 16 * half, d->high + 16 * part + 8 * half, d->low + 16 * part + 8 * half)) {
                    return false;
                }
            }
        }
    }
    return true;
}

static inline __m256i dense_eight(const struct dense *d, const uint8_t *in, size_t part, int32_t chunks)
{
    __m256i high = _mm256_setzero_si256(), low = _mm256_set1_epi32(1 << (DIO_RESIZE_BITS - 1));
    for (int32_t chunk = 0; chunk < chunks; chunk++, part++) {
        const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(in + d->offset[2 * part]));
        const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(in + d->offset[2 * part + 1]));
        const __m256i bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
        const __m256i pairs = _mm256_shuffle_epi8(bytes, _mm256_load_si256((const __m256i *)(const void *)(d->shuffle + 32 * part)));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(pairs, _mm256_load_si256((const __m256i *)(const void *)(d->high + 16 * part))));
        low = _mm256_add_epi32(low, _mm256_madd_epi16(pairs, _mm256_load_si256((const __m256i *)(const void *)(d->low + 16 * part))));
    }
    return put_together(high, low);
}

static inline __m256i pack_bytes(__m256i a, __m256i b, __m256i c, __m256i e)
{
    const __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, e));
    return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

static inline __attribute__((always_inline)) void dense_row(const struct dense *d, const uint8_t *in, int64_t outputs,
                                                            uint8_t *out, int32_t chunks)
{
    const size_t step = (size_t)chunks;
    size_t part = 0;
    for (int64_t o = 0; o < outputs; o += 32, part += 4 * step) {
        const __m256i bytes = pack_bytes(dense_eight(d, in, part, chunks), dense_eight(d, in, part + step, chunks),
                                         dense_eight(d, in, part + 2 * step, chunks), dense_eight(d, in, part + 3 * step, chunks));
        if (outputs - o >= 32) {
            _mm256_storeu_si256((__m256i *)(void *)(out + o), bytes);
        } else {
            uint8_t rest[32];
            _mm256_storeu_si256((__m256i *)(void *)rest, bytes);
            memcpy(out + o, rest, (size_t)(outputs - o));
        }
    }
}

static bool across_dense(const struct dio_resize_across *job)
{
    if ((int64_t)job->columns * job->channels < LOAD) return false;
    const struct dense d = lay_out(job);
    if (!pack_dense(job, &d)) return false;
    const int64_t outputs = (int64_t)job->axis->count * job->channels;
    for (int32_t y = 0; y < job->rows; y++) {
        const uint8_t *in = job->in + (size_t)y * job->in_stride;
        uint8_t *out = job->out + (size_t)y * job->out_stride;
        if (d.chunks == 1) dense_row(&d, in, outputs, out, 1);
        else if (d.chunks == 2) dense_row(&d, in, outputs, out, 2);
        else if (d.chunks == 3) dense_row(&d, in, outputs, out, 3);
        else dense_row(&d, in, outputs, out, d.chunks);
    }
    return true;
}

/* ---- Across, many source pixels for an output: four taps of three channels a step ---- */

static void pack_wide(const struct dio_resize_axis *axis, int32_t chunks, int16_t *weights)
{
    for (int32_t x = 0; x < axis->count; x++) {
        const int32_t *w = axis->weights + (size_t)x * (size_t)axis->width;
        for (int32_t chunk = 0; chunk < chunks; chunk++, weights += 32) {
            for (int i = 0; i < 16; i++) {
                const int32_t tap = 4 * chunk + i / 8 * 2 + i % 2, value = tap < axis->taps[x] ? w[tap] : 0;
                weights[i] = (int16_t)high_of(value);
                weights[16 + i] = (int16_t)low_of(value);
            }
        }
    }
}

static inline void wide_row(const struct dio_resize_across *job, const uint8_t *in, int32_t chunks, uint8_t *out)
{
    const struct dio_resize_axis *axis = job->axis;
    const int16_t *weights = job->scratch;
    const __m256i order = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, 6, -1, 9, -1, 7, -1, 10, -1, 8,
                                           -1, 11, -1, -1, -1, -1, -1);
    for (int32_t x = 0; x < axis->count; x++, out += 3, weights += 32 * chunks) {
        const uint8_t *p = in + (ptrdiff_t)(axis->first[x] - job->shift) * 3;
        __m256i high = _mm256_setzero_si256(), low = high;
        for (int32_t chunk = 0; 4 * chunk < axis->taps[x]; chunk++, p += 12) {
            const int16_t *w = weights + 32 * chunk;
            const __m256i bytes = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)p));
            const __m256i pairs = _mm256_shuffle_epi8(bytes, order);
            high = _mm256_add_epi32(high, _mm256_madd_epi16(pairs, _mm256_load_si256((const __m256i *)(const void *)w)));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(pairs, _mm256_load_si256((const __m256i *)(const void *)(w + 16))));
        }
        const __m256i sums = _mm256_add_epi32(_mm256_slli_epi32(high, SPLIT), low);
        __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
        sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(1 << (DIO_RESIZE_BITS - 1))), DIO_RESIZE_BITS);
        sum = _mm_packus_epi16(_mm_packs_epi32(sum, sum), sum);
        const uint32_t pixel = (uint32_t)_mm_cvtsi128_si32(sum);
        memcpy(out, &pixel, 3);
    }
}

/* A load may take bytes of the next row; the last row has none. */
static bool across_wide(const struct dio_resize_across *job)
{
    if (job->channels != 3 || job->in_stride < LOAD) return false;
    const int32_t chunks = (most_taps(job->axis) + 3) / 4;
    pack_wide(job->axis, chunks, job->scratch);
    for (int32_t y = 0; y + 1 < job->rows; y++) {
        wide_row(job, job->in + (size_t)y * job->in_stride, chunks, job->out + (size_t)y * job->out_stride);
    }
    plain_row(job, job->rows - 1);
    return true;
}

dio_resize_across_fn dio_resize_across_avx2; /* the level of VNNI falls back on it */
void dio_resize_across_avx2(const struct dio_resize_across *job)
{
    if (weights_fit(job->axis) && (across_dense(job) || across_wide(job))) return;
    for (int32_t y = 0; y < job->rows; y++) plain_row(job, y);
}

/* ---- Down: 32 samples of two rows at once ---- */

static inline void down_pair(__m256i *high, __m256i *low, const uint8_t *a, const uint8_t *b, __m256i kh, __m256i kl)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)a), y = _mm256_loadu_si256((const __m256i *)(const void *)b);
    const __m256i first = _mm256_unpacklo_epi8(x, y), second = _mm256_unpackhi_epi8(x, y);
    const __m256i pairs[4] = {_mm256_unpacklo_epi8(first, zero), _mm256_unpackhi_epi8(first, zero),
                              _mm256_unpacklo_epi8(second, zero), _mm256_unpackhi_epi8(second, zero)};
    for (int i = 0; i < 4; i++) {
        high[i] = _mm256_add_epi32(high[i], _mm256_madd_epi16(pairs[i], kh));
        low[i] = _mm256_add_epi32(low[i], _mm256_madd_epi16(pairs[i], kl));
    }
}

static inline void down_block(const uint8_t *in, size_t stride, const int32_t *weights, int32_t pairs, bool odd, uint8_t *out)
{
    const __m256i half = _mm256_set1_epi32(1 << (DIO_RESIZE_BITS - 1)), zero = _mm256_setzero_si256();
    __m256i high[4] = {zero, zero, zero, zero}, low[4] = {half, half, half, half};
    for (int32_t j = 0; j < pairs; j++, in += 2 * stride) {
        const uint8_t *next = odd && j + 1 == pairs ? in : in + stride;
        down_pair(high, low, in, next, _mm256_set1_epi32(weights[2 * j]), _mm256_set1_epi32(weights[2 * j + 1]));
    }
    const __m256i a = _mm256_packs_epi32(put_together(high[0], low[0]), put_together(high[1], low[1]));
    const __m256i b = _mm256_packs_epi32(put_together(high[2], low[2]), put_together(high[3], low[3]));
    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_packus_epi16(a, b));
}

/* The weights of two taps beside each other: high parts, then low parts. */
static void pack_pairs(const int32_t *w, int32_t taps, int32_t *pairs)
{
    for (int32_t j = 0; j < taps; j += 2, pairs += 2) {
        const int32_t other = j + 1 < taps ? w[j + 1] : 0;
        pairs[0] = (int32_t)((uint32_t)(high_of(w[j]) & 0xffff) | (uint32_t)high_of(other) << 16);
        pairs[1] = (int32_t)((uint32_t)(low_of(w[j]) & 0xffff) | (uint32_t)low_of(other) << 16);
    }
}

static void resize_down(const struct dio_resize_down *job)
{
    enum { BLOCK = 32 };
    const struct dio_resize_axis *axis = job->axis;
    const bool plain = job->samples < BLOCK || !weights_fit(axis);
    for (int32_t y = 0; y < axis->count; y++) {
        if (plain) {
            plain_down(job, y, 0, job->samples);
            continue;
        }
        const uint8_t *in = job->in + (ptrdiff_t)(axis->first[y] - job->shift) * (ptrdiff_t)job->in_stride;
        uint8_t *out = job->out + (size_t)y * job->out_stride;
        const int32_t taps = axis->taps[y], pairs = (taps + 1) / 2;
        pack_pairs(axis->weights + (size_t)y * (size_t)axis->width, taps, job->scratch);
        for (size_t at = 0; at < job->samples; at += BLOCK) {
            const size_t from = job->samples - at < BLOCK ? job->samples - BLOCK : at; /* the last block may overlap */
            if (pairs == 1) down_block(in + from, job->in_stride, job->scratch, 1, taps & 1, out + from);
            else down_block(in + from, job->in_stride, job->scratch, pairs, taps & 1, out + from);
        }
    }
}

/* ---- Numbers: a quotient is the product with the reciprocal, set right by the product's error ---- */

static inline __m256 quotient(__m256 value, __m256 divisor, __m256 inverse)
{
    const __m256 q = _mm256_mul_ps(value, inverse);
    return _mm256_fmadd_ps(_mm256_fnmadd_ps(q, divisor, value), inverse, q);
}

static void normalise_u8(const struct dio_normalise *n, const uint8_t *in, int64_t samples, float *out)
{
    const __m256 largest = _mm256_set1_ps(255.0f), scale = _mm256_set1_ps(1.0f / 255.0f);
    int64_t i = 0;
    for (; n->by_formula && i + 24 <= samples; i += 24) {
        for (int k = 0; k < 24; k += 8) {
            const __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(in + i + k));
            const __m256 v = quotient(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)), largest, scale);
            const __m256 d = _mm256_sub_ps(v, _mm256_loadu_ps(n->mean + k));
            _mm256_storeu_ps(out + i + k, quotient(d, _mm256_loadu_ps(n->std + k), _mm256_loadu_ps(n->inverse + k)));
        }
    }
    plain_numbers(n, in, i, samples, out);
}

void dio_fill_resize_avx2(struct dio_kernels *kernels);
void dio_fill_resize_avx2(struct dio_kernels *kernels)
{
    kernels->resize_across = dio_resize_across_avx2;
    kernels->resize_down = resize_down;
    kernels->normalise_u8 = normalise_u8;
}
