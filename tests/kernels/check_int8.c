/* Slots of int8.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* count bytes that touch the same forbidden page as floats of buffer() do. */
static uint8_t *bytes(struct run *run, int64_t count)
{
    const int64_t floats = (count + 3) / 4;
    uint8_t *all = (uint8_t *)(void *)buffer(run, floats);
    for (int64_t i = 0; i < 4 * floats; i++) all[i] = 0xee;
    return run->after ? all + 4 * floats - count : all;
}

static uint8_t *filled_bytes(struct run *run, int64_t count)
{
    uint8_t *x = bytes(run, count);
    for (int64_t i = 0; i < count; i++) x[i] = (uint8_t)dio_rng_below(&run->rng, 256);
    return x;
}

static double clip(double value, enum dio_act act)
{
    if (act != DIO_ACT_NONE && value < 0) return 0;
    return act == DIO_ACT_RELU6 && value > 6 ? 6 : value;
}

struct product {
    int64_t rows, taps, channels, columns, y_stride, y_count;
    const float *w, *inverse;
    int32_t *offset;
    struct dio_gemm_rows_int8 g; /* of the first panel */
};

static double sum_at(const struct product *p, int64_t i, int64_t j)
{
    int64_t sum = 0;
    for (int64_t t = 0; t < p->taps; t++) {
        const int64_t row = p->g.offset ? p->offset[t * p->rows + i] : i * p->channels;
        for (int64_t c = 0; c < p->channels; c++) {
            const double weight = fmax(-127, fmin(127, nearbyint((double)(p->w[(t * p->channels + c) * p->columns + j] * p->inverse[j]))));
            sum += (row < 0 ? p->g.zero[c] : p->g.x[row + c]) * (int64_t)weight;
        }
    }
    return (double)sum;
}

/* What is stored against the formula in double: the f32 epilogue's rounding, and for bytes half a step. */
static void judge_product(struct run *run, const struct product *p, const void *y, const void *residual)
{
    const struct dio_cells *cells = &p->g.y_cells;
    for (int64_t i = 0; i < p->rows; i++) {
        for (int64_t j = 0; j < p->columns; j++) {
            const int64_t at = i * p->y_stride + j;
            const double scaled = sum_at(p, i, j) * (double)p->g.factor[j], bias = (double)p->g.bias[j];
            double extra = 0;
            if (residual && p->g.residual_cells.type == DIO_CELL_U8) {
                extra = (double)p->g.residual_cells.scale * (((const uint8_t *)residual)[at] - p->g.residual_cells.zero);
            } else if (residual) {
                extra = (double)((const float *)residual)[at];
            }
            const double expected = clip(scaled + bias + extra, p->g.act), magnitude = fabs(scaled) + fabs(bias) + fabs(extra);
            if (cells->type == DIO_CELL_F32) {
                judge_within(run, (double)((const float *)y)[at], expected, 8 * 0x1p-24 * magnitude, "y", i, j);
                continue;
            }
            const double steps = expected / (double)cells->scale + cells->zero, cut = fmax(0, fmin(255, steps));
            const double allowed = 0.5 + 16 * 0x1p-24 * (magnitude / (double)cells->scale + 256);
            judge_within(run, (double)((const uint8_t *)y)[at], cut, allowed, "y", i, j);
        }
        for (int64_t j = p->columns; j < p->y_stride && i + 1 < p->rows; j++) {
            const bool kept = cells->type == DIO_CELL_U8 ? ((const uint8_t *)y)[i * p->y_stride + j] == 0xee
                                                         : isnan(((const float *)y)[i * p->y_stride + j]);
            if (!kept) snprintf(run->problem, sizeof run->problem, "wrote outside its outputs, in row %lld", (long long)i);
        }
    }
}

