/* The selection of one token goes before what computes token by token: the same bits from fewer multiply-adds. */
#include "graph/passes.h"
#include "graph/plan.h"
#include "kernels/kernels.h"
#include "support.h"

enum { PICTURES = 3, TOKENS = 9, WIDTH = 24, CLASSES = 7 };

static int block(struct dio_graph *graph, int x, int index)
{
    char name[32];
#define NAME(part) (snprintf(name, sizeof name, "%d.%s", index, part), name)
    int y = dio_node1(graph, "layer_norm", NAME("norm1"), x, "%s", "");
    y = dio_node1(graph, "linear", NAME("qkv"), y, "out=%d", 3 * WIDTH);
    y = dio_node1(graph, "attention", NAME("attn"), y, "heads=2");
    y = dio_node1(graph, "linear", NAME("proj"), y, "out=%d", WIDTH);
    x = dio_node2(graph, "add", NAME("add1"), y, x, "%s", "");
    y = dio_node1(graph, "layer_norm", NAME("norm2"), x, "%s", "");
    y = dio_node1(graph, "linear", NAME("fc1"), y, "out=%d", 2 * WIDTH);
    y = dio_node1(graph, "activation", NAME("act"), y, "kind=gelu");
    y = dio_node1(graph, "linear", NAME("fc2"), y, "out=%d", WIDTH);
    y = dio_node1(graph, "layer_scale", NAME("gamma"), y, "%s", "");
    return dio_node2(graph, "add", NAME("add2"), y, x, "%s", "");
#undef NAME
}

struct net {
    struct dio_graph *graph;
    float *weights;
    int input, body, logits;
};

static dio_status net_open(struct test_ctx *test, struct net *net)
{
    *net = (struct net){0};
    DIO_PASS(dio_graph_new(&test->ctx, &net->graph));
    const struct dio_shape shape = {3, {0, TOKENS, WIDTH}};
    net->input = dio_graph_input(net->graph, "input", DIO_F32, &shape);
    net->body = block(net->graph, block(net->graph, net->input, 0), 1);
    int x = dio_node1(net->graph, "select_token", "token", net->body, "index=2");
    x = dio_node1(net->graph, "layer_norm", "norm", x, "%s", "");
    net->logits = dio_node1(net->graph, "linear", "head", x, "out=%d", CLASSES);
    dio_graph_output(net->graph, net->logits);
    if (net->graph->status != DIO_OK) return net->graph->status;
    int64_t count = 0;
    for (int i = 0; i < net->graph->n_params; i++) count += dio_shape_elements(&net->graph->params[i].shape);
    net->weights = calloc((size_t)count, sizeof *net->weights);
    float *at = net->weights;
    for (int i = 0; i < net->graph->n_params; i++) {
        net->graph->params[i].data = at;
        at += dio_shape_elements(&net->graph->params[i].shape);
    }
    dio_graph_init_params(net->graph, 5);
    for (int i = 0; i < net->graph->n_params; i++) { /* layer scale begins near 0, where nothing would show */
        float *gamma = net->graph->params[i].data;
        if (net->graph->params[i].init != DIO_INIT_MILLIONTH) continue;
        for (int j = 0; j < WIDTH; j++) gamma[j] = 0.5f + 0.01f * (float)j;
    }
    return DIO_OK;
}

static void net_close(struct net *net)
{
    dio_graph_free(net->graph);
    free(net->weights);
}

/* outputs: the logits, or the logits and the value that the selection reads. */
static dio_status run(struct test_ctx *test, const struct net *net, bool plain, bool body, float *logits, float *tokens, int64_t *macs)
{
    float in[PICTURES * TOKENS * WIDTH];
    for (int i = 0; i < PICTURES * TOKENS * WIDTH; i++) in[i] = (float)((i * 37) % 101) / 50 - 1;
    const struct dio_plan_options options = {.batch = PICTURES, .no_fusion = plain};
    const int outputs[2] = {net->logits, net->body};
    struct dio_plan *plan = NULL;
    DIO_PASS(dio_plan_infer(&test->ctx, net->graph, &net->input, 1, outputs, body ? 2 : 1, &options, &plan));
    dio_plan_run(plan, PICTURES, (const void *const[]){in}, (void *const[]){logits, tokens});
    *macs = 0;
    for (int i = 0; i < dio_plan_steps(plan); i++) {
        struct dio_plan_step_info info;
        dio_plan_step(plan, i, &info);
        *macs += info.macs;
    }
    dio_plan_free(plan);
    return DIO_OK;
}

static dio_status body(struct test_ctx *test, void *arg)
{
    (void)arg;
    struct dio_kernels kernels;
    dio_kernels_select(&test->ctx.cpu, dio_kernels_best(&test->ctx.cpu), &kernels);
    test->ctx.kernels = &kernels;
    struct net net;
    float plain[PICTURES * CLASSES], early[PICTURES * CLASSES], both[PICTURES * CLASSES], tokens[PICTURES * TOKENS * WIDTH];
    int64_t whole, less, asked;
    dio_status status = net_open(test, &net);
    if (status == DIO_OK) status = run(test, &net, true, false, plain, NULL, &whole);
    if (status == DIO_OK) status = run(test, &net, false, false, early, NULL, &less);
    if (status == DIO_OK) status = run(test, &net, false, true, both, tokens, &asked);
    if (status == DIO_OK) {
        /* proj, fc1 and fc2 of the last block: 5 of D x D, for one token in place of all */
        assert_int_equal(whole - less, 5 * WIDTH * WIDTH * (TOKENS - 1));
        assert_int_equal(whole, asked); /* all tokens were asked for */
        for (int i = 0; i < PICTURES * CLASSES; i++) {
            assert_true(fabs((double)plain[i] - (double)early[i]) <= 1e-5 * (1 + fabs((double)plain[i])));
        }
        assert_memory_equal(early, both, sizeof early);
    }
    net_close(&net);
    return status;
}

static void same_bits_less_work(void **state)
{
    (void)state;
    test_fail_each_allocation(body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits_less_work)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
