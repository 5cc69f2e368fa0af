/* Slots of winograd.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "kernels/ref/ref.h"

void check_winograd_input(struct run *run)
{
    const int m = (int)number(run, "m", 4), positions = dio_winograd_positions(m);
    const int64_t channels = number(run, "channels", 1), gap = 3;
    struct dio_winograd_input w = {.m = m, .channels = channels, .v_step = channels + gap};
    float *zeros = buffer(run, channels), *map = filled(run, positions * channels);
    memset(zeros, 0, (size_t)channels * sizeof *zeros);
    const float *pixels[DIO_WINOGRAD_POSITIONS];
    for (int p = 0; p < positions; p++) pixels[p] = number(run, "holes", 0) && p % 3 == 1 ? zeros : map + p * channels;
    w.x = pixels;
    const int64_t count = (positions - 1) * w.v_step + channels;
    w.v = buffer(run, count);
    double *expected = must(malloc((size_t)(positions * channels) * sizeof *expected * 2)), *magnitude = expected + positions * channels;
    dio_ref_winograd_input(&w, expected, magnitude);
    run->kernels->winograd_input(&w);
    bool *written = must(calloc((size_t)count, sizeof *written));
    for (int p = 0; p < positions; p++) {
        for (int64_t c = 0; c < channels; c++) {
            written[p * w.v_step + c] = true;
            judge(run, (double)w.v[p * w.v_step + c], expected[p * channels + c], magnitude[p * channels + c], positions, "v", p, c);
        }
    }
    judge_gaps(run, w.v, written, count);
    free(expected);
    free(written);
}

void check_winograd_output(struct run *run)
{
    const int m = (int)number(run, "m", 4), positions = dio_winograd_positions(m);
    struct dio_winograd_output w = {.m = m, .rows = (int)number(run, "rows", m), .columns = (int)number(run, "columns", m),
                                    .channels = number(run, "channels", 1), .act = (enum dio_act)number(run, "act", 0)};
    w.s_step = w.channels + 5;
    w.y_pixel = w.channels + 2;
    w.y_line = w.columns * w.y_pixel + 7;
    const int64_t count = (w.rows - 1) * w.y_line + (w.columns - 1) * w.y_pixel + w.channels;
    float *s = buffer(run, (positions - 1) * w.s_step + w.channels);
    fill_rows(run, s, positions, w.channels, w.s_step);
    w.s = s;
    if (number(run, "bias", 0)) w.bias = filled(run, w.channels);
    if (number(run, "residual", 0)) w.residual = filled(run, count);
    w.y = buffer(run, count);
    const int64_t results = w.rows * w.columns * w.channels;
    double *expected = must(malloc((size_t)results * sizeof *expected * 2)), *magnitude = expected + results;
    dio_ref_winograd_output(&w, expected, magnitude);
    run->kernels->winograd_output(&w);
    bool *written = must(calloc((size_t)count, sizeof *written));
    for (int64_t i = 0; i < results; i++) {
        const int64_t tile = i / w.channels, k = i % w.channels, at = tile / w.columns * w.y_line + tile % w.columns * w.y_pixel + k;
        written[at] = true;
        judge(run, (double)w.y[at], expected[i], magnitude[i], positions + 2, "y", tile, k);
    }
    judge_gaps(run, w.y, written, count);
    free(expected);
    free(written);
}

/* Numbers p * step + i, i < count, of `got` against [p][count]; the gaps are still NaNs. */
static void judge_rows(struct run *run, const float *got, int64_t rows, int64_t count, int64_t step, const double *expected,
                       const double *magnitude, int64_t terms, const char *where)
{
    bool *written = must(calloc((size_t)(rows * step), sizeof *written));
    for (int64_t p = 0; p < rows; p++) {
        for (int64_t i = 0; i < count; i++) {
            written[p * step + i] = true;
            judge(run, (double)got[p * step + i], expected[p * count + i], magnitude[p * count + i], terms, where, p, i);
        }
    }
    judge_gaps(run, got, written, (rows - 1) * step + count);
    free(written);
}

static double *expectation(int64_t count) { return must(malloc((size_t)count * 2 * sizeof(double))); }

void check_winograd_spread(struct run *run)
{
    const int m = (int)number(run, "m", 4), positions = dio_winograd_positions(m);
    const int64_t channels = number(run, "channels", 1);
    struct dio_winograd_spread w = {.m = m, .channels = channels, .v_step = channels + 3};
    float *zeros = buffer(run, channels), *map = filled(run, m * m * channels);
    memset(zeros, 0, (size_t)channels * sizeof *zeros);
    const float *pixels[DIO_WINOGRAD_POSITIONS];
    for (int p = 0; p < m * m; p++) pixels[p] = number(run, "holes", 0) && p % 3 == 1 ? zeros : map + p * channels;
    w.dy = pixels;
    w.v = buffer(run, (positions - 1) * w.v_step + channels);
    double *expected = expectation(positions * channels), *magnitude = expected + positions * channels;
    dio_ref_winograd_spread(&w, expected, magnitude);
    run->kernels->winograd_spread(&w);
    judge_rows(run, w.v, positions, channels, w.v_step, expected, magnitude, m * m, "v");
    free(expected);
}

void check_winograd_gather(struct run *run)
{
    const int m = (int)number(run, "m", 4), positions = dio_winograd_positions(m);
    struct dio_winograd_gather w = {.m = m, .count = number(run, "channels", 1)};
    w.step = w.count + 5;
    w.u = buffer(run, (positions - 1) * w.step + w.count);
    fill_rows(run, w.u, positions, w.count, w.step);
    double *expected = expectation(9 * w.count), *magnitude = expected + 9 * w.count;
    dio_ref_winograd_gather(&w, expected, magnitude);
    run->kernels->winograd_gather(&w);
    judge_rows(run, w.u, 9, w.count, w.step, expected, magnitude, positions + 4, "dw");
    free(expected);
}

/* In double: right to the last rounding. */
void check_winograd_weights(struct run *run)
{
    const int m = (int)number(run, "m", 4), positions = dio_winograd_positions(m), count = (int)number(run, "channels", 1);
    struct dio_winograd_weights w = {.m = m, .count = count, .flipped = number(run, "flipped", 0), .w_step = 11, .u_step = count + 4};
    w.w = filled(run, (count - 1) * w.w_step + 9);
    w.u = buffer(run, (positions - 1) * w.u_step + count);
    double *expected = expectation(positions * count), *magnitude = expected + positions * count;
    dio_ref_winograd_weights(&w, expected, magnitude);
    run->kernels->winograd_weights(&w);
    for (int64_t p = 0; p < positions; p++) {
        for (int64_t i = 0; i < count; i++) {
            judge_within(run, (double)w.u[p * w.u_step + i], expected[p * count + i], 0x1p-24 * fabs(expected[p * count + i]) + 0x1p-48 * magnitude[p * count + i],
                         "u", p, i);
        }
    }
    free(expected);
}