void check_gemm_rows_int8(struct run *run)
{
    struct product p = {.rows = number(run, "rows", 1), .taps = number(run, "taps", 1), .channels = number(run, "channels", 1),
                        .columns = number(run, "columns", 1)};
    const int64_t x_rows = p.rows + 3;
    const bool y_f32 = number(run, "y_f32", 0), residual_f32 = number(run, "residual_f32", 0);
    p.y_stride = p.columns + 3;
    p.y_count = (p.rows - 1) * p.y_stride + p.columns;
    int64_t *tap_offset = must(calloc((size_t)p.taps, sizeof *tap_offset));
    for (int64_t t = 0; t < p.taps; t++) tap_offset[t] = t * p.channels * p.columns;
    const struct dio_pack pack = {.taps = p.taps, .channels = p.channels, .columns = p.columns, .c_stride = p.columns, .column_stride = 1,
                                  .panel_width = run->kernels->panel_width, .vector_width = run->kernels->vector_width, .tap_offset = tap_offset};
    p.w = filled(run, p.taps * p.channels * p.columns);
    float *inverse = buffer(run, p.columns), *factor = buffer(run, p.columns);
    for (int64_t j = 0; j < p.columns; j++) {
        inverse[j] = 100 + 40 * draw(run); /* some weights are cut */
        factor[j] = 0.01f / inverse[j];
    }
    p.inverse = inverse;
    int32_t *sums = must(calloc((size_t)p.columns, sizeof *sums));
    int8_t *packed = (int8_t *)bytes(run, dio_pack_int8_size(&pack));
    dio_pack_int8_panels(&pack, p.w, inverse, 0, (p.columns + pack.panel_width - 1) / pack.panel_width, packed, sums);
    uint8_t *zero = bytes(run, p.channels);
    memset(zero, 11, (size_t)p.channels);
    p.offset = must(calloc((size_t)(p.rows * p.taps), sizeof *p.offset));
    for (int64_t i = 0; i < p.rows * p.taps; i++) {
        const uint64_t row = dio_rng_below(&run->rng, (uint64_t)x_rows + 2);
        p.offset[i] = row < (uint64_t)x_rows ? (int32_t)((int64_t)row * p.channels) : -1;
    }
    const float *bias = filled(run, p.columns);
    const uint8_t *x = filled_bytes(run, x_rows * p.channels);
    p.g = (struct dio_gemm_rows_int8){.rows = p.rows, .taps = p.taps, .channels = p.channels, .x = x, .x_stride = p.channels, .zero = zero,
                                      .offset = number(run, "table", 0) ? p.offset : NULL, .offset_stride = p.rows, .y_stride = p.y_stride,
                                      .residual_stride = p.y_stride, .factor = factor, .bias = bias, .act = (enum dio_act)number(run, "act", 0)};
    p.g.y_cells = (struct dio_cells){y_f32 ? DIO_CELL_F32 : DIO_CELL_U8, 0.04f, 37};
    p.g.residual_cells = (struct dio_cells){residual_f32 ? DIO_CELL_F32 : DIO_CELL_U8, 0.02f, 100};
    void *y = y_f32 ? (void *)buffer(run, p.y_count) : (void *)bytes(run, p.y_count);
    void *residual = NULL;
    if (number(run, "residual", 0)) residual = residual_f32 ? (void *)filled(run, p.y_count) : (void *)filled_bytes(run, p.y_count);
    const size_t y_size = y_f32 ? 4 : 1, residual_size = residual_f32 ? 4 : 1;
    for (int64_t panel = 0; panel * pack.panel_width < p.columns; panel++) {
        const int64_t first = panel * pack.panel_width;
        struct dio_gemm_rows_int8 g = p.g;
        g.panel = packed + dio_pack_int8_panel(&pack, panel, &g.width);
        g.columns = (int)(p.columns - first < g.width ? p.columns - first : g.width);
        g.factor += first;
        g.bias += first;
        g.y = (char *)y + (size_t)first * y_size;
        g.residual = residual ? (char *)residual + (size_t)first * residual_size : NULL;
        run->kernels->gemm_rows_int8(&g);
    }
    judge_product(run, &p, y, residual);
    free(tap_offset);
    free(p.offset);
    free(sums);
}

/* ---- depthwise ---- */

struct depthwise {
    struct dio_depthwise_row_int8 d;
    const float *w, *inverse, *factor, *bias; /* by channel */
};

static double depthwise_sum(const struct depthwise *p, int64_t ox, int64_t c)
{
    const struct dio_depthwise_row_int8 *d = &p->d;
    double sum = 0;
    for (int tap = 0; tap < d->r * d->s; tap++) {
        const int64_t ix = ox * d->stride - d->pad_left + (int64_t)(tap % d->s) * d->dilation;
        const uint8_t *row = d->rows[tap / d->s];
        const double weight = fmax(-127, fmin(127, nearbyint((double)(p->w[c * d->r * d->s + tap] * p->inverse[c]))));
        sum += weight * (row && ix >= 0 && ix < d->in_w ? row[ix * d->x_pixel + c] : d->zero[c]);
    }
    return sum;
}

static void judge_depthwise(struct run *run, const struct depthwise *p)
{
    const struct dio_depthwise_row_int8 *d = &p->d;
    for (int64_t ox = 0; ox < d->out_w; ox++) {
        for (int64_t c = 0; c < d->channels; c++) {
            const double scaled = depthwise_sum(p, ox, c) * (double)p->factor[c], exact = scaled + (double)p->bias[c];
            const double error = 4 * 0x1p-24 * (fabs(scaled) + fabs((double)p->bias[c]));
            if (d->wide) judge_within(run, (double)d->wide[ox * d->y_pixel + c], exact, error, "y", ox, c);
            else judge_within(run, d->y[ox * d->y_pixel + c], fmax(d->low, fmin((double)d->high, exact)), 0.5 + error, "y", ox, c);
        }
        for (int64_t c = d->channels; c < d->y_pixel && ox + 1 < d->out_w; c++) {
            const bool kept = d->wide ? isnan(d->wide[ox * d->y_pixel + c]) : d->y[ox * d->y_pixel + c] == 0xee;
            if (!kept) snprintf(run->problem, sizeof run->problem, "wrote outside its outputs, at pixel %lld", (long long)ox);
        }
    }
}

