/* Times the convolutions of a network through the operator: forward, and backward with both gradients, in GF and as a share
 * of the measured multiply-add peak.
 *
 *   bench_conv [--level NAME] [--threads N] [--batch N] [--net resnet18|resnet50|mobilenet_v2|resnext50] [--runs N] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "ops/op.h"

struct layer {
    int64_t count, h, c;
    const char *attrs;
};

static const struct layer resnet50[] = {
    {1, 224, 3, "out=64 kernel=7 stride=2 padding=3"},    {1, 56, 64, "out=64 kernel=1"},
    {3, 56, 64, "out=64 kernel=3 padding=1"},             {4, 56, 64, "out=256 kernel=1"},
    {2, 56, 256, "out=64 kernel=1"},                      {1, 56, 256, "out=128 kernel=1"},
    {1, 56, 128, "out=128 kernel=3 stride=2 padding=1"},  {4, 28, 128, "out=512 kernel=1"},
    {1, 56, 256, "out=512 kernel=1 stride=2"},            {3, 28, 512, "out=128 kernel=1"},
    {3, 28, 128, "out=128 kernel=3 padding=1"},           {1, 28, 512, "out=256 kernel=1"},
    {1, 28, 256, "out=256 kernel=3 stride=2 padding=1"},  {6, 14, 256, "out=1024 kernel=1"},
    {1, 28, 512, "out=1024 kernel=1 stride=2"},           {5, 14, 1024, "out=256 kernel=1"},
    {5, 14, 256, "out=256 kernel=3 padding=1"},           {1, 14, 1024, "out=512 kernel=1"},
    {1, 14, 512, "out=512 kernel=3 stride=2 padding=1"},  {3, 7, 512, "out=2048 kernel=1"},
    {1, 14, 1024, "out=2048 kernel=1 stride=2"},          {2, 7, 2048, "out=512 kernel=1"},
    {2, 7, 512, "out=512 kernel=3 padding=1"},            {0},
};
static const struct layer resnet18[] = {
    {1, 224, 3, "out=64 kernel=7 stride=2 padding=3"},    {4, 56, 64, "out=64 kernel=3 padding=1"},
    {1, 56, 64, "out=128 kernel=3 stride=2 padding=1"},   {3, 28, 128, "out=128 kernel=3 padding=1"},
    {1, 56, 64, "out=128 kernel=1 stride=2"},             {1, 28, 128, "out=256 kernel=3 stride=2 padding=1"},
    {3, 14, 256, "out=256 kernel=3 padding=1"},           {1, 28, 128, "out=256 kernel=1 stride=2"},
    {1, 14, 256, "out=512 kernel=3 stride=2 padding=1"},  {3, 7, 512, "out=512 kernel=3 padding=1"},
    {1, 14, 256, "out=512 kernel=1 stride=2"},            {0},
};
static const struct layer resnext50[] = {
    {3, 56, 128, "out=128 kernel=3 padding=1 groups=32"}, {1, 56, 256, "out=256 kernel=3 padding=1 stride=2 groups=32"},
    {3, 28, 256, "out=256 kernel=3 padding=1 groups=32"}, {5, 14, 512, "out=512 kernel=3 padding=1 groups=32"},
    {2, 7, 1024, "out=1024 kernel=3 padding=1 groups=32"}, {0},
};
static const struct layer mobilenet_v2[] = {
    {1, 224, 3, "out=32 kernel=3 stride=2 padding=1"},
    {1, 112, 32, "out=32 kernel=3 padding=1 groups=32"},
    {1, 112, 32, "out=16 kernel=1"},
    {1, 112, 16, "out=96 kernel=1"},
    {1, 112, 96, "out=96 kernel=3 stride=2 padding=1 groups=96"},
    {1, 56, 96, "out=24 kernel=1"},
    {2, 56, 24, "out=144 kernel=1"},
    {1, 56, 144, "out=144 kernel=3 padding=1 groups=144"},
    {1, 56, 144, "out=24 kernel=1"},
    {1, 56, 144, "out=144 kernel=3 stride=2 padding=1 groups=144"},
    {3, 28, 32, "out=192 kernel=1"},
    {2, 28, 192, "out=192 kernel=3 padding=1 groups=192"},
    {3, 28, 192, "out=32 kernel=1"},
    {4, 14, 64, "out=384 kernel=1"},
    {4, 14, 384, "out=384 kernel=3 padding=1 groups=384"},
    {4, 14, 384, "out=64 kernel=1"},
    {2, 14, 96, "out=576 kernel=1"},
    {2, 14, 576, "out=576 kernel=3 padding=1 groups=576"},
    {2, 14, 576, "out=96 kernel=1"},
    {3, 7, 160, "out=960 kernel=1"},
    {3, 7, 960, "out=960 kernel=3 padding=1 groups=960"},
    {3, 7, 960, "out=160 kernel=1"},
    {1, 7, 320, "out=1280 kernel=1"},
    {0},
};

enum { MAX_THREADS = 64 };

struct bench {
    struct dio_ctx ctx;
    struct dio_step step;
    void *scratch[MAX_THREADS];
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

static float *floats(struct bench *b, int64_t count)
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

/* Seconds of the best of `runs`: forward, input gradient, weight gradient, packing of the weights for all three. */
static void time_layer(struct bench *b, const struct layer *layer, int64_t batch, int runs, double seconds[4], double *flops)
{
    const struct dio_op *op = dio_op_find("conv");
    char attrs[256];
    struct dio_op_shapes shapes = {.attrs = attrs, .n_inputs = 1};
    shapes.inputs[0] = (struct dio_value_type){.dtype = DIO_F32, .shape = dio_shape_4(batch, layer->h, layer->h, layer->c)};
    if (dio_attrs_parse(&b->ctx, op, NULL, layer->attrs, attrs) || op->infer(&b->ctx, NULL, &shapes)) exit(1);
    b->step = (struct dio_step){.op = op, .attrs = attrs, .kernels = b->ctx.kernels, .mode = DIO_MODE_TRAIN, .n_inputs = 1, .n_outputs = 1,
                                .n_params = 1, .in = {shapes.inputs[0]}, .out = {shapes.outputs[0]}, .param_shape = {shapes.params[0].shape}};
    struct dio_step *s = &b->step;
    const struct dio_step_wants wants = {.dx = {true}, .dparam = {true}};
    if (op->prepare(&b->ctx, s, &wants)) exit(1);
    const int64_t x = dio_shape_elements(&s->in[0].shape), y = dio_shape_elements(&s->out[0].shape), w = dio_shape_elements(&s->param_shape[0]);
    void *blocks[] = {floats(b, x), floats(b, y), floats(b, w), floats(b, y), floats(b, x), floats(b, w), bytes(b, s->packed_bytes), bytes(b, s->shared_bytes)};
    s->n = batch;
    s->x[0] = blocks[0];
    s->y[0] = blocks[1];
    s->param[0] = blocks[2];
    s->dy[0] = blocks[3];
    s->packed = blocks[6];
    s->shared = blocks[7];
    const int threads = dio_team_size(b->ctx.team);
    for (int i = 0; i < threads; i++) b->scratch[i] = bytes(b, s->scratch_bytes);
    run(b, s->pack, s->n_pack);
    *flops = 2.0 * (double)shapes.macs * (double)batch;
    for (int what = 0; what < 4; what++) {
        s->dx[0] = what == 1 ? blocks[4] : NULL;
        s->dparam[0] = what == 2 ? blocks[5] : NULL;
        seconds[what] = 1e9;
        for (int i = 0; i < runs; i++) {
            const double took = what == 3   ? run(b, s->pack, s->n_pack)
                                : what == 0 ? run(b, s->forward, s->n_forward)
                                            : run(b, s->backward, s->n_backward);
            if (took < seconds[what]) seconds[what] = took;
        }
    }
    for (int i = 0; i < threads; i++) dio_free(&b->ctx, b->scratch[i]);
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) dio_free(&b->ctx, blocks[i]);
    dio_step_free_data(&b->ctx, s);
}

