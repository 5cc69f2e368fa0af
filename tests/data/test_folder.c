/* Folders of class folders: names, splits, what is refused and what is warned of (rows D1 to D12). */
#include "make.h"

static dio_status open_it(const struct dio_dataset_options *options, struct dio_dataset **dataset)
{
    return dio_dataset_open(&test.ctx, folder.path, options, dataset);
}

static dio_status try_it(const struct dio_dataset_options *options)
{
    struct dio_dataset *dataset = NULL;
    dio_status status = open_it(options, &dataset);
    dio_dataset_free(dataset);
    return status;
}

static void test_plain(void **state)
{
    (void)state;
    make_picture("dog/b.ppm", 1);
    make_picture("dog/a-1.ppm", 2);
    make_picture("dog/a/deep.ppm", 3);
    make_picture("cat/x.ppm", 4);
    make_picture("cat/no_ending", 5);
    make_picture("cat/.hidden.ppm", 6);
    make_picture(".git/x.ppm", 7);
    make_text("cat/Thumbs.db", "x");
    make_text("cat/notes.txt", "x");
    make_text("readme.md", "x");
    struct dio_dataset *dataset;
    assert_ok(&test, open_it(train_options(), &dataset));
    assert_string_equal(dio_dataset_layout(dataset), "folder");
    assert_int_equal(dio_dataset_classes(dataset), 2);
    assert_string_equal(dio_dataset_class(dataset, 0), "cat");
    const char *const expected[] = {"cat/no_ending", "cat/x.ppm", "dog/a-1.ppm", "dog/a/deep.ppm", "dog/b.ppm"};
    assert_int_equal(dio_dataset_count(dataset), 5);
    for (size_t i = 0; i < 5; i++) assert_string_equal(dio_dataset_path(dataset, i), expected[i]);
    assert_int_equal(dio_dataset_item(dataset, 4)->label, 1);
    assert_non_null(strstr(test.said, "2 files are not pictures (first: cat/notes.txt)"));
    assert_true(dio_dataset_val_was_cut(dataset));
    assert_int_equal(dio_dataset_split_count(dataset, DIO_SPLIT_VAL), 2); /* one of each class */
    dio_dataset_free(dataset);
}

static void test_splits(void **state)
{
    (void)state;
    make_picture("top/train/cat/1.ppm", 1);
    make_picture("top/train/dog/1.ppm", 2);
    make_picture("top/Validation/cat/1.ppm", 3);
    make_picture("top/test/dog/1.ppm", 4);
    struct dio_dataset *dataset;
    assert_ok(&test, open_it(train_options(), &dataset));
    assert_int_equal(dio_dataset_split_count(dataset, DIO_SPLIT_TRAIN), 2);
    assert_int_equal(dio_dataset_split_count(dataset, DIO_SPLIT_VAL), 1);
    assert_int_equal(dio_dataset_split_count(dataset, DIO_SPLIT_TEST), 1);
    assert_false(dio_dataset_val_was_cut(dataset));
    assert_string_equal(dio_dataset_path(dataset, 0), "Validation/cat/1.ppm");
    assert_non_null(strstr(test.said, "class \"dog\" has no pictures in val"));
    char shown[1024], expected[1024];
    dio_dataset_display(dataset, 0, shown, sizeof shown);
    snprintf(expected, sizeof expected, "%s/top/Validation/cat/1.ppm", folder.path);
    assert_string_equal(shown, expected);
    dio_dataset_free(dataset);
    make_picture("top/test/yak/1.ppm", 5);
    assert_refused(&test, DIO_ERR_INPUT, "class \"yak\" is in test and not in train", try_it(train_options()));
}

static void test_class_named_train(void **state)
{
    (void)state;
    make_picture("train/1.ppm", 1);
    make_picture("plane/1.ppm", 2);
    make_picture("car/1.ppm", 3);
    struct dio_dataset *dataset;
    assert_ok(&test, open_it(train_options(), &dataset));
    assert_int_equal(dio_dataset_classes(dataset), 3);
    dio_dataset_free(dataset);
}

