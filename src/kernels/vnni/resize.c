/* Pillow's passes by dot products of bytes.  A weight is split into three digits of base 256, each from -128 to 127: samples
 * times digits are summed without an error four taps at a time (vpdpbusd), and the three sums are put together by shifts.
 * Across, the four taps of 16 outputs come by one permutation of 128 bytes. */
#include <immintrin.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/template/resize_plain.inc"

enum { LOAD = 128, LANES = 16, BLOCK = 64 };

/* For what 128 bytes do not reach, rows that are shorter, and sums of so few taps that three digits cost more than two
 * halves. */
dio_resize_across_fn dio_resize_across_avx2;
dio_resize_down_fn dio_resize_down_avx512;

static inline bool digits_of(int32_t weight, int8_t *digits, size_t step)
{
    enum { MOST = 127 * 65536 };
    if (weight >= MOST || weight <= -MOST) return false;
    digits[0] = (int8_t)weight;
    const int32_t rest = (weight - digits[0]) / 256;
    digits[step] = (int8_t)rest;
    digits[2 * step] = (int8_t)((rest - digits[step]) / 256);
    return true;
}

static inline __m512i put_together(const __m512i sums[3])
{
    const __m512i sum = _mm512_add_epi32(sums[0], _mm512_slli_epi32(_mm512_add_epi32(sums[1], _mm512_slli_epi32(sums[2], 8)), 8));
    return _mm512_srai_epi32(sum, DIO_RESIZE_BITS);
}

static inline void add_digits(__m512i sums[3], __m512i samples, __m512i first, __m512i second, __m512i third)
{
    sums[0] = _mm512_dpbusd_epi32(sums[0], samples, first);
    sums[1] = _mm512_dpbusd_epi32(sums[1], samples, second);
    sums[2] = _mm512_dpbusd_epi32(sums[2], samples, third);
}

static inline void start(__m512i sums[3])
{
    sums[0] = _mm512_set1_epi32(1 << (DIO_RESIZE_BITS - 1));
    sums[1] = sums[2] = _mm512_setzero_si512();
}

/* ---- Across ---- */

struct part {
    uint8_t order[64];    /* which of the 128 bytes, for 16 outputs of 4 taps */
    int8_t digits[3][64];
};
struct plan {
    int32_t vectors, chunks; /* of 16 outputs; of 4 taps */
    struct part *parts;      /* [vectors][chunks] */
    int32_t *offsets;        /* of the 128 bytes in the row */
};

static bool pack_part(const struct dio_resize_across *job, int64_t output, int32_t chunk, struct part *part, int32_t *offset)
{
    const struct dio_resize_axis *axis = job->axis;
    const int32_t channels = job->channels, row = job->columns * channels;
    const int64_t outputs = (int64_t)axis->count * channels;
    int32_t at[64], first = INT32_MAX, last = 0;
    memset(part, 0, sizeof *part);
    int32_t x = (int32_t)(output / channels), c = (int32_t)(output % channels);
    memset(at, -1, sizeof at);
    for (int lane = 0; lane < LANES && output + lane < outputs; lane++) {
        const int32_t *w = axis->weights + (size_t)x * (size_t)axis->width;
        for (int32_t tap = 4 * chunk, i = 4 * lane; i < 4 * lane + 4 && tap < axis->taps[x]; tap++, i++) {
            at[i] = (axis->first[x] - job->shift + tap) * channels + c;
            first = at[i] < first ? at[i] : first;
            last = at[i] > last ? at[i] : last;
            if (!digits_of(w[tap], &part->digits[0][i], 64)) return false;
        }
        if (++c == channels) {
            c = 0;
            x++;
        }
    }
    *offset = first > row - LOAD ? row - LOAD : first;
    for (int i = 0; i < 64; i++) {
        if (at[i] >= 0) part->order[i] = (uint8_t)(at[i] - *offset);
    }
    return last - *offset < LOAD;
}

static bool make_plan(const struct dio_resize_across *job, struct plan *plan)
{
    const int64_t outputs = (int64_t)job->axis->count * job->channels;
    int32_t most = 0;
    if ((int64_t)job->columns * job->channels < LOAD) return false;
    for (int32_t i = 0; i < job->axis->count; i++) most = job->axis->taps[i] > most ? job->axis->taps[i] : most;
    *plan = (struct plan){(int32_t)((outputs + BLOCK - 1) / BLOCK * (BLOCK / LANES)), (most + 3) / 4, job->scratch, NULL};
    plan->offsets = (int32_t *)(void *)(plan->parts + (size_t)plan->vectors * (size_t)plan->chunks);
    size_t i = 0;
    for (int32_t v = 0; v < plan->vectors; v++) {
        for (int32_t chunk = 0; chunk < plan->chunks; chunk++, i++) {
            if (!pack_part(job, (int64_t)v * LANES, chunk, &plan->parts[i], &plan->offsets[i])) return false;
        }
    }
    return true;
}

