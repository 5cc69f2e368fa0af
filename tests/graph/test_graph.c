/* The builder, its sticky status, text form and back, cutting, frontiers, initialisation. */
#include "base/str.h"
#include "graph/small_net.h"

struct fixture {
    struct test_ctx test;
    struct small_net net;
};

static struct fixture *begin(void)
{
    struct fixture *f = malloc(sizeof *f);
    assert_non_null(f);
    test_begin(&f->test);
    small_open(&f->net, &f->test.ctx, 0, 0.1, true);
    return f;
}

static void end(struct fixture *f)
{
    small_close(&f->net, &f->test.ctx);
    test_end(&f->test);
    free(f);
}

static char *stored(struct fixture *f, const struct dio_graph *graph)
{
    struct dio_str text;
    dio_str_init(&text, &f->test.ctx);
    assert_ok(&f->test, dio_graph_store(graph, &text));
    char *copy = strdup(text.data);
    dio_str_free(&text);
    return copy;
}

static void test_build(void **state)
{
    (void)state;
    struct fixture *f = begin();
    const struct dio_graph *graph = f->net.graph;
    const struct dio_value *logits = &graph->values[f->net.logits], *loss = &graph->values[f->net.loss];
    assert_int_equal(logits->type.shape.rank, 2);
    assert_int_equal(logits->type.shape.dims[1], 5);
    assert_int_equal(loss->type.shape.rank, 0);
    int index = dio_graph_find_param(graph, "layer2.0.downsample.1.running_var");
    assert_true(index >= 0);
    assert_int_equal(graph->params[index].role, DIO_PARAM_STATISTIC);
    assert_string_equal(graph->nodes[graph->params[index].node].name, "layer2.0.downsample.1");
    assert_int_equal(graph->params[dio_graph_find_param(graph, "bn1.num_batches_tracked")].dtype, DIO_I64);
    assert_int_equal(graph->n_stages, 5);
    assert_int_equal(graph->nodes[dio_graph_find_node(graph, "layer3.0.conv1")].stage, 3);
    assert_int_equal(graph->nodes[dio_graph_find_node(graph, "conv1")].macs, 24 * 24 * 8 * 27);
    assert_int_equal(dio_graph_find_node(graph, "nobody"), -1);
    end(f);
}

static void refuses(const char *op, const char *attrs, const char *words)
{
    struct test_ctx test;
    struct dio_graph *graph;
    test_begin(&test);
    assert_ok(&test, dio_graph_new(&test.ctx, &graph));
    struct dio_shape shape = dio_shape_4(0, 8, 8, 6);
    int x = dio_graph_input(graph, "x", DIO_F32, &shape);
    int y = dio_node1(graph, op, "node1", x, "%s", attrs);
    assert_int_equal(y, -1);
    assert_refused(&test, DIO_ERR_INPUT, words, graph->status);
    assert_int_equal(dio_node1(graph, "add", "after", y, " "), -1); /* sticky */
    assert_int_equal(test.ctx.error.status, DIO_OK);                /* and silent */
    dio_graph_free(graph);
    test_end(&test);
}

static void test_refusals(void **state)
{
    (void)state;
    refuses("convolution", "", "there is no operator convolution");
    refuses("conv", "out=4 kernel=0", "node node1 (conv): attribute kernel must be whole numbers from 1 to 255, got \"0\"");
    refuses("conv", "out=4 kernel=3 stride=1.5", "attribute stride must be whole numbers");
    refuses("conv", "kernel=3", "attribute out is missing");
    refuses("conv", "out=4 kernel=3 groups=5", "groups");
    refuses("conv", "out=4 kernel=3 kernel=3", "attribute kernel is given twice");
    refuses("conv", "out=4 kernel=3 colour=red", "conv has no attribute colour");
    refuses("conv", "out=4 kernel=3,3,3", "attribute kernel must be");
    refuses("conv", "out=4 kernel=11", "node node1 (conv): ");
    refuses("activation", "kind=rely", "attribute kind must be one of relu, relu6");
    refuses("dropout", "p=1.5", "attribute p must be a number from 0 to 1, got \"1.5\"");
    refuses("dropout", "p=nan", "attribute p must be a number");
    refuses("global_avg_pool", "keep_dims=yes", "attribute keep_dims must be 0 or 1");
    refuses("max_pool", "kernel=3 stride=2 padding=3", "padding 3 is not smaller than the kernel 3");
    refuses("max_pool", "kernel=9 stride=2", "is smaller than the kernel 9x9");
    refuses("subsample_pad", "channels=3", "3 channels are fewer than the input's 6");
    refuses("add", "", "1 inputs, expected 2 to 2");
    refuses("relu", "word", "there is no operator relu");
    refuses("conv", "word", "\"word\" is no attribute (NAME=VALUE)");
}

static void test_names_twice(void **state)
{
    (void)state;
    struct fixture *f = begin();
    assert_int_equal(dio_node1(f->net.graph, "activation", "relu", f->net.logits, "kind=relu"), -1);
    assert_refused(&f->test, DIO_ERR_INPUT, "name is used twice", f->net.graph->status);
    end(f);
}

