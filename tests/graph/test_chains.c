/* Chains of convolutions that run row by row: the same bits as step by step, for every batch and number of threads, over odd
 * sizes, strides, padding at the bottom and a residual from outside of the chain. */
#include "support.h"

#include <stdlib.h>

#include "base/rng.h"
#include "base/threads.h"
#include "graph/plan.h"
#include "kernels/kernels.h"

enum { HEIGHT = 189, WIDTH = 187, PICTURES = 3 };

struct net {
    struct dio_graph *graph;
    struct dio_kernels kernels;
    int x, y;
    float *block;
};

/* Three convolutions with activations between them. */
static int block(struct dio_graph *graph, int number, int x, const char *const attrs[3])
{
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "block%d.conv%d", number, i);
        x = dio_node1(graph, "conv", name, x, "%s bias=1", attrs[i]);
        snprintf(name, sizeof name, "block%d.act%d", number, i);
        if (i < 2) x = dio_node1(graph, "activation", name, x, "kind=relu6");
    }
    return x;
}

static void build(struct net *net, struct dio_ctx *ctx, enum dio_isa level)
{
    dio_kernels_select(&ctx->cpu, level, &net->kernels);
    ctx->kernels = &net->kernels;
    assert_int_equal(dio_graph_new(ctx, &net->graph), DIO_OK);
    const struct dio_shape picture = dio_shape_4(0, HEIGHT, WIDTH, 3);
    net->x = dio_graph_input(net->graph, "x", DIO_F32, &picture);
    static const char *const attrs[3][3] = {
        {"out=32 kernel=3 stride=2 padding=1", "out=32 kernel=3 padding=1 groups=32", "out=18 kernel=1"},
        {"out=96 kernel=1", "out=96 kernel=5 stride=2 pad_mode=same groups=96", "out=24 kernel=1"},
        {"out=144 kernel=1", "out=144 kernel=3 padding=2 dilation=2 groups=144", "out=24 kernel=1"},
    };
    int x = net->x;
    for (int i = 0; i < 3; i++) {
        const int before = x;
        x = block(net->graph, i, x, attrs[i]);
        if (i == 2) x = dio_node2(net->graph, "add", "sum", x, before, " ");
    }
    net->y = x;
    assert_int_equal(net->graph->status, DIO_OK);
    size_t floats = 0;
    for (int i = 0; i < net->graph->n_params; i++) floats += (size_t)(dio_shape_elements(&net->graph->params[i].shape) + 15) / 16 * 16;
    net->block = malloc(floats * sizeof *net->block);
    assert_non_null(net->block);
    struct dio_rng rng = dio_rng_make(5, DIO_RNG_TEST, 0, 0);
    for (size_t i = 0; i < floats; i++) net->block[i] = (float)(dio_rng_uniform(&rng) - 0.5);
    float *at = net->block;
    for (int i = 0; i < net->graph->n_params; i++) {
        net->graph->params[i].data = at;
        at += (dio_shape_elements(&net->graph->params[i].shape) + 15) / 16 * 16;
    }
}

static int chains_of(const struct dio_plan *plan)
{
    int chains = 0;
    for (int i = 0; i < dio_plan_steps(plan); i++) {
        struct dio_plan_step_info info;
        dio_plan_step(plan, i, &info);
        chains += info.chain > 1;
    }
    return chains;
}

static void check_level(enum dio_isa level, int threads, const float *pictures)
{
    struct test_ctx test;
    test_begin(&test);
    if (level > dio_kernels_best(&test.ctx.cpu)) {
        test_end(&test);
        return;
    }
    struct net net;
    struct dio_plan *plan;
    build(&net, &test.ctx, level);
    if (threads) assert_int_equal(dio_team_start(&test.ctx, threads, &test.ctx.team), DIO_OK);
    const struct dio_plan_options options = {.batch = PICTURES};
    assert_int_equal(dio_plan_infer(&test.ctx, net.graph, &net.x, 1, &net.y, 1, &options, &plan), DIO_OK);
    assert_int_equal(chains_of(plan), 3);
    const struct dio_shape *shape = &net.graph->values[net.y].type.shape;
    const size_t of_image = (size_t)(shape->dims[1] * shape->dims[2] * shape->dims[3]), bytes = PICTURES * of_image * sizeof(float);
    float *by_steps = malloc(bytes), *by_rows = malloc(bytes);
    double *seconds = calloc((size_t)dio_plan_steps(plan), sizeof *seconds);
    assert_true(by_steps && by_rows && seconds);
    const void *in = pictures;
    void *out = by_steps;
    memset(by_steps, 0xff, bytes);
    dio_plan_time(plan, PICTURES, &in, &out, seconds); /* step by step */
    for (int n = 1; n <= PICTURES; n++) {
        memset(by_rows, 0xff, bytes);
        for (int first = 0; first < PICTURES; first += n) {
            const void *some = pictures + first * HEIGHT * WIDTH * 3;
            void *to = by_rows + (size_t)first * of_image;
            dio_plan_run(plan, PICTURES - first < n ? PICTURES - first : n, &some, &to);
        }
        assert_memory_equal(by_rows, by_steps, bytes);
    }
    free(by_steps);
    free(by_rows);
    free(seconds);
    dio_plan_free(plan);
    dio_graph_free(net.graph);
    free(net.block);
    if (test.ctx.team) dio_team_stop(&test.ctx, test.ctx.team);
    test.ctx.team = NULL;
    test_end(&test);
}

static void test_rows_are_steps(void **state)
{
    (void)state;
    float *pictures = malloc(PICTURES * HEIGHT * WIDTH * 3 * sizeof *pictures);
    assert_non_null(pictures);
    struct dio_rng rng = dio_rng_make(6, DIO_RNG_TEST, 0, 0);
    for (int i = 0; i < PICTURES * HEIGHT * WIDTH * 3; i++) pictures[i] = (float)(dio_rng_uniform(&rng) * 2 - 1);
    static const int threads[] = {0, 2, 3, 7};
    for (int level = 0; level < (int)DIO_ISA_COUNT; level++) {
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) check_level((enum dio_isa)level, threads[t], pictures);
    }
    free(pictures);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows_are_steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
