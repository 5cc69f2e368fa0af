/* Slots of winograd.h. */
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
