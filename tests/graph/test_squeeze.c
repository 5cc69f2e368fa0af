/* Squeeze and excitation in inference plans: the mean begun where the map is written and the gate in the next convolution's weights
 * change no more than last digits against the plain steps, and no bit with the batch or the number of threads. */
#include "support.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/threads.h"
#include "graph/plan.h"
#include "kernels/kernels.h"

enum { HEIGHT = 48, WIDTH = 47, CHANNELS = 18, PICTURES = 3 };

struct net {
    struct dio_graph *graph;
    struct dio_kernels kernels;
    int x, y;
    float *block;
};

struct size {
    int middle, squeezed, out, stride;
};

static int conv(struct dio_graph *graph, int block, const char *part, int x, const char *activation, const char *format, int a, int b)
{
    char name[32], attrs[128];
    snprintf(name, sizeof name, "%s%d", part, block);
    snprintf(attrs, sizeof attrs, format, a, b);
    x = dio_node1(graph, "conv", name, x, "%s bias=1", attrs);
    snprintf(name, sizeof name, "%s%d.act", part, block);
    return activation ? dio_node1(graph, "activation", name, x, "kind=%s", activation) : x;
}

static int inverted_block(struct dio_graph *graph, int number, int x, const struct size *size)
{
    char name[32];
    int y = conv(graph, number, "expand", x, "silu", "out=%d kernel=%d", size->middle, 1);
    char format[64];
    snprintf(format, sizeof format, "out=%%d kernel=5 padding=2 stride=%d groups=%%d", size->stride);
    y = conv(graph, number, "depthwise", y, "silu", format, size->middle, size->middle);
    snprintf(name, sizeof name, "mean%d", number);
    int gate = dio_node1(graph, "global_avg_pool", name, y, "keep_dims=1");
    gate = conv(graph, number, "reduce", gate, "silu", "out=%d kernel=%d", size->squeezed, 1);
    gate = conv(graph, number, "widen", gate, "sigmoid", "out=%d kernel=%d", size->middle, 1);
    snprintf(name, sizeof name, "gate%d", number);
    y = dio_node2(graph, "mul", name, y, gate, " ");
    y = conv(graph, number, "project", y, NULL, "out=%d kernel=%d", size->out, 1);
    snprintf(name, sizeof name, "sum%d", number);
    return size->stride == 1 ? dio_node2(graph, "add", name, y, x, " ") : y;
}

/* A map above what chains take, with a residual; a small one; and one whose weights are too many for the gate. */
static void build(struct net *net, struct dio_ctx *ctx, enum dio_isa level)
{
    static const struct size sizes[] = {{144, 5, CHANNELS, 1}, {70, 4, 10, 4}, {37, 3, 40, 4}};
    dio_kernels_select(&ctx->cpu, level, &net->kernels);
    ctx->kernels = &net->kernels;
    assert_int_equal(dio_graph_new(ctx, &net->graph), DIO_OK);
    const struct dio_shape picture = dio_shape_4(0, HEIGHT, WIDTH, CHANNELS);
    int x = net->x = dio_graph_input(net->graph, "x", DIO_F32, &picture);
    for (int i = 0; i < 3; i++) x = inverted_block(net->graph, i, x, &sizes[i]);
    net->y = x;
    assert_int_equal(net->graph->status, DIO_OK);
    size_t floats = 0;
    for (int i = 0; i < net->graph->n_params; i++) floats += (size_t)(dio_shape_elements(&net->graph->params[i].shape) + 15) / 16 * 16;
    net->block = malloc(floats * sizeof *net->block);
    assert_non_null(net->block);
    struct dio_rng rng = dio_rng_make(7, DIO_RNG_TEST, 0, 0);
    for (size_t i = 0; i < floats; i++) net->block[i] = (float)(dio_rng_uniform(&rng) - 0.5) / 2;
    float *at = net->block;
    for (int i = 0; i < net->graph->n_params; i++) {
        net->graph->params[i].data = at;
        at += (dio_shape_elements(&net->graph->params[i].shape) + 15) / 16 * 16;
    }
}

