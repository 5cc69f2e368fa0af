/* Inference plans: passes seen by what they leave, bits that do not depend on batch, place and threads, memory, no
 * allocation in a run; and the refusals of prepare. */
#include "base/rng.h"
#include "base/str.h"
#include "graph/lifetimes.h"
#include "graph/passes.h"
#include "graph/small_net.h"

enum { PICTURES = NET_PICTURES };

struct fixture {
    struct test_ctx test;
    struct small_net net;
};

static struct fixture *begin(int threads)
{
    struct fixture *f = malloc(sizeof *f);
    assert_non_null(f);
    test_begin(&f->test);
    small_open(&f->net, &f->test.ctx, threads, 0, false);
    return f;
}

static void end(struct fixture *f)
{
    small_close(&f->net, &f->test.ctx);
    test_end(&f->test);
    free(f);
}

static struct dio_plan *make_plan(struct fixture *f, int output, int64_t batch, bool no_fusion)
{
    struct dio_plan *plan;
    struct dio_plan_options options = {.batch = batch, .no_fusion = no_fusion};
    assert_ok(&f->test, dio_plan_infer(&f->test.ctx, f->net.graph, &f->net.picture, 1, &output, 1, &options, &plan));
    return plan;
}

/* Runs all pictures, `at_once` at a time. */
static void run_all(struct fixture *f, struct dio_plan *plan, int at_once, int64_t each, float *out)
{
    for (int i = 0; i < PICTURES; i += at_once) {
        int n = PICTURES - i < at_once ? PICTURES - i : at_once;
        const void *in = f->net.x + (size_t)i * NET_PICTURE;
        void *to = out + i * each;
        dio_plan_run(plan, n, &in, &to);
    }
}

/* ---- passes ---- */

static void test_passes(void **state)
{
    (void)state;
    struct fixture *f = begin(0);
    struct dio_graph *graph;
    assert_ok(&f->test, dio_graph_clone(f->net.graph, &graph));
    int nodes = graph->n_nodes;
    assert_ok(&f->test, dio_pass_cut(graph, &f->net.picture, 1, &f->net.logits, 1));
    assert_int_equal(graph->n_nodes, nodes - 1); /* the loss goes */
    assert_ok(&f->test, dio_pass_fold_norm(graph));
    assert_int_equal(graph->n_nodes, nodes - 1 - 9);
    assert_ok(&f->test, dio_pass_fuse_add(graph, false));
    assert_int_equal(graph->n_nodes, nodes - 1 - 9 - 3);
    assert_ok(&f->test, dio_pass_fuse_activation(graph, false));
    assert_int_equal(graph->n_nodes, 9 + 3); /* nine convolutions, max-pool, mean, linear */
    struct dio_str text;
    dio_str_init(&text, &f->test.ctx);
    assert_ok(&f->test, dio_graph_store(graph, &text));
    assert_string_equal(text.data,
        "graph 1\ninput x F32 24 24 3\nstage stem\n"
        "node conv conv1 x out=8 kernel=3 padding=1 bias=1 activation=relu\n"
        "node max_pool maxpool relu kernel=3 stride=2 padding=1\n"
        "stage layer1\n"
        "node conv layer1.0.conv1 maxpool out=8 kernel=3 padding=1 bias=1 activation=relu\n"
        "node conv layer1.0.conv2 layer1.0.relu1,maxpool out=8 kernel=3 padding=1 bias=1 activation=relu\n"
        "stage layer2\n"
        "node conv layer2.0.conv1 layer1.0.relu2 out=16 kernel=3 stride=2 padding=1 bias=1 activation=relu\n"
        "node conv layer2.0.conv2 layer2.0.relu1 out=16 kernel=3 padding=1 bias=1\n"
        "node conv layer2.0.downsample.0 layer1.0.relu2,layer2.0.bn2 out=16 kernel=1 stride=2 bias=1 activation=relu\n"
        "stage layer3\n"
        "node conv layer3.0.conv1 layer2.0.relu2 out=32 kernel=3 stride=2 padding=1 bias=1 activation=relu\n"
        "node conv layer3.0.conv2 layer3.0.relu1 out=32 kernel=3 padding=1 bias=1\n"
        "node conv layer3.0.downsample.0 layer2.0.relu2,layer3.0.bn2 out=32 kernel=1 stride=2 bias=1 activation=relu\n"
        "stage head\n"
        "node global_avg_pool avgpool layer3.0.relu2\n"
        "node linear fc avgpool out=5\n"
        "output fc\n");
    dio_str_free(&text);
    dio_graph_free(graph);
    end(f);
}

