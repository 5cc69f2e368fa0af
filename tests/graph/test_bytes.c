/* A net of depthwise layers in bytes at every level of the CPU: what each kind of layer does (strides, residual, a curved
 * activation, channels that fill no block, few channels of a picture), near the numbers of f32; the same bits whatever the batch. */
#include <math.h>

#include "support.h"

#include "base/rng.h"
#include "graph/plan.h"
#include "kernels/kernels.h"

enum { SIDE = 17, PICTURES = 5, PICTURE = SIDE * SIDE * 3, CLASSES = 7, PRODUCTS = 8 };

struct net {
    struct dio_graph *graph;
    int picture, logits;
    float *params, x[PICTURES * PICTURE];
};

static void build(struct dio_ctx *ctx, struct net *net)
{
    assert_int_equal(dio_graph_new(ctx, &net->graph), DIO_OK);
    struct dio_graph *graph = net->graph;
    const struct dio_shape picture = dio_shape_4(0, SIDE, SIDE, 3);
    net->picture = dio_graph_input(graph, "x", DIO_F32, &picture);
    int x = dio_node1(graph, "conv", "stem", net->picture, "out=40 kernel=3 stride=2 padding=1 bias=1");
    x = dio_node1(graph, "activation", "act0", x, "kind=relu6");
    x = dio_node1(graph, "conv", "dw1", x, "out=40 kernel=3 padding=1 groups=40 bias=1");
    const int kept = x = dio_node1(graph, "activation", "act1", x, "kind=relu");
    x = dio_node1(graph, "conv", "dw2", x, "out=40 kernel=5 padding=2 groups=40 bias=1");
    x = dio_node2(graph, "add", "add2", x, kept, " ");
    x = dio_node1(graph, "conv", "wide", x, "out=144 kernel=1 bias=1");
    x = dio_node1(graph, "activation", "act3", x, "kind=silu");
    x = dio_node1(graph, "conv", "dw4", x, "out=144 kernel=5 stride=2 padding=2 groups=144 bias=1");
    x = dio_node1(graph, "activation", "act4", x, "kind=silu");
    x = dio_node1(graph, "conv", "dw5", x, "out=144 kernel=3 pad_mode=same stride=2 groups=144");
    x = dio_node1(graph, "conv", "narrow", x, "out=9 kernel=1");
    x = dio_node1(graph, "conv", "dw6", x, "out=9 kernel=3 padding=2 dilation=2 groups=9");
    x = dio_node1(graph, "global_avg_pool", "pool", x, " ");
    net->logits = dio_node1(graph, "linear", "fc", x, "out=%d", CLASSES);
    dio_graph_output(graph, net->logits);
    assert_int_equal(graph->status, DIO_OK);
}

static void open_net(struct dio_ctx *ctx, struct net *net)
{
    struct dio_rng rng = dio_rng_make(5, DIO_RNG_TEST, 0, 0);
    size_t floats = 0;
    build(ctx, net);
    for (int i = 0; i < net->graph->n_params; i++) floats += (size_t)dio_shape_elements(&net->graph->params[i].shape);
    float *at = net->params = dio_alloc_zeroed(ctx, floats, sizeof *at, "weights");
    assert_non_null(at);
    for (int i = 0; i < net->graph->n_params; i++) {
        net->graph->params[i].data = at;
        at += dio_shape_elements(&net->graph->params[i].shape);
    }
    dio_graph_init_params(net->graph, 3);
    for (int i = 0; i < PICTURES * PICTURE; i++) net->x[i] = (float)(2 * dio_rng_uniform(&rng) - 1);
}

static struct dio_plan *make_plan(struct test_ctx *test, const struct net *net, const struct dio_plan_options *options)
{
    struct dio_plan *plan;
    assert_ok(test, dio_plan_infer(&test->ctx, net->graph, &net->picture, 1, &net->logits, 1, options, &plan));
    return plan;
}

static void run(struct dio_plan *plan, const struct net *net, int at_once, float *out)
{
    for (int i = 0; i < PICTURES; i += at_once) {
        const void *in = net->x + (size_t)i * PICTURE;
        void *to = out + i * CLASSES;
        dio_plan_run(plan, PICTURES - i < at_once ? PICTURES - i : at_once, &in, &to);
    }
}

static void observe(struct test_ctx *test, const struct net *net, struct dio_value_range *ranges, float *exact)
{
    const void *in = net->x;
    void *out = exact;
    struct dio_plan *plan = make_plan(test, net, &(struct dio_plan_options){.batch = PICTURES, .keep_values = true, .exact = true});
    for (int i = 0; i < net->graph->n_values; i++) ranges[i] = (struct dio_value_range){INFINITY, -INFINITY};
    dio_plan_observe(plan, PICTURES, &in, &out, ranges);
    dio_plan_free(plan);
}

static int products_of_bytes(const struct dio_plan *plan)
{
    int products = 0;
    for (int i = 0; i < dio_plan_steps(plan); i++) {
        struct dio_plan_step_info info;
        dio_plan_step(plan, i, &info);
        products += info.macs > 0 && info.precision == DIO_PRECISION_INT8;
    }
    return products;
}

/* A layer's rounding is 1 / 255 of its range on each side, and its weights' 1 / 127; there are eight. */
static void test_level(void **state)
{
    struct test_ctx test;
    struct net net;
    struct dio_kernels kernels;
    struct dio_value_range ranges[64];
    float exact[PICTURES * CLASSES], got[PICTURES * CLASSES], alone[PICTURES * CLASSES], low = INFINITY, high = -INFINITY;
    const enum dio_isa level = (enum dio_isa)*(const intptr_t *)*state;
    test_begin(&test);
    if (level > dio_kernels_best(&test.ctx.cpu)) {
        test_end(&test);
        print_message("skipped: this CPU lacks %s\n", dio_isa_name(level));
        return;
    }
    dio_kernels_select(&test.ctx.cpu, level, &kernels);
    test.ctx.kernels = &kernels;
    open_net(&test.ctx, &net);
    assert_in_range(net.graph->n_values, 1, 64);
    observe(&test, &net, ranges, exact);
    for (int batch = PICTURES; batch > 0; batch -= 2) {
        struct dio_plan *plan = make_plan(&test, &net, &(struct dio_plan_options){.batch = batch, .precision = DIO_PRECISION_INT8, .ranges = ranges});
        assert_int_equal(products_of_bytes(plan), PRODUCTS);
        run(plan, &net, batch, batch == PICTURES ? got : alone);
        if (batch < PICTURES) assert_memory_equal(got, alone, sizeof got);
        dio_plan_free(plan);
    }
    for (int i = 0; i < PICTURES * CLASSES; i++) {
        low = fminf(low, exact[i]);
        high = fmaxf(high, exact[i]);
    }
    for (int i = 0; i < PICTURES * CLASSES; i++) assert_true(fabsf(got[i] - exact[i]) <= PRODUCTS * (1 / 127.0f + 1 / 255.0f) * (high - low));
    dio_graph_free(net.graph);
    dio_free(&test.ctx, net.params);
    test_end(&test);
}

int main(void)
{
    static intptr_t levels[DIO_ISA_COUNT];
    struct CMUnitTest tests[DIO_ISA_COUNT];
    for (int i = 0; i < DIO_ISA_COUNT; i++) {
        levels[i] = i;
        tests[i] = (struct CMUnitTest){.name = dio_isa_name((enum dio_isa)i), .test_func = test_level, .initial_state = &levels[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
