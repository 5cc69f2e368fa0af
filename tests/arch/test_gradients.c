/* Loss, logits and the gradient of every parameter of whole networks at small pictures, against timm's in double
 * (golden/gradients.txt, made by golden/make_gradients.py).
 *
 * Bound: 1e-5 of a tensor's sum of magnitudes; 4e-5 where batch norms see 16 numbers a channel, for there PyTorch's own f32 is
 * 2e-5 away from its double.  What a batch norm behind it makes 0 (a bias) is held against the net's largest gradients. */
#include "arch/arch.h"
#include "graph/plan.h"
#include "kernels/kernels.h"
#include "support.h"

#include <math.h>

enum { PICTURES = 4, CLASSES = 7, PICTURE_STREAM = 1, PRODUCT_STREAM = 80 };

static float number(uint32_t stream, uint64_t i)
{
    uint32_t h = stream * 0x9E3779B1u + (uint32_t)i * 0x85EBCA77u + 0x165667B1u;
    h = (h ^ h >> 15) * 0x2C1B3C6Du;
    h = (h ^ h >> 12) * 0x297A2D39u;
    h ^= h >> 15;
    return (float)(h >> 8) / 8388608.0f - 1.0f;
}

static uint32_t stream_of(const char *name)
{
    uint32_t h = 2166136261u;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}

static bool ends(const char *name, const char *tail)
{
    size_t length = strlen(name), of_tail = strlen(tail);
    return length >= of_tail && strcmp(name + length - of_tail, tail) == 0;
}

static void fill(struct dio_param *param)
{
    if (param->role == DIO_PARAM_COUNTER) return;
    const int64_t count = dio_shape_elements(&param->shape);
    const uint32_t stream = stream_of(param->name);
    double fan = 1;
    for (int i = 1; i < param->shape.rank; i++) fan *= (double)param->shape.dims[i];
    const float scale = param->shape.rank == 3 ? 0.5f : (float)(1.3 * sqrt(3 / fan));
    const bool vector = param->shape.rank == 1, one = !ends(param->name, "bias") && !ends(param->name, "running_mean");
    for (int64_t i = 0; i < count; i++) {
        const float n = number(stream, (uint64_t)i);
        ((float *)param->data)[i] = vector ? n / 4 + (one ? 1.0f : 0.0f) : n * scale;
    }
}

/* Magnitude and two products of `numbers` against the line "NET WHAT NAME count magnitude product product". */
static double compare(const char *text, const char *net, const char *what, const char *name, const float *numbers, int64_t count,
                      double bound, double largest)
{
    char key[256];
    const int length = snprintf(key, sizeof key, "\n%s %s %s ", net, what, name);
    const char *line = strstr(text, key);
    if (!line) fail_msg("%s has no %s of %s", net, what, name);
    long long golden_count;
    double golden[3], sums[3] = {0};
    assert_int_equal(sscanf(line + length, "%lld %lf %lf %lf", &golden_count, &golden[0], &golden[1], &golden[2]), 4);
    assert_int_equal(golden_count, count);
    for (int64_t i = 0; i < count; i++) {
        sums[0] += fabs((double)numbers[i]);
        sums[1] += (double)numbers[i] * (double)number(PRODUCT_STREAM, (uint64_t)i);
        sums[2] += (double)numbers[i] * (double)number(PRODUCT_STREAM + 1, (uint64_t)i);
    }
    double worst = 0;
    const bool vanishes = golden[0] < 1e-12 * (double)count;
    const double size = vanishes ? largest * (double)count : golden[0];
    for (int i = 0; i < 3; i++) worst = fmax(worst, fabs(sums[i] - golden[i]) / size);
    if (!(worst <= bound)) {
        fail_msg("%s: %s of %s: %.9g %.9g %.9g, expected %.9g %.9g %.9g", net, what, name, sums[0], sums[1], sums[2], golden[0],
                 golden[1], golden[2]);
    }
    return worst;
}

