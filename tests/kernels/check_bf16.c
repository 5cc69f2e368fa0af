/* Slots of bf16.h, and the depthwise rows of bf16. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static double widened(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

/* Numbers that bf16 holds exactly: sign, two to a small power, seven bits. */
static uint16_t draw_half(struct run *run)
{
    const float value = draw(run);
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* count halves that touch the same forbidden page as floats of buffer() do; NaNs. */
static uint16_t *halves(struct run *run, int64_t count)
{
    const int64_t floats = (count + 1) / 2;
    uint16_t *all = (uint16_t *)(void *)buffer(run, floats);
    for (int64_t i = 0; i < 2 * floats; i++) all[i] = 0x7fc0;
    return run->after ? all + 2 * floats - count : all;
}

static uint16_t *filled_halves(struct run *run, int64_t count)
{
    uint16_t *x = halves(run, count);
    for (int64_t i = 0; i < count; i++) x[i] = draw_half(run);
    return x;
}

/* An output or a residual of either type: exactly `count` elements. */
struct either {
    float *floats;
    uint16_t *halves;
};

static struct either either_of(struct run *run, int64_t count, bool f32)
{
    return f32 ? (struct either){.floats = buffer(run, count)} : (struct either){.halves = halves(run, count)};
}

static const void *at(const struct either *e, int64_t i)
{
    return e->floats ? (const void *)(e->floats + i) : (const void *)(e->halves + i);
}

static double value_at(const struct either *e, int64_t i) { return e->floats ? (double)e->floats[i] : widened(e->halves[i]); }

static void fill_either(struct run *run, struct either *e, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (e->floats) e->floats[i] = draw(run);
        else e->halves[i] = draw_half(run);
    }
}

static double clip(double value, enum dio_act act)
{
    if (act != DIO_ACT_NONE && value < 0) return 0;
    return act == DIO_ACT_RELU6 && value > 6 ? 6 : value;
}

/* The sum's own rounding, and that of the store. */
static void judge_either(struct run *run, const struct either *y, int64_t i, double expected, double magnitude, int64_t terms, int64_t row,
                         int64_t column)
{
    double allowed = (double)(terms + 3) * 0x1p-24 * magnitude;
    if (y->halves) allowed += 0x1p-8 * fabs(expected);
    judge_within(run, value_at(y, i), expected, allowed, "y", row, column);
}

static void judge_gaps_either(struct run *run, const struct either *y, const bool *written, int64_t count)
{
    for (int64_t i = 0; i < count && !run->problem[0]; i++) {
        if (!written[i] && !isnan(value_at(y, i))) snprintf(run->problem, sizeof run->problem, "wrote outside its outputs, at %lld", (long long)i);
    }
}

