/* Operators against the reference goldens (golden/ops.safetensors, PyTorch in double): output, all gradients, moved
 * statistics; corners of activations and ties of pooling among them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#include "format/format.h"
#include "ops/harness.h"

enum mode { EVAL, TRAIN };

static const struct golden_case {
    const char *name;   /* in the file */
    const char *op;
    const char *attrs;
    enum mode mode;
    const char *target; /* tensor of input 1, for losses */
    const char *weights; /* tensor of class_weight */
} cases[] = {
    {"relu", "activation", "kind=relu", EVAL, NULL, NULL},
    {"relu6", "activation", "kind=relu6", EVAL, NULL, NULL},
    {"silu", "activation", "kind=silu", EVAL, NULL, NULL},
    {"gelu", "activation", "kind=gelu", EVAL, NULL, NULL},
    {"gelu_tanh", "activation", "kind=gelu_tanh", EVAL, NULL, NULL},
    {"quick_gelu", "activation", "kind=quick_gelu", EVAL, NULL, NULL},
    {"hardswish", "activation", "kind=hardswish", EVAL, NULL, NULL},
    {"hardsigmoid", "activation", "kind=hardsigmoid", EVAL, NULL, NULL},
    {"sigmoid", "activation", "kind=sigmoid", EVAL, NULL, NULL},
    {"mish", "activation", "kind=mish", EVAL, NULL, NULL},
    {"softplus", "activation", "kind=softplus", EVAL, NULL, NULL},
    {"elu", "activation", "kind=elu", EVAL, NULL, NULL},
    {"bn_train", "batch_norm", "", TRAIN, NULL, NULL},
    {"bn_eval", "batch_norm", "", EVAL, NULL, NULL},
    {"layer_norm", "layer_norm", "eps=1e-06", EVAL, NULL, NULL},
    {"layer_norm_2d", "layer_norm", "eps=1e-06", EVAL, NULL, NULL},
    {"group_norm", "group_norm", "groups=3", EVAL, NULL, NULL},
    {"max_pool_ties", "max_pool", "kernel=3 stride=2 padding=1", EVAL, NULL, NULL},
    {"max_pool_ceil", "max_pool", "kernel=3 stride=2 ceil_mode=1", EVAL, NULL, NULL},
    {"avg_pool_include", "avg_pool", "kernel=3 stride=1 padding=1", EVAL, NULL, NULL},
    {"avg_pool_exclude", "avg_pool", "kernel=3 stride=1 padding=1 count_include_pad=0", EVAL, NULL, NULL},
    {"avg_pool_ceil", "avg_pool", "kernel=2 stride=2 ceil_mode=1 count_include_pad=0", EVAL, NULL, NULL},
    {"avg_pool_ceil_include", "avg_pool", "kernel=3 stride=2 padding=1 ceil_mode=1", EVAL, NULL, NULL},
    {"conv_group_dil", "conv", "out=6 kernel=3 stride=2 padding=2 dilation=2 groups=2 bias=1", EVAL, NULL, NULL},
    {"conv_dw", "conv", "out=6 kernel=5 stride=2 padding=2 groups=6", EVAL, NULL, NULL},
    {"conv_tf_same", "conv", "out=6 kernel=3 stride=2 pad_mode=same", EVAL, NULL, NULL},
    {"ce_plain", "softmax_cross_entropy", "", EVAL, "ce/target", NULL},
    {"ce_smooth", "softmax_cross_entropy", "smoothing=0.1", EVAL, "ce/target", NULL},
    {"ce_weight", "softmax_cross_entropy", "class_weights=1", EVAL, "ce/target", "ce/class_weight"},
    {"ce_weight_smooth", "softmax_cross_entropy", "class_weights=1 smoothing=0.1", EVAL, "ce/target", "ce/class_weight"},
    {"ce_soft", "softmax_cross_entropy", "", EVAL, "ce/soft_target", NULL},
    {"ce_soft_weight_smooth", "softmax_cross_entropy", "class_weights=1 smoothing=0.1", EVAL, "ce/soft_target", "ce/class_weight"},
};

struct fixture {
    struct test_ctx test;
    struct dio_kernels kernels;
    struct dio_weights file;
    int compared;
};

static const struct dio_weight *tensor(const struct fixture *f, const char *prefix, const char *name)
{
    char whole[96];
    snprintf(whole, sizeof whole, "%s/%s", prefix, name);
    return dio_weights_find(&f->file, whole);
}

/* Numbers of a tensor, four axes turned to channels last when `turn`; free() it. */
static float *numbers_of(struct fixture *f, const struct dio_weight *weight, bool turn)
{
    assert_non_null(weight);
    float *numbers = malloc((size_t)weight->elements * sizeof *numbers), *turned = malloc((size_t)weight->elements * sizeof *turned);
    assert_true(numbers && turned);
    assert_ok(&f->test, dio_weight_to_f32(&f->test.ctx, &f->file, weight, numbers));
    if (!turn || weight->rank != 4) {
        free(turned);
        return numbers;
    }
    const int64_t *d = weight->dims, pixels = d[2] * d[3];
    for (int64_t i = 0; i < (int64_t)weight->elements; i++) {
        int64_t image = i / (d[1] * pixels), c = i / pixels % d[1], pixel = i % pixels;
        turned[(image * pixels + pixel) * d[1] + c] = numbers[i];
    }
    free(numbers);
    return turned;
}

