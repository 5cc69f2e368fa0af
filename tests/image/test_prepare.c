/* What the model reads, bit for bit as Pillow, torchvision and timm prepare it (make_golden.py). */
#include "image/prepare.h"

#include "pattern.h"

struct run {
    struct test_ctx *test;
    struct dio_prepare_scratch scratch;
    int rows;
};

static void set_stats(struct dio_image_recipe *recipe, const char *name)
{
    for (int c = 0; c < 3; c++) {
        if (strcmp(name, "half") == 0) recipe->mean[c] = recipe->std[c] = 0.5;
        if (strcmp(name, "zero") == 0) recipe->mean[c] = 0, recipe->std[c] = 1;
    }
}

static void check_float(struct run *run, const char *what, const struct dio_image_recipe *recipe,
                        const struct dio_view *view, const struct dio_picture *picture, const char *expected)
{
    struct dio_ctx *ctx = &run->test->ctx;
    struct dio_prepare prepare;
    const size_t bytes = (size_t)recipe->width * (size_t)recipe->height * 3 * sizeof(float);
    float *out = malloc(bytes);
    assert_ok(run->test, dio_image_recipe_check(ctx, NULL, recipe));
    assert_ok(run->test, dio_prepare_init(ctx, recipe, &prepare));
    assert_ok(run->test, dio_prepare_run(ctx, &prepare, view, "pattern", picture, &run->scratch, out));
    assert_digest(what, out, bytes, expected);
    dio_prepare_free(ctx, &prepare);
    free(out);
}

static void check_evaluation(struct run *run, const char *settings, const struct dio_picture *picture,
                             const char *expected)
{
    int resize = 0, crop = 0;
    char fit[16], mode[16], stats[16];
    assert_int_equal(sscanf(settings, "%d %d %15s %15s %15s", &resize, &crop, fit, mode, stats), 5);
    struct dio_image_recipe recipe = dio_image_recipe_imagenet(resize, crop);
    assert_true(dio_fit_from_name(fit, &recipe.fit));
    assert_true(dio_interpolation_from_name(mode, &recipe.interpolation));
    set_stats(&recipe, stats);
    check_float(run, settings, &recipe, NULL, picture, expected);
}

static void check_view(struct run *run, char *settings, const struct dio_picture *picture, const char *expected)
{
    struct dio_view view = {.crop = DIO_CROP_RANDOM};
    char mode[16], jitter[64];
    assert_int_equal(sscanf(settings, "%d %d %d %d %d %15s %63s", &view.x, &view.y, &view.width, &view.height,
                            &view.orientation, mode, jitter),
                     7);
    struct dio_image_recipe recipe = dio_image_recipe_imagenet(32, 24);
    assert_true(dio_interpolation_from_name(mode, &recipe.interpolation));
    if (jitter[0] != '-') {
        char *step = jitter;
        view.jitter = true;
        for (int i = 0; i < 3; i++) {
            view.order[i] = *step == 'b'   ? DIO_JITTER_BRIGHTNESS
                            : *step == 'c' ? DIO_JITTER_CONTRAST
                                           : DIO_JITTER_SATURATION;
            view.factor[view.order[i]] = strtof(step + 1, &step);
            step += *step == '|';
        }
    }
    check_float(run, settings, &recipe, &view, picture, expected);
}

static void check_deep(struct run *run, const char *settings, int32_t width, int32_t height, const char *expected)
{
    struct test_ctx *test = run->test;
    struct dio_picture picture = {0};
    int side = 0;
    char mode[16];
    enum dio_interpolation interpolation = DIO_NEAREST;
    assert_int_equal(sscanf(settings, "%d %15s", &side, mode), 2);
    assert_true(dio_interpolation_from_name(mode, &interpolation));
    pattern_make(test, width, height, 1, DIO_SAMPLE_U16, &picture);
    const struct dio_pixels pixels = dio_pixels_of(&picture, 0, 0, width, height);
    const struct dio_region whole = {0, 0, side, side};
    const size_t bytes = (size_t)side * (size_t)side * 2;
    uint16_t *out = malloc(bytes);
    assert_ok(test, dio_resize(&test->ctx, &pixels, side, side, interpolation, DIO_PILLOW_13, &whole, out,
                               (size_t)side * 2, &run->scratch.resize));
    assert_digest(settings, out, bytes, expected);
    free(out);
    dio_picture_free(&test->ctx, &picture);
}