static void test_refusals(void **state)
{
    (void)state;
    assert_refused(&test, DIO_ERR_INPUT, "no pictures", try_it(train_options()));
    make_picture("1.ppm", 1);
    assert_refused(&test, DIO_ERR_INPUT, "no class folders", try_it(train_options()));
    make_picture("cat/1.ppm", 1);
    assert_refused(&test, DIO_ERR_INPUT, "only one class (\"cat\")", try_it(train_options()));
    make_picture("dog/1.ppm", 1);
    assert_int_equal(mkdir(test_in(&folder, "owl"), 0777), 0);
    assert_refused(&test, DIO_ERR_INPUT, "class \"owl\" has no pictures", try_it(train_options()));
    struct dio_dataset_options options = *train_options();
    options.allow_empty = true;
    assert_ok(&test, try_it(&options));
    struct dio_dataset *none;
    assert_refused(&test, DIO_ERR_ENV, "missing", dio_dataset_open(&test.ctx, test_in(&folder, "missing"), &options, &none));
    assert_refused(&test, DIO_ERR_INPUT, "not a folder", dio_dataset_open(&test.ctx, test_in(&folder, "1.ppm"), &options, &none));
    assert_int_equal(rmdir(test_in(&folder, "owl")), 0);
}

/* D5: a folder's name is a class's name, whatever its characters. */
static void test_odd_names(void **state)
{
    (void)state;
    make_picture("-a, \"b\"/1.ppm", 1);
    make_picture("bell \a/1.ppm", 2);
    make_picture("line\nend/1.ppm", 3);
    make_picture("raw \xFF" "z/1.ppm", 4);
    struct dio_dataset *dataset;
    assert_ok(&test, dio_dataset_open(&test.ctx, folder.path, train_options(), &dataset));
    static const char *const names[] = {"-a, \"b\"", "bell \a", "line\nend", "raw \\xffz"};
    assert_int_equal(dio_dataset_classes(dataset), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(dio_dataset_class(dataset, i), names[i]);
        assert_int_equal(dio_dataset_item(dataset, i)->label, i);
    }
    dio_dataset_free(dataset);
}

static void test_depth(void **state)
{
    (void)state;
    make_picture("cat/1.ppm", 1);
    char name[600] = "cat";
    for (int i = 0; i < 66; i++) {
        strcat(name, "/d");
        mkdir(test_in(&folder, name), 0777);
    }
    assert_refused(&test, DIO_ERR_INPUT, "nested deeper than 64", try_it(train_options()));
}

static void test_links(void **state)
{
    (void)state;
    make_picture("train/cat/1.ppm", 1);
    make_picture("train/dog/1.ppm", 2);
    make_picture("val/cat/2.ppm", 3);
    make_picture("val/dog/2.ppm", 4);
    assert_int_equal(symlink("..", test_in(&folder, "train/dog/loop")), 0);
    assert_ok(&test, try_it(train_options()));
    assert_non_null(strstr(test.said, "link loop, not followed"));
    assert_int_equal(link(test_in(&folder, "train/cat/1.ppm"), test_in(&folder, "val/cat/hard.ppm")), 0);
    assert_refused(&test, DIO_ERR_INPUT, "train/cat/1.ppm and val/cat/hard.ppm are the same file", try_it(train_options()));
    struct dio_dataset_options options = *train_options();
    options.allow_leak = true;
    assert_ok(&test, try_it(&options));
    assert_int_equal(unlink(test_in(&folder, "val/cat/hard.ppm")), 0);
    assert_int_equal(symlink("../../train/dog/1.ppm", test_in(&folder, "val/dog/soft.ppm")), 0);
    assert_refused(&test, DIO_ERR_INPUT, "are the same file", try_it(train_options()));
    assert_int_equal(unlink(test_in(&folder, "val/dog/soft.ppm")), 0);
    assert_int_equal(mkfifo(test_in(&folder, "train/cat/pipe.png"), 0600), 0);
    assert_ok(&test, try_it(train_options()));
    assert_non_null(strstr(test.said, "pipe.png"));
    assert_non_null(strstr(test.said, "not a regular file"));
}

static void test_similar_names(void **state)
{
    (void)state;
    make_picture("cat/1.ppm", 1);
    make_picture("Cat/1.ppm", 2);
    make_picture("caf\xC3\xA9/1.ppm", 3);
    make_picture("cafe\xCC\x81/1.ppm", 4);
    make_picture("dog/1.ppm", 5);
    struct dio_dataset *dataset;
    assert_ok(&test, open_it(train_options(), &dataset));
    assert_int_equal(dio_dataset_classes(dataset), 5);
    assert_non_null(strstr(test.said, "classes \"Cat\" and \"cat\" differ in case only"));
    assert_non_null(strstr(test.said, "differ in accents only"));
    assert_int_equal(test.warnings, 2);
    dio_dataset_free(dataset);
}

