/* Slots of resize.h, byte for byte against the formula: weights drawn with both signs, rows between forbidden pages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* So many bytes that touch the forbidden page, whatever their number. */
static uint8_t *bytes(struct run *run, size_t count, bool draw_them)
{
    const size_t floats = (count + 3) / 4;
    uint8_t *data = (uint8_t *)buffer(run, (int64_t)floats) + (run->after ? floats * 4 - count : 0);
    for (size_t i = 0; i < count; i++) data[i] = draw_them ? (uint8_t)dio_rng_below(&run->rng, 256) : 0xa5;
    return data;
}

static void *scratch(struct run *run, size_t size)
{
    void *block = aligned_alloc(64, (size + 63) / 64 * 64);
    must(block);
    memset(block, 0xee, size);
    (void)run;
    return block;
}

/* `count` outputs over an input of `size`, as a resize spreads them; weights sum up to 1 but for a lobe below 0. */
static struct dio_resize_axis make_axis(struct run *run, int32_t size, int32_t count, int32_t taps, bool wild)
{
    struct dio_resize_axis axis = {.count = count, .width = taps + 1};
    int32_t *first = must(malloc((size_t)count * (size_t)(2 + axis.width) * sizeof *first)), *number_of = first + count;
    int32_t *weights = number_of + count;
    for (int32_t i = 0; i < count; i++) {
        const int32_t most = size < taps ? size : taps;
        number_of[i] = most - (int32_t)dio_rng_below(&run->rng, 2) * (most > 1);
        const int64_t center = (2 * (int64_t)i + 1) * size / (2 * (int64_t)count) - number_of[i] / 2;
        first[i] = (int32_t)(center < 0 ? 0 : center > size - number_of[i] ? size - number_of[i] : center);
        for (int32_t j = 0; j < axis.width; j++) {
            const double share = wild ? (double)draw(run) * 1.2 / taps : ((double)draw(run) + 0.5) / taps;
            weights[i * axis.width + j] = (int32_t)(share * (1 << DIO_RESIZE_BITS));
        }
        if (wild && i % 3 == 0) weights[i * axis.width] = (1 << DIO_RESIZE_BITS) + (1 << 19); /* beyond 1 alone */
    }
    axis.first = first;
    axis.taps = number_of;
    axis.weights = weights;
    return axis;
}

