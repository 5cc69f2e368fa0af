/* Inference plans of bf16 and int8: which values are narrow, how near the numbers stay, the same bits whatever the batch and the
 * threads, half the memory. */
#include <math.h>

#include "graph/passes.h"
#include "graph/small_net.h"

enum { PICTURES = NET_PICTURES, NODES = 12 /* nine convolutions, max-pool, mean, linear */ };

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

static struct dio_plan *make_plan(struct fixture *f, int64_t batch, bool no_fusion, enum dio_precision precision)
{
    struct dio_plan *plan;
    const struct dio_plan_options options = {.batch = batch, .no_fusion = no_fusion, .precision = precision};
    assert_ok(&f->test, dio_plan_infer(&f->test.ctx, f->net.graph, &f->net.picture, 1, &f->net.logits, 1, &options, &plan));
    return plan;
}

static void run_all(struct fixture *f, struct dio_plan *plan, int at_once, float *out)
{
    for (int i = 0; i < PICTURES; i += at_once) {
        const int n = PICTURES - i < at_once ? PICTURES - i : at_once;
        const void *in = f->net.x + (size_t)i * NET_PICTURE;
        void *to = out + i * NET_CLASSES;
        dio_plan_run(plan, n, &in, &to);
    }
}

/* Ranges from the pictures themselves. */
static struct dio_plan *make_int8_plan(struct fixture *f, int64_t batch, struct dio_value_range *ranges)
{
    float logits[PICTURES * NET_CLASSES];
    const void *in = f->net.x;
    void *out = logits;
    struct dio_plan *watch, *plan;
    const struct dio_plan_options watching = {.batch = PICTURES, .keep_values = true};
    assert_ok(&f->test, dio_plan_infer(&f->test.ctx, f->net.graph, &f->net.picture, 1, &f->net.logits, 1, &watching, &watch));
    for (int i = 0; i < f->net.graph->n_values; i++) ranges[i] = (struct dio_value_range){INFINITY, -INFINITY};
    dio_plan_observe(watch, PICTURES, &in, &out, ranges);
    dio_plan_free(watch);
    const struct dio_plan_options options = {.batch = batch, .precision = DIO_PRECISION_INT8, .ranges = ranges};
    assert_ok(&f->test, dio_plan_infer(&f->test.ctx, f->net.graph, &f->net.picture, 1, &f->net.logits, 1, &options, &plan));
    return plan;
}

/* The products that can compute with bytes do; a step of a value's range is 1 / 255 of it. */
static void test_int8(void **state)
{
    (void)state;
    static const int threads[] = {0, 2, 3, 7}, batches[] = {1, 3, 16};
    float exact[PICTURES * NET_CLASSES], expected[PICTURES * NET_CLASSES], got[PICTURES * NET_CLASSES];
    struct dio_value_range ranges[256];
    for (int t = 0; t < 4; t++) {
        struct fixture *f = begin(threads[t]);
        assert_in_range(f->net.graph->n_values, 1, 256);
        for (int b = 0; b < 3; b++) {
            struct dio_plan *plan = make_int8_plan(f, batches[b], ranges);
            int products = 0;
            for (int i = 0; i < NODES; i++) {
                struct dio_plan_step_info info;
                dio_plan_step(plan, i, &info);
                products += info.macs > 0 && info.precision == DIO_PRECISION_INT8;
            }
            assert_int_equal(products, 5); /* behind the first layer, kernels over up to eight channels stay as they are */
            run_all(f, plan, batches[b], t + b ? got : expected);
            if (t + b) assert_memory_equal(got, expected, sizeof got);
            dio_plan_free(plan);
        }
        if (t == 0) {
            struct dio_plan *plan = make_plan(f, PICTURES, false, DIO_PRECISION_F32);
            run_all(f, plan, PICTURES, exact);
            dio_plan_free(plan);
        }
        end(f);
    }
    float low = exact[0], high = exact[0];
    for (int i = 0; i < PICTURES * NET_CLASSES; i++) {
        low = fminf(low, exact[i]);
        high = fmaxf(high, exact[i]);
    }
    for (int i = 0; i < PICTURES * NET_CLASSES; i++) assert_true(fabsf(expected[i] - exact[i]) <= NODES / 128.0f * (high - low));
}

