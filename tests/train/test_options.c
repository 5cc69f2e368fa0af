/* The options table, recipes read and written. */
#include "support.h"
#include "train/recipe.h"

static size_t index_of(const char *name)
{
    int i = dio_option_find(name);
    assert_true(i >= 0);
    return (size_t)i;
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < dio_option_count(); i++) {
        const struct dio_option *option = dio_option_at(i);
        assert_true(option->name && option->group && option->help);
        assert_int_equal(dio_option_find(option->name), i);
        assert_true(strlen(option->help) > 3 && option->help[strlen(option->help) - 1] != '.');
        if (option->type == DIO_OPTION_T_CHOICE) assert_true(option->choices && option->choices[0] != '|');
    }
    assert_null(dio_option_at(dio_option_count()));
    assert_int_equal(dio_option_find("batch-size"), dio_option_find("batch_size"));
    assert_string_equal(dio_option_at(index_of("optimizer"))->choices, "sgd|adamw");
    assert_string_equal(dio_option_at(index_of("schedule"))->choices, "constant|step|cosine");
    assert_string_equal(dio_option_nearest("epoch"), "epochs");
    /* Every name that image/ knows for random views is an option, and the reverse. */
    size_t views = 0;
    for (const struct dio_augment_name *name = dio_augment_names; name->name; name++, views++) {
        char option[64];
        snprintf(option, sizeof option, "augment_%s", name->name);
        (void)index_of(option);
    }
    for (size_t i = 0; i < dio_option_count(); i++) views -= dio_option_at(i)->type == DIO_OPTION_T_AUGMENT;
    assert_int_equal(views, 0);
}

static dio_status set(struct test_ctx *test, struct dio_train_options *options, const char *name, const char *text)
{
    char shown[64];
    snprintf(shown, sizeof shown, "--%s", name);
    return dio_option_set(&test->ctx, options, index_of(name), text, strlen(text), DIO_FROM_COMMAND, DIO_ERR_USAGE, NULL, shown);
}