int main(int argc, char **argv)
{
    const char *level = NULL, *net = "resnet50";
    int threads = 1, runs = 5;
    int64_t batch = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--level") == 0) level = argv[i + 1];
        if (strcmp(argv[i], "--threads") == 0) threads = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--batch") == 0) batch = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--net") == 0) net = argv[i + 1];
        if (strcmp(argv[i], "--runs") == 0) runs = atoi(argv[i + 1]);
    }
    struct bench b;
    struct dio_alloc_stats stats = {0};
    struct dio_kernels kernels;
    enum dio_isa ceiling;
    dio_ctx_init(&b.ctx, &stats);
    if (dio_kernels_ceiling_parse(&b.ctx, "--level", level, &ceiling) || dio_team_start(&b.ctx, threads, &b.ctx.team)) {
        fprintf(stderr, "%s\n", b.ctx.error.text);
        return 1;
    }
    dio_kernels_select(&b.ctx.cpu, ceiling, &kernels);
    b.ctx.kernels = &kernels;
    const double peak = dio_peak_flops(&kernels, 0.3) * threads;
    printf("%s, %d threads, batch %d: peak %.0f GF (one thread's times threads)\n", dio_isa_name(kernels.level), threads, (int)batch, peak * 1e-9);
    const struct layer *layers = strcmp(net, "mobilenet_v2") == 0 ? mobilenet_v2 : strcmp(net, "resnext50") == 0 ? resnext50 : strcmp(net, "resnet18") == 0 ? resnet18 : resnet50;
    double sum[4] = {0}, work[4] = {0};
    for (int i = 0; layers[i].count; i++) {
        double seconds[4], flops;
        time_layer(&b, &layers[i], batch, runs, seconds, &flops);
        printf("%4d x %4d %-46s", (int)layers[i].h, (int)layers[i].c, layers[i].attrs);
        for (int what = 0; what < 4; what++) {
            if (what == 1 && layers[i].c <= 3) { /* nobody wants the gradient of pictures */
                printf("              -");
                continue;
            }
            if (what < 3) printf("  %5.1f (%3.0f %%)", flops / seconds[what] * 1e-9, 100 * flops / seconds[what] / peak);
            sum[what] += seconds[what] * (double)layers[i].count;
            work[what] += flops * (double)layers[i].count;
        }
        printf("  packing %.3f ms\n", seconds[3] * 1e3);
    }
    static const char *const names[] = {"forward", "input gradient", "weight gradient"};
    for (int what = 0; what < 3; what++) {
        printf("%s: %.2f ms, %.0f GF, %.0f %% of peak\n", names[what], sum[what] * 1e3, work[what] / sum[what] * 1e-9, 100 * work[what] / sum[what] / peak);
    }
    printf("packing: %.2f ms\n", sum[3] * 1e3);
    dio_team_stop(&b.ctx, b.ctx.team);
    return 0;
}