/* A value that is asked for stays, whatever could be fused over it. */
static void test_outputs_stay(void **state)
{
    (void)state;
    struct fixture *f = begin(0);
    static const char *const names[] = {"conv1", "bn1", "relu", "layer2.0.bn2", "layer2.0.add", "avgpool", "x"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int value = dio_graph_find_value(f->net.graph, names[i]);
        assert_true(value >= 0);
        int64_t each = 1;
        const struct dio_shape *shape = &f->net.graph->values[value].type.shape;
        for (int axis = 1; axis < shape->rank; axis++) each *= shape->dims[axis];
        float *fused = malloc((size_t)(each * PICTURES) * sizeof *fused), *plain = malloc((size_t)(each * PICTURES) * sizeof *plain);
        struct dio_plan *a = make_plan(f, value, PICTURES, false), *b = make_plan(f, value, PICTURES, true);
        run_all(f, a, PICTURES, each, fused);
        run_all(f, b, PICTURES, each, plain);
        float largest = 0;
        for (int64_t j = 0; j < each * PICTURES; j++) largest = fmaxf(largest, fabsf(plain[j]));
        /* Folding rounds each weight once more: some units of sums of a few hundred terms. */
        assert_floats_near(fused, plain, (size_t)(each * PICTURES), 64 * 0x1p-24 * (double)largest, 0);
        dio_plan_free(a);
        dio_plan_free(b);
        free(fused);
        free(plain);
    }
    end(f);
}

static void test_fold_with_bias_and_dropout(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_kernels kernels;
    struct dio_graph *graph;
    struct dio_plan *plan;
    test_begin(&test);
    dio_kernels_select(&test.ctx.cpu, dio_kernels_best(&test.ctx.cpu), &kernels);
    test.ctx.kernels = &kernels;
    assert_ok(&test, dio_graph_new(&test.ctx, &graph));
    struct dio_shape shape = dio_shape_4(0, 3, 3, 2);
    int x = dio_graph_input(graph, "x", DIO_F32, &shape);
    int y = dio_node1(graph, "conv", "conv", x, "out=2 kernel=1 bias=1");
    y = dio_node1(graph, "dropout", "drop", y, "p=0.5");
    y = dio_node1(graph, "batch_norm", "bn", y, "eps=0");
    y = dio_node1(graph, "dropout", "drop2", y, "p=0.5");
    assert_int_equal(graph->status, DIO_OK);
    /* weights 1 2 / 3 4, bias 10 20; norm: mean 1 2, variance 4 16, weight 2 8, bias 5 6 */
    float weight[] = {1, 2, 3, 4}, bias[] = {10, 20}, scale[] = {2, 8}, shift[] = {5, 6}, mean[] = {1, 2}, variance[] = {4, 16};
    float *const data[] = {weight, bias, scale, shift, mean, variance};
    for (int i = 0; i < 6; i++) graph->params[i].data = data[i];
    struct dio_plan_options options = {.batch = 1};
    assert_ok(&test, dio_plan_infer(&test.ctx, graph, &x, 1, &y, 1, &options, &plan));
    assert_int_equal(dio_plan_steps(plan), 1);
    struct dio_plan_step_info info;
    dio_plan_step(plan, 0, &info);
    assert_string_equal(info.fused, "batch_norm");
    float in[18], out[18];
    for (int i = 0; i < 18; i++) in[i] = (float)(i % 7);
    const void *ins = in;
    void *outs = out;
    memset(weight, 0xFF, sizeof weight); /* not needed any more */
    dio_plan_run(plan, 1, &ins, &outs);
    for (int i = 0; i < 9; i++) {
        float a = in[2 * i], b = in[2 * i + 1];
        assert_true(out[2 * i] == (a + 2 * b + 10 - 1) * 1 + 5);
        assert_true(out[2 * i + 1] == (3 * a + 4 * b + 20 - 2) * 2 + 6);
    }
    dio_plan_free(plan);
    dio_graph_free(graph);
    test_end(&test);
}

