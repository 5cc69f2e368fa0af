/* Ten steps of training against PyTorch in double: losses, gradients of the first step, parameters and statistics at the
 * end, logits after it, for eight settings (golden/train_resnet.txt, made by make_golden.py). */
#include "graph/small_net.h"

enum { STEPS = 10, BATCH = 8, MAX_NUMBERS = 16, MAX_TEXT = 160 };

/* ---- golden lines ---- */

struct golden {
    char *text;
};

static bool find_line(const struct golden *golden, const char *variant, const char *kind, const char *name, char words[MAX_TEXT],
                      double numbers[MAX_NUMBERS], int *count)
{
    char key[128];
    snprintf(key, sizeof key, "%s %s %s ", variant, kind, name);
    const char *at = golden->text;
    while (at && strncmp(at, key, strlen(key)) != 0) {
        at = strchr(at, '\n');
        if (at) at++;
    }
    if (!at) return false;
    at += strlen(key);
    size_t length = strcspn(at, "\n");
    if (words) snprintf(words, MAX_TEXT, "%.*s", (int)length, at);
    *count = 0;
    for (const char *end = at + length; at < end && *count < MAX_NUMBERS;) {
        char *after;
        double number = strtod(at, &after);
        if (after == at) break;
        numbers[(*count)++] = number;
        at = after;
    }
    return true;
}

static double setting(const struct golden *golden, const char *variant, const char *name, double otherwise)
{
    double numbers[MAX_NUMBERS];
    char words[MAX_TEXT];
    int count;
    if (!find_line(golden, variant, "set", name, words, numbers, &count)) return otherwise;
    return strcmp(words, "True") == 0 ? 1 : numbers[0];
}

static bool setting_is(const struct golden *golden, const char *variant, const char *name, const char *value)
{
    double numbers[MAX_NUMBERS];
    char words[MAX_TEXT];
    int count;
    return find_line(golden, variant, "set", name, words, numbers, &count) && strcmp(words, value) == 0;
}

/* ---- the update, written out: PyTorch's rules ---- */

struct update {
    bool adam, nesterov, no_decay_1d;
    double lr, momentum, dampening, decay, clip;
    double *first, *second; /* by position in the block of parameters */
    int step;
};

static void update_param(struct update *u, const struct small_net *net, const struct dio_param *param, const float *grad, double factor, double lr)
{
    float *data = param->data;
    int64_t at = data - net->block;
    double decay = u->no_decay_1d && param->shape.rank <= 1 ? 0 : u->decay;
    for (int64_t i = 0; i < dio_shape_elements(&param->shape); i++) {
        double g = grad[i] * factor, p = data[i], *first = &u->first[at + i], *second = &u->second[at + i];
        if (u->adam) {
            p *= 1 - lr * decay;
            *first = 0.9 * *first + 0.1 * g;
            *second = 0.999 * *second + 0.001 * g * g;
            p -= lr / (1 - pow(0.9, u->step + 1)) * *first / (sqrt(*second) / sqrt(1 - pow(0.999, u->step + 1)) + 1e-8);
        } else {
            g += decay * p;
            *first = u->step == 0 ? g : u->momentum * *first + (1 - u->dampening) * g;
            p -= lr * (u->nesterov ? g + u->momentum * *first : *first);
        }
        data[i] = (float)p;
    }
}

static void update_all(struct update *u, const struct small_net *net, struct dio_plan *plan, double lr, double *norm)
{
    double squares = 0;
    for (int i = 0; i < net->graph->n_params; i++) {
        const float *grad = dio_plan_grad(plan, i);
        for (int64_t j = 0; grad && j < dio_shape_elements(&net->graph->params[i].shape); j++) squares += (double)grad[j] * grad[j];
    }
    *norm = sqrt(squares);
    double factor = u->clip > 0 ? fmin(1, u->clip / (*norm + 1e-6)) : 1;
    for (int i = 0; i < net->graph->n_params; i++) {
        const float *grad = dio_plan_grad(plan, i);
        if (grad) update_param(u, net, &net->graph->params[i], grad, factor, lr);
    }
    u->step++;
}

/* ---- comparing ---- */

/* Sum, sum of magnitudes and the first numbers, each within `relative` of the sum of magnitudes. */
static void compare(const struct golden *golden, const char *variant, const char *kind, const char *name, const float *numbers, int64_t count,
                    double relative)
{
    double expected[MAX_NUMBERS], sum = 0, magnitude = 0;
    int given;
    if (!find_line(golden, variant, kind, name, NULL, expected, &given)) fail_msg("%s has no %s of %s", variant, kind, name);
    for (int64_t i = 0; i < count; i++) {
        sum += numbers[i];
        magnitude += fabs((double)numbers[i]);
    }
    double allowed = relative * expected[1];
    if (!(fabs(sum - expected[0]) <= allowed) || !(fabs(magnitude - expected[1]) <= allowed)) {
        fail_msg("%s %s %s: sums %.9g and %.9g, expected %.9g and %.9g", variant, kind, name, sum, magnitude, expected[0], expected[1]);
    }
    for (int i = 0; i + 2 < given; i++) {
        if (!(fabs(numbers[i] - expected[i + 2]) <= allowed)) {
            fail_msg("%s %s %s: number %d is %.9g, expected %.9g", variant, kind, name, i, (double)numbers[i], expected[i + 2]);
        }
    }
}