static void check_shift(struct run *run, const char *settings, const struct dio_picture *picture, const char *expected)
{
    struct dio_view view = {.crop = DIO_CROP_SHIFT, .orientation = 1};
    int side = 0;
    char stats[16];
    assert_int_equal(sscanf(settings, "%d %d %d %d %15s", &side, &view.pad, &view.x, &view.y, stats), 5);
    struct dio_image_recipe recipe = dio_image_recipe_imagenet(side, side);
    set_stats(&recipe, stats);
    check_float(run, settings, &recipe, &view, picture, expected);
}

static void check_timm(struct run *run, const char *settings, const struct dio_picture *picture, const char *expected)
{
    int side = 0;
    double share = 0;
    char mode[16];
    assert_int_equal(sscanf(settings, "%d %lf %15s", &side, &share, mode), 3);
    struct dio_image_recipe recipe = dio_image_recipe_imagenet(dio_image_recipe_resize_for(side, share), side);
    assert_true(dio_interpolation_from_name(mode, &recipe.interpolation));
    check_float(run, settings, &recipe, NULL, picture, expected);
}

static void check_row(char **f, void *arg)
{
    struct run *run = arg;
    struct dio_picture picture = {0};
    const int32_t width = atoi(f[1]), height = atoi(f[2]);
    pattern_make(run->test, width, height, 3, DIO_SAMPLE_U8, &picture);
    if (strcmp(f[0], "eval") == 0) check_evaluation(run, f[3], &picture, f[4]);
    else if (strcmp(f[0], "view") == 0) check_view(run, f[3], &picture, f[4]);
    else if (strcmp(f[0], "deep") == 0) check_deep(run, f[3], width, height, f[4]);
    else if (strcmp(f[0], "shift") == 0) check_shift(run, f[3], &picture, f[4]);
    else if (strcmp(f[0], "timm") == 0) check_timm(run, f[3], &picture, f[4]);
    else fail_msg("row of kind %s", f[0]);
    run->rows++;
    dio_picture_free(&run->test->ctx, &picture);
}

static void test_golden(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct run run = {.test = &test};
    for_each_row(test_source_path("image/golden/prepare.csv"), 5, check_row, &run);
    assert_true(run.rows >= 150);
    dio_prepare_scratch_free(&test.ctx, &run.scratch);
    test_end(&test);
}

