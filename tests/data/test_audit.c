/* The audit: duplicates by content, sizes, what a crop loses, unreadable pictures; the same for any number of threads. */
#include "make.h"

#include "base/threads.h"
#include "data/audit.h"

static struct dio_dataset *dataset;

static void picture_of(const char *name, int width, int height, int value)
{
    static char bytes[64 * 64 * 3 + 32];
    make_picture(name, 0); /* for its folders */
    int head = snprintf(bytes, sizeof bytes, "P6 %d %d 255\n", width, height);
    memset(bytes + head, value, (size_t)(width * height * 3));
    test_write(test_in(&folder, name), bytes, (size_t)(head + width * height * 3));
}

static int before(void **state)
{
    make_folder(state);
    for (int i = 0; i < 12; i++) {
        char name[64];
        snprintf(name, sizeof name, "train/cat/%02d.ppm", i);
        picture_of(name, 40, 20 + i, i);
        snprintf(name, sizeof name, "train/dog/%02d.ppm", i);
        if (i < 9) picture_of(name, 40, 20 + i, 100 + i);
        snprintf(name, sizeof name, "val/%s/%02d.ppm", i % 2 ? "cat" : "dog", i);
        picture_of(name, 40, 20, 50 + i);
    }
    return 0;
}

static int after(void **state)
{
    dio_dataset_free(dataset);
    dataset = NULL;
    return remove_folder(state);
}

static dio_status run(struct dio_audit *audit, struct dio_bad *bad, double max_share, const struct dio_image_recipe *recipe)
{
    const struct dio_dataset_options options = {.labels_wanted = true};
    dio_dataset_free(dataset);
    assert_ok(&test, dio_dataset_open(&test.ctx, folder.path, &options, &dataset));
    dio_bad_init(bad, &(struct dio_bad_options){.max_share = max_share, .total = dio_dataset_count(dataset), .all = true});
    struct dio_audit_options how = {.recipe = recipe};
    test.said[0] = 0;
    return dio_audit_run(&test.ctx, dataset, &how, bad, audit);
}

static void test_summary(void **state)
{
    (void)state;
    struct dio_audit audit;
    struct dio_bad bad;
    assert_ok(&test, run(&audit, &bad, 0.01, NULL));
    assert_int_equal(audit.pictures, 33);
    assert_int_equal(audit.good, 33);
    assert_int_equal(audit.min_height, 20);
    assert_int_equal(audit.max_height, 31);
    assert_int_equal(audit.median_width, 40);
    assert_int_equal(audit.median_height, 22); /* 20 fourteen times, 21 and 22 twice each */
    assert_string_equal(audit.codecs[0].name, "pnm");
    assert_int_equal(audit.codecs[0].count, 33);
    assert_int_equal(audit.n_duplicates, 0);
    /* A square of 40 x 22 loses 18 of 40. */
    assert_true(fabs(audit.crop_loss - 18.0 / 40) < 0.05);
    assert_non_null(strstr(test.said, "the centre crop loses"));
    assert_non_null(strstr(test.said, "class \"dog\" has only 9 pictures to learn from"));
    dio_audit_free(&test.ctx, &audit);
    struct dio_image_recipe recipe = dio_image_recipe_imagenet(256, 224);
    dio_image_recipe_set_fit(&recipe, DIO_FIT_PAD);
    assert_ok(&test, run(&audit, &bad, 0.01, &recipe));
    assert_null(strstr(test.said, "centre crop"));
    dio_audit_free(&test.ctx, &audit);
}

static void test_duplicates(void **state)
{
    (void)state;
    picture_of("val/cat/copy.ppm", 40, 20, 0);       /* of train/cat/00 */
    picture_of("train/dog/same.ppm", 40, 21, 1);     /* of train/cat/01: another label */
    picture_of("train/cat/twin.ppm", 40, 22, 2);     /* of train/cat/02 */
    struct dio_audit audit, again;
    struct dio_bad bad;
    assert_ok(&test, run(&audit, &bad, 0.01, NULL));
    assert_int_equal(audit.duplicates_within, 2);
    assert_int_equal(audit.duplicates_across, 1);
    assert_int_equal(audit.n_duplicates, 3);
    assert_string_equal(dio_dataset_path(dataset, audit.duplicates[2].second), "val/cat/copy.ppm");
    assert_true(audit.duplicates[2].across_splits);
    assert_non_null(strstr(test.said, "val/cat/copy.ppm: warning: same content as train/cat/00.ppm, which is in train (here val)"));
    assert_non_null(strstr(test.said, "train/dog/same.ppm: warning: same content as train/cat/01.ppm, which has another label (\"cat\", here \"dog\")"));
    assert_null(strstr(test.said, "twin"));
    struct dio_team *team;
    assert_ok(&test, dio_team_start(&test.ctx, 3, &team));
    test.ctx.team = team;
    assert_ok(&test, run(&again, &bad, 0.01, NULL));
    for (size_t i = 0; i < audit.n_duplicates; i++) { /* member by member: there is padding between them and the next */
        const struct dio_audit_pair *one = &audit.duplicates[i], *other = &again.duplicates[i];
        assert_true(one->first == other->first && one->second == other->second);
        assert_true(one->across_splits == other->across_splits && one->across_classes == other->across_classes);
    }
    assert_true(audit.crop_loss == again.crop_loss && audit.median_height == again.median_height);
    test.ctx.team = NULL;
    dio_team_stop(&test.ctx, team);
    dio_audit_free(&test.ctx, &audit);
    dio_audit_free(&test.ctx, &again);
}

static void test_bad(void **state)
{
    (void)state;
    make_text("train/cat/00.ppm", "P6 5 5 255\nshort");
    struct dio_audit audit;
    struct dio_bad bad;
    assert_refused(&test, DIO_ERR_INPUT, "1 of 33 pictures could not be read, more than --max-bad 0.01 allows", run(&audit, &bad, 0.01, NULL));
    assert_int_equal(strlen(test.said), 0); /* one line in all */
    dio_audit_free(&test.ctx, &audit);
    make_text("train/cat/01.ppm", "no picture");
    assert_refused(&test, DIO_ERR_INPUT, "2 of 33 pictures could not be read", run(&audit, &bad, 0.01, NULL));
    assert_non_null(strstr(test.said, "00.ppm"));
    assert_non_null(strstr(test.said, "01.ppm"));
    dio_audit_free(&test.ctx, &audit);
    assert_ok(&test, run(&audit, &bad, 0.1, NULL));
    assert_int_equal(bad.bad, 2);
    assert_int_equal(audit.good, 31);
    dio_audit_free(&test.ctx, &audit);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)
    const struct CMUnitTest tests[] = {TEST(test_summary), TEST(test_duplicates), TEST(test_bad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
