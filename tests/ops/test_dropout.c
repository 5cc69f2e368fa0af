/* Dropout in a training plan: how many fall, what the others become, that backward drops the same ones, and that masks
 * differ between steps, seeds, images and nodes, but not between batch sizes and threads. */
#include "support.h"

#include "base/threads.h"
#include "graph/plan.h"
#include "kernels/kernels.h"

enum { WIDTH = 4000, BATCH = 5 };

struct fixture {
    struct test_ctx test;
    struct dio_kernels kernels;
    struct dio_graph *graph;
    struct dio_plan *plan;
    int x, scaled, first, second, loss;
    float scale[WIDTH], shift[WIDTH], mean[WIDTH], variance[WIDTH], in[BATCH * WIDTH];
    int32_t target[BATCH];
};

/* x -> norm that multiplies by 1 (so that there is something to train) -> dropout -> dropout -> loss */
static struct fixture *begin(int64_t batch, struct dio_team **team, int threads, bool drop)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    test_begin(&f->test);
    dio_kernels_select(&f->test.ctx.cpu, dio_kernels_best(&f->test.ctx.cpu), &f->kernels);
    f->test.ctx.kernels = &f->kernels;
    if (threads) {
        assert_ok(&f->test, dio_team_start(&f->test.ctx, threads, team));
        f->test.ctx.team = *team;
    }
    struct dio_shape shape = dio_shape_2(0, WIDTH), labels = dio_shape_1(0);
    assert_ok(&f->test, dio_graph_new(&f->test.ctx, &f->graph));
    f->x = dio_graph_input(f->graph, "x", DIO_F32, &shape);
    int target = dio_graph_input(f->graph, "target", DIO_I32, &labels);
    f->scaled = dio_node1(f->graph, "batch_norm", "norm", f->x, "eps=0");
    f->first = dio_node1(f->graph, "dropout", "one", f->scaled, "p=0.25");
    f->second = dio_node1(f->graph, "dropout", "two", f->first, "p=0.25");
    f->loss = dio_node2(f->graph, "softmax_cross_entropy", "loss", f->second, target, " ");
    assert_ok(&f->test, f->graph->status);
    float *const data[] = {f->scale, f->shift, f->mean, f->variance};
    for (int i = 0; i < WIDTH; i++) f->scale[i] = f->variance[i] = 1;
    for (int i = 0; i < 4; i++) f->graph->params[i].data = data[i];
    for (int i = 0; i < f->graph->n_params; i++) f->graph->params[i].trainable = i < 2;
    for (int i = 0; i < BATCH * WIDTH; i++) f->in[i] = 3;
    const int inputs[] = {f->x, target}, watch[] = {f->first, f->second};
    struct dio_train_plan_options options = {.plan = {.batch = batch}, .train_stats = true, .drop = drop};
    assert_ok(&f->test, dio_plan_train(&f->test.ctx, f->graph, inputs, 2, f->loss, watch, 2, &options, &f->plan));
    return f;
}

static void end(struct fixture *f, struct dio_team *team)
{
    dio_plan_free(f->plan);
    dio_graph_free(f->graph);
    if (team) dio_team_stop(&f->test.ctx, team);
    test_end(&f->test);
    free(f);
}

/* Copies what the first dropout gave. */
static void run(struct fixture *f, int64_t n, uint64_t seed, uint64_t step, float *first)
{
    const void *in[] = {f->in, f->target};
    dio_plan_forward(f->plan, n, in, seed, step);
    memcpy(first, dio_plan_watched(f->plan, 0), (size_t)n * WIDTH * sizeof *first);
}

static int count_zeros(const float *numbers, int count)
{
    int zeros = 0;
    for (int i = 0; i < count; i++) zeros += numbers[i] == 0;
    return zeros;
}

static int count_different(const float *a, const float *b, int count)
{
    int different = 0;
    for (int i = 0; i < count; i++) different += a[i] != b[i];
    return different;
}

static void test_share(void **state)
{
    (void)state;
    static float first[BATCH * WIDTH];
    struct fixture *f = begin(BATCH, NULL, 0, true);
    run(f, BATCH, 1, 0, first);
    int zeros = count_zeros(first, BATCH * WIDTH);
    assert_true(abs(zeros - BATCH * WIDTH / 4) < 5 * 62); /* deviation sqrt(20000 * 3 / 16) */
    for (int i = 0; i < BATCH * WIDTH; i++) assert_true(first[i] == 0 || first[i] == 4);
    /* Two nodes draw differently: 9/16 of all stay. */
    const float *second = dio_plan_watched(f->plan, 1);
    int both = BATCH * WIDTH - count_zeros(second, BATCH * WIDTH);
    assert_true(abs(both - BATCH * WIDTH * 9 / 16) < 5 * 71);
    /* The gradient of a channel's shift is the sum over the images of what passed both. */
    dio_plan_backward(f->plan, false, 1);
    const float *grad = dio_plan_grad(f->plan, dio_graph_find_param(f->graph, "norm.bias"));
    for (int i = 1; i < WIDTH; i++) {
        bool passed = false;
        for (int image = 0; image < BATCH; image++) passed |= second[image * WIDTH + i] != 0;
        assert_int_equal(grad[i] != 0, passed);
    }
    end(f, NULL);
}

static void test_keys(void **state)
{
    (void)state;
    static float first[BATCH * WIDTH], other[BATCH * WIDTH];
    enum { EXPECTED = WIDTH * 3 / 8, AROUND = 5 * 31 }; /* two masks differ in 2 * 1/4 * 3/4 of the places */
    struct fixture *f = begin(BATCH, NULL, 0, true);
    run(f, BATCH, 1, 0, first);
    assert_true(abs(count_different(first, first + WIDTH, WIDTH) - EXPECTED) < AROUND);
    run(f, BATCH, 1, 1, other);
    assert_true(abs(count_different(first, other, WIDTH) - EXPECTED) < AROUND);
    run(f, BATCH, 2, 0, other);
    assert_true(abs(count_different(first, other, WIDTH) - EXPECTED) < AROUND);
    run(f, 2, 1, 0, other);
    assert_memory_equal(first, other, 2 * WIDTH * sizeof *first);
    end(f, NULL);
    struct dio_team *team;
    f = begin(BATCH + 3, &team, 3, true);
    run(f, BATCH, 1, 0, other);
    assert_memory_equal(first, other, sizeof first);
    end(f, team);
}

static void test_off(void **state)
{
    (void)state;
    static float first[BATCH * WIDTH];
    struct fixture *f = begin(BATCH, NULL, 0, false);
    run(f, BATCH, 1, 0, first);
    assert_int_equal(count_different(first, f->in, BATCH * WIDTH), 0);
    end(f, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_share), cmocka_unit_test(test_keys), cmocka_unit_test(test_off)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