/* ---- bits ---- */

static void test_same_bits(void **state)
{
    (void)state;
    static float expected[PICTURES * NET_CLASSES], got[PICTURES * NET_CLASSES];
    for (int no_fusion = 0; no_fusion < 2; no_fusion++) {
        struct fixture *f = begin(0);
        struct dio_plan *plan = make_plan(f, f->net.logits, 1, no_fusion);
        run_all(f, plan, 1, NET_CLASSES, expected);
        dio_plan_free(plan);
        end(f);
        static const int threads[] = {0, 1, 2, 3, 7}, at_once[] = {1, 2, 3, 4, 5, 7, 16};
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
            f = begin(threads[t]);
            plan = make_plan(f, f->net.logits, PICTURES, no_fusion);
            for (size_t i = 0; i < sizeof at_once / sizeof *at_once; i++) {
                memset(got, 0xFF, sizeof got);
                run_all(f, plan, at_once[i], NET_CLASSES, got);
                assert_memory_equal(got, expected, sizeof got);
            }
            dio_plan_free(plan);
            end(f);
        }
    }
}

/* A batch beyond a chunk, and picture 3 in every place of it. */
static void test_chunks(void **state)
{
    (void)state;
    enum { MANY = 75 };
    struct fixture *f = begin(2);
    float *pictures = malloc(MANY * NET_PICTURE * sizeof *pictures);
    static float out[MANY * NET_CLASSES], one[NET_CLASSES];
    for (int i = 0; i < MANY; i++) memcpy(pictures + i * NET_PICTURE, f->net.x + 3 * NET_PICTURE, NET_PICTURE * sizeof *pictures);
    struct dio_plan *plan = make_plan(f, f->net.logits, MANY, false);
    const void *in = pictures;
    void *to = out;
    dio_plan_run(plan, MANY, &in, &to);
    to = one;
    dio_plan_run(plan, 1, &in, &to);
    for (int i = 0; i < MANY; i++) assert_memory_equal(out + i * NET_CLASSES, one, sizeof one);
    dio_plan_free(plan);
    free(pictures);
    end(f);
}

/* A prefix as a plan of its own, its features into the rest: what the whole gives, bit for bit. */
static void test_cut_in_two(void **state)
{
    (void)state;
    struct fixture *f = begin(2);
    struct dio_graph *graph = f->net.graph;
    for (int i = 0; i < graph->n_params; i++) {
        graph->params[i].trainable = strncmp(graph->params[i].name, "layer3.0.conv2", 14) == 0;
    }
    struct dio_frontier frontier;
    assert_ok(&f->test, dio_graph_frontier(graph, &frontier));
    /* What layer3.0.conv2 reads, the shortcut beside it, and the target of the loss. */
    assert_int_equal(frontier.n_values, 3);
    assert_string_equal(graph->values[frontier.values[0]].name, "target");
    assert_string_equal(graph->values[frontier.values[1]].name, "layer3.0.relu1");
    assert_string_equal(graph->values[frontier.values[2]].name, "layer3.0.downsample.1");
    assert_true(frontier.in_prefix[dio_graph_find_node(graph, "layer3.0.relu1")]);
    assert_false(frontier.in_prefix[dio_graph_find_node(graph, "layer3.0.bn2")]);
    const int *features = frontier.values + 1;
    struct dio_plan *prefix, *rest;
    struct dio_plan_options options = {.batch = PICTURES};
    assert_ok(&f->test, dio_plan_infer(&f->test.ctx, graph, &f->net.picture, 1, features, 2, &options, &prefix));
    assert_ok(&f->test, dio_plan_infer(&f->test.ctx, graph, features, 2, &f->net.logits, 1, &options, &rest));
    static float first[PICTURES * 3 * 3 * 32], second[PICTURES * 3 * 3 * 32], got[PICTURES * NET_CLASSES], expected[PICTURES * NET_CLASSES];
    const void *in = f->net.x, *mid_in[] = {first, second};
    void *mid[] = {first, second}, *out = got;
    dio_plan_run(prefix, PICTURES, &in, mid);
    dio_plan_run(rest, PICTURES, mid_in, &out);
    struct dio_plan *whole = make_plan(f, f->net.logits, PICTURES, true);
    run_all(f, whole, PICTURES, NET_CLASSES, expected);
    assert_floats_near(got, expected, PICTURES * NET_CLASSES, 1e-6, 1e-6);
    dio_plan_free(prefix);
    dio_plan_free(rest);
    dio_plan_free(whole);
    dio_frontier_free(&f->test.ctx, &frontier);
    end(f);
}