static int steps_of(const struct dio_plan *plan, const char *op)
{
    int count = 0;
    for (int i = 0; i < dio_plan_steps(plan); i++) {
        struct dio_plan_step_info info;
        dio_plan_step(plan, i, &info);
        count += strcmp(info.op, op) == 0;
    }
    return count;
}

static void run_by(struct dio_plan *plan, int n, const float *pictures, float *out, size_t of_image)
{
    for (int first = 0; first < PICTURES; first += n) {
        const void *some = pictures + first * HEIGHT * WIDTH * CHANNELS;
        void *to = out + (size_t)first * of_image;
        dio_plan_run(plan, PICTURES - first < n ? PICTURES - first : n, &some, &to);
    }
}

/* Sums of some hundred terms below 10, three blocks of them. */
static void assert_near(const float *got, const float *expected, size_t count)
{
    double largest = 0, apart = 0;
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs((double)expected[i]));
        apart = fmax(apart, fabs((double)got[i] - (double)expected[i]));
    }
    assert_true(largest > 0.1);
    assert_true(apart <= 0x1p-24 * 64 * largest);
}

static void check_level(enum dio_isa level, int threads, const float *pictures, float *first_bits)
{
    struct test_ctx test;
    struct net net;
    struct dio_plan *plain, *plan;
    test_begin(&test);
    build(&net, &test.ctx, level);
    if (threads) assert_int_equal(dio_team_start(&test.ctx, threads, &test.ctx.team), DIO_OK);
    struct dio_plan_options options = {.batch = PICTURES, .exact = true};
    assert_int_equal(dio_plan_infer(&test.ctx, net.graph, &net.x, 1, &net.y, 1, &options, &plain), DIO_OK);
    options.exact = false;
    assert_int_equal(dio_plan_infer(&test.ctx, net.graph, &net.x, 1, &net.y, 1, &options, &plan), DIO_OK);
    assert_int_equal(steps_of(plain, "mul"), 3);
    assert_int_equal(steps_of(plan, "mul"), 1);
    const struct dio_shape *shape = &net.graph->values[net.y].type.shape;
    const size_t of_image = (size_t)(shape->dims[1] * shape->dims[2] * shape->dims[3]), count = PICTURES * of_image;
    float *expected = malloc(count * sizeof *expected), *got = malloc(count * sizeof *got);
    assert_true(expected && got);
    run_by(plain, 1, pictures, expected, of_image);
    for (int n = 1; n <= PICTURES; n++) {
        memset(got, 0xff, count * sizeof *got);
        run_by(plan, n, pictures, got, of_image);
        if (n == 1 && threads == 0) {
            assert_near(got, expected, count);
            memcpy(first_bits, got, count * sizeof *got);
        }
        assert_memory_equal(got, first_bits, count * sizeof *got);
    }
    free(expected);
    free(got);
    dio_plan_free(plain);
    dio_plan_free(plan);
    dio_graph_free(net.graph);
    free(net.block);
    if (test.ctx.team) dio_team_stop(&test.ctx, test.ctx.team);
    test.ctx.team = NULL;
    test_end(&test);
}

static void test_squeeze(void **state)
{
    (void)state;
    const int numbers = PICTURES * HEIGHT * WIDTH * CHANNELS;
    float *pictures = malloc((size_t)numbers * sizeof *pictures), *bits = malloc((size_t)numbers * sizeof *bits);
    assert_true(pictures && bits);
    struct dio_rng rng = dio_rng_make(8, DIO_RNG_TEST, 0, 0);
    for (int i = 0; i < numbers; i++) pictures[i] = (float)(dio_rng_uniform(&rng) * 2 - 1);
    static const int threads[] = {0, 2, 3, 7};
    struct test_ctx test;
    test_begin(&test);
    const enum dio_isa best = dio_kernels_best(&test.ctx.cpu);
    test_end(&test);
    for (int level = 0; level <= (int)best; level++) {
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) check_level((enum dio_isa)level, threads[t], pictures, bits);
    }
    free(pictures);
    free(bits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_squeeze)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