/* Grey for colour models, colour for grey ones, and 16 bits normalised by 65535. */
static void test_channels(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct dio_prepare prepare;
    struct dio_prepare_scratch scratch = {0};
    struct dio_picture picture = {0};
    float out[4 * 4 * 3];

    struct dio_image_recipe recipe = dio_image_recipe_imagenet(4, 4);
    assert_ok(&test, dio_prepare_init(&test.ctx, &recipe, &prepare));
    pattern_make(&test, 4, 4, 1, DIO_SAMPLE_U16, &picture);
    assert_ok(&test, dio_prepare_run(&test.ctx, &prepare, NULL, "grey", &picture, &scratch, out));
    for (int i = 0; i < 16; i++) {
        for (int c = 0; c < 3; c++) {
            const float v = (float)((uint16_t *)picture.data)[i] / 65535.0f;
            assert_true(out[i * 3 + c] == (v - (float)recipe.mean[c]) / (float)recipe.std[c]);
        }
    }
    pattern_make(&test, 4, 4, 5, DIO_SAMPLE_U8, &picture);
    assert_refused(&test, DIO_ERR_INPUT, "five.png: 5 channels, the model reads 3",
                   dio_prepare_run(&test.ctx, &prepare, NULL, "five.png", &picture, &scratch, out));
    dio_prepare_free(&test.ctx, &prepare);

    recipe.channels = 1;
    recipe.mean[0] = 0;
    recipe.std[0] = 1;
    assert_ok(&test, dio_prepare_init(&test.ctx, &recipe, &prepare));
    pattern_make(&test, 4, 4, 3, DIO_SAMPLE_U8, &picture);
    assert_ok(&test, dio_prepare_run(&test.ctx, &prepare, NULL, "colour", &picture, &scratch, out));
    for (int i = 0; i < 16; i++) {
        const uint8_t *p = (uint8_t *)picture.data + 3 * i;
        const int grey = (19595 * p[0] + 38470 * p[1] + 7471 * p[2] + 32768) >> 16;
        assert_true(out[i] == (float)grey / 255.0f);
    }
    uint8_t pixels[16];
    assert_ok(&test, dio_prepare_pixels(&test.ctx, &prepare, NULL, "colour", &picture, &scratch, pixels));
    for (int i = 0; i < 16; i++) assert_true((float)pixels[i] / 255.0f == out[i]);
    dio_prepare_free(&test.ctx, &prepare);
    dio_picture_free(&test.ctx, &picture);
    dio_prepare_scratch_free(&test.ctx, &scratch);
    test_end(&test);
}

/* The second picture of the same size allocates nothing. */
static void test_no_allocation(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct dio_prepare prepare;
    struct dio_prepare_scratch scratch = {0};
    struct dio_picture picture = {0};
    static float out[24 * 24 * 3];
    const struct dio_image_recipe recipe = dio_image_recipe_imagenet(32, 24);
    assert_ok(&test, dio_prepare_init(&test.ctx, &recipe, &prepare));
    pattern_make(&test, 100, 80, 3, DIO_SAMPLE_U8, &picture);
    assert_ok(&test, dio_prepare_run(&test.ctx, &prepare, NULL, "a", &picture, &scratch, out));
    const int64_t calls = atomic_load(&test.stats.calls);
    pattern_make(&test, 90, 80, 3, DIO_SAMPLE_U8, &picture);
    assert_ok(&test, dio_prepare_run(&test.ctx, &prepare, NULL, "b", &picture, &scratch, out));
    assert_int_equal(atomic_load(&test.stats.calls), calls);
    dio_prepare_free(&test.ctx, &prepare);
    dio_picture_free(&test.ctx, &picture);
    dio_prepare_scratch_free(&test.ctx, &scratch);
    test_end(&test);
}

static dio_status prepare_once(struct test_ctx *test, void *arg)
{
    (void)arg;
    struct dio_prepare prepare = {0};
    struct dio_prepare_scratch scratch = {0};
    struct dio_picture picture = {0};
    float out[8 * 8];
    struct dio_image_recipe recipe = dio_image_recipe_imagenet(9, 8);
    recipe.channels = 1;
    dio_status status = dio_prepare_init(&test->ctx, &recipe, &prepare);
    if (status == DIO_OK) status = dio_picture_reserve(&test->ctx, "p", 30, 20, 3, DIO_SAMPLE_U8, &picture);
    if (status == DIO_OK) {
        memset(picture.data, 7, dio_picture_bytes(&picture));
        status = dio_prepare_run(&test->ctx, &prepare, NULL, "p", &picture, &scratch, out);
    }
    dio_prepare_free(&test->ctx, &prepare);
    dio_prepare_scratch_free(&test->ctx, &scratch);
    dio_picture_free(&test->ctx, &picture);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    test_fail_each_allocation(prepare_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden), cmocka_unit_test(test_channels),
                                       cmocka_unit_test(test_no_allocation), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
