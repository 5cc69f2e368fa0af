/* The walk of predict: sorted, streaming, files and folders and tars and manifests in the order given. */
#include "make.h"

#include "data/walk.h"

static int before(void **state)
{
    make_folder(state);
    make_picture("in/b.ppm", 1);
    make_picture("in/a/z.ppm", 2);
    make_picture("in/a-1.ppm", 3);
    make_picture("in/a/deep/y.ppm", 4);
    make_picture("in/odd\n\"name\xFF.ppm", 5);
    make_text("in/readme.txt", "x");
    make_text("in/.hidden.ppm", "x");
    assert_int_equal(symlink("..", test_in(&folder, "in/a/loop")), 0);
    return 0;
}

static void test_order(void **state)
{
    (void)state;
    char in[1024], single[1024], csv[1024];
    snprintf(in, sizeof in, "%s/in/", folder.path);
    snprintf(single, sizeof single, "%s/in/b.ppm", folder.path);
    snprintf(csv, sizeof csv, "%s/list.csv", folder.path);
    make_text("list.csv", "path\nin/b.ppm\nin/a-1.ppm\n");
    const char *paths[] = {in, single, csv};
    const char *const expected[] = {"in/a-1.ppm", "in/a/deep/y.ppm", "in/a/z.ppm", "in/b.ppm", "in/odd\n\"name\xFF.ppm",
                                    "in/b.ppm",   "in/b.ppm",        "in/a-1.ppm"};
    struct dio_walk *walk;
    assert_ok(&test, dio_walk_open(&test.ctx, paths, 3, NULL, &walk));
    struct dio_arena names;
    dio_arena_init(&names, &test.ctx);
    size_t n = 0;
    for (;; n++) {
        struct dio_ref ref;
        bool found;
        assert_ok(&test, dio_walk_next(walk, &names, &ref, &found));
        if (!found) break;
        assert_true(n < sizeof expected / sizeof *expected);
        char whole[2048];
        snprintf(whole, sizeof whole, "%s/%s", folder.path, expected[n]);
        assert_string_equal(ref.name, whole);
        struct dio_picture picture = {0};
        assert_ok(&test, dio_ref_decode(&test.ctx, &ref, NULL, &picture, NULL));
        dio_picture_free(&test.ctx, &picture);
    }
    assert_int_equal(n, sizeof expected / sizeof *expected);
    assert_non_null(strstr(test.said, "link loop"));
    assert_non_null(strstr(test.said, "readme.txt"));
    dio_arena_free(&names);
    dio_walk_close(walk);
}

static void test_missing(void **state)
{
    (void)state;
    char in[1024];
    snprintf(in, sizeof in, "%s/in", folder.path);
    const char *paths[] = {in, "/nonexistent.png"};
    struct dio_walk *walk;
    assert_refused(&test, DIO_ERR_ENV, "/nonexistent.png", dio_walk_open(&test.ctx, paths, 2, NULL, &walk));
}

/* CIFAR's records are pictures, with or without their names, at the top or below. */
static void test_records(void **state)
{
    (void)state;
    enum { RECORD = 3073, COUNT = 3 };
    static unsigned char bytes[COUNT * RECORD];
    make_picture("records/a/1.ppm", 1);
    test_write(test_in(&folder, "records/a/../data_batch_1.bin"), bytes, sizeof bytes);
    char top[1024], own[1024], record[1024];
    snprintf(top, sizeof top, "%s", folder.path);
    snprintf(own, sizeof own, "%s", test_in(&folder, "records"));
    snprintf(record, sizeof record, "%s", test_in(&folder, "records/data_batch_1.bin#2"));
    for (int below = 0; below < 2; below++) {
        const char *path = below ? top : own;
        struct dio_walk *walk;
        struct dio_arena names;
        struct dio_ref ref;
        size_t n = 0;
        assert_ok(&test, dio_walk_open(&test.ctx, &path, 1, NULL, &walk));
        dio_arena_init(&names, &test.ctx);
        for (bool found = true, last = false; found;) {
            assert_ok(&test, dio_walk_next(walk, &names, &ref, &found));
            if (!found || ref.kind != DIO_REF_RECORD) continue;
            last = strcmp(ref.name, record) == 0;
            assert_int_equal(last, ++n == COUNT);
        }
        assert_int_equal(n, COUNT);
        assert_int_equal(dio_walk_total(walk), below ? 0 : COUNT);
        dio_arena_free(&names);
        dio_walk_close(walk);
    }
}

static void test_tar(void **state)
{
    (void)state;
    const char *path = test_shared_path("data/rsscn7.tar");
    if (!path) skip();
    struct dio_walk *walk;
    assert_ok(&test, dio_walk_open(&test.ctx, &path, 1, NULL, &walk));
    struct dio_arena names;
    dio_arena_init(&names, &test.ctx);
    size_t n = 0;
    bool found = true;
    struct dio_ref ref = {0};
    while (found) {
        assert_ok(&test, dio_walk_next(walk, &names, &ref, &found));
        n += found;
    }
    assert_int_equal(n, 595);
    assert_int_equal(dio_walk_total(walk), 595);
    assert_non_null(strstr(ref.name, "rsscn7.tar/rsscn7/val/RiverLake/"));
    struct dio_blob bytes;
    assert_ok(&test, dio_ref_read(&test.ctx, &ref, &bytes));
    assert_int_equal(bytes.data[0], 0xFF);
    dio_blob_free(&test.ctx, &bytes);
    dio_arena_free(&names);
    dio_walk_close(walk);
}

/* D9, D10: gone, changed, or turned into something else since it was listed. */
static void test_changed(void **state)
{
    (void)state;
    struct dio_dataset *dataset;
    const struct dio_dataset_options flat = {.labels_wanted = false};
    assert_ok(&test, dio_dataset_open(&test.ctx, test_in(&folder, "in"), &flat, &dataset));
    assert_string_equal(dio_dataset_layout(dataset), "flat");
    struct dio_blob bytes;
    unlink(test_in(&folder, "in/a-1.ppm"));
    assert_refused(&test, DIO_ERR_INPUT, "vanished since the start", dio_dataset_read(dataset, &test.ctx, 0, &bytes));
    assert_int_equal(mkfifo(test_in(&folder, "in/a-1.ppm"), 0600), 0);
    assert_refused(&test, DIO_ERR_INPUT, "not a regular file", dio_dataset_read(dataset, &test.ctx, 0, &bytes));
    unlink(test_in(&folder, "in/a-1.ppm"));
    make_text("in/a-1.ppm", "another");
    assert_refused(&test, DIO_ERR_INPUT, "changed since the start", dio_dataset_read(dataset, &test.ctx, 0, &bytes));
    test.ctx.limits.max_file = 10;
    assert_refused(&test, DIO_ERR_INPUT, "above --max-file 10", dio_dataset_read(dataset, &test.ctx, 1, &bytes));
    dio_dataset_free(dataset);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, before, remove_folder)
    const struct CMUnitTest tests[] = {TEST(test_order), TEST(test_missing), TEST(test_records),
        TEST(test_tar), TEST(test_changed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