/* ---- memory ---- */

static void test_run_allocates_nothing(void **state)
{
    (void)state;
    struct fixture *f = begin(2);
    static float out[PICTURES * NET_CLASSES];
    struct dio_plan *plan = make_plan(f, f->net.logits, PICTURES, false), *train;
    int64_t calls = atomic_load(&f->test.stats.calls);
    run_all(f, plan, PICTURES, NET_CLASSES, out);
    run_all(f, plan, 1, NET_CLASSES, out);
    assert_int_equal(atomic_load(&f->test.stats.calls), calls);
    dio_plan_free(plan);
    struct dio_train_plan_options options = {.plan = {.batch = PICTURES}, .train_stats = true, .drop = true};
    const int inputs[] = {f->net.picture, f->net.target};
    const void *in[] = {f->net.x, f->net.y};
    assert_ok(&f->test, dio_plan_train(&f->test.ctx, f->net.graph, inputs, 2, f->net.loss, NULL, 0, &options, &train));
    calls = atomic_load(&f->test.stats.calls);
    dio_plan_forward(train, PICTURES, in, 1, 0);
    dio_plan_backward(train, false, 1);
    dio_plan_weights_changed(train);
    assert_int_equal(atomic_load(&f->test.stats.calls), calls);
    dio_plan_free(train);
    end(f);
}

static void test_memory(void **state)
{
    (void)state;
    struct fixture *f = begin(2);
    int64_t before = atomic_load(&f->test.stats.live_bytes);
    struct dio_plan *plan = make_plan(f, f->net.logits, PICTURES, false);
    struct dio_plan_memory memory = dio_plan_memory(plan);
    int64_t held = atomic_load(&f->test.stats.live_bytes) - before;
    assert_int_equal(memory.total, memory.activations + memory.gradients + memory.packed + memory.scratch);
    /* What was announced is what is held, but for the lists of steps. */
    assert_true((uint64_t)held >= memory.total);
    assert_true((uint64_t)held <= memory.total + 400 * 1024);
    /* Reuse: less than all values of all pictures. */
    uint64_t all = 0;
    for (int i = 0; i < dio_plan_steps(plan); i++) {
        struct dio_plan_step_info info;
        dio_plan_step(plan, i, &info);
        uint64_t bytes = 4 * PICTURES;
        for (int axis = 1; axis < info.out.shape.rank; axis++) bytes *= (uint64_t)info.out.shape.dims[axis];
        all += bytes;
    }
    assert_true(memory.activations < all * 3 / 4); /* the first two values are half of all */
    dio_plan_free(plan);
    assert_int_equal(atomic_load(&f->test.stats.live_bytes), before);

    struct dio_plan_options options = {.batch = PICTURES, .memory_limit = memory.total - 1};
    assert_refused(&f->test, DIO_ERR_ENV, "lower --batch-size",
                   dio_plan_infer(&f->test.ctx, f->net.graph, &f->net.picture, 1, &f->net.logits, 1, &options, &plan));
    assert_null(plan);
    options.memory_limit = memory.total;
    assert_ok(&f->test, dio_plan_infer(&f->test.ctx, f->net.graph, &f->net.picture, 1, &f->net.logits, 1, &options, &plan));
    dio_plan_free(plan);
    end(f);
}