static void test_numbers(void **state)
{
    (void)state;
    make_picture("10/1.ppm", 1);
    make_picture("9/1.ppm", 2);
    struct dio_dataset *dataset;
    assert_ok(&test, open_it(train_options(), &dataset));
    assert_string_equal(dio_dataset_class(dataset, 0), "9");
    assert_int_equal(dio_dataset_item(dataset, 0)->label, 1); /* "10/1.ppm" */
    dio_dataset_free(dataset);
    const char *const model[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"};
    struct dio_dataset_options options = {.labels_wanted = true, .model_classes = model, .n_model_classes = 11};
    assert_ok(&test, open_it(&options, &dataset));
    assert_int_equal(dio_dataset_classes(dataset), 11);
    assert_int_equal(dio_dataset_item(dataset, 0)->label, 10);
    dio_dataset_free(dataset);
    options.n_model_classes = 10;
    assert_refused(&test, DIO_ERR_INPUT, "class \"10\" is not one of the 10 classes of the model", try_it(&options));
}

/* D11: below 200 bytes a file at the peak, and quickly. */
static void test_many(void **state)
{
    (void)state;
    enum { FILES = 8000 };
    mkdir(test_in(&folder, "a_rather_long_class_name"), 0777);
    mkdir(test_in(&folder, "b"), 0777);
    for (int i = 0; i < FILES; i++) {
        char name[128];
        snprintf(name, sizeof name, "a_rather_long_class_name/IM-%08d-0001.jpeg", i * 7919 % FILES);
        test_write(test_in(&folder, name), "", 0);
    }
    make_picture("b/1.ppm", 1);
    struct dio_dataset *dataset;
    assert_ok(&test, open_it(train_options(), &dataset));
    assert_int_equal(dio_dataset_count(dataset), FILES + 1);
    for (size_t i = 1; i < FILES; i++) assert_true(strcmp(dio_dataset_path(dataset, i - 1), dio_dataset_path(dataset, i)) < 0);
    print_message("%.1f bytes a file at the peak\n", (double)test.stats.peak_bytes / FILES);
    assert_true(test.stats.peak_bytes < INT64_C(200) * FILES);
    dio_dataset_free(dataset);
}

static dio_status open_and_free(struct test_ctx *poor, void *arg)
{
    struct dio_dataset *dataset = NULL;
    dio_status status = dio_dataset_open(&poor->ctx, arg, train_options(), &dataset);
    dio_dataset_free(dataset);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    make_picture("cat/1.ppm", 1);
    make_picture("cat/2.ppm", 2);
    make_picture("dog/3.ppm", 3);
    make_picture("dog/4.ppm", 4);
    test_fail_each_allocation(open_and_free, folder.path);
}

static void test_parts(void **state)
{
    (void)state;
    make_picture("one/3/1.ppm", 1);
    make_picture("one/5/2.ppm", 2);
    make_picture("two/5/1.ppm", 3);
    make_picture("three/0/1.ppm", 3);
    char train[1024], val[1024], other[1024];
    snprintf(train, sizeof train, "%s/one", folder.path);
    snprintf(val, sizeof val, "%s/two", folder.path);
    snprintf(other, sizeof other, "%s/three", folder.path);
    struct dio_dataset *dataset;
    assert_ok(&test, dio_dataset_open_parts(&test.ctx, train, val, NULL, train_options(), &dataset));
    assert_int_equal(dio_dataset_split_count(dataset, DIO_SPLIT_TRAIN), 2);
    assert_int_equal(dio_dataset_item(dataset, 2)->label, 1);
    assert_int_equal(dio_dataset_item(dataset, 2)->split, DIO_SPLIT_VAL);
    struct dio_blob bytes;
    assert_ok(&test, dio_dataset_read(dataset, &test.ctx, 2, &bytes));
    assert_int_equal(bytes.data[11], 3);
    dio_blob_free(&test.ctx, &bytes);
    dio_dataset_free(dataset);
    assert_refused(&test, DIO_ERR_INPUT, "class \"0\" is not one of the 2 training classes",
                   dio_dataset_open_parts(&test.ctx, train, other, NULL, train_options(), &dataset));
}

static void test_split_names(void **state)
{
    (void)state;
    make_picture("train/cat/a.ppm", 1);
    make_picture("train/dog/b.ppm", 2);
    make_picture("holdout/cat/c.ppm", 3);
    assert_ok(&test, try_it(train_options()));
    assert_non_null(strstr(test.said, "\"train\" is taken for a class"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {TEST(test_plain), TEST(test_splits), TEST(test_class_named_train), TEST(test_refusals),
        TEST(test_odd_names),
                                       TEST(test_depth), TEST(test_links), TEST(test_similar_names), TEST(test_numbers),
                                       TEST(test_many), TEST(test_memory), TEST(test_parts), TEST(test_split_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