static void make_line(const struct fixture *f, const struct golden_case *g, char *line, size_t size)
{
    const struct dio_weight *x = tensor(f, g->name, "x");
    assert_non_null(x);
    long long d[4] = {0};
    for (int i = 0; i < x->rank; i++) d[i] = x->dims[i];
    char target[64] = "";
    if (g->target) {
        bool indices = strcmp(g->target, "ce/target") == 0;
        snprintf(target, sizeof target, indices ? ",i%lld" : ",%lldx%lld", d[0], d[1]);
    }
    if (x->rank == 4) {
        snprintf(line, size, "in=%lldx%lldx%lldx%lld%s %s", d[0], d[2], d[3], d[1], target, g->attrs);
    } else if (x->rank == 3) {
        snprintf(line, size, "in=%lldx%lldx%lld%s %s", d[0], d[1], d[2], target, g->attrs);
    } else {
        snprintf(line, size, "in=%lldx%lld%s %s", d[0], d[1], target, g->attrs);
    }
}

/* Puts the golden numbers where the case line put its own. */
static void fill(struct fixture *f, const struct golden_case *g, struct op_case *c)
{
    float *x = numbers_of(f, tensor(f, g->name, "x"), true), *dy = numbers_of(f, tensor(f, g->name, "gy"), true);
    memcpy(c->x[0], x, (size_t)op_elements(&c->shapes.inputs[0].shape, c->batch) * sizeof *x);
    memcpy(c->dy[0], dy, (size_t)op_elements(&c->shapes.outputs[0].shape, c->batch) * sizeof *dy);
    free(x);
    free(dy);
    if (g->target) {
        const struct dio_weight *weight = dio_weights_find(&f->file, g->target);
        float *target = numbers_of(f, weight, false);
        for (uint64_t i = 0; i < weight->elements; i++) {
            if (c->shapes.inputs[1].dtype == DIO_I32) {
                ((int32_t *)c->x[1])[i] = (int32_t)target[i];
            } else {
                ((float *)c->x[1])[i] = target[i];
            }
        }
        free(target);
    }
    for (int i = 0; i < c->shapes.n_params; i++) {
        if (c->shapes.params[i].role == DIO_PARAM_COUNTER) continue;
        const char *name = c->shapes.params[i].name;
        float *numbers = numbers_of(f, strcmp(name, "class_weight") == 0 ? dio_weights_find(&f->file, g->weights) : tensor(f, g->name, name), false);
        memcpy(c->param[i], numbers, (size_t)dio_shape_elements(&c->shapes.params[i].shape) * sizeof *numbers);
        free(numbers);
    }
}

/* The file's numbers are floats of a double run: a few units of the tensor's largest number, for sums of some hundred. */
static void hold(struct fixture *f, const struct golden_case *g, const char *name, const float *numbers, int64_t count)
{
    const struct dio_weight *weight = tensor(f, g->name, name);
    assert_non_null(weight);
    assert_int_equal(weight->elements, count);
    float *expected = numbers_of(f, weight, strcmp(name, "y") == 0 || strcmp(name, "gx") == 0), largest = 0;
    for (int64_t i = 0; i < count; i++) largest = fmaxf(largest, fabsf(expected[i]));
    for (int64_t i = 0; i < count; i++) {
        if (!(fabs((double)numbers[i] - expected[i]) <= 16 * 0x1p-24 * (double)largest)) {
            fail_msg("%s/%s: number %lld is %.9g, expected %.9g", g->name, name, (long long)i, (double)numbers[i], (double)expected[i]);
        }
    }
    f->compared++;
    free(expected);
}

static void check(struct fixture *f, const struct golden_case *g)
{
    char line[256], name[64];
    struct op_case c;
    struct op_result result;
    make_line(f, g, line, sizeof line);
    assert_ok(&f->test, op_case_open(&f->test.ctx, dio_op_find(g->op), line, &c));
    fill(f, g, &c);
    struct op_run run = {.kernels = &f->kernels, .mode = DIO_MODE_TRAIN, .train_stats = g->mode == TRAIN, .backward = true, .wants = op_wants_all(&c)};
    assert_ok(&f->test, op_run(&c, &run, &result));
    assert_null(result.damage);
    hold(f, g, "y", result.y[0], result.y_count[0]);
    hold(f, g, "gx", result.dx[0], result.dx_count[0]);
    for (int i = 0; i < c.shapes.n_params; i++) {
        const struct dio_param_def *param = &c.shapes.params[i];
        snprintf(name, sizeof name, param->role == DIO_PARAM_STATISTIC ? "%s_after" : "g_%s", param->name);
        bool there = tensor(f, g->name, name) != NULL;
        assert_true(there || param->role != DIO_PARAM_TRAINED);
        if (there) hold(f, g, name, param->role == DIO_PARAM_STATISTIC ? result.param_after[i] : result.dparam[i], result.param_count[i]);
    }
    op_result_free(&result);
    op_case_close(&c);
}

static void test_goldens(void **state)
{
    (void)state;
    struct fixture f = {0};
    test_begin(&f.test);
    dio_kernels_select(&f.test.ctx.cpu, dio_kernels_best(&f.test.ctx.cpu), &f.kernels);
    assert_ok(&f.test, dio_weights_read(&f.test.ctx, test_source_path("ops/golden/ops.safetensors"), NULL, &f.file));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check(&f, &cases[i]);
    print_message("%zu cases, %d tensors\n", sizeof cases / sizeof *cases, f.compared);
    dio_weights_free(&f.test.ctx, &f.file);
    test_end(&f.test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_goldens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