/* The largest mean magnitude of a gradient of this network. */
static double largest_gradient(const char *text, const char *net)
{
    char key[128];
    snprintf(key, sizeof key, "\n%s gradient ", net);
    double largest = 0, magnitude;
    for (const char *line = strstr(text, key); line; line = strstr(line + 1, key)) {
        double count;
        if (sscanf(line + strlen(key), "%*s %lf %lf", &count, &magnitude) == 2) largest = fmax(largest, magnitude / count);
    }
    return largest;
}

static void check_net(struct test_ctx *test, const char *text, const char *name, int64_t size)
{
    const struct dio_arch_variant *variant = NULL;
    const struct dio_arch *arch = dio_arch_find(name, &variant);
    assert_non_null(arch);
    struct dio_arch_config config = dio_arch_config_default(variant->name);
    config.classes = CLASSES;
    config.height = config.width = size;
    struct dio_model *model = NULL;
    assert_ok(test, dio_arch_model(&test->ctx, arch, variant, &config, &model));
    struct dio_graph *graph = model->graph;
    for (int i = 0; i < graph->n_params; i++) fill(&graph->params[i]);
    const struct dio_shape one = dio_shape_1(0);
    const int labels = dio_graph_input(graph, "labels", DIO_I32, &one);
    const int loss = dio_node2(graph, "softmax_cross_entropy", "loss", model->logits, labels, "%s", "");
    assert_ok(test, graph->status);

    const size_t count = (size_t)(PICTURES * size * size * 3);
    float *pictures = calloc(count, sizeof *pictures);
    assert_non_null(pictures);
    for (size_t i = 0; i < count; i++) pictures[i] = 2 * number(PICTURE_STREAM, i);
    const int32_t classes[PICTURES] = {0, 1, 2, 3};
    const void *in[2] = {pictures, classes};
    const struct dio_train_plan_options options = {.plan.batch = PICTURES, .train_stats = true};
    struct dio_plan *plan = NULL;
    assert_ok(test, dio_plan_train(&test->ctx, graph, (const int[]){graph->inputs[0], labels}, 2, loss, &model->logits, 1, &options, &plan));
    const float value = dio_plan_forward(plan, PICTURES, in, 0, 0);
    dio_plan_backward(plan, false, 1);
    const double bound = strstr(name, "efficientnet") ? 4e-5 : 1e-5, largest = largest_gradient(text, name);
    double worst = compare(text, name, "loss", "-", &value, 1, bound, largest);
    worst = fmax(worst, compare(text, name, "logits", "-", dio_plan_watched(plan, 0), PICTURES * CLASSES, bound, largest));
    int compared = 0;
    for (int i = 0; i < graph->n_params; i++) {
        const struct dio_param *param = &graph->params[i];
        if (param->role != DIO_PARAM_TRAINED) continue;
        worst = fmax(worst, compare(text, name, "gradient", param->name, dio_plan_grad(plan, i), dio_shape_elements(&param->shape), bound, largest));
        compared++;
    }
    print_message("%s: %d gradients, %.1e of the sum of magnitudes\n", name, compared, worst);
    dio_plan_free(plan);
    dio_model_free(model);
    free(pictures);
}

static void gradients(void **state)
{
    (void)state;
    size_t length;
    char *text = test_read(test_source_path("arch/golden/gradients.txt"), &length);
    int nets = 0;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        char name[64];
        int size;
        line += *line == '\n';
        if (sscanf(line, "%63s size %d", name, &size) != 2) continue;
        struct test_ctx test;
        struct dio_kernels kernels;
        test_begin(&test);
        dio_kernels_select(&test.ctx.cpu, dio_kernels_best(&test.ctx.cpu), &kernels);
        test.ctx.kernels = &kernels;
        check_net(&test, text, name, size);
        test_end(&test);
        nets++;
    }
    free(text);
    assert_true(nets >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
