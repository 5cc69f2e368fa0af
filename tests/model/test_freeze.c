/* What learns under each policy, what moves, and what the receipt covers. */
#include "arch/arch.h"
#include "support.h"

static struct dio_model *build(struct test_ctx *test, const char *tag, int64_t classes)
{
    const struct dio_arch_variant *variant = NULL;
    const struct dio_arch *arch = dio_arch_find(tag, &variant);
    struct dio_arch_config config = dio_arch_config_default(variant->name);
    config.classes = classes;
    struct dio_model *model = NULL;
    assert_ok(test, dio_arch_model(&test->ctx, arch, variant, &config, &model));
    return model;
}

static bool trains(const struct dio_model *model, const char *name)
{
    int param = dio_graph_find_param(model->graph, name);
    if (param < 0) print_error("no parameter %s\n", name);
    assert_true(param >= 0);
    return model->graph->params[param].trainable;
}

static dio_status freeze(struct dio_model *model, const char *policy)
{
    return dio_model_freeze(model, &(struct dio_freeze_policy){.freeze = policy});
}

static dio_status train_only(struct dio_model *model, const char *glob)
{
    return dio_model_freeze(model, &(struct dio_freeze_policy){.train_only = glob});
}

static void policies(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct dio_model *model = build(&test, "resnet18", 5);

    assert_ok(&test, freeze(model, NULL)); /* backbone */
    assert_true(trains(model, "fc.weight") && trains(model, "fc.bias"));
    assert_false(trains(model, "layer4.1.conv2.weight"));
    assert_false(trains(model, "layer4.1.bn2.running_mean"));
    struct dio_stage_summary stages[16];
    int count;
    assert_ok(&test, dio_model_stages(model, stages, &count));
    assert_int_equal(count, 6);
    assert_string_equal(stages[0].name, "stem");
    assert_string_equal(stages[5].name, "head");
    assert_int_equal(stages[5].parameters, 5 * 512 + 5);
    assert_int_equal(stages[5].trainable, 5 * 512 + 5);
    assert_int_equal(stages[4].trainable, 0);
    assert_int_equal(stages[0].parameters, 64 * 147 + 128);

    assert_ok(&test, freeze(model, "stage:3"));
    assert_false(trains(model, "layer3.1.bn2.weight"));
    assert_true(trains(model, "layer4.0.conv1.weight"));
    assert_true(trains(model, "layer4.0.bn1.running_var"));
    assert_ok(&test, freeze(model, "stage:0"));
    assert_false(trains(model, "conv1.weight"));
    assert_true(trains(model, "layer1.0.conv1.weight"));

    assert_ok(&test, freeze(model, "none"));
    assert_true(trains(model, "conv1.weight") && trains(model, "bn1.running_mean"));

    assert_ok(&test, freeze(model, "layer[12].*"));
    assert_true(trains(model, "conv1.weight"));
    assert_false(trains(model, "layer2.0.bn1.weight"));
    assert_false(trains(model, "layer2.0.bn1.running_mean"));
    assert_true(trains(model, "layer3.0.bn1.running_mean"));

    assert_ok(&test, train_only(model, "*.bn?.*"));
    assert_false(trains(model, "fc.weight"));
    assert_true(trains(model, "layer2.0.bn1.weight") && trains(model, "layer2.0.bn1.running_mean"));
    assert_false(trains(model, "bn1.weight"));
    assert_false(trains(model, "layer2.0.conv1.weight"));

    /* A norm of which only the bias learns uses batch statistics too. */
    assert_ok(&test, train_only(model, "bn1.bias"));
    assert_true(trains(model, "bn1.running_mean"));
    assert_false(trains(model, "bn1.weight"));

    assert_ok(&test, dio_model_freeze(model, &(struct dio_freeze_policy){.frozen_stats_move = true}));
    assert_true(trains(model, "layer1.0.bn1.running_mean"));
    assert_false(trains(model, "layer1.0.bn1.weight"));
    dio_model_free(model);
    test_end(&test);
}

static void refusals(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct dio_model *model = build(&test, "squeezenet1_1", 4);
    assert_refused(&test, DIO_ERR_USAGE, "0 stem, 1 stage1, 2 stage2, 3 stage3", freeze(model, "stage:4"));
    assert_refused(&test, DIO_ERR_USAGE, "from 0 to 3", freeze(model, "stage:x"));
    assert_refused(&test, DIO_ERR_USAGE, "features.0.weight to classifier.1.bias", freeze(model, "layer4.*"));
    assert_refused(&test, DIO_ERR_USAGE, "--train-only \"x\" matches no parameter", train_only(model, "x"));
    dio_model_free(model);
    test_end(&test);
}

static void receipt(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct dio_model *model = build(&test, "resnet8_cifar", 3);
    dio_graph_init_params(model->graph, 5);
    assert_ok(&test, freeze(model, "stage:2"));
    struct dio_receipt_line *before, *after;
    size_t n_before, n_after;
    assert_ok(&test, dio_model_receipt(model, &before, &n_before));
    assert_int_equal(n_before, 6 + 12 + 12); /* stem, layer1, layer2: a convolution and five of its norm, each */
    int trained = dio_graph_find_param(model->graph, "linear.bias");
    int frozen = dio_graph_find_param(model->graph, "bn1.running_var");
    ((float *)model->graph->params[trained].data)[0] += 1;
    assert_ok(&test, dio_model_receipt(model, &after, &n_after));
    assert_int_equal(n_after, n_before);
    for (size_t i = 0; i < n_after; i++) assert_memory_equal(&before[i].digest, &after[i].digest, sizeof after[i].digest);
    dio_free(&test.ctx, after);
    ((float *)model->graph->params[frozen].data)[3] = 2;
    assert_ok(&test, dio_model_receipt(model, &after, &n_after));
    int different = 0;
    for (size_t i = 0; i < n_after; i++) different += memcmp(&before[i].digest, &after[i].digest, sizeof after[i].digest) != 0;
    assert_int_equal(different, 1);
    dio_free(&test.ctx, before);
    dio_free(&test.ctx, after);
    dio_model_free(model);
    test_end(&test);
}

static void classes_and_facts(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct dio_model *model = build(&test, "resnet8_cifar", 2);
    char buffer[24];
    assert_string_equal(dio_model_class_name(model, 1, buffer), "1");
    const char *names[] = {"cat", "dog"};
    assert_ok(&test, dio_model_set_classes(model, names, 2));
    assert_ok(&test, dio_model_set_classes(model, names, 2));
    assert_string_equal(dio_model_class_name(model, 1, buffer), "dog");
    assert_ok(&test, dio_model_add_fact(model, "source", "a"));
    assert_ok(&test, dio_model_add_fact(model, "license", "b"));
    assert_ok(&test, dio_model_add_fact(model, "source", "c"));
    assert_string_equal(dio_model_fact(model, "source"), "c");
    assert_int_equal(model->n_provenance, 2);
    assert_null(dio_model_fact(model, "x"));
    for (int i = 0; i < model->graph->n_params; i++) assert_int_equal((uintptr_t)model->graph->params[i].data % 64, 0);
    dio_model_free(model);
    test_end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies),
        cmocka_unit_test(refusals),
        cmocka_unit_test(receipt),
        cmocka_unit_test(classes_and_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