/* With a frozen backbone the training plan keeps little and has gradients for the head alone. */
static void test_frozen_costs_nothing(void **state)
{
    (void)state;
    struct fixture *f = begin(0);
    struct dio_graph *graph = f->net.graph;
    struct dio_plan *full, *head;
    struct dio_train_plan_options options = {.plan = {.batch = PICTURES}, .train_stats = true};
    const int inputs[] = {f->net.picture, f->net.target};
    assert_ok(&f->test, dio_plan_train(&f->test.ctx, graph, inputs, 2, f->net.loss, NULL, 0, &options, &full));
    for (int i = 0; i < graph->n_params; i++) graph->params[i].trainable = strncmp(graph->params[i].name, "fc", 2) == 0;
    assert_ok(&f->test, dio_plan_train(&f->test.ctx, graph, inputs, 2, f->net.loss, NULL, 0, &options, &head));
    struct dio_plan_memory a = dio_plan_memory(full), b = dio_plan_memory(head);
    assert_int_equal(b.gradients, (5 * 32 * 4 + 63) / 64 * 64 + 64);
    assert_true(b.saved < a.saved / 50);
    assert_true(b.activations < a.activations / 2);
    dio_plan_free(full);
    dio_plan_free(head);
    end(f);
}

static dio_status make_both(struct test_ctx *test, void *arg)
{
    struct small_net *net = arg;
    struct dio_plan *plan = NULL, *train = NULL;
    struct dio_ctx *own = net->graph->ctx;
    net->graph->ctx = &test->ctx;
    test->ctx.kernels = &net->kernels;
    struct dio_plan_options options = {.batch = 4};
    struct dio_train_plan_options train_options = {.plan = options, .train_stats = true};
    const int inputs[] = {net->picture, net->target};
    dio_status status = dio_plan_infer(&test->ctx, net->graph, &net->picture, 1, &net->logits, 1, &options, &plan);
    if (status == DIO_OK) status = dio_plan_train(&test->ctx, net->graph, inputs, 2, net->loss, NULL, 0, &train_options, &train);
    dio_plan_free(plan);
    dio_plan_free(train);
    net->graph->ctx = own;
    return status;
}

static void test_failing_allocations(void **state)
{
    (void)state;
    struct fixture *f = begin(0);
    test_fail_each_allocation(make_both, &f->net);
    end(f);
}

/* ---- refusals ---- */

static void test_refusals(void **state)
{
    (void)state;
    struct fixture *f = begin(0);
    struct dio_plan *plan;
    struct dio_plan_options options = {.batch = 2};
    struct dio_ctx *ctx = &f->test.ctx;
    assert_refused(&f->test, DIO_ERR_INTERNAL, "node loss reads target, which is not given",
                   dio_plan_infer(ctx, f->net.graph, &f->net.picture, 1, &f->net.loss, 1, &options, &plan));
    assert_null(plan);
    options.batch = 0;
    assert_refused(&f->test, DIO_ERR_USAGE, "batch of 0",
                   dio_plan_infer(ctx, f->net.graph, &f->net.picture, 1, &f->net.logits, 1, &options, &plan));
    options.batch = 2;
    void *data = f->net.graph->params[0].data;
    f->net.graph->params[0].data = NULL;
    assert_refused(&f->test, DIO_ERR_INTERNAL, "conv1.weight has no data",
                   dio_plan_infer(ctx, f->net.graph, &f->net.picture, 1, &f->net.logits, 1, &options, &plan));
    f->net.graph->params[0].data = data;
    struct dio_train_plan_options train = {.plan = options};
    assert_refused(&f->test, DIO_ERR_INTERNAL, "is no loss",
                   dio_plan_train(ctx, f->net.graph, &f->net.picture, 1, f->net.logits, NULL, 0, &train, &plan));
    atomic_int cancel = 1;
    ctx->cancel = &cancel;
    assert_int_equal(dio_plan_infer(ctx, f->net.graph, &f->net.picture, 1, &f->net.logits, 1, &options, &plan), DIO_CANCELLED);
    assert_null(plan);
    ctx->cancel = NULL;
    end(f);
}

