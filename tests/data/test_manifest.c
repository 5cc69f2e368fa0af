/* CSV manifests: columns, roots, splits, groups, and the messages for what is wrong (rows C1 to C11). */
#include "make.h"

static int before(void **state)
{
    make_folder(state);
    for (int i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof name, "img/%d.ppm", i);
        make_picture(name, i);
    }
    return 0;
}

static dio_status open_text(const char *text, const struct dio_dataset_options *options, struct dio_dataset **dataset)
{
    make_text("m.csv", text);
    *dataset = NULL;
    return dio_dataset_open(&test.ctx, test_in(&folder, "m.csv"), options, dataset);
}

static dio_status try_text(const char *text, const struct dio_dataset_options *options)
{
    struct dio_dataset *dataset;
    dio_status status = open_text(text, options, &dataset);
    dio_dataset_free(dataset);
    return status;
}

static void test_aliases(void **state)
{
    (void)state;
    struct dio_dataset *dataset;
    assert_ok(&test, open_text("class_index,patient_key,file,extra\n10,p1,img/0.ppm,x\n9,p2,img/1.ppm,y\n", train_options(), &dataset));
    assert_int_equal(dio_dataset_classes(dataset), 2);
    assert_string_equal(dio_dataset_class(dataset, 0), "9"); /* numbers in order of value */
    assert_int_equal(dio_dataset_item(dataset, 0)->label, 1);
    assert_int_equal(dio_dataset_item(dataset, 0)->line, 2);
    assert_true(dio_dataset_has_groups(dataset));
    dio_dataset_free(dataset);
    struct dio_dataset_options options = *train_options();
    options.columns = "path=where,label=what";
    assert_ok(&test, open_text("what,where,path\ncat,img/0.ppm,no\ndog,img/1.ppm,no\n", &options, &dataset));
    assert_string_equal(dio_dataset_path(dataset, 0), "img/0.ppm");
    dio_dataset_free(dataset);
    assert_refused(&test, DIO_ERR_INPUT, "no column \"where\"", try_text("path,label\nimg/0.ppm,a\n", &options));
    options.columns = "paht=where";
    assert_refused(&test, DIO_ERR_USAGE, "--columns", try_text("path,label\nimg/0.ppm,a\n", &options));
}

static void test_model_classes(void **state)
{
    (void)state;
    const char *const model[] = {"cat", "dog", "owl"};
    struct dio_dataset_options options = {.labels_wanted = true, .model_classes = model, .n_model_classes = 3};
    struct dio_dataset *dataset;
    assert_ok(&test, open_text("path,label\nimg/0.ppm,owl\nimg/1.ppm,1\n", &options, &dataset));
    assert_int_equal(dio_dataset_item(dataset, 0)->label, 2);
    assert_int_equal(dio_dataset_item(dataset, 1)->label, 1);
    assert_int_equal(dio_dataset_item(dataset, 1)->split, DIO_SPLIT_NONE);
    dio_dataset_free(dataset);
    assert_refused(&test, DIO_ERR_INPUT, "did you mean \"owl\"?", try_text("path,label\nimg/0.ppm,owls\n", &options));
    assert_refused(&test, DIO_ERR_INPUT, "line 3: class \"3\"", try_text("path,label\nimg/0.ppm,cat\nimg/1.ppm,3\n", &options));
}

static void test_rows(void **state)
{
    (void)state;
    assert_refused(&test, DIO_ERR_INPUT, "line 3: split \"trian\"; did you mean \"train\"?",
                   try_text("path,label,split\nimg/0.ppm,a,train\nimg/1.ppm,b,trian\n", train_options()));
    assert_refused(&test, DIO_ERR_INPUT, "line 3: img/none.ppm: no such file",
                   try_text("path,label\nimg/0.ppm,a\nimg/none.ppm,b\n", train_options()));
    assert_refused(&test, DIO_ERR_INPUT, "img/0.ppm has label \"b\" here and \"a\" in line 2 as img/../img/0.ppm",
                   try_text("path,label\nimg/../img/0.ppm,a\nimg/0.ppm,b\n", train_options()));
    assert_refused(&test, DIO_ERR_INPUT, "line 3: img/0.ppm is in val here and in train in line 2",
                   try_text("path,label,split\nimg/0.ppm,a,train\nimg/0.ppm,a,val\nimg/1.ppm,b,train\n", train_options()));
    struct dio_dataset_options options = *train_options();
    options.allow_leak = true;
    assert_ok(&test, try_text("path,label,split\nimg/0.ppm,a,train\nimg/0.ppm,a,val\nimg/1.ppm,b,train\n", &options));
    /* Many problems: ten lines and a count, the failure last. */
    char text[2048] = "path,label\n";
    for (int i = 0; i < 13; i++) strcat(text, "img/0.ppm\n");
    test.said[0] = 0;
    assert_refused(&test, DIO_ERR_INPUT, "13 rows are wrong, the first in line 2", try_text(text, train_options()));
    assert_non_null(strstr(test.said, "line 11: 1 field, expected 2"));
    assert_null(strstr(test.said, "line 12"));
    assert_non_null(strstr(test.said, "and 3 more"));
}