static void test_values(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_train_options options;
    test_begin(&test);
    assert_ok(&test, dio_train_options_init(&test.ctx, &options));
    assert_int_equal(options.batch_size, 32);
    assert_int_equal(options.epochs, DIO_UNSET_INT);
    assert_true(isnan(options.lr));
    assert_ok(&test, set(&test, &options, "lr", "1e-2"));
    assert_true(options.lr == 0.01);
    static const char *const wrong[][3] = {
        {"lr", "nan", "--lr must be a number above 0 and up to 1000, not \"nan\""},
        {"lr", "0", "above 0"}, {"lr", "0,1", "use a point"}, {"lr", " 1", "not \" 1\""}, {"lr", "1e3x", "1e3x"},
        {"lr", "inf", "inf"}, {"lr", "", "not \"\""},
        {"epochs", "0", "--epochs must be a whole number from 1 to 100000, not \"0\""},
        {"epochs", "1.5", "1.5"}, {"epochs", "99999999999999999999", "epochs"}, {"epochs", "-2", "-2"},
        {"optimizer", "sdg", "did you mean \"sgd\"?"}, {"nesterov", "yes", "true or false"},
        {"mean", "0.5,0.5", "1 or 3 numbers"}, {"std", "0,1,1", "above 0"}, {"augment_flip", "2", "flip"},
        {"seed", "-1", "from 0 to 9223372036854775807"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_refused(&test, DIO_ERR_USAGE, wrong[i][2], set(&test, &options, wrong[i][0], wrong[i][1]));
    }
    assert_ok(&test, set(&test, &options, "augment_crop", "8"));
    assert_int_equal(options.augment.crop, DIO_CROP_SHIFT);
    assert_int_equal(options.augment.pad, 8);
    dio_train_options_free(&options);
    test_end(&test);
}

static const char recipe_text[] = "model: arch:resnet20_cifar\ndata: pictures\nepochs: 7\nlr: 0.5\nmean: [0.1, 0.2, 0.3]\n"
                                  "augment:\n  flip: true\n  scale: [0.5, 1]\n";

static void test_recipe(void **state)
{
    (void)state;
    struct test_ctx test;
    struct test_folder folder;
    struct dio_train_options options, again;
    struct dio_str text, differences;
    test_begin(&test);
    test_folder_make(&folder);
    test_write(test_in(&folder, "r.yaml"), recipe_text, strlen(recipe_text));
    assert_ok(&test, dio_train_options_init(&test.ctx, &options));
    assert_ok(&test, set(&test, &options, "epochs", "3"));
    assert_ok(&test, dio_recipe_read(&test.ctx, test_in(&folder, "r.yaml"), &options));
    assert_int_equal(options.epochs, 3); /* the command line wins */
    assert_true(options.lr == 0.5 && options.mean.count == 3 && options.mean.values[2] == 0.3);
    assert_true(options.augment.flip == 0.5 && options.augment.scale_min == 0.5);
    assert_string_equal(options.model, "arch:resnet20_cifar");
    assert_string_equal(options.data, test_in(&folder, "pictures")); /* relative to the recipe */
    assert_refused(&test, DIO_ERR_INPUT, "line 2: data:", dio_recipe_check_paths(&test.ctx, &options));
    assert_ok(&test, dio_mkdirs(&test.ctx, test_in(&folder, "pictures")));
    assert_ok(&test, dio_mkdirs(&test.ctx, test_in(&folder, "run")));
    assert_ok(&test, dio_recipe_check_paths(&test.ctx, &options));

    /* What is written reads back as the same, from where it lies. */
    dio_str_init(&text, &test.ctx);
    dio_str_init(&differences, &test.ctx);
    assert_ok(&test, dio_recipe_write(&test.ctx, &options, test_in(&folder, "run"), &text));
    assert_non_null(strstr(text.data, "data: ../pictures\n"));
    test_write(test_in(&folder, "run/recipe.yaml"), text.data, text.length);
    assert_ok(&test, dio_train_options_init(&test.ctx, &again));
    assert_ok(&test, dio_recipe_read(&test.ctx, test_in(&folder, "run/recipe.yaml"), &again));
    if (dio_recipe_differences(&options, &again, &differences) != 0) fail_msg("%s", differences.data);
    again.epochs++; /* may grow */
    assert_int_equal(dio_recipe_differences(&options, &again, &differences), 0);
    again.batch_size = 64;
    assert_int_equal(dio_recipe_differences(&options, &again, &differences), 1);
    assert_string_equal(differences.data, "batch_size was 32, is 64");
    dio_str_free(&text);
    dio_str_free(&differences);
    dio_train_options_free(&options);
    dio_train_options_free(&again);
    test_folder_remove(&folder);
    test_end(&test);
}

static void test_refused_recipes(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"epoch: 3\n", "line 1: unknown key \"epoch\"; did you mean \"epochs\"?"},
        {"seed: 1\naugment:\n  flop: true\n", "line 3: unknown key \"flop\"; did you mean \"flip\"?"},
        {"epochs: 3\nepochs: 4\n", "line 2: epochs"},
        {"epochs:\n", "epochs has no value"},
        {"epochs: [2]\n", "epochs cannot be a list"},
        {"epochs: \"2\"\n", "epochs cannot be text"},
        {"overwrite: true\n", "overwrite belongs on the command line"},
        {"mean: 0.5\naugment:\n  mean: 0.5\n", "line 3: mean appears twice (line 1)"},
        {"batch-size: 3\n", "did you mean \"batch_size\"?"},
    };
    struct test_ctx test;
    struct test_folder folder;
    test_begin(&test);
    test_folder_make(&folder);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct dio_train_options options;
        test_write(test_in(&folder, "r.yaml"), wrong[i][0], strlen(wrong[i][0]));
        assert_ok(&test, dio_train_options_init(&test.ctx, &options));
        assert_refused(&test, DIO_ERR_INPUT, wrong[i][1], dio_recipe_read(&test.ctx, test_in(&folder, "r.yaml"), &options));
        dio_train_options_free(&options);
    }
    test_folder_remove(&folder);
    test_end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_recipe),
        cmocka_unit_test(test_refused_recipes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