static void freeze(const struct golden *golden, const char *variant, struct dio_graph *graph)
{
    bool head = setting(golden, variant, "head_only", 0) > 0, norms_rest = setting_is(golden, variant, "freeze", "bn");
    bool part = norms_rest || setting_is(golden, variant, "freeze", "weights");
    for (int i = 0; i < graph->n_params; i++) {
        struct dio_param *param = &graph->params[i];
        bool late = strncmp(param->name, "layer3", 6) == 0, fc = strncmp(param->name, "fc", 2) == 0;
        if (param->role == DIO_PARAM_TRAINED) param->trainable = head ? fc : part ? late || fc : true;
        if (param->role == DIO_PARAM_STATISTIC) param->trainable = !head && !norms_rest;
    }
}

static void check_logits(const struct golden *golden, const char *variant, const char *name, struct small_net *net, struct dio_ctx *ctx)
{
    struct dio_plan *plan;
    struct dio_plan_options options = {.batch = 2};
    double expected[MAX_NUMBERS], low = HUGE_VAL, high = -HUGE_VAL;
    int count;
    float logits[2 * NET_CLASSES];
    const void *in = net->x;
    void *out = logits;
    assert_int_equal(dio_plan_infer(ctx, net->graph, &net->picture, 1, &net->logits, 1, &options, &plan), DIO_OK);
    dio_plan_run(plan, 2, &in, &out);
    dio_plan_free(plan);
    assert_true(find_line(golden, variant, "logits", name, NULL, expected, &count));
    assert_int_equal(count, 2 * NET_CLASSES);
    for (int i = 0; i < count; i++) {
        low = fmin(low, expected[i]);
        high = fmax(high, expected[i]);
    }
    for (int i = 0; i < count; i++) {
        if (!(fabs(logits[i] - expected[i]) <= 1e-5 * (high - low))) {
            fail_msg("%s: logit %d %s is %.9g, expected %.9g", variant, i, name, (double)logits[i], expected[i]);
        }
    }
}

/* ---- a variant ---- */

struct run {
    const struct golden *golden;
    const char *variant;
    int threads;
    int64_t plan_batch;
    float *final; /* the block of parameters at the end; may be NULL */
    size_t final_bytes;
};

static void set_up(const struct run *run, struct small_net *net, struct update *update, struct dio_ctx *ctx)
{
    double weights[MAX_NUMBERS];
    int count = 0;
    bool weighted = find_line(run->golden, run->variant, "set", "class_weight", NULL, weights, &count);
    small_open(net, ctx, run->threads, setting(run->golden, run->variant, "smoothing", 0), weighted);
    for (int i = 0; weighted && i < net->graph->n_params; i++) {
        struct dio_param *param = &net->graph->params[i];
        for (int k = 0; param->role == DIO_PARAM_CONSTANT && k < NET_CLASSES; k++) ((float *)param->data)[k] = (float)weights[k];
    }
    freeze(run->golden, run->variant, net->graph);
    size_t floats = 0;
    for (int i = 0; i < net->graph->n_params; i++) floats += (size_t)((small_count(&net->graph->params[i]) + 15) / 16 * 16);
    *update = (struct update){
        .adam = setting_is(run->golden, run->variant, "opt", "adamw"),
        .nesterov = setting(run->golden, run->variant, "nesterov", 0) > 0,
        .no_decay_1d = setting(run->golden, run->variant, "no_decay_1d", 0) > 0,
        .lr = setting(run->golden, run->variant, "lr", 0),
        .momentum = setting(run->golden, run->variant, "momentum", 0),
        .dampening = setting(run->golden, run->variant, "dampening", 0),
        .decay = setting(run->golden, run->variant, "wd", 0),
        .clip = setting(run->golden, run->variant, "clip", 0),
        .first = calloc(floats, sizeof(double)),
        .second = calloc(floats, sizeof(double)),
    };
    assert_true(update->first && update->second);
}

static double rate(const struct run *run, const struct update *update, int step)
{
    if (setting(run->golden, run->variant, "cosine", 0) == 0) return update->lr;
    return update->lr * (step < 3 ? (step + 1) / 3.0 : 0.5 * (1 + cos(3.14159265358979323846 * (step - 3) / 7)));
}

static void check_gradients(const struct run *run, const struct small_net *net, struct dio_plan *plan)
{
    for (int i = 0; i < net->graph->n_params; i++) {
        const struct dio_param *param = &net->graph->params[i];
        const float *grad = dio_plan_grad(plan, i);
        assert_int_equal(grad != NULL, param->role == DIO_PARAM_TRAINED && param->trainable);
        if (grad) compare(run->golden, run->variant, "grad", param->name, grad, dio_shape_elements(&param->shape), 1e-5);
    }
}