static uint8_t expected_at(const struct dio_resize_axis *axis, int32_t i, int32_t shift, const uint8_t *in, size_t step)
{
    int64_t sum = 1 << (DIO_RESIZE_BITS - 1);
    for (int32_t j = 0; j < axis->taps[i]; j++) {
        sum += (int64_t)axis->weights[i * axis->width + j] * in[(size_t)(axis->first[i] - shift + j) * step];
    }
    sum >>= DIO_RESIZE_BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static void judge_byte(struct run *run, uint8_t got, int expected, int64_t row, int64_t i)
{
    if (got == expected || run->problem[0]) return;
    snprintf(run->problem, sizeof run->problem, "row %lld, byte %lld is %d, expected %d", (long long)row, (long long)i, got, expected);
}

void check_resize_across(struct run *run)
{
    const int32_t size = (int32_t)number(run, "size", 1), count = (int32_t)number(run, "count", 1);
    const int32_t channels = (int32_t)number(run, "channels", 3), rows = (int32_t)number(run, "rows", 3);
    const size_t gap = (size_t)number(run, "gap", 0), outputs = (size_t)count * (size_t)channels;
    const size_t in_stride = (size_t)size * (size_t)channels + gap, out_stride = outputs + 5;
    const struct dio_resize_axis axis = make_axis(run, size, count, (int32_t)number(run, "taps", 2), number(run, "wild", 0) != 0);
    const uint8_t *in = bytes(run, (size_t)(rows - 1) * in_stride + in_stride - gap, true);
    uint8_t *out = bytes(run, (size_t)(rows - 1) * out_stride + outputs, false);
    void *work = scratch(run, dio_resize_across_scratch(count, axis.width, channels));
    run->kernels->resize_across(&(struct dio_resize_across){&axis, in, in_stride, rows, size, 0, channels, out, out_stride, work});
    for (int32_t y = 0; y < rows; y++) {
        for (size_t i = 0; i < outputs; i++) {
            const uint8_t *row = in + (size_t)y * in_stride + i % (size_t)channels;
            judge_byte(run, out[(size_t)y * out_stride + i],
                       expected_at(&axis, (int32_t)(i / (size_t)channels), 0, row, (size_t)channels), y, (int64_t)i);
        }
        for (size_t i = outputs; i < out_stride && y + 1 < rows; i++) judge_byte(run, out[(size_t)y * out_stride + i], 0xa5, y, (int64_t)i);
    }
    free(work);
    free((void *)(uintptr_t)axis.first);
}

void check_resize_down(struct run *run)
{
    const int32_t size = (int32_t)number(run, "size", 1), count = (int32_t)number(run, "count", 1);
    const size_t samples = (size_t)number(run, "samples", 1), in_stride = samples + (size_t)number(run, "gap", 0), out_stride = samples + 5;
    const struct dio_resize_axis axis = make_axis(run, size, count, (int32_t)number(run, "taps", 2), number(run, "wild", 0) != 0);
    const uint8_t *in = bytes(run, (size_t)(size - 1) * in_stride + samples, true);
    uint8_t *out = bytes(run, (size_t)(count - 1) * out_stride + samples, false);
    void *work = scratch(run, dio_resize_down_scratch(axis.width));
    run->kernels->resize_down(&(struct dio_resize_down){&axis, in, in_stride, samples, 0, out, out_stride, work});
    for (int32_t y = 0; y < count; y++) {
        for (size_t i = 0; i < samples; i++) {
            judge_byte(run, out[(size_t)y * out_stride + i], expected_at(&axis, y, 0, in + i, in_stride), y, (int64_t)i);
        }
        for (size_t i = samples; i < out_stride && y + 1 < count; i++) judge_byte(run, out[(size_t)y * out_stride + i], 0xa5, y, (int64_t)i);
    }
    free(work);
    free((void *)(uintptr_t)axis.first);
}

/* The bits of true divisions; awkward=1: constants that the formula need not meet. */
void check_normalise_u8(struct run *run)
{
    static const double means[][4] = {{0.485, 0.456, 0.406, 0.5}, {0.5, 0.5, 0.5, 0.5}, {1e-30, 0.1307, 0.999, 0}};
    static const double stds[][4] = {{0.229, 0.224, 0.225, 0.5}, {0.5, 0.5, 0.5, 0.5}, {1e-36, 1e30, 3, 1}};
    const int32_t channels = (int32_t)number(run, "channels", 3);
    const int64_t samples = number(run, "pixels", 1) * channels, set = number(run, "set", 0);
    float table[4][256];
    for (int32_t c = 0; c < channels; c++) {
        for (int v = 0; v < 256; v++) table[c][v] = ((float)v / 255.0f - (float)means[set][c]) / (float)stds[set][c];
    }
    struct dio_normalise n;
    dio_normalise_init(&n, channels, table, means[set], stds[set]);
    if (set < 2 && (channels == 1 || channels == 3) && !n.by_formula) snprintf(run->problem, sizeof run->problem, "the formula misses the table");
    const uint8_t *in = bytes(run, (size_t)samples, true);
    float *out = buffer(run, samples);
    run->kernels->normalise_u8(&n, in, samples, out);
    for (int64_t i = 0; i < samples; i++) {
        const float *expected = &table[i % channels][in[i]];
        if (memcmp(&out[i], expected, sizeof *expected) == 0 || run->problem[0]) continue;
        snprintf(run->problem, sizeof run->problem, "number %lld is %.9g, expected %.9g", (long long)i, (double)out[i], (double)*expected);
    }
}
