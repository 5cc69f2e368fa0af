/* Linear layers: our kernels against OpenBLAS, and whether a row's bits depend on the number of rows beside it.
 *
 *   bench_linear [--level NAME]
 *
 * One layer as a plan runs it, on a team: the median of seconds a run, for scripts/compare_peers.py.
 *
 *   bench_linear --layer BATCHxROWSxINxOUT THREADS own|blas|auto */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/threads.h"
#include "graph/graph.h"
#include "graph/plan.h"
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

/* ---- one layer in a plan ---- */

static int refused(const struct dio_ctx *ctx)
{
    fprintf(stderr, "bench_linear: %s\n", ctx->error.text);
    return 1;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static dio_status layer_plan(struct dio_ctx *ctx, const int64_t size[4], struct dio_plan **plan)
{
    struct dio_graph *graph;
    if (dio_graph_new(ctx, &graph) != DIO_OK) return DIO_ERR_ENV;
    const struct dio_shape shape = dio_shape_3(0, size[1], size[2]);
    const int x = dio_graph_input(graph, "x", DIO_F32, &shape);
    const int y = dio_node1(graph, "linear", "layer", x, "out=%lld bias=0", (long long)size[3]);
    dio_status status = graph->status;
    if (status == DIO_OK) {
        graph->params[0].data = floats(ctx, size[2] * size[3]);
        const struct dio_plan_options options = {.batch = size[0]};
        status = dio_plan_infer(ctx, graph, &x, 1, &y, 1, &options, plan);
        dio_free(ctx, graph->params[0].data);
    }
    dio_graph_free(graph);
    return status;
}

static int time_layer(struct dio_ctx *ctx, struct dio_kernels *k, char **args)
{
    enum { MOST = 4096 };
    static const char *const names[] = {"auto", "own", "blas"};
    static double seconds[MOST];
    long long at[4];
    struct dio_plan *plan;
    if (sscanf(args[0], "%lldx%lldx%lldx%lld", &at[0], &at[1], &at[2], &at[3]) != 4) return 2;
    const int64_t size[4] = {at[0], at[1], at[2], at[3]};
    for (int i = 0; i < 3; i++) {
        if (strcmp(args[2], names[i]) == 0 && dio_kernels_linear(ctx, k, (enum dio_linear)i) != DIO_OK) return refused(ctx);
    }
    ctx->kernels = k;
    if (dio_team_start(ctx, atoi(args[1]), &ctx->team) != DIO_OK || layer_plan(ctx, size, &plan) != DIO_OK) return refused(ctx);
    float *x = floats(ctx, size[0] * size[1] * size[2]), *y = floats(ctx, size[0] * size[1] * size[3]);
    const void *in = x;
    void *out = y;
    int runs = 0;
    const double end = dio_clock_seconds() + 0.7;
    for (double start = dio_clock_seconds(); runs < MOST && (runs < 5 || start < end); runs++) {
        dio_plan_run(plan, size[0], &in, &out);
        const double now = dio_clock_seconds();
        seconds[runs] = now - start;
        start = now;
    }
    qsort(seconds, (size_t)runs, sizeof *seconds, compare_doubles);
    printf("%.9f\n", seconds[runs / 2]);
    dio_plan_free(plan);
    dio_free(ctx, x);
    dio_free(ctx, y);
    dio_team_stop(ctx, ctx->team);
    dio_kernels_close(k);
    return 0;
}

/* ---- kernels alone ---- */

int main(int argc, char **argv)
{
    struct dio_ctx ctx;
    struct dio_alloc_stats stats = {0};
    struct dio_kernels k;
    enum dio_isa ceiling;
    dio_ctx_init(&ctx, &stats);
    if (argc == 5 && strcmp(argv[1], "--layer") == 0) {
        dio_kernels_select(&ctx.cpu, dio_kernels_best(&ctx.cpu), &k);
        return time_layer(&ctx, &k, argv + 2);
    }
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