static inline __m512i sixteen(const struct plan *plan, size_t i, int32_t chunks, const uint8_t *in)
{
    __m512i sums[3];
    start(sums);
    for (int32_t chunk = 0; chunk < chunks; chunk++, i++) {
        const struct part *part = &plan->parts[i];
        const uint8_t *p = in + plan->offsets[i];
        const __m512i samples = _mm512_permutex2var_epi8(_mm512_loadu_si512(p), _mm512_load_si512(part->order), _mm512_loadu_si512(p + 64));
        add_digits(sums, samples, _mm512_load_si512(part->digits[0]), _mm512_load_si512(part->digits[1]), _mm512_load_si512(part->digits[2]));
    }
    return put_together(sums);
}

static inline __attribute__((always_inline)) void across_row(const struct plan *plan, int32_t chunks, const uint8_t *in,
                                                             int64_t outputs, uint8_t *out)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const size_t step = (size_t)chunks;
    size_t i = 0;
    for (int64_t o = 0; o < outputs; o += BLOCK, i += 4 * step) {
        const __m512i a = _mm512_packs_epi32(sixteen(plan, i, chunks, in), sixteen(plan, i + step, chunks, in));
        const __m512i b = _mm512_packs_epi32(sixteen(plan, i + 2 * step, chunks, in), sixteen(plan, i + 3 * step, chunks, in));
        const __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(a, b));
        const __mmask64 there = outputs - o >= BLOCK ? ~UINT64_C(0) : (UINT64_C(1) << (outputs - o)) - 1;
        _mm512_mask_storeu_epi8(out + o, there, bytes);
    }
}

static void resize_across(const struct dio_resize_across *job)
{
    struct plan plan;
    if (!make_plan(job, &plan)) {
        dio_resize_across_avx2(job);
        return;
    }
    const int64_t outputs = (int64_t)job->axis->count * job->channels;
    for (int32_t y = 0; y < job->rows; y++) {
        const uint8_t *in = job->in + (size_t)y * job->in_stride;
        uint8_t *out = job->out + (size_t)y * job->out_stride;
        if (plan.chunks == 1) across_row(&plan, 1, in, outputs, out);
        else if (plan.chunks == 2) across_row(&plan, 2, in, outputs, out);
        else across_row(&plan, plan.chunks, in, outputs, out);
    }
}

/* ---- Down: 64 samples of four rows at once ---- */

static bool pack_four(const int32_t *w, int32_t taps, int32_t *digits)
{
    for (int32_t j = 0; j < taps; j += 4, digits += 3) {
        int8_t four[3][4] = {{0}};
        for (int32_t k = 0; k < 4 && j + k < taps; k++) {
            if (!digits_of(w[j + k], &four[0][k], 4)) return false;
        }
        memcpy(digits, four, sizeof four);
    }
    return true;
}

static inline void down_block(const uint8_t *in, size_t stride, const int32_t *digits, int32_t taps, uint8_t *out)
{
    __m512i sums[4][3];
    for (int i = 0; i < 4; i++) start(sums[i]);
    for (int32_t j = 0; j < taps; j += 4, digits += 3) {
        __m512i row[4];
        for (int32_t k = 0; k < 4; k++) row[k] = _mm512_loadu_si512(in + (size_t)(j + k < taps ? j + k : j) * stride);
        const __m512i ab[2] = {_mm512_unpacklo_epi8(row[0], row[1]), _mm512_unpackhi_epi8(row[0], row[1])};
        const __m512i cd[2] = {_mm512_unpacklo_epi8(row[2], row[3]), _mm512_unpackhi_epi8(row[2], row[3])};
        const __m512i d0 = _mm512_set1_epi32(digits[0]), d1 = _mm512_set1_epi32(digits[1]), d2 = _mm512_set1_epi32(digits[2]);
        for (int i = 0; i < 2; i++) {
            add_digits(sums[2 * i], _mm512_unpacklo_epi16(ab[i], cd[i]), d0, d1, d2);
            add_digits(sums[2 * i + 1], _mm512_unpackhi_epi16(ab[i], cd[i]), d0, d1, d2);
        }
    }
    const __m512i a = _mm512_packs_epi32(put_together(sums[0]), put_together(sums[1]));
    const __m512i b = _mm512_packs_epi32(put_together(sums[2]), put_together(sums[3]));
    _mm512_storeu_si512(out, _mm512_packus_epi16(a, b));
}

static void resize_down(const struct dio_resize_down *job)
{
    const struct dio_resize_axis *axis = job->axis;
    if (axis->width <= 3) {
        dio_resize_down_avx512(job);
        return;
    }
    for (int32_t y = 0; y < axis->count; y++) {
        const int32_t taps = axis->taps[y];
        if (job->samples < BLOCK || !pack_four(axis->weights + (size_t)y * (size_t)axis->width, taps, job->scratch)) {
            plain_down(job, y, 0, job->samples);
            continue;
        }
        const uint8_t *in = job->in + (ptrdiff_t)(axis->first[y] - job->shift) * (ptrdiff_t)job->in_stride;
        uint8_t *out = job->out + (size_t)y * job->out_stride;
        for (size_t at = 0; at < job->samples; at += BLOCK) {
            const size_t from = job->samples - at < BLOCK ? job->samples - BLOCK : at; /* the last block may overlap */
            down_block(in + from, job->in_stride, job->scratch, taps, out + from);
        }
    }
}

void dio_fill_resize_vnni(struct dio_kernels *kernels);
void dio_fill_resize_vnni(struct dio_kernels *kernels)
{
    kernels->resize_across = resize_across;
    kernels->resize_down = resize_down;
}