/* Gradients of two half batches at half the loss are those of one whole batch, where no norm uses the batch's statistics. */
static void test_accumulation(void **state)
{
    (void)state;
    struct fixture *f = begin(2);
    struct dio_graph *graph = f->net.graph;
    struct dio_plan *plan;
    struct dio_train_plan_options options = {.plan = {.batch = PICTURES}};
    const int inputs[] = {f->net.picture, f->net.target};
    assert_ok(&f->test, dio_plan_train(&f->test.ctx, graph, inputs, 2, f->net.loss, NULL, 0, &options, &plan));
    const void *in[] = {f->net.x, f->net.y}, *late[] = {f->net.x + 8 * NET_PICTURE, f->net.y + 8};
    dio_plan_forward(plan, 16, in, 0, 0);
    dio_plan_backward(plan, false, 1);
    int weight = dio_graph_find_param(graph, "layer1.0.conv1.weight");
    int64_t count = dio_shape_elements(&graph->params[weight].shape);
    float *whole = malloc((size_t)count * sizeof *whole);
    memcpy(whole, dio_plan_grad(plan, weight), (size_t)count * sizeof *whole);
    dio_plan_forward(plan, 8, in, 0, 0);
    dio_plan_backward(plan, false, 0.5f);
    dio_plan_forward(plan, 8, late, 0, 0);
    dio_plan_backward(plan, true, 0.5f);
    float largest = 0;
    for (int64_t i = 0; i < count; i++) largest = fmaxf(largest, fabsf(whole[i]));
    assert_floats_near(dio_plan_grad(plan, weight), whole, (size_t)count, 2e-6 * (double)largest, 1e-5);
    free(whole);
    dio_plan_free(plan);
    end(f);
}

/* Values that several nodes read, and one node twice: their gradients add up.  Held against differences of the loss. */
static void test_values_read_twice(void **state)
{
    (void)state;
    enum { WIDTH = 6, IMAGES = 3 };
    struct test_ctx test;
    struct dio_kernels kernels;
    struct dio_graph *graph;
    struct dio_plan *plan;
    test_begin(&test);
    dio_kernels_select(&test.ctx.cpu, dio_kernels_best(&test.ctx.cpu), &kernels);
    test.ctx.kernels = &kernels;
    assert_ok(&test, dio_graph_new(&test.ctx, &graph));
    struct dio_shape shape = dio_shape_2(0, WIDTH), labels = dio_shape_1(0);
    int x = dio_graph_input(graph, "x", DIO_F32, &shape), target = dio_graph_input(graph, "target", DIO_I32, &labels);
    int a = dio_node1(graph, "batch_norm", "norm", x, "eps=0");
    int b = dio_node2(graph, "add", "twice", a, a, " ");
    int c = dio_node2(graph, "mul", "square", a, a, " ");
    int d = dio_node2(graph, "mul", "product", b, c, " ");
    int e = dio_node_n(graph, "concat", "side", (const int[]){d, a, d}, 3, " ");
    int loss = dio_node2(graph, "softmax_cross_entropy", "loss", e, target, "smoothing=0.1");
    assert_ok(&test, graph->status);
    float scale[WIDTH], shift[WIDTH], mean[WIDTH] = {0}, variance[WIDTH], in[IMAGES * WIDTH];
    float *const data[] = {scale, shift, mean, variance};
    for (int i = 0; i < WIDTH; i++) {
        scale[i] = 0.5f + 0.1f * (float)i;
        shift[i] = 0.3f - 0.1f * (float)i;
        variance[i] = 1;
    }
    for (int i = 0; i < IMAGES * WIDTH; i++) in[i] = (float)(i * 7 % 11) / 11 - 0.4f;
    for (int i = 0; i < 4; i++) graph->params[i].data = data[i];
    const int32_t classes[IMAGES] = {0, 7, 17};
    const void *ins[] = {in, classes};
    const int inputs[] = {x, target};
    struct dio_train_plan_options options = {.plan = {.batch = IMAGES}};
    assert_ok(&test, dio_plan_train(&test.ctx, graph, inputs, 2, loss, NULL, 0, &options, &plan));
    dio_plan_forward(plan, IMAGES, ins, 0, 0);
    dio_plan_backward(plan, false, 1);
    for (int p = 0; p < 2; p++) {
        for (int i = 0; i < WIDTH; i++) {
            const float h = 1.0f / 64, old = data[p][i];
            double at[2];
            for (int side = 0; side < 2; side++) {
                data[p][i] = old + (side ? h : -h);
                dio_plan_weights_changed(plan);
                at[side] = dio_plan_forward(plan, IMAGES, ins, 0, 0);
            }
            data[p][i] = old;
            /* rounding of the loss over 2h, and the third derivative, which is of the gradient's size */
            double slope = (at[1] - at[0]) / (2 * h), gradient = dio_plan_grad(plan, p)[i];
            assert_true(fabs(slope - gradient) < 2 * 0x1p-22 / (2 * h) + 2 * h * h);
        }
    }
    dio_plan_free(plan);
    dio_graph_free(graph);
    test_end(&test);
}

