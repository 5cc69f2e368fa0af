/* Optimisers and schedules against PyTorch's numbers (golden/optimizers.csv, golden/schedules.csv). */
#include "arch/arch.h"
#include "support.h"
#include "train/optimizer.h"
#include "train/schedule.h"

enum { NUMBERS = 6, STEPS = 5, ROWS = 64 };

/* The golden's starting point and gradients are found again from plain SGD with lr 0.1: g = (p[t] - p[t+1]) / 0.1. */
struct golden {
    char name[64];
    int step;
    double p[NUMBERS];
};

static int read_goldens(struct golden *rows)
{
    int count = 0;
    char line[512];
    FILE *file = fopen(test_source_path("train/golden/optimizers.csv"), "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    while (count < ROWS && fgets(line, sizeof line, file)) {
        struct golden *row = &rows[count];
        int got = sscanf(line, "%63[^,],%d,%lf,%lf,%lf,%lf,%lf,%lf", row->name, &row->step, &row->p[0], &row->p[1], &row->p[2],
                         &row->p[3], &row->p[4], &row->p[5]);
        assert_int_equal(got, 8);
        count++;
    }
    fclose(file);
    return count;
}

static const double start[NUMBERS] = {1.0, -0.5, 0.25, 0.1, -2.0, 0.75};

static const struct golden *find(const struct golden *rows, int count, const char *name, int step)
{
    for (int i = 0; i < count; i++) {
        if (rows[i].step == step && strcmp(rows[i].name, name) == 0) return &rows[i];
    }
    fail_msg("no golden %s %d", name, step);
    return NULL;
}

static double gradient(const struct golden *rows, int count, int step, int i)
{
    double before = step == 1 ? start[i] : find(rows, count, "sgd", step - 1)->p[i];
    return (before - find(rows, count, "sgd", step)->p[i]) / 0.1;
}

static void check(const char *golden, const char *optimizer, struct dio_optimizer_settings settings)
{
    struct golden rows[ROWS];
    int count = read_goldens(rows);
    float p[NUMBERS], slots[2][NUMBERS] = {{0}}, g[NUMBERS];
    const struct dio_optimizer *rule = dio_optimizer_find(optimizer);
    assert_non_null(rule);
    for (int i = 0; i < NUMBERS; i++) p[i] = (float)start[i];
    for (int t = 1; t <= STEPS; t++) {
        for (int i = 0; i < NUMBERS; i++) g[i] = (float)gradient(rows, count, t, i);
        struct dio_optimizer_span span = {.param = p, .grad = g, .slot = {slots[0], slots[1]}, .count = NUMBERS, .lr = 0.1,
                                          .weight_decay = settings.weight_decay, .t = (uint64_t)t};
        rule->step(&settings, &span);
        for (int i = 0; i < NUMBERS; i++) {
            /* A few roundings of f32 a step, of numbers up to 2. */
            double expected = find(rows, count, golden, t)->p[i];
            double allowed = 8 * t * 1.2e-7 * 2;
            if (fabs((double)p[i] - expected) > allowed) {
                fail_msg("%s step %d number %d: %.9g, expected %.9g", golden, t, i, (double)p[i], expected);
            }
        }
    }
}

static void test_sgd(void **state)
{
    (void)state;
    check("sgd", "sgd", (struct dio_optimizer_settings){0});
    check("sgd_mom_wd", "sgd", (struct dio_optimizer_settings){.momentum = 0.9, .weight_decay = 0.01});
    check("sgd_nesterov_wd", "sgd", (struct dio_optimizer_settings){.momentum = 0.9, .weight_decay = 0.01, .nesterov = true});
}

static void test_adamw(void **state)
{
    (void)state;
    check("adamw", "adamw", (struct dio_optimizer_settings){.weight_decay = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8});
}

static void check_schedule(const char *column, const char *name, struct dio_schedule_settings settings)
{
    char line[4096];
    int at = -1, rows = 0;
    FILE *file = fopen(test_source_path("train/golden/schedules.csv"), "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        int i = 0;
        double value = NAN;
        for (char *save = NULL, *field = strtok_r(line, ",\n", &save); field; field = strtok_r(NULL, ",\n", &save), i++) {
            if (rows == 0 && strcmp(field, column) == 0) at = i;
            if (rows > 0 && i == at) value = strtod(field, NULL);
        }
        assert_true(at >= 0);
        if (rows > 0) {
            double rate = dio_schedule_rate(dio_schedule_find(name), &settings, rows - 1);
            if (fabs(rate - value) > 1e-11) fail_msg("%s step %d: %.12g, expected %.12g", column, rows - 1, rate, value);
        }
        rows++;
    }
    fclose(file);
    assert_int_equal(rows, 41);
}

static void test_schedules(void **state)
{
    (void)state;
    check_schedule("step7_g0.1", "step", (struct dio_schedule_settings){.lr = 0.1, .total = 40, .drop_every = 7, .gamma = 0.1});
    check_schedule("cosine_T40_min1e-4", "cosine", (struct dio_schedule_settings){.lr = 0.1, .lr_min = 1e-4, .total = 40});
    check_schedule("linear5_then_cosine", "cosine", (struct dio_schedule_settings){.lr = 0.1, .total = 40, .warmup = 5});
    struct dio_schedule_settings constant = {.lr = 0.1, .total = 40};
    assert_true(dio_schedule_rate(dio_schedule_find("constant"), &constant, 39) == 0.1);
}

/* timm's groups for a ViT (optim/_param_groups.py): not its token, its positions, or what has one axis. */
static void test_what_decays(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    const struct dio_arch_variant *variant = NULL;
    const struct dio_arch *arch = dio_arch_find("vit_tiny_patch16_224", &variant);
    struct dio_arch_config config = dio_arch_config_default(variant->name);
    config.classes = 3;
    struct dio_model *model = NULL;
    assert_ok(&test, dio_arch_model(&test.ctx, arch, variant, &config, &model));
    int decay = 0, others = 0;
    for (int i = 0; i < model->graph->n_params; i++) {
        const struct dio_param *param = &model->graph->params[i];
        const bool left_out = strcmp(param->name, "cls_token") == 0 || strcmp(param->name, "pos_embed") == 0 || param->shape.rank == 1;
        assert_int_equal(dio_optimizer_decays(param), !left_out);
        if (left_out) others++;
        else decay++;
    }
    assert_int_equal(decay, 1 + 12 * 4 + 1); /* patches; qkv, proj, fc1, fc2 of twelve blocks; head */
    assert_int_equal(others, 2 + 1 + 12 * 8 + 3);
    dio_model_free(model);
    test_end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sgd),
        cmocka_unit_test(test_adamw),
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_what_decays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