static void test_twice(void **state)
{
    (void)state;
    struct dio_dataset *dataset;
    assert_ok(&test, open_text("path,label\nimg/0.ppm,a\nimg/1.ppm,b\nimg/0.ppm,a\n", train_options(), &dataset));
    assert_int_equal(dio_dataset_count(dataset), 2);
    assert_non_null(strstr(test.said, "img/0.ppm is listed twice (line 2)"));
    dio_dataset_free(dataset);
}

static void test_groups(void **state)
{
    (void)state;
    assert_refused(&test, DIO_ERR_INPUT, "line 4: group \"p1\" is in test here and in train in line 2",
                   try_text("path,label,split,group\nimg/0.ppm,a,train,p1\nimg/1.ppm,b,train,p2\nimg/2.ppm,a,test,p1\n", train_options()));
    /* Cut by group: no group in both parts, whatever the seed. */
    const char *text = "path,label,patient\nimg/0.ppm,a,p1\nimg/1.ppm,a,p1\nimg/2.ppm,a,p2\nimg/3.ppm,a,p3\n"
                       "img/4.ppm,b,p4\nimg/5.ppm,b,p5\nimg/6.ppm,b,p5\nimg/7.ppm,b,p4\n";
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct dio_dataset_options options = *train_options();
        options.seed = seed;
        struct dio_dataset *dataset;
        assert_ok(&test, open_text(text, &options, &dataset));
        size_t val = dio_dataset_split_count(dataset, DIO_SPLIT_VAL);
        assert_in_range(val, 2, 4);
        for (size_t i = 0; i < dio_dataset_count(dataset); i++) {
            for (size_t k = 0; k < i; k++) {
                const struct dio_item *a = dio_dataset_item(dataset, i), *b = dio_dataset_item(dataset, k);
                if (a->group == b->group) assert_int_equal(a->split, b->split);
            }
        }
        uint64_t train[2];
        dio_dataset_class_counts(dataset, DIO_SPLIT_TRAIN, train);
        assert_true(train[0] > 0 && train[1] > 0);
        dio_dataset_free(dataset);
    }
}

static void test_roots(void **state)
{
    (void)state;
    make_picture("set/deep/a.ppm", 1);
    make_picture("set/deep/b.ppm", 2);
    make_text("set.manifest.csv", "path,label\ndeep/a.ppm,a\ndeep/b.ppm,b\n");
    struct dio_dataset *dataset;
    assert_ok(&test, dio_dataset_open(&test.ctx, test_in(&folder, "set.manifest.csv"), train_options(), &dataset));
    char shown[1024];
    dio_dataset_display(dataset, 0, shown, sizeof shown);
    assert_string_equal(shown, test_in(&folder, "set/deep/a.ppm"));
    dio_dataset_free(dataset);
    struct dio_dataset_options options = *train_options();
    char root[1024];
    snprintf(root, sizeof root, "%s", test_in(&folder, "set/deep"));
    options.root = root;
    assert_ok(&test, try_text("path,label\na.ppm,a\nb.ppm,b\n", &options));
    /* One folder less or more than the root has, in all rows. */
    assert_ok(&test, try_text("path,label\ndeep/a.ppm,a\ndeep/b.ppm,b\n", &options));
    assert_non_null(strstr(test.said, "its paths begin with \"deep/\""));
    assert_refused(&test, DIO_ERR_INPUT, "not below \"deep/\"", try_text("path,label\ndeep/a.ppm,a\nb.ppm,b\n", &options));
    snprintf(root, sizeof root, "%s", test_in(&folder, "set"));
    assert_ok(&test, try_text("path,label\na.ppm,a\nb.ppm,b\n", &options));
    assert_non_null(strstr(test.said, "taken as below \"deep/\""));
    assert_refused(&test, DIO_ERR_INPUT, "no such file", try_text("path,label\na.ppm,a\nc.ppm,b\n", &options));
    options.root = "/nonexistent";
    assert_refused(&test, DIO_ERR_ENV, "/nonexistent", try_text("path,label\na.ppm,a\nb.ppm,b\n", &options));
    /* In a folder: used when its header is that of a manifest. */
    make_text("set/manifest.csv", "path,label,split\ndeep/a.ppm,a,train\ndeep/b.ppm,b,train\n");
    assert_ok(&test, dio_dataset_open(&test.ctx, test_in(&folder, "set"), train_options(), &dataset));
    assert_string_equal(dio_dataset_layout(dataset), "manifest");
    dio_dataset_free(dataset);
    make_text("set/manifest.csv", "something,else\n1,2\n");
    assert_refused(&test, DIO_ERR_INPUT, "only one class", dio_dataset_open(&test.ctx, test_in(&folder, "set"), train_options(), &dataset));
}