/* Lives that meet do not share bytes; the block is no larger than all together, and no smaller than the fullest moment. */
static void test_lifetimes(void **state)
{
    (void)state;
    enum { COUNT = 60, ROUNDS = 50 };
    struct test_ctx test;
    test_begin(&test);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct dio_lifetime items[COUNT];
        struct dio_rng rng = dio_rng_make(round, DIO_RNG_TEST, 0, 0);
        size_t total, all = 0, fullest = 0;
        for (int i = 0; i < COUNT; i++) {
            int first = (int)dio_rng_below(&rng, 40);
            items[i] = (struct dio_lifetime){.bytes = dio_rng_below(&rng, 5) * 1000, .first = first, .last = first + (int)dio_rng_below(&rng, 9)};
            all += dio_buffer_round(items[i].bytes);
        }
        assert_ok(&test, dio_lifetimes_place(&test.ctx, items, COUNT, &total));
        for (int moment = 0; moment < 50; moment++) {
            size_t live = 0;
            for (int i = 0; i < COUNT; i++) live += items[i].first <= moment && moment <= items[i].last ? items[i].bytes : 0;
            if (live > fullest) fullest = live;
        }
        assert_true(total <= all && total >= fullest && total <= fullest * 3 / 2 + 4096);
        for (int i = 0; i < COUNT; i++) {
            assert_true(items[i].bytes == 0 || items[i].offset + items[i].bytes <= total);
            for (int j = 0; j < i; j++) {
                bool meet = items[i].first <= items[j].last && items[j].first <= items[i].last;
                bool overlap = items[i].offset < items[j].offset + items[j].bytes && items[j].offset < items[i].offset + items[i].bytes;
                assert_false(meet && overlap);
            }
        }
    }
    test_end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes), cmocka_unit_test(test_outputs_stay), cmocka_unit_test(test_fold_with_bias_and_dropout),
        cmocka_unit_test(test_same_bits), cmocka_unit_test(test_chunks), cmocka_unit_test(test_cut_in_two),
        cmocka_unit_test(test_run_allocates_nothing), cmocka_unit_test(test_memory), cmocka_unit_test(test_frozen_costs_nothing),
        cmocka_unit_test(test_failing_allocations), cmocka_unit_test(test_refusals), cmocka_unit_test(test_accumulation),
        cmocka_unit_test(test_values_read_twice), cmocka_unit_test(test_lifetimes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