static void test_values(void **state)
{
    (void)state;
    struct fixture *f = begin(0);
    struct dio_plan *plan = make_plan(f, 4, false, DIO_PRECISION_BF16);
    assert_int_equal(dio_plan_steps(plan), NODES);
    for (int i = 0; i < NODES; i++) {
        struct dio_plan_step_info info;
        dio_plan_step(plan, i, &info);
        assert_int_equal(info.in.dtype, i == 0 ? DIO_F32 : DIO_BF16);
        assert_int_equal(info.out.dtype, i == NODES - 1 ? DIO_F32 : DIO_BF16);
    }
    struct dio_plan *exact = make_plan(f, 4, false, DIO_PRECISION_F32);
    assert_true(dio_plan_memory(plan).packed < dio_plan_memory(exact).packed);
    assert_true(dio_plan_memory(plan).activations < dio_plan_memory(exact).activations);
    dio_plan_free(plan);
    dio_plan_free(exact);
    end(f);
}

/* A node rounds its numbers to 2^-9 of each; nodes are few, and errors of both signs do not grow on the way. */
static void test_numbers(void **state)
{
    (void)state;
    struct fixture *f = begin(0);
    float expected[PICTURES * NET_CLASSES], got[PICTURES * NET_CLASSES];
    struct dio_plan *exact = make_plan(f, PICTURES, false, DIO_PRECISION_F32);
    run_all(f, exact, PICTURES, expected);
    float low = expected[0], high = expected[0];
    for (int i = 0; i < PICTURES * NET_CLASSES; i++) {
        low = fminf(low, expected[i]);
        high = fmaxf(high, expected[i]);
    }
    for (int no_fusion = 0; no_fusion < 2; no_fusion++) {
        struct dio_plan *plan = make_plan(f, PICTURES, no_fusion, DIO_PRECISION_BF16);
        run_all(f, plan, PICTURES, got);
        for (int i = 0; i < PICTURES * NET_CLASSES; i++) assert_true(fabsf(got[i] - expected[i]) <= NODES * 0x1p-8f * (high - low));
        assert_memory_not_equal(got, expected, sizeof got);
        dio_plan_free(plan);
    }
    dio_plan_free(exact);
    end(f);
}

/* Split halves: f32 between the nodes, each of which leaves out 2^-16 of its products. */
static void test_split(void **state)
{
    (void)state;
    struct fixture *f = begin(0);
    float expected[PICTURES * NET_CLASSES], got[PICTURES * NET_CLASSES];
    struct dio_plan *exact = make_plan(f, PICTURES, false, DIO_PRECISION_F32), *plan = make_plan(f, PICTURES, false, DIO_PRECISION_BF16X3);
    run_all(f, exact, PICTURES, expected);
    run_all(f, plan, PICTURES, got);
    float low = expected[0], high = expected[0];
    for (int i = 0; i < PICTURES * NET_CLASSES; i++) {
        low = fminf(low, expected[i]);
        high = fmaxf(high, expected[i]);
    }
    for (int i = 0; i < PICTURES * NET_CLASSES; i++) assert_true(fabsf(got[i] - expected[i]) <= 1e-4f * (high - low));
    assert_memory_not_equal(got, expected, sizeof got);
    for (int i = 0; i < NODES; i++) {
        struct dio_plan_step_info info;
        dio_plan_step(plan, i, &info);
        assert_int_equal(info.out.dtype, DIO_F32);
        if (info.macs) assert_int_equal(info.precision, DIO_PRECISION_BF16X3);
    }
    dio_plan_free(plan);
    dio_plan_free(exact);
    end(f);
}

static void same_bits(enum dio_precision precision)
{
    static const int threads[] = {0, 2, 3, 7}, batches[] = {1, 3, 16};
    float expected[PICTURES * NET_CLASSES], got[PICTURES * NET_CLASSES];
    for (int t = 0; t < 4; t++) {
        struct fixture *f = begin(threads[t]);
        for (int b = 0; b < 3; b++) {
            struct dio_plan *plan = make_plan(f, batches[b], false, precision);
            run_all(f, plan, batches[b], t + b ? got : expected);
            if (t + b) assert_memory_equal(got, expected, sizeof got);
            dio_plan_free(plan);
        }
        end(f);
    }
}

static void test_same_bits(void **state)
{
    (void)state;
    same_bits(DIO_PRECISION_BF16);
    same_bits(DIO_PRECISION_BF16X3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_int8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
