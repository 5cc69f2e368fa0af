/* Runs over pictures of which some cannot be read. */
#include "train/runs_in_folder.h"

static int setup(void **state)
{
    (void)state;
    test_folder_make(&folder);
    write_split(&folder, "train", 2, 12);
    write_split(&folder, "val", 2, 4);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_folder_remove(&folder);
    return 0;
}

/* A picture that ends early, of the same size as before: the list of files stays the same. */
static void spoil(const char *class_name, int number)
{
    char name[64];
    size_t size;
    snprintf(name, sizeof name, "data/train/%s/%02d.ppm", class_name, number);
    free(test_read(test_in(&folder, name), &size));
    char *zeros = calloc(1, size);
    assert_non_null(zeros);
    test_write(test_in(&folder, name), zeros, size);
    free(zeros);
}

static void test_bad_pictures(void **state)
{
    (void)state;
    spoil("green", 3);
    struct ran cached = run_on(2, 0, false, with("bad", HEAD " max_bad=0.5"));
    assert_ran(cached, DIO_OK);
    assert_int_equal(cached.n_bad, 1);
    struct ran live = run_on(2, 0, false, with("bad-live", HEAD " max_bad=0.5 no_cache=true"));
    assert_ran(live, DIO_OK);
    assert_int_equal(live.n_bad, 1);
    assert_same_file(test_in(&folder, "bad/model.safetensors"), test_in(&folder, "bad-live/model.safetensors"));
    assert_refusal(run_on(2, 0, false, with("bad-stop", HEAD " bad=stop")), DIO_ERR_INPUT, "03.ppm");
}

/* --max-bad counts those of before the break. */
static void test_bad_pictures_over_a_break(void **state)
{
    (void)state;
    spoil("green", 3);
    /* One of 32 may be bad. */
    assert_ran(run_on(2, 4, false, with("bad-break", HEAD " max_bad=0.05 no_cache=true")), DIO_CANCELLED);
    struct ran once = run_on(2, 5, true, on("bad-break", ""));
    assert_ran(once, DIO_CANCELLED);
    assert_int_equal(once.n_bad, 1); /* and is not counted twice */
    spoil("blue", 5);
    assert_refusal(run_on(2, 0, true, on("bad-break", "")), DIO_ERR_INPUT, "2 of 32 pictures could not be read");
}

/* Batches that lost pictures weigh as much as what is left of them. */
static void test_accumulation_over_bad_pictures(void **state)
{
    (void)state;
    for (int i = 0; i < 7; i++) spoil(i % 2 ? "green" : "blue", i);
    struct ran eight = run_on(1, 0, false, with("eight-bad", HEAD " max_bad=0.5"));
    assert_ran(eight, DIO_OK);
    struct ran fours = run_on(1, 0, false, with("fours-bad", HEAD " max_bad=0.5 batch_size=4 accumulate=2"));
    assert_ran(fours, DIO_OK);
    if (!(fabs(eight.train_loss - fours.train_loss) < 1e-5)) fail_msg("%.9g and %.9g", eight.train_loss, fours.train_loss);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bad_pictures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_pictures_over_a_break, setup, teardown),
        cmocka_unit_test_setup_teardown(test_accumulation_over_bad_pictures, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