static float *by_block(struct run *run, const float *x, int64_t channels)
{
    const int block = run->kernels->depthwise_int8_block;
    float *out = buffer(run, dio_depthwise_int8_blocks(channels, block) * block);
    dio_pack_depthwise_channels(x, channels, block, out);
    return out;
}

void check_depthwise_row_int8(struct run *run)
{
    const int64_t channels = number(run, "channels", 1), width = number(run, "width", 1), gap = number(run, "gap", 0);
    const int kernel = (int)number(run, "kernel", 3), stride = (int)number(run, "stride", 1), dilation = (int)number(run, "dilation", 1);
    const int pad = (int)number(run, "pad", 0), block = run->kernels->depthwise_int8_block;
    const int64_t out_w = (width + 2 * pad - ((int64_t)kernel - 1) * dilation - 1) / stride + 1;
    struct depthwise p = {.w = filled(run, channels * kernel * kernel)};
    float *inverse = buffer(run, channels), *factor = buffer(run, channels), *bias = buffer(run, channels);
    for (int64_t c = 0; c < channels; c++) {
        inverse[c] = 100 + 40 * draw(run); /* some weights are cut */
        factor[c] = 0.2f / inverse[c];
        bias[c] = 60 * draw(run) + (c % 7 == 0 ? 1e10f * draw(run) : 0); /* far beyond what a byte holds, on both sides */
    }
    p.inverse = inverse;
    p.factor = factor;
    p.bias = bias;
    int32_t *sums = must(calloc((size_t)channels, sizeof *sums));
    int8_t *filter = (int8_t *)bytes(run, dio_pack_depthwise_int8_size(channels, block, kernel, kernel));
    dio_pack_depthwise_int8(p.w, inverse, channels, block, kernel, kernel, filter, sums);
    uint8_t *zero = bytes(run, channels);
    memset(zero, 11, (size_t)channels);
    const uint8_t *rows[16];
    for (int r = 0; r < kernel; r++) rows[r] = number(run, "holes", 0) && r % 2 == 0 ? NULL : filled_bytes(run, (width - 1) * (channels + gap) + channels);
    p.d = (struct dio_depthwise_row_int8){.channels = channels, .x_pixel = channels + gap, .y_pixel = channels + gap, .in_w = width, .out_w = out_w,
                                          .r = kernel, .s = kernel, .stride = stride, .dilation = dilation, .pad_left = pad, .rows = rows,
                                          .zero = zero, .filter = filter, .factor = by_block(run, factor, channels),
                                          .bias = by_block(run, bias, channels), .low = (uint8_t)number(run, "low", 0), .high = (float)number(run, "high", 255)};
    const int64_t count = (out_w - 1) * p.d.y_pixel + channels;
    if (number(run, "wide", 0)) p.d.wide = buffer(run, count);
    else p.d.y = bytes(run, count);
    run->kernels->depthwise_row_int8(&p.d);
    judge_depthwise(run, &p);
    free(sums);
}

void check_from_u8(struct run *run)
{
    const int64_t n = number(run, "n", 1);
    const uint8_t *x = filled_bytes(run, n);
    float *y = buffer(run, n);
    run->kernels->from_u8(x, 0.25f, 100, y, n);
    for (int64_t i = 0; i < n; i++) judge_within(run, (double)y[i], 0.25 * (x[i] - 100), 0, "y", 0, i);
}

/* Halves go to the even neighbour; what lies outside is cut; a NaN becomes 0. */
void check_to_u8(struct run *run)
{
    const int64_t n = number(run, "n", 1);
    static const float corners[] = {0.25f, 0.75f, -0.25f, 1000, -1000, NAN, INFINITY, -INFINITY};
    static const uint8_t wanted[] = {100, 102, 100, 255, 0, 0, 255, 0};
    const int64_t n_corners = (int64_t)sizeof wanted;
    float *x = filled(run, n);
    for (int64_t i = 0; i < n && i < n_corners; i++) x[i] = corners[i];
    uint8_t *y = bytes(run, n);
    run->kernels->to_u8(x, 0.5f, 100, y, n);
    for (int64_t i = 0; i < n; i++) {
        if (i < n_corners) judge_within(run, y[i], wanted[i], 0, "y", 0, i);
        else judge_within(run, y[i], (double)x[i] / 0.5 + 100, 0.5, "y", 0, i);
    }
}
