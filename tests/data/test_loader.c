/* The loader against decoding and preparing by hand; the same bits for any number of threads; bad pictures in order. */
#include "make.h"

#include "base/threads.h"
#include "data/bad.h"
#include "data/loader.h"

enum { GOOD = 23, SIDE = 8 };

static int before(void **state)
{
    make_folder(state);
    for (int i = 0; i < GOOD; i++) {
        char name[32], bytes[1024];
        snprintf(name, sizeof name, "%s/%02d.ppm", i % 2 ? "cat" : "dog", i);
        make_picture(name, i);
        int width = 9 + i % 4, height = 10 + i % 3;
        int head = snprintf(bytes, sizeof bytes, "P6 %d %d 255\n", width, height);
        for (int k = 0; k < width * height * 3; k++) bytes[head + k] = (char)(k * 7 + i * 13);
        test_write(test_in(&folder, name), bytes, (size_t)(head + width * height * 3));
    }
    make_text("cat/05b.ppm", "P6 5 5 255\nshort");
    make_text("dog/00b.ppm", "P6 5 5 255\nshort");
    return 0;
}

static struct dio_image_recipe small_recipe(void)
{
    struct dio_image_recipe recipe = dio_image_recipe_imagenet(SIDE, SIDE);
    return recipe;
}

/* All pictures of one pass, in order of the batches; bad ones counted and named. */
static size_t one_pass(int threads, bool augmented, float *out, uint32_t *items, struct dio_message *bad, size_t *n_bad)
{
    const struct dio_dataset_options options = {.labels_wanted = true};
    struct dio_dataset *dataset;
    assert_ok(&test, dio_dataset_open(&test.ctx, folder.path, &options, &dataset));
    struct dio_team *team = NULL;
    if (threads > 1) assert_ok(&test, dio_team_start(&test.ctx, threads, &team));
    test.ctx.team = team;
    struct dio_image_recipe recipe = small_recipe();
    struct dio_prepare prepare;
    assert_ok(&test, dio_prepare_init(&test.ctx, &recipe, &prepare));
    struct dio_augment augment = dio_augment_none();
    augment.crop = DIO_CROP_RANDOM;
    augment.flip = 0.5;
    uint32_t *order;
    size_t count, done = 0;
    assert_ok(&test, dio_dataset_select(&test.ctx, dataset, DIO_SPLIT_NONE, &order, &count));
    dio_dataset_shuffle(3, 1, order, count);
    struct dio_loader_options loading = {.dataset = dataset, .prepare = &prepare, .augment = augmented ? &augment : NULL,
                                         .order = order, .count = count, .batch = 4, .seed = 5, .epoch = 1};
    struct dio_loader *loader;
    assert_ok(&test, dio_loader_open(&test.ctx, &loading, &loader));
    *n_bad = 0;
    for (;;) {
        struct dio_batch batch;
        assert_ok(&test, dio_loader_next(loader, &test.ctx, &batch));
        if (batch.taken == 0) break;
        assert_int_equal(batch.taken, batch.n + batch.n_bad);
        memcpy(out + done * 3 * SIDE * SIDE, batch.pixels, batch.n * 3 * SIDE * SIDE * sizeof *out);
        for (size_t i = 0; i < batch.n; i++) {
            items[done + i] = batch.items[i];
            assert_int_equal(batch.labels[i], dio_dataset_item(dataset, batch.items[i])->label);
        }
        for (size_t i = 0; i < batch.n_bad; i++) bad[(*n_bad)++] = *batch.why[i];
        done += batch.n;
    }
    dio_loader_close(loader);
    dio_free(&test.ctx, order);
    dio_prepare_free(&test.ctx, &prepare);
    dio_team_stop(&test.ctx, team);
    test.ctx.team = NULL;
    dio_dataset_free(dataset);
    return done;
}

static float first[64 * 3 * SIDE * SIDE], second[64 * 3 * SIDE * SIDE];

static void test_threads(void **state)
{
    (void)state;
    for (int augmented = 0; augmented < 2; augmented++) {
        uint32_t items[64], others[64];
        struct dio_message bad[4], worse[4];
        size_t n_bad, n_worse;
        assert_int_equal(one_pass(1, augmented, first, items, bad, &n_bad), GOOD);
        assert_int_equal(n_bad, 2);
        for (int threads = 2; threads <= 7; threads += 5) {
            assert_int_equal(one_pass(threads, augmented, second, others, worse, &n_worse), GOOD);
            assert_floats_same(second, first, GOOD * 3 * SIDE * SIDE);
            assert_memory_equal(items, others, GOOD * sizeof *items);
            assert_int_equal(n_worse, 2);
            for (size_t i = 0; i < 2; i++) assert_string_equal(bad[i].file, worse[i].file);
        }
    }
}