static void check_final(const struct run *run, const struct small_net *net)
{
    for (int i = 0; i < net->graph->n_params; i++) {
        const struct dio_param *param = &net->graph->params[i];
        if (param->role == DIO_PARAM_COUNTER || param->role == DIO_PARAM_CONSTANT) continue;
        compare(run->golden, run->variant, "final", param->name, param->data, dio_shape_elements(&param->shape), 1e-5);
    }
}

static void train(struct run *run)
{
    struct test_ctx test;
    struct small_net *net = malloc(sizeof *net);
    struct update update;
    struct dio_plan *plan;
    assert_non_null(net);
    test_begin(&test);
    set_up(run, net, &update, &test.ctx);
    if (!run->final) check_logits(run->golden, "-", "before", net, &test.ctx);
    struct dio_train_plan_options options = {.plan = {.batch = run->plan_batch}, .train_stats = true, .drop = true};
    const int inputs[2] = {net->picture, net->target};
    assert_ok(&test, dio_plan_train(&test.ctx, net->graph, inputs, 2, net->loss, &net->logits, 1, &options, &plan));
    double losses[MAX_NUMBERS], norms[MAX_NUMBERS], norm;
    int count, n_norms = 0;
    assert_true(find_line(run->golden, run->variant, "losses", "-", NULL, losses, &count));
    find_line(run->golden, run->variant, "norms", "-", NULL, norms, &n_norms);
    for (int step = 0; step < STEPS; step++) {
        const int first = step % 2 * BATCH;
        const void *in[2] = {net->x + first * NET_PICTURE, net->y + first};
        float loss = dio_plan_forward(plan, BATCH, in, 1, (uint64_t)step);
        if (!(fabs(loss - losses[step]) <= 1e-5)) fail_msg("%s: loss %d is %.9g, expected %.9g", run->variant, step, (double)loss, losses[step]);
        dio_plan_backward(plan, false, 1);
        if (step == 0) check_gradients(run, net, plan);
        update_all(&update, net, plan, rate(run, &update, step), &norm);
        if (step < n_norms) assert_true(fabs(norm - norms[step]) <= 1e-5 * norms[step]);
        dio_plan_weights_changed(plan);
    }
    dio_plan_free(plan);
    check_final(run, net);
    if (!run->final) check_logits(run->golden, run->variant, "after", net, &test.ctx);
    const struct dio_param *last = &net->graph->params[net->graph->n_params - 1];
    run->final_bytes = (size_t)((const float *)last->data - net->block) * sizeof(float);
    if (run->final) memcpy(run->final, net->block, run->final_bytes);
    free(update.first);
    free(update.second);
    small_close(net, &test.ctx);
    test_end(&test);
    free(net);
}

static struct golden golden;

static int open_golden(void **state)
{
    (void)state;
    golden.text = test_read(test_source_path("graph/golden/train_resnet.txt"), NULL);
    return 0;
}

static int close_golden(void **state)
{
    (void)state;
    free(golden.text);
    return 0;
}

#define VARIANT(name)                                                                                                  \
    static void test_##name(void **state)                                                                              \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        struct run run = {.golden = &golden, .variant = #name, .threads = 2, .plan_batch = BATCH};                      \
        train(&run);                                                                                                   \
    }
VARIANT(sgd)
VARIANT(sgd_nesterov_smooth)
VARIANT(sgd_class_weight)
VARIANT(sgd_bn_eval)
VARIANT(sgd_frozen_bn_train)
VARIANT(sgd_head_only)
VARIANT(adamw)
VARIANT(adamw_clip_cosine_ema)

/* The same parameters, bit for bit, with any number of threads, and in a plan made for larger batches. */
static void test_threads(void **state)
{
    (void)state;
    enum { FLOATS = 100000 };
    static float expected[FLOATS], got[FLOATS];
    const struct { int threads; int64_t batch; } others[] = {{1, BATCH}, {2, BATCH}, {3, BATCH}, {7, BATCH}, {2, 13}};
    struct run run = {.golden = &golden, .variant = "sgd", .threads = 0, .plan_batch = BATCH, .final = expected};
    train(&run);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct run other = {.golden = &golden, .variant = "sgd", .threads = others[i].threads, .plan_batch = others[i].batch, .final = got};
        train(&other);
        assert_int_equal(other.final_bytes, run.final_bytes);
        assert_memory_equal(got, expected, run.final_bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sgd), cmocka_unit_test(test_sgd_nesterov_smooth), cmocka_unit_test(test_sgd_class_weight),
        cmocka_unit_test(test_sgd_bn_eval), cmocka_unit_test(test_sgd_frozen_bn_train), cmocka_unit_test(test_sgd_head_only),
        cmocka_unit_test(test_adamw), cmocka_unit_test(test_adamw_clip_cosine_ema), cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