static void test_store_and_load(void **state)
{
    (void)state;
    struct fixture *f = begin();
    struct dio_graph *back, *copy;
    char *text = stored(f, f->net.graph);
    assert_ok(&f->test, dio_graph_load(&f->test.ctx, text, strlen(text), &back));
    char *again = stored(f, back);
    assert_string_equal(again, text);
    assert_int_equal(back->n_params, f->net.graph->n_params);
    for (int i = 0; i < back->n_params; i++) assert_string_equal(back->params[i].name, f->net.graph->params[i].name);
    assert_ok(&f->test, dio_graph_clone(back, &copy));
    dio_graph_free(back);
    char *third = stored(f, copy);
    assert_string_equal(third, text);
    dio_graph_free(copy);
    free(text);
    free(again);
    free(third);
    end(f);
}

static void test_odd_names(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_graph *graph, *back;
    struct dio_str text;
    test_begin(&test);
    assert_ok(&test, dio_graph_new(&test.ctx, &graph));
    struct dio_shape shape = dio_shape_2(0, 3);
    int x = dio_graph_input(graph, "in put,1%", DIO_F32, &shape);
    dio_graph_output(graph, dio_node1(graph, "activation", "/a b,c/Relu_\xc3\xa9", x, "kind=relu"));
    dio_str_init(&text, &test.ctx);
    assert_ok(&test, dio_graph_store(graph, &text));
    assert_string_equal(text.data, "graph 1\ninput in%20put%2C1%25 F32 3\nnode activation /a%20b%2Cc/Relu_\xc3\xa9 in%20put%2C1%25 kind=relu\n"
                                   "output /a%20b%2Cc/Relu_\xc3\xa9\n");
    assert_ok(&test, dio_graph_load(&test.ctx, text.data, text.length, &back));
    assert_string_equal(back->values[0].name, "in put,1%");
    dio_str_free(&text);
    dio_graph_free(graph);
    dio_graph_free(back);
    test_end(&test);
}

