/* Times the convolutions of a network through the operator: forward, and backward with both gradients, in GF and as a share
 * of what bounds them: the measured multiply-add peak or, where that is less, the rate at which the layer's maps can be read
 * (one thread's bandwidth at their size).
 *
 *   bench_conv [--level NAME] [--threads N] [--batch N] [--net NAME] [--runs N] [--exact 1] [--json 1]
 *
 * The networks: see bench_nets.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/threads.h"
#include "bench_nets.h"
#include "kernels/kernels.h"
#include "ops/op.h"

enum { MAX_THREADS = 64, FORWARD = 0, DX, DW, PACKING, KINDS };

struct options {
    const char *level, *net;
    int threads, runs;
    int64_t batch;
    bool exact, json;
};

struct bench {
    struct dio_ctx ctx;
    struct dio_step step;
    void *scratch[MAX_THREADS];
    double peak; /* multiply-adds on registers, all threads */
};

/* Seconds: best of the runs, and what the bound allows. */
struct timing {
    double took[KINDS], bound[KINDS], flops;
};

struct arg {
    struct bench *bench;
    dio_op_fn *run;
};

static void piece(void *arg, int64_t index, int thread)
{
    const struct arg *a = arg;
    a->run(&a->bench->step, index, a->bench->scratch[thread]);
}

/* One thread: its CPU time, which other programs disturb less. */
static double seconds_now(const struct bench *b)
{
    if (dio_team_size(b->ctx.team) > 1) return dio_clock_seconds();
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double run(struct bench *b, const struct dio_op_phase *phases, int n)
{
    struct arg args[DIO_OP_MAX_PHASES];
    struct dio_phase list[DIO_OP_MAX_PHASES];
    for (int i = 0; i < n; i++) {
        args[i] = (struct arg){b, phases[i].run};
        list[i] = (struct dio_phase){piece, &args[i], phases[i].pieces(&b->step)};
    }
    const double start = seconds_now(b);
    dio_team_run(b->ctx.team, list, (size_t)n);
    return seconds_now(b) - start;
}

static float *floats_of(struct bench *b, int64_t count)
{
    float *block = dio_alloc_aligned(&b->ctx, (size_t)count * sizeof *block, "bench");
    if (!block) exit(1);
    uint32_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525U + 1013904223U;
        block[i] = (float)(state >> 8) * 0x1p-24f - 0.5f;
    }
    return block;
}

static void *bytes(struct bench *b, size_t size)
{
    void *block = dio_alloc_aligned(&b->ctx, size, "bench");
    if (!block) exit(1);
    return block;
}

static double larger(double a, double b) { return a > b ? a : b; }

/* Multiply-adds at the peak, or the maps read once from where they fit. */
static double bound(struct bench *b, double flops, int64_t floats)
{
    float *maps = floats_of(b, floats);
    const double read = dio_peak_read(b->ctx.kernels, maps, (size_t)floats, 0.02) * dio_team_size(b->ctx.team);
    dio_free(&b->ctx, maps);
    return larger(flops / b->peak, (double)floats * sizeof(float) / read);
}

static double time_kind(struct bench *b, int kind)
{
    struct dio_step *s = &b->step;
    return kind == PACKING   ? run(b, s->pack, s->n_pack)
           : kind == FORWARD ? run(b, s->forward, s->n_forward)
                             : run(b, s->backward, s->n_backward);
}

static void prepare(struct bench *b, const struct bench_layer *layer, const struct options *options, char *attrs, int64_t *macs)
{
    const struct dio_op *op = dio_op_find("conv");
    struct dio_op_shapes shapes = {.attrs = attrs, .n_inputs = 1};
    shapes.inputs[0] = (struct dio_value_type){.dtype = DIO_F32, .shape = dio_shape_4(options->batch, layer->h, layer->h, layer->c)};
    if (dio_attrs_parse(&b->ctx, op, NULL, layer->attrs, attrs) || op->infer(&b->ctx, NULL, &shapes)) exit(1);
    b->step = (struct dio_step){.op = op, .attrs = attrs, .kernels = b->ctx.kernels, .mode = DIO_MODE_TRAIN, .n_inputs = 1, .n_outputs = 1,
                                .n_params = 1, .in = {shapes.inputs[0]}, .out = {shapes.outputs[0]}, .param_shape = {shapes.params[0].shape},
                                .exact = options->exact};
    const struct dio_step_wants wants = {.dx = {true}, .dparam = {true}};
    if (op->prepare(&b->ctx, &b->step, &wants)) exit(1);
    *macs = shapes.macs * options->batch;
}

