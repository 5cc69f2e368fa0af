#include "bench.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kernels/kernels.h"

static float *random_floats(int64_t count)
{
    float *x = aligned_alloc(64, (size_t)(count * 4 + 63) / 64 * 64);
    if (!x) exit(1);
    uint32_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525U + 1013904223U;
        x[i] = (float)(state >> 8) * 0x1p-24f - 0.5f;
    }
    return x;
}

/* A panel against a block of rows, both in cache: what the inner loops reach by themselves. */
static double rate_rows(const struct dio_kernels *k, int64_t rows, int64_t channels, int columns, double seconds)
{
    float *x = random_floats(rows * channels), *panel = random_floats(channels * k->panel_width), *y = random_floats(rows * 64);
    const int width = (columns + k->vector_width - 1) / k->vector_width * k->vector_width;
    const struct dio_gemm_rows g = {.rows = rows, .taps = 1, .channels = channels, .x = x, .x_stride = channels, .panel = panel,
                                    .width = width, .columns = columns, .y = y, .y_stride = 64, .act = DIO_ACT_RELU};
    double best = 0;
    const double end = dio_clock_seconds() + seconds;
    do {
        const double start = dio_clock_seconds();
        for (int i = 0; i < 8; i++) k->gemm_rows(&g);
        const double rate = 8 * 2.0 * (double)(rows * channels * columns) / (dio_clock_seconds() - start);
        if (rate > best) best = rate;
    } while (dio_clock_seconds() < end);
    free(x);
    free(panel);
    free(y);
    return best;
}

static double rate_outer(const struct dio_kernels *k, int64_t pixels, int64_t channels, int columns, double seconds)
{
    float *x = random_floats(pixels * channels), *dy = random_floats(pixels * columns), *dw = random_floats(channels * 64);
    const int width = (columns + k->vector_width - 1) / k->vector_width * k->vector_width;
    const struct dio_gemm_run run = {0, 0, pixels};
    const struct dio_gemm_outer g = {.runs = &run, .n_runs = 1, .x = x, .dy = dy, .x_step = channels, .dy_step = columns, .channels = channels,
                                     .width = width, .columns = columns, .dw = dw};
    double best = 0;
    const double end = dio_clock_seconds() + seconds;
    do {
        memset(dw, 0, (size_t)channels * 64 * sizeof *dw);
        const double start = dio_clock_seconds();
        for (int i = 0; i < 8; i++) k->gemm_outer(&g);
        const double rate = 8 * 2.0 * (double)(pixels * channels * columns) / (dio_clock_seconds() - start);
        if (rate > best) best = rate;
    } while (dio_clock_seconds() < end);
    free(x);
    free(dy);
    free(dw);
    return best;
}

enum direction { FORWARD, DX, DW };

static double rate_depthwise(const struct dio_kernels *k, enum direction what, int64_t channels, int64_t width, int kernel, int stride,
                             double seconds)
{
    const int64_t out_w = (width - 1) / stride + 1, dense = width * channels;
    float *x = random_floats(dense * kernel), *filter = random_floats(channels * kernel * kernel), *y = random_floats(dense);
    const void *rows[16];
    for (int r = 0; r < kernel; r++) rows[r] = x + r * dense;
    const struct dio_depthwise_row d = {.channels = channels, .x_pixel = channels, .y_pixel = channels, .in_w = width, .out_w = out_w,
                                        .group = 1, .r = kernel, .s = kernel, .stride = stride, .dilation = 1, .pad_left = kernel / 2, .rows = rows,
                                        .filter = filter, .filter_stride = channels, .y = y};
    const struct dio_depthwise_dw_row w = {.channels = channels, .x_pixel = channels, .y_pixel = channels, .in_w = width, .out_w = out_w,
                                           .group = 1, .s = kernel, .stride = stride, .dilation = 1, .pad_left = kernel / 2, .x = x, .dy = y,
                                           .dw = filter, .filter_stride = channels};
    double best = 0;
    const double end = dio_clock_seconds() + seconds;
    do {
        const double start = dio_clock_seconds();
        for (int i = 0; i < 16; i++) {
            if (what == FORWARD) {
                k->depthwise_row(&d);
            } else if (what == DX) {
                k->depthwise_dx_row(&d);
            } else {
                k->depthwise_dw_row(&w);
            }
        }
        const double taps = what == DW ? kernel : kernel * kernel;
        const double rate = 16 * 2.0 * taps * (double)(channels * out_w) / (dio_clock_seconds() - start);
        if (rate > best) best = rate;
    } while (dio_clock_seconds() < end);
    free(x);
    free(filter);
    free(y);
    return best;
}

int bench_level(const struct dio_kernels *k, double seconds)
{
    const double peak = dio_peak_flops(k, seconds);
    printf("  multiply-adds on registers: %.1f GF, one thread\n", peak * 1e-9);
    static const size_t sizes[] = {16 << 10, 512 << 10, 8 << 20, 128 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        float *block = random_floats((int64_t)sizes[i] / 4);
        printf("  reading %zu KiB: %.1f GB/s\n", sizes[i] >> 10, dio_peak_read(k, block, sizes[i] / 4, seconds) * 1e-9);
        free(block);
    }
    static const struct {
        int64_t rows, channels;
        int columns;
    } products[] = {{216, 64, 64}, {216, 576, 64}, {49, 2048, 64}, {49, 512, 64}, {49, 4608, 64}, {216, 64, 16}, {216, 96, 24},
                    {216, 192, 32}, {216, 192, 48}, {1, 2048, 64}, {3, 512, 64}};
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        for (int pass = 0; pass < 2; pass++) {
            const int64_t rows = products[i].rows, channels = products[i].channels;
            const int columns = products[i].columns < k->panel_width ? products[i].columns : k->panel_width;
            const double rate = (pass ? rate_outer : rate_rows)(k, rows, channels, columns, seconds);
            printf("  %s rows=%d channels=%d columns=%d: %.1f GF, %.0f %%\n", pass ? "gemm_outer" : "gemm_rows", (int)rows, (int)channels,
                   columns, rate * 1e-9, 100 * rate / peak);
        }
    }
    static const struct {
        int64_t channels, width;
        int kernel, stride;
    } maps[] = {{32, 112, 3, 1}, {96, 112, 3, 2}, {576, 14, 3, 1}, {672, 14, 5, 1}, {1152, 7, 5, 1}, {384, 14, 7, 1}};
    static const char *const names[] = {"depthwise_row", "depthwise_dx_row", "depthwise_dw_row"};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        for (int what = FORWARD; what <= (int)DW; what++) {
            const double rate = rate_depthwise(k, (enum direction)what, maps[i].channels, maps[i].width, maps[i].kernel, maps[i].stride, seconds);
            printf("  %s channels=%d width=%d kernel=%d stride=%d: %.1f GF, %.0f %%\n", names[what], (int)maps[i].channels,
                   (int)maps[i].width, maps[i].kernel, maps[i].stride, rate * 1e-9, 100 * rate / peak);
        }
    }
    return 0;
}