void check_gemm_rows_bf16(struct run *run)
{
    const int64_t rows = number(run, "rows", 1), taps = number(run, "taps", 1), channels = number(run, "channels", 1);
    const int64_t columns = number(run, "columns", 1), x_rows = rows + 3, y_stride = columns + 3;
    const bool y_f32 = number(run, "y_f32", 0), residual_f32 = number(run, "residual_f32", 0);
    int64_t *tap_offset = must(calloc((size_t)taps, sizeof *tap_offset));
    for (int64_t t = 0; t < taps; t++) tap_offset[t] = t * channels * columns;
    const struct dio_pack pack = {.taps = taps, .channels = channels, .columns = columns, .c_stride = columns, .column_stride = 1,
                                  .panel_width = run->kernels->panel_width, .vector_width = run->kernels->vector_width, .tap_offset = tap_offset};
    float *w = buffer(run, taps * channels * columns);
    for (int64_t i = 0; i < taps * channels * columns; i++) w[i] = (float)widened(draw_half(run));
    uint16_t *packed = halves(run, dio_pack_bf16_size(&pack));
    dio_pack_bf16_panels(&pack, w, 0, (columns + pack.panel_width - 1) / pack.panel_width, packed);

    const uint16_t *x = filled_halves(run, x_rows * channels);
    uint16_t *zero = halves(run, channels);
    memset(zero, 0, (size_t)channels * sizeof *zero);
    int32_t *offset = must(calloc((size_t)(rows * taps), sizeof *offset));
    for (int64_t i = 0; i < rows * taps; i++) {
        const uint64_t row = dio_rng_below(&run->rng, (uint64_t)x_rows + 2);
        offset[i] = row < (uint64_t)x_rows ? (int32_t)((int64_t)row * channels) : -1;
    }
    struct dio_gemm_rows_bf16 g = {.rows = rows, .taps = taps, .channels = channels, .x = x, .x_stride = channels, .zero = zero,
                                   .offset_stride = rows, .y_stride = y_stride, .residual_stride = y_stride, .y_f32 = y_f32,
                                   .residual_f32 = residual_f32, .act = (enum dio_act)number(run, "act", 0)};
    if (number(run, "table", 0)) g.offset = offset;
    const int64_t y_count = (rows - 1) * y_stride + columns;
    struct either y = either_of(run, y_count, y_f32), residual = either_of(run, y_count, residual_f32);
    fill_either(run, &residual, y_count);
    const float *bias = number(run, "bias", 0) ? filled(run, columns) : NULL;
    const bool adds = number(run, "residual", 0);
    for (int64_t p = 0; p * pack.panel_width < columns; p++) {
        const int64_t first = p * pack.panel_width;
        g.panel = packed + dio_pack_bf16_panel(&pack, p, &g.width);
        g.columns = (int)(columns - first < g.width ? columns - first : g.width);
        g.bias = bias ? bias + first : NULL;
        g.residual = adds ? at(&residual, first) : NULL;
        g.y = (void *)(uintptr_t)at(&y, first);
        run->kernels->gemm_rows_bf16(&g);
    }
    bool *written = must(calloc((size_t)y_count, sizeof *written));
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            double sum = bias ? (double)bias[j] : 0, magnitude = fabs(sum);
            for (int64_t t = 0; t < taps; t++) {
                const int64_t row = g.offset ? offset[t * rows + i] : i * channels;
                for (int64_t c = 0; row >= 0 && c < channels; c++) {
                    const double term = widened(x[row + c]) * (double)w[(t * channels + c) * columns + j];
                    sum += term;
                    magnitude += fabs(term);
                }
            }
            if (adds) sum += value_at(&residual, i * y_stride + j);
            if (adds) magnitude += fabs(value_at(&residual, i * y_stride + j));
            written[i * y_stride + j] = true;
            judge_either(run, &y, i * y_stride + j, clip(sum, g.act), magnitude, taps * channels, i, j);
        }
    }
    judge_gaps_either(run, &y, written, y_count);
    free(written);
    free(offset);
    free(tap_offset);
}

