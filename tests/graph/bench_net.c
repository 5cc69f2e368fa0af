/* Whole networks through inference plans, candidates in turn in one process: the default path and --exact.
 *
 *   bench_net MODEL [--threads N] [--batch N] [--level NAME] [--seconds S] [--only default|exact] [--layers]
 *
 * MODEL as for the command line (arch:resnet18).  Best and median of the runs, the share of the multiply-add peak measured in
 * the same run (direct convolution's operations, so that fewer multiplications may show more than 100 %), and how far the
 * two candidates' outputs are apart as a share of the outputs' range. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/threads.h"
#include "format/load.h"
#include "graph/plan.h"
#include "kernels/kernels.h"
#include "kernels/peak.h"

enum { CANDIDATES = 2, RUNS = 400 };

static const char *const names[CANDIDATES] = {"default", "exact"};

struct candidate {
    struct dio_plan *plan;
    float *out;
    double seconds[RUNS];
    double *layers, *once; /* best, and of one run */
    int runs;
};

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void *must(void *block)
{
    if (!block) exit(1);
    return block;
}

static void show_layers(const struct candidate *c, double peak, int64_t batch)
{
    for (int i = 0; i < dio_plan_steps(c->plan); i++) {
        struct dio_plan_step_info info;
        dio_plan_step(c->plan, i, &info);
        const double seconds = c->layers[i];
        printf("  %-32s %-10s %8.3f ms", info.name, info.op, seconds * 1e3);
        if (info.macs) printf(" %4.0f %%", 2e2 * (double)(info.macs * batch) / seconds / peak);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "bench_net MODEL [--threads N] [--batch N] [--level NAME] [--seconds S] [--only default|exact] [--layers]\n");
        return 2;
    }
    const char *level = NULL, *only = NULL;
    int threads = 1;
    int64_t batch = 1;
    double seconds = 2;
    bool layers = false;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--layers") == 0) layers = true;
        if (i + 1 == argc) break;
        if (strcmp(argv[i], "--threads") == 0) threads = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--batch") == 0) batch = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--level") == 0) level = argv[i + 1];
        if (strcmp(argv[i], "--seconds") == 0) seconds = atof(argv[i + 1]);
        if (strcmp(argv[i], "--only") == 0) only = argv[i + 1];
    }
    struct dio_ctx ctx;
    struct dio_alloc_stats stats = {0};
    struct dio_kernels kernels;
    enum dio_isa ceiling;
    dio_ctx_init(&ctx, &stats);
    if (dio_kernels_ceiling_parse(&ctx, "--level", level, &ceiling) || dio_team_start(&ctx, threads, &ctx.team)) {
        fprintf(stderr, "%s\n", ctx.error.text);
        return 1;
    }
    dio_kernels_select(&ctx.cpu, ceiling, &kernels);
    ctx.kernels = &kernels;
    const struct dio_load_options load = dio_load_options_default();
    struct dio_loaded loaded;
    if (dio_model_load(&ctx, argv[1], &load, &loaded) || dio_loaded_need_model(&ctx, &loaded)) {
        fprintf(stderr, "%s\n", ctx.error.text);
        return 1;
    }
    const struct dio_model *model = loaded.model;
    const int output = model->logits >= 0 ? model->logits : model->features;
    const size_t picture = (size_t)model->recipe.height * (size_t)model->recipe.width * (size_t)model->recipe.channels;
    struct dio_shape shape = model->graph->values[output].type.shape;
    shape.dims[0] = batch;
    const size_t outputs = (size_t)dio_shape_elements(&shape);
    float *in = must(dio_alloc_array(&ctx, picture * (size_t)batch, sizeof *in, "bench"));
    uint32_t state = 1;
    for (size_t i = 0; i < picture * (size_t)batch; i++) {
        state = state * 1664525U + 1013904223U;
        in[i] = (float)(state >> 8) * 0x1p-23f - 1.0f;
    }
    const void *ins = in;
    struct candidate candidates[CANDIDATES] = {{0}};
    for (int i = 0; i < CANDIDATES; i++) {
        struct candidate *c = &candidates[i];
        const struct dio_plan_options options = {.batch = batch, .exact = i == 1};
        const double start = dio_clock_seconds();
        if (dio_plan_infer(&ctx, model->graph, model->graph->inputs, 1, &output, 1, &options, &c->plan)) {
            fprintf(stderr, "%s\n", ctx.error.text);
            return 1;
        }
        const struct dio_plan_memory memory = dio_plan_memory(c->plan);
        printf("%-8s prepared in %.0f ms; %.1f MB of packed weights, %.1f MB in all\n", names[i], (dio_clock_seconds() - start) * 1e3,
               (double)memory.packed / 1e6, (double)memory.total / 1e6);
        c->out = must(dio_alloc_array(&ctx, outputs, sizeof *c->out, "bench"));
        c->layers = must(dio_alloc_zeroed(&ctx, (size_t)dio_plan_steps(c->plan), sizeof *c->layers, "bench"));
        c->once = must(dio_alloc_zeroed(&ctx, (size_t)dio_plan_steps(c->plan), sizeof *c->once, "bench"));
        void *outs = c->out;
        dio_plan_run(c->plan, batch, &ins, &outs);
    }
    const double peak = dio_peak_flops(&kernels, 0.2) * threads, end = dio_clock_seconds() + seconds;
    int64_t layer_runs = 0;
    do {
        for (int i = 0; i < CANDIDATES; i++) {
            struct candidate *c = &candidates[i];
            if (only && strcmp(only, names[i]) != 0) continue;
            void *outs = c->out;
            const double start = dio_clock_seconds();
            if (layers) {
                dio_plan_time(c->plan, batch, &ins, &outs, c->once);
                for (int s = 0; s < dio_plan_steps(c->plan); s++) {
                    if (c->runs == 0 || c->once[s] < c->layers[s]) c->layers[s] = c->once[s];
                }
            } else {
                dio_plan_run(c->plan, batch, &ins, &outs);
            }
            c->seconds[c->runs++] = dio_clock_seconds() - start;
        }
        layer_runs++;
    } while (dio_clock_seconds() < end && layer_runs < RUNS);
    double macs = 0;
    for (int i = 0; i < dio_plan_steps(candidates[0].plan); i++) {
        struct dio_plan_step_info info;
        dio_plan_step(candidates[0].plan, i, &info);
        macs += (double)info.macs;
    }
    printf("%s, %s, %d threads, batch %d: peak %.0f GF\n", argv[1], dio_isa_name(kernels.level), threads, (int)batch, peak * 1e-9);
    for (int i = 0; i < CANDIDATES; i++) {
        struct candidate *c = &candidates[i];
        if (c->runs == 0) continue;
        qsort(c->seconds, (size_t)c->runs, sizeof *c->seconds, by_value);
        const double best = c->seconds[0], median = c->seconds[c->runs / 2], work = 2 * macs * (double)batch;
        printf("%-8s best %8.2f ms  median %8.2f ms  %7.1f pictures/s  %4.0f %% of peak (best), %d runs\n", names[i], best * 1e3, median * 1e3,
               (double)batch / best, 100 * work / best / peak, c->runs);
        if (layers) show_layers(c, peak, batch);
    }
    if (!only) printf("default / exact: %.3f x (best), %.3f x (median)\n", candidates[1].seconds[0] / candidates[0].seconds[0],
                      candidates[1].seconds[candidates[1].runs / 2] / candidates[0].seconds[candidates[0].runs / 2]);
    float low = candidates[1].out[0], high = low;
    double worst = 0;
    for (size_t i = 0; i < outputs; i++) {
        low = fminf(low, candidates[1].out[i]);
        high = fmaxf(high, candidates[1].out[i]);
        worst = fmax(worst, fabs((double)candidates[0].out[i] - (double)candidates[1].out[i]));
    }
    printf("outputs differ by at most %.2e of their range\n", worst / (double)(high - low));
    return 0;
}