static void time_layer(struct bench *b, const struct bench_layer *layer, const struct options *options, struct timing *t)
{
    char attrs[256];
    int64_t macs;
    prepare(b, layer, options, attrs, &macs);
    struct dio_step *s = &b->step;
    const int64_t x = dio_shape_elements(&s->in[0].shape), y = dio_shape_elements(&s->out[0].shape), w = dio_shape_elements(&s->param_shape[0]);
    void *blocks[] = {floats_of(b, x), floats_of(b, y), floats_of(b, w), floats_of(b, y), floats_of(b, x), floats_of(b, w), bytes(b, s->packed_bytes), bytes(b, s->shared_bytes)};
    s->n = options->batch;
    s->x[0] = blocks[0];
    s->y[0] = blocks[1];
    s->param[0] = blocks[2];
    s->dy[0] = blocks[3];
    s->packed = blocks[6];
    s->shared = blocks[7];
    const int threads = dio_team_size(b->ctx.team);
    for (int i = 0; i < threads; i++) b->scratch[i] = bytes(b, s->scratch_bytes);
    run(b, s->pack, s->n_pack);
    t->flops = 2.0 * (double)macs;
    const double least = bound(b, t->flops, x + y); /* each direction reads one map and reads or writes the other */
    for (int kind = 0; kind < KINDS; kind++) {
        s->dx[0] = kind == DX ? blocks[4] : NULL;
        s->dparam[0] = kind == DW ? blocks[5] : NULL;
        t->took[kind] = 1e9;
        t->bound[kind] = kind == PACKING ? 0 : least;
        for (int i = 0; i < options->runs; i++) {
            const double took = time_kind(b, kind);
            if (took < t->took[kind]) t->took[kind] = took;
        }
    }
    for (int i = 0; i < threads; i++) dio_free(&b->ctx, b->scratch[i]);
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) dio_free(&b->ctx, blocks[i]);
    dio_step_free_data(&b->ctx, s);
}

/* Nobody wants the gradient of pictures. */
static bool wanted(const struct bench_layer *layer, int kind) { return kind != DX || layer->c > 3; }

static void print_layer(const struct bench_layer *layer, const struct timing *t)
{
    printf("%4d x %4d %-46s", (int)layer->h, (int)layer->c, layer->attrs);
    for (int kind = 0; kind < PACKING; kind++) {
        if (wanted(layer, kind)) {
            printf("  %5.1f (%3.0f %%)", t->flops / t->took[kind] * 1e-9, 100 * t->bound[kind] / t->took[kind]);
        } else {
            printf("              -");
        }
    }
    printf("  packing %.3f ms\n", t->took[PACKING] * 1e3);
}

static void add(struct timing *sum, const struct bench_layer *layer, const struct timing *t, double flops[KINDS])
{
    for (int kind = 0; kind < KINDS; kind++) {
        if (!wanted(layer, kind)) continue;
        sum->took[kind] += t->took[kind] * (double)layer->count;
        sum->bound[kind] += t->bound[kind] * (double)layer->count;
        flops[kind] += t->flops * (double)layer->count;
    }
}

static void print_sums(const struct options *options, const struct timing *sum, const double flops[KINDS])
{
    static const char *const names[] = {"forward", "input gradient", "weight gradient"};
    if (options->json) printf("{");
    for (int kind = 0; kind < PACKING; kind++) {
        const double ms = sum->took[kind] * 1e3, rate = flops[kind] / sum->took[kind] * 1e-9, share = sum->bound[kind] / sum->took[kind];
        if (options->json) {
            printf("\"%s\": {\"ms\": %.4f, \"gf\": %.1f, \"share\": %.4f}%s", names[kind], ms, rate, share, kind == DW ? "}\n" : ", ");
        } else {
            printf("%s: %.2f ms, %.0f GF, %.0f %% of the bound\n", names[kind], ms, rate, 100 * share);
        }
    }
    if (!options->json) printf("packing: %.2f ms\n", sum->took[PACKING] * 1e3);
}

static struct options parse(int argc, char **argv)
{
    struct options o = {.net = "resnet50", .threads = 1, .runs = 5, .batch = 1};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--level") == 0) o.level = argv[i + 1];
        if (strcmp(argv[i], "--threads") == 0) o.threads = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--batch") == 0) o.batch = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--net") == 0) o.net = argv[i + 1];
        if (strcmp(argv[i], "--runs") == 0) o.runs = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--exact") == 0) o.exact = atoi(argv[i + 1]) != 0;
        if (strcmp(argv[i], "--json") == 0) o.json = atoi(argv[i + 1]) != 0;
    }
    return o;
}

int main(int argc, char **argv)
{
    const struct options options = parse(argc, argv);
    const struct bench_layer *layers = bench_net(options.net);
    struct bench b = {0};
    struct dio_alloc_stats stats = {0};
    struct dio_kernels kernels;
    enum dio_isa ceiling;
    dio_ctx_init(&b.ctx, &stats);
    if (!layers) {
        fprintf(stderr, "bench_conv: no network %s\n", options.net);
        return 2;
    }
    if (dio_kernels_ceiling_parse(&b.ctx, "--level", options.level, &ceiling) || dio_team_start(&b.ctx, options.threads, &b.ctx.team)) {
        fprintf(stderr, "%s\n", b.ctx.error.text);
        return 1;
    }
    dio_kernels_select(&b.ctx.cpu, ceiling, &kernels);
    b.ctx.kernels = &kernels;
    b.peak = dio_peak_flops(&kernels, 0.3) * options.threads;
    if (!options.json) printf("%s, %d threads, batch %d: peak %.0f GF (one thread's times threads)\n", dio_isa_name(kernels.level), options.threads, (int)options.batch, b.peak * 1e-9);
    struct timing sum = {0};
    double flops[KINDS] = {0};
    for (; layers->count; layers++) {
        struct timing t;
        time_layer(&b, layers, &options, &t);
        if (!options.json) print_layer(layers, &t);
        add(&sum, layers, &t, flops);
    }
    print_sums(&options, &sum, flops);
    dio_team_stop(&b.ctx, b.ctx.team);
    return 0;
}
