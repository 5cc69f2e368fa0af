/* Slots of rows.h, against the formulas in double. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

struct norm_case {
    struct dio_layer_norm n;
    double *h; /* [rows][channels], then 1 / deviation of each row */
};

static struct norm_case norm_case(struct run *run)
{
    struct norm_case c = {.n = {.rows = number(run, "rows", 1), .channels = number(run, "channels", 1), .eps = 1e-6, .add = number(run, "add", 0) != 0}};
    const int64_t channels = c.n.channels;
    c.n.x = filled(run, c.n.rows * channels);
    c.n.dy = filled(run, c.n.rows * channels);
    c.n.weight = filled(run, channels);
    c.n.bias = filled(run, channels);
    c.h = must(malloc((size_t)(c.n.rows * (channels + 1)) * sizeof *c.h));
    for (int64_t row = 0; row < c.n.rows; row++) {
        const float *x = c.n.x + row * channels;
        double mean = 0, squares = 0;
        for (int64_t i = 0; i < channels; i++) mean += (double)x[i] / (double)channels;
        for (int64_t i = 0; i < channels; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean);
        const double rstd = 1 / sqrt(squares / (double)channels + c.n.eps);
        for (int64_t i = 0; i < channels; i++) c.h[row * channels + i] = ((double)x[i] - mean) * rstd;
        c.h[c.n.rows * channels + row] = rstd;
    }
    return c;
}

static double rstd_of(const struct norm_case *c, int64_t row) { return c->h[c->n.rows * c->n.channels + row]; }

void check_layer_norm(struct run *run)
{
    struct norm_case c = norm_case(run);
    const int64_t channels = c.n.channels;
    float *out = c.n.out = buffer(run, c.n.rows * channels);
    run->kernels->layer_norm(&c.n);
    for (int64_t i = 0; i < c.n.rows * channels; i++) {
        const double w = (double)c.n.weight[i % channels], b = (double)c.n.bias[i % channels];
        const double size = fabs(w) * (fabs(c.h[i]) + rstd_of(&c, i / channels)) + fabs(b); /* |x| and |mean| are at most 1 */
        judge(run, (double)out[i], c.h[i] * w + b, size, 8, "out", i / channels, i % channels);
    }
    free(c.h);
}

void check_layer_norm_dx(struct run *run)
{
    struct norm_case c = norm_case(run);
    const int64_t channels = c.n.channels, count = c.n.rows * channels;
    const float *before = filled(run, count);
    float *out = c.n.out = buffer(run, count);
    if (c.n.add) memcpy(out, before, (size_t)count * sizeof *out);
    run->kernels->layer_norm_dx(&c.n);
    for (int64_t row = 0; row < c.n.rows; row++) {
        const double *h = c.h + row * channels, rstd = rstd_of(&c, row);
        double of_q = 0, of_product = 0;
        for (int64_t i = 0; i < channels; i++) {
            const double q = (double)c.n.dy[row * channels + i] * (double)c.n.weight[i] / (double)channels;
            of_q += q;
            of_product += q * h[i];
        }
        for (int64_t i = 0; i < channels; i++) {
            const double q = (double)c.n.dy[row * channels + i] * (double)c.n.weight[i], start = c.n.add ? (double)before[row * channels + i] : 0;
            judge(run, (double)out[row * channels + i], start + rstd * (q - of_q - h[i] * of_product), fabs(start) + rstd * (4 + rstd), 8, "out", row, i);
        }
    }
    free(c.h);
}

void check_layer_norm_dparam(struct run *run)
{
    struct norm_case c = norm_case(run);
    const int64_t channels = c.n.channels;
    float *of_weight = c.n.of_weight = filled(run, channels), *of_bias = c.n.of_bias = filled(run, channels);
    for (int64_t i = 0; i < channels; i++) of_weight[i] = of_bias[i] = 0.25f;
    run->kernels->layer_norm_dparam(&c.n);
    for (int64_t i = 0; i < channels; i++) {
        double weight = 0.25, bias = 0.25, size = 0.25;
        for (int64_t row = 0; row < c.n.rows; row++) {
            const double dy = (double)c.n.dy[row * channels + i];
            weight += dy * c.h[row * channels + i];
            bias += dy;
            size += fabs(dy) * (1 + fabs(c.h[row * channels + i]) + rstd_of(&c, row));
        }
        judge(run, (double)of_weight[i], weight, size, c.n.rows + 8, "of_weight", 0, i);
        judge(run, (double)of_bias[i], bias, size, c.n.rows, "of_bias", 0, i);
    }
    free(c.h);
}

/* low: scores so far below zero that their exponentials are no floats. */
void check_softmax_rows(struct run *run)
{
    struct dio_softmax_rows s = {.rows = number(run, "rows", 1), .columns = number(run, "columns", 1), .stride = number(run, "stride", 1), .scale = 0.5f};
    const float low = number(run, "low", 0) ? -1000.0f : 0.0f;
    const int64_t count = (s.rows - 1) * s.stride + s.columns;
    float *x = s.x = buffer(run, count);
    double *expected = must(malloc((size_t)s.columns * sizeof *expected));
    float *copy = must(malloc((size_t)count * sizeof *copy));
    bool *written = must(calloc((size_t)count, sizeof *written));
    fill_rows(run, x, s.rows, s.columns, s.stride);
    for (int64_t i = 0; i < count; i++) {
        written[i] = i % s.stride < s.columns;
        x[i] = 8 * x[i] + low;
    }
    memcpy(copy, x, (size_t)count * sizeof *copy);
    run->kernels->softmax_rows(&s);
    judge_gaps(run, x, written, count);
    for (int64_t row = 0; row < s.rows; row++) {
        double sum = 0;
        for (int64_t j = 0; j < s.columns; j++) sum += expected[j] = exp(0.5 * ((double)copy[row * s.stride + j] - (double)low));
        for (int64_t j = 0; j < s.columns; j++) {
            judge(run, (double)x[row * s.stride + j], expected[j] / sum, expected[j] / sum * 12, 8, "x", row, j);
        }
    }
    free(expected);
    free(copy);
    free(written);
}

void check_softmax_dx_rows(struct run *run)
{
    struct dio_softmax_rows s = {.rows = number(run, "rows", 1), .columns = number(run, "columns", 1), .stride = number(run, "stride", 1), .scale = 0.5f};
    const int64_t count = (s.rows - 1) * s.stride + s.columns;
    const float *y = s.y = filled(run, count), *before = filled(run, count);
    float *x = s.x = buffer(run, count);
    memcpy(x, before, (size_t)count * sizeof *x);
    run->kernels->softmax_dx_rows(&s);
    for (int64_t row = 0; row < s.rows; row++) {
        double sum = 0, size = 0;
        for (int64_t j = 0; j < s.columns; j++) {
            const double term = (double)y[row * s.stride + j] * (double)before[row * s.stride + j];
            sum += term;
            size += fabs(term);
        }
        for (int64_t j = 0; j < s.columns; j++) {
            const int64_t i = row * s.stride + j;
            judge(run, (double)x[i], 0.5 * (double)y[i] * ((double)before[i] - sum), 0.5 * fabs((double)y[i]) * (1 + size), s.columns, "x", row, j);
        }
    }
}
