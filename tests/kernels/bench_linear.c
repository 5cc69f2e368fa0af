/* Linear layers: our kernels against OpenBLAS, and whether a row's bits depend on the number of rows beside it.
 *
 *   bench_linear [--level NAME] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "kernels/kernels.h"

static float *floats(struct dio_ctx *ctx, int64_t count)
{
    float *block = dio_alloc_aligned(ctx, (size_t)count * sizeof *block, "bench");
    if (!block) exit(1);
    uint32_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525U + 1013904223U;
        block[i] = (float)(state >> 8) * 0x1p-24f - 0.5f;
    }
    return block;
}

static void own(const struct dio_kernels *k, const struct dio_pack *pack, int64_t rows, const float *x, const float *packed, float *y)
{
    for (int64_t p = 0; p * pack->panel_width < pack->columns; p++) {
        struct dio_gemm_rows g = {.rows = rows, .taps = 1, .channels = pack->channels, .x = x, .x_stride = pack->channels, .y_stride = pack->columns};
        g.panel = packed + dio_pack_panel(pack, p, &g.width);
        const int64_t left = pack->columns - p * pack->panel_width;
        g.columns = (int)(left < g.width ? left : g.width);
        g.y = y + p * pack->panel_width;
        k->gemm_rows(&g);
    }
}

int main(int argc, char **argv)
{
    struct dio_ctx ctx;
    struct dio_alloc_stats stats = {0};
    struct dio_kernels k;
    enum dio_isa ceiling;
    dio_ctx_init(&ctx, &stats);
    if (dio_kernels_ceiling_parse(&ctx, "--level", argc > 2 ? argv[2] : NULL, &ceiling)) return 2;
    dio_kernels_select(&ctx.cpu, ceiling, &k);
    if (dio_kernels_linear(&ctx, &k, DIO_LINEAR_BLAS)) {
        fprintf(stderr, "%s %s\n", ctx.error.file, ctx.error.text);
        return 1;
    }
    printf("%s; %s, core %s, %s\n", dio_isa_name(k.level), k.blas.name, k.blas.core, k.blas.note);
    static const int64_t sizes[][3] = {{1, 1280, 1000}, {16, 1280, 1000}, {64, 1280, 1000}, {16, 512, 5}, {64, 512, 1000},
                                       {49, 2048, 512}, {197, 768, 3072}, {784, 768, 3072}, {784, 3072, 768}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t m = sizes[i][0], d = sizes[i][1], n = sizes[i][2], tap = 0;
        const struct dio_pack pack = {.taps = 1, .channels = d, .columns = n, .tap_offset = &tap, .c_stride = 1, .column_stride = d,
                                      .panel_width = k.panel_width, .vector_width = k.vector_width};
        float *x = floats(&ctx, m * d), *w = floats(&ctx, n * d), *a = floats(&ctx, m * n), *b = floats(&ctx, m * n), *one = floats(&ctx, n);
        float *packed = floats(&ctx, dio_pack_size(&pack));
        dio_pack_panels(&pack, w, 0, (n + pack.panel_width - 1) / pack.panel_width, packed);
        double seconds[2] = {1e9, 1e9};
        for (int run = 0; run < 30; run++) {
            double start = dio_clock_seconds();
            own(&k, &pack, m, x, packed, a);
            double middle = dio_clock_seconds();
            k.blas.sgemm(k.blas.handle, false, true, m, n, d, x, d, w, d, 0, b, n);
            double end = dio_clock_seconds();
            seconds[0] = fmin(seconds[0], middle - start);
            seconds[1] = fmin(seconds[1], end - middle);
        }
        int64_t own_differs = 0, blas_differs = 0;
        double worst = 0;
        for (int64_t j = 0; j < m * n; j++) worst = fmax(worst, fabs((double)a[j] - (double)b[j]));
        for (int64_t row = 0; row < m; row++) {
            own(&k, &pack, 1, x + row * d, packed, one);
            own_differs += memcmp(one, a + row * n, (size_t)n * sizeof *one) != 0;
            k.blas.sgemm(k.blas.handle, false, true, 1, n, d, x + row * d, d, w, d, 0, one, n);
            blas_differs += memcmp(one, b + row * n, (size_t)n * sizeof *one) != 0;
        }
        const double work = 2.0 * (double)(m * n * d) * 1e-9;
        printf("%4d x %4d x %4d: own %6.1f GF, OpenBLAS %6.1f GF; rows whose bits differ when alone: own %d, OpenBLAS %d; largest difference %.1e\n",
               (int)m, (int)d, (int)n, work / seconds[0], work / seconds[1], (int)own_differs, (int)blas_differs, worst);
        float *blocks[] = {x, w, a, b, one, packed};
        for (int j = 0; j < 6; j++) dio_free(&ctx, blocks[j]);
    }
    dio_kernels_close(&k);
    return 0;
}
