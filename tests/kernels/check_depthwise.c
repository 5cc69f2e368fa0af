/* Slots of depthwise.h. */
#include <stdlib.h>

#include "check.h"
#include "kernels/ref/ref.h"

struct depthwise {
    struct dio_depthwise_row d;
    int64_t gap; /* floats between the channels of neighbouring pixels that belong to nobody */
};

static struct depthwise depthwise_case(struct run *run)
{
    struct depthwise c = {.gap = number(run, "gap", 0)};
    c.d.channels = number(run, "channels", 1);
    c.d.in_w = number(run, "width", 1);
    c.d.group = (int)number(run, "group", 1);
    c.d.r = c.d.s = (int)number(run, "kernel", 3);
    c.d.stride = (int)number(run, "stride", 1);
    c.d.dilation = (int)number(run, "dilation", 1);
    c.d.pad_left = (int)number(run, "pad", 0);
    c.d.out_w = (c.d.in_w + 2 * c.d.pad_left - (c.d.s - 1) * c.d.dilation - 1) / c.d.stride + 1;
    c.d.x_pixel = c.d.y_pixel = c.d.channels + c.gap;
    c.d.filter_stride = c.d.channels;
    c.d.act = (enum dio_act)number(run, "act", 0);
    return c;
}

static void check_row(struct run *run, bool backward)
{
    struct depthwise c = depthwise_case(run);
    struct dio_depthwise_row *d = &c.d;
    const int64_t in_pixels = backward ? d->out_w : d->in_w, out_pixels = backward ? d->in_w : d->out_w;
    const int64_t in_count = (in_pixels - 1) * d->x_pixel + d->channels, out_count = (out_pixels - 1) * d->y_pixel + d->channels;
    const void *rows[16];
    for (int r = 0; r < d->r; r++) {
        float *row = NULL;
        if (!number(run, "holes", 0) || r % 3 != 1) {
            /* Exactly one row of the map; what lies in gaps is NaN. */
            row = buffer(run, in_count);
            fill_rows(run, row, in_pixels, d->channels, d->x_pixel);
        }
        rows[r] = row;
    }
    d->rows = rows;
    d->filter = filled(run, (int64_t)d->r * d->s * d->group * d->channels);
    if (number(run, "bias", 0)) d->bias = filled(run, d->channels);
    if (number(run, "residual", 0)) d->residual = filled(run, out_count);
    d->y = buffer(run, out_count);
    double *expected = must(malloc((size_t)(out_pixels * d->channels) * sizeof *expected * 2));
    double *magnitude = expected + out_pixels * d->channels;
    (backward ? dio_ref_depthwise_dx_row : dio_ref_depthwise_row)(d, expected, magnitude);
    (backward ? run->kernels->depthwise_dx_row : run->kernels->depthwise_row)(d);
    bool *written = must(calloc((size_t)out_count, sizeof *written));
    for (int64_t x = 0; x < out_pixels; x++) {
        for (int64_t k = 0; k < d->channels; k++) {
            const int64_t at = x * d->y_pixel + k;
            written[at] = true;
            judge(run, (double)((const float *)d->y)[at], expected[x * d->channels + k], magnitude[x * d->channels + k], (int64_t)d->r * d->s * d->group, "y", x, k);
        }
    }
    judge_gaps(run, d->y, written, out_count);
    free(expected);
    free(written);
}

void check_depthwise_dw_row(struct run *run)
{
    const struct depthwise c = depthwise_case(run);
    struct dio_depthwise_dw_row d = {.channels = c.d.channels, .x_pixel = c.d.x_pixel, .y_pixel = c.d.y_pixel, .in_w = c.d.in_w,
                                     .out_w = c.d.out_w, .group = c.d.group, .s = c.d.s, .stride = c.d.stride, .dilation = c.d.dilation,
                                     .pad_left = c.d.pad_left, .filter_stride = c.d.filter_stride};
    float *x = buffer(run, (d.in_w - 1) * d.x_pixel + d.channels), *dy = buffer(run, (d.out_w - 1) * d.y_pixel + d.channels);
    fill_rows(run, x, d.in_w, d.channels, d.x_pixel);
    fill_rows(run, dy, d.out_w, d.channels, d.y_pixel);
    d.x = x;
    d.dy = dy;
    const int64_t count = (int64_t)d.s * d.group * d.channels;
    d.dw = filled(run, count);
    double *expected = must(malloc((size_t)count * sizeof *expected * 2)), *magnitude = expected + count;
    dio_ref_depthwise_dw_row(&d, expected, magnitude);
    run->kernels->depthwise_dw_row(&d);
    for (int64_t i = 0; i < count; i++) {
        judge(run, (double)d.dw[i], expected[i], magnitude[i], d.out_w, "dw", i / d.channels, i % d.channels);
    }
    free(expected);
}

void check_depthwise_row(struct run *run)
{
    check_row(run, false);
}

void check_depthwise_dx_row(struct run *run)
{
    check_row(run, true);
}