static void test_against_hand(void **state)
{
    (void)state;
    uint32_t items[64];
    struct dio_message bad[4];
    size_t n_bad;
    assert_int_equal(one_pass(2, false, first, items, bad, &n_bad), GOOD);
    const struct dio_dataset_options options = {.labels_wanted = true};
    struct dio_dataset *dataset;
    assert_ok(&test, dio_dataset_open(&test.ctx, folder.path, &options, &dataset));
    struct dio_image_recipe recipe = small_recipe();
    struct dio_prepare prepare;
    assert_ok(&test, dio_prepare_init(&test.ctx, &recipe, &prepare));
    struct dio_prepare_scratch scratch = {0};
    struct dio_picture picture = {0};
    struct dio_decode_options decode = {0};
    for (size_t i = 0; i < GOOD; i++) {
        float expected[3 * SIDE * SIDE];
        assert_ok(&test, dio_dataset_decode(dataset, &test.ctx, items[i], &decode, &picture));
        assert_ok(&test, dio_prepare_run(&test.ctx, &prepare, NULL, "x", &picture, &scratch, expected));
        assert_floats_same(first + i * 3 * SIDE * SIDE, expected, 3 * SIDE * SIDE);
    }
    dio_picture_free(&test.ctx, &picture);
    dio_prepare_scratch_free(&test.ctx, &scratch);
    dio_prepare_free(&test.ctx, &prepare);
    dio_dataset_free(dataset);
}

static void report_some(struct dio_bad *bad, int count, int fails_at)
{
    for (int i = 0; i < count; i++) {
        struct dio_ctx child = dio_ctx_child(&test.ctx);
        char name[32];
        snprintf(name, sizeof name, "%d.png", i);
        struct dio_place place = {.file = name};
        dio_fail(&child, DIO_ERR_INPUT, "I3", &place, "truncated");
        dio_status status = dio_bad_report(bad, &test.ctx, &child.error);
        assert_int_equal(status, i == fails_at ? DIO_ERR_INPUT : DIO_OK);
        if (status != DIO_OK) return;
    }
}

static void test_policy(void **state)
{
    (void)state;
    struct dio_bad bad;
    /* A small set stops at its first, with one line. */
    dio_bad_init(&bad, &(struct dio_bad_options){.max_share = 0.01, .total = 99});
    report_some(&bad, 1, 0);
    assert_non_null(strstr(test_error(&test), "0.png: truncated; 1 of 99 pictures could not be read, more than --max-bad 0.01 allows"));
    assert_int_equal(test.warnings, 0);
    dio_ctx_clear_error(&test.ctx);
    /* Within the share: named, counted, fine. */
    dio_bad_init(&bad, &(struct dio_bad_options){.max_share = 0.2, .total = 100});
    report_some(&bad, 15, -1);
    assert_int_equal(dio_bad_finish(&bad, &test.ctx, 100), DIO_OK);
    assert_int_equal(bad.bad, 15);
    assert_non_null(strstr(test.said, "9.png: "));
    assert_null(strstr(test.said, "10.png: "));
    assert_non_null(strstr(test.said, "and 5 more"));
    /* predict: any share, but not all. */
    dio_bad_init(&bad, &(struct dio_bad_options){.max_share = 1});
    report_some(&bad, 3, -1);
    assert_int_equal(dio_bad_finish(&bad, &test.ctx, 4), DIO_OK);
    assert_refused(&test, DIO_ERR_INPUT, "none of the 3 pictures could be read", dio_bad_finish(&bad, &test.ctx, 3));
    dio_bad_init(&bad, &(struct dio_bad_options){.max_share = 1, .stop = true});
    report_some(&bad, 1, 0);
    assert_non_null(strstr(test_error(&test), "--bad stop"));
    dio_ctx_clear_error(&test.ctx);
    /* Memory that is short is not a bad picture. */
    struct dio_message why = {.status = DIO_ERR_ENV};
    assert_int_equal(dio_bad_report(&bad, &test.ctx, &why), DIO_ERR_ENV);
    dio_ctx_clear_error(&test.ctx);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, before, remove_folder)
    const struct CMUnitTest tests[] = {TEST(test_threads), TEST(test_against_hand), TEST(test_policy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