static void test_bad_texts(void **state)
{
    (void)state;
    static const struct { const char *text, *words; } cases[] = {
        {"", "graph has no output"},
        {"graph 2\n", "line 1: no graph of version 1"},
        {"graph 1\nbanana\n", "line 2: unknown line"},
        {"graph 1\ninput x F32\nnode activation a ghost kind=relu\n", "line 3: input \"ghost\" is defined nowhere"},
        {"graph 1\ninput x F99 3\n", "unknown element type"},
        {"graph 1\ninput x F32 0\n", "axis of 0"},
        {"graph 1\ninput x F32 -3\n", "axis of -3"},
        {"graph 1\ninput x F32 9223372036854775807 9223372036854775807\n", "too large"},
        {"graph 1\ninput x F32 1 1 1 1 1 1\n", "more than 6 axes"},
        {"graph 1\ninput %0\n", "bad %XX"},
        {"graph 1\ninput x F32 3\noutput y\n", "graph output is made by no node"},
        {"graph 1\ninput x F32 3\ninput x F32 3\n", "name is used twice"},
        {"graph 1\ninput x F32 4 4 3\nnode conv c x out=16777216 kernel=255 padding=65536\n", "is more than this operator computes with"},
        {"graph 1\ninput x F32 3\nnode concat c x,x,x,x,x,x,x,x,x\n", "more than 8 inputs"},
        {"graph 1\ninput \xff F32 3\n", "not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct test_ctx test;
        struct dio_graph *graph;
        test_begin(&test);
        assert_refused(&test, DIO_ERR_INPUT, cases[i].words, dio_graph_load(&test.ctx, cases[i].text, strlen(cases[i].text), &graph));
        assert_null(graph);
        test_end(&test);
    }
}

static void test_truncate(void **state)
{
    (void)state;
    struct fixture *f = begin();
    struct dio_graph *graph = f->net.graph;
    int params = graph->n_params;
    float *conv1 = graph->params[dio_graph_find_param(graph, "conv1.weight")].data;
    assert_ok(&f->test, dio_graph_truncate(graph, f->net.features));
    assert_int_equal(graph->n_outputs, 1);
    assert_string_equal(graph->values[graph->outputs[0]].name, "avgpool");
    assert_int_equal(graph->n_params, params - 3); /* fc and the class weights of the loss */
    assert_int_equal(graph->n_inputs, 1);
    assert_int_equal(dio_graph_find_value(graph, "target"), -1);
    assert_ptr_equal(graph->params[dio_graph_find_param(graph, "conv1.weight")].data, conv1);
    for (int i = 0; i < graph->n_params; i++) {
        const struct dio_param *param = &graph->params[i];
        assert_int_equal(graph->nodes[param->node].params[param->index], i);
    }
    for (int i = 0; i < graph->n_values; i++) {
        int producer = graph->values[i].producer;
        if (producer >= 0) assert_int_equal(graph->nodes[producer].outputs[0], i);
    }
    int head = dio_node1(graph, "linear", "fc", graph->outputs[0], "out=7"); /* the name is free again */
    assert_true(head >= 0);
    assert_int_equal(graph->values[head].type.shape.dims[1], 7);
    end(f);
}

static void test_frontiers(void **state)
{
    (void)state;
    struct fixture *f = begin();
    struct dio_graph *graph = f->net.graph;
    struct dio_ctx *ctx = &f->test.ctx;
    struct dio_frontier frontier;
    /* Everything trains: nothing can be cached. */
    assert_ok(&f->test, dio_graph_frontier(graph, &frontier));
    assert_int_equal(frontier.prefix_nodes, 0);
    assert_int_equal(frontier.n_values, 2);
    dio_frontier_free(ctx, &frontier);
    /* The head alone: the mean is the feature. */
    for (int i = 0; i < graph->n_params; i++) graph->params[i].trainable = strncmp(graph->params[i].name, "fc", 2) == 0;
    assert_ok(&f->test, dio_graph_frontier(graph, &frontier));
    assert_int_equal(frontier.n_values, 2);
    assert_string_equal(graph->values[frontier.values[1]].name, "avgpool");
    dio_frontier_free(ctx, &frontier);
    /* Moving statistics end the prefix before the first norm. */
    for (int i = 0; i < graph->n_params; i++) graph->params[i].trainable |= graph->params[i].role == DIO_PARAM_STATISTIC;
    assert_ok(&f->test, dio_graph_frontier(graph, &frontier));
    assert_int_equal(frontier.prefix_nodes, 1);
    assert_string_equal(graph->values[frontier.values[1]].name, "conv1");
    dio_frontier_free(ctx, &frontier);
    /* Nothing trains: the output is all there is. */
    for (int i = 0; i < graph->n_params; i++) graph->params[i].trainable = false;
    assert_ok(&f->test, dio_graph_frontier(graph, &frontier));
    assert_int_equal(frontier.prefix_nodes, graph->n_nodes);
    assert_int_equal(frontier.n_values, 1);
    assert_int_equal(frontier.values[0], f->net.logits);
    dio_frontier_free(ctx, &frontier);
    end(f);
}

static void test_init(void **state)
{
    (void)state;
    struct fixture *f = begin();
    struct dio_graph *graph = f->net.graph;
    dio_graph_init_params(graph, 5);
    const float *weight = graph->params[dio_graph_find_param(graph, "layer3.0.conv2.weight")].data;
    double squares = 0, sum = 0;
    enum { COUNT = 32 * 32 * 9 };
    float first = weight[0];
    for (int i = 0; i < COUNT; i++) {
        sum += weight[i];
        squares += (double)weight[i] * weight[i];
    }
    double expected = 2.0 / (32 * 9); /* variance: 2 / fan_out */
    assert_true(fabs(squares / COUNT - expected) < 4 * expected * sqrt(2.0 / COUNT));
    assert_true(fabs(sum / COUNT) < 4 * sqrt(expected / COUNT));
    const float *fc = graph->params[dio_graph_find_param(graph, "fc.weight")].data;
    float largest = 0;
    for (int i = 0; i < 160; i++) largest = fmaxf(largest, fabsf(fc[i]));
    assert_true(largest <= 1 / sqrtf(32) && largest > 0.9f / sqrtf(32));
    assert_true(*(float *)graph->params[dio_graph_find_param(graph, "bn1.running_var")].data == 1);
    dio_graph_init_params(graph, 6);
    assert_true(weight[0] != first);
    dio_graph_init_params(graph, 5);
    assert_true(weight[0] == first);
    end(f);
}

static dio_status build_again(struct test_ctx *test, void *arg)
{
    const char *text = arg;
    struct dio_graph *graph, *copy;
    struct dio_frontier frontier;
    DIO_PASS(dio_graph_load(&test->ctx, text, strlen(text), &graph));
    dio_status status = dio_graph_clone(graph, &copy);
    if (status == DIO_OK) {
        status = dio_graph_frontier(copy, &frontier);
        if (status == DIO_OK) dio_frontier_free(&test->ctx, &frontier);
        if (status == DIO_OK) status = dio_graph_truncate(copy, copy->values[copy->n_values - 1].producer);
        dio_graph_free(copy);
    }
    dio_graph_free(graph);
    return status;
}

static void test_failing_allocations(void **state)
{
    (void)state;
    struct fixture *f = begin();
    char *text = stored(f, f->net.graph);
    test_fail_each_allocation(build_again, text);
    free(text);
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build), cmocka_unit_test(test_refusals), cmocka_unit_test(test_names_twice),
        cmocka_unit_test(test_store_and_load), cmocka_unit_test(test_odd_names), cmocka_unit_test(test_bad_texts),
        cmocka_unit_test(test_truncate), cmocka_unit_test(test_frontiers), cmocka_unit_test(test_init),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