void check_depthwise_row_bf16(struct run *run)
{
    struct dio_depthwise_row d = {.channels = number(run, "channels", 1), .in_w = number(run, "width", 1), .group = (int)number(run, "group", 1),
                                  .stride = (int)number(run, "stride", 1), .dilation = (int)number(run, "dilation", 1),
                                  .pad_left = (int)number(run, "pad", 0), .act = (enum dio_act)number(run, "act", 0),
                                  .y_f32 = number(run, "y_f32", 0), .residual_f32 = number(run, "residual_f32", 0)};
    d.r = d.s = (int)number(run, "kernel", 3);
    d.out_w = (d.in_w + 2 * d.pad_left - (d.s - 1) * d.dilation - 1) / d.stride + 1;
    d.x_pixel = d.y_pixel = d.channels + number(run, "gap", 0);
    d.filter_stride = d.channels;
    const void *rows[16];
    for (int r = 0; r < d.r; r++) {
        uint16_t *row = NULL;
        if (!number(run, "holes", 0) || r % 3 != 1) {
            row = halves(run, (d.in_w - 1) * d.x_pixel + d.channels);
            for (int64_t x = 0; x < d.in_w; x++) {
                for (int64_t c = 0; c < d.channels; c++) row[x * d.x_pixel + c] = draw_half(run);
            }
        }
        rows[r] = row;
    }
    d.rows = rows;
    const int64_t count = (d.out_w - 1) * d.y_pixel + d.channels;
    const float *filter = filled(run, (int64_t)d.r * d.s * d.group * d.channels);
    d.filter = filter;
    if (number(run, "bias", 0)) d.bias = filled(run, d.channels);
    struct either y = either_of(run, count, d.y_f32), residual = either_of(run, count, d.residual_f32);
    fill_either(run, &residual, count);
    if (number(run, "residual", 0)) d.residual = at(&residual, 0);
    d.y = (void *)(uintptr_t)at(&y, 0);
    run->kernels->depthwise_row_bf16(&d);
    bool *written = must(calloc((size_t)count, sizeof *written));
    for (int64_t ox = 0; ox < d.out_w; ox++) {
        for (int64_t c = 0; c < d.channels; c++) {
            double sum = d.bias ? (double)d.bias[c] : 0, magnitude = fabs(sum);
            for (int i = 0; i < d.r * d.s * d.group; i++) {
                const int r = i / d.group / d.s, s = i / d.group % d.s, m = i % d.group;
                const int64_t ix = ox * d.stride - d.pad_left + (int64_t)s * d.dilation;
                if (!rows[r] || ix < 0 || ix >= d.in_w) continue;
                const double term = widened(((const uint16_t *)rows[r])[ix * d.x_pixel + c / d.group * d.group + m])
                                    * (double)filter[((r * d.s + s) * d.group + m) * d.filter_stride + c];
                sum += term;
                magnitude += fabs(term);
            }
            const int64_t i = ox * d.y_pixel + c;
            if (d.residual) sum += value_at(&residual, i);
            if (d.residual) magnitude += fabs(value_at(&residual, i));
            written[i] = true;
            judge_either(run, &y, i, clip(sum, d.act), magnitude, (int64_t)d.r * d.s * d.group, ox, c);
        }
    }
    judge_gaps_either(run, &y, written, count);
    free(written);
}

void check_widen(struct run *run)
{
    const int64_t n = number(run, "n", 1);
    uint16_t *x = filled_halves(run, n);
    float *y = buffer(run, n);
    run->kernels->widen(x, y, n);
    for (int64_t i = 0; i < n; i++) judge_within(run, (double)y[i], widened(x[i]), 0, "y", 0, i);
}

/* Halfway cases go to the even neighbour; the largest numbers become infinite; a NaN whose payload lies below stays one. */
void check_narrow(struct run *run)
{
    const int64_t n = number(run, "n", 1);
    static const struct {
        uint32_t from;
        uint16_t to;
    } corners[] = {{0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f807fff, 0x3f80}, {0x3f808001, 0x3f81}, {0x7f7fffff, 0x7f80},
                   {0x7f800000, 0x7f80}, {0xff800000, 0xff80}, {0x7f800001, 0x7fc0}, {0x80000000, 0x8000}, {0x00000000, 0x0000}};
    const int64_t n_corners = (int64_t)(sizeof corners / sizeof *corners);
    float *x = filled(run, n);
    for (int64_t i = 0; i < n && i < n_corners; i++) memcpy(&x[i], &corners[i].from, sizeof *x);
    uint16_t *y = halves(run, n);
    run->kernels->narrow(x, y, n);
    for (int64_t i = 0; i < n; i++) {
        if (i < n_corners) {
            if (y[i] != corners[i].to) snprintf(run->problem, sizeof run->problem, "%08x becomes %04x", corners[i].from, y[i]);
        } else {
            judge_within(run, widened(y[i]), (double)x[i], 0x1p-8 * fabs((double)x[i]), "y", 0, i);
        }
    }
}

void check_max_to_bf16(struct run *run)
{
    const int64_t n = number(run, "n", 1);
    uint16_t *x = filled_halves(run, n), *y = filled_halves(run, n), *expected = must(malloc((size_t)(n + 1) * sizeof *expected));
    if (n > 3) x[1] = 0x7fc0;
    if (n > 3) y[2] = 0x7fc0;
    for (int64_t i = 0; i < n; i++) expected[i] = widened(x[i]) > widened(y[i]) || x[i] == 0x7fc0 ? x[i] : y[i];
    run->kernels->max_to_bf16(x, y, n);
    if (memcmp(y, expected, (size_t)n * sizeof *y) != 0) snprintf(run->problem, sizeof run->problem, "not the larger one");
    free(expected);
}