static void test_fingerprint(void **state)
{
    (void)state;
    struct dio_digest digests[3];
    const char *texts[3] = {"path,label\nimg/0.ppm,a\nimg/1.ppm,b\n", "path,label\nimg/0.ppm,b\nimg/1.ppm,a\n",
                            "label,path\na,img/0.ppm\nb,img/1.ppm\n"};
    for (int i = 0; i < 3; i++) {
        struct dio_dataset *dataset;
        assert_ok(&test, open_text(texts[i], train_options(), &dataset));
        struct dio_sha256 hash;
        dio_sha256_init(&hash);
        dio_dataset_fingerprint(dataset, &hash);
        digests[i] = dio_sha256_end(&hash);
        dio_dataset_free(dataset);
    }
    assert_memory_not_equal(&digests[0], &digests[1], sizeof digests[0]);
    assert_memory_equal(&digests[0], &digests[2], sizeof digests[0]);
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
    make_text("m.csv", "path,label,group\nimg/0.ppm,a,x\nimg/1.ppm,b,y\nimg/2.ppm,b,z\n");
    char path[1024];
    snprintf(path, sizeof path, "%s", test_in(&folder, "m.csv"));
    test_fail_each_allocation(open_and_free, path);
}

static void open_shared(const char *name, const char *layout, size_t train, size_t val, size_t test_count, bool groups)
{
    const char *path = test_shared_path(name);
    if (!path) skip();
    struct dio_dataset_options options = *train_options();
    options.val_share = val ? 0 : 0.2;
    struct dio_dataset *dataset;
    assert_ok(&test, dio_dataset_open(&test.ctx, path, &options, &dataset));
    assert_string_equal(dio_dataset_layout(dataset), layout);
    size_t cut = dio_dataset_split_count(dataset, DIO_SPLIT_VAL);
    if (val) assert_int_equal(cut, val);
    assert_int_equal(dio_dataset_split_count(dataset, DIO_SPLIT_TRAIN) + (val ? 0 : cut), train);
    assert_int_equal(dio_dataset_split_count(dataset, DIO_SPLIT_TEST), test_count);
    assert_int_equal(dio_dataset_has_groups(dataset), groups);
    struct dio_blob bytes;
    size_t last = dio_dataset_count(dataset) - 1;
    assert_ok(&test, dio_dataset_read(dataset, &test.ctx, last, &bytes));
    assert_int_equal(bytes.data[0], 0xFF); /* a JPEG */
    assert_int_equal(bytes.data[bytes.size - 1], 0xD9);
    dio_blob_free(&test.ctx, &bytes);
    dio_dataset_free(dataset);
}

static void test_real_sets(void **state)
{
    (void)state;
    open_shared("data/cxr_pneumonia.tar", "manifest", 500, 0, 200, true);
    open_shared("data/cxr_pneumonia.manifest.csv", "manifest", 500, 0, 200, true);
    open_shared("data/rsscn7.tar", "folder", 420, 175, 0, false);
    open_shared("data/hymenoptera_sub.tar", "folder", 244, 153, 0, false);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, before, remove_folder)
    const struct CMUnitTest tests[] = {TEST(test_aliases), TEST(test_model_classes), TEST(test_rows), TEST(test_twice),
                                       TEST(test_groups), TEST(test_roots), TEST(test_fingerprint), TEST(test_memory),
                                       TEST(test_real_sets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
