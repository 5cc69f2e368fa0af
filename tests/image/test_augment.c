/* Views are functions of seed, epoch and index; random crops are spread as they should be. */
#include "image/augment.h"

#include "support.h"

static struct dio_augment everything(void)
{
    struct dio_augment augment = dio_augment_none();
    augment.crop = DIO_CROP_RANDOM;
    augment.flip = 0.5;
    augment.vflip = 0.25;
    augment.brightness = augment.contrast = augment.saturation = 0.4;
    return augment;
}

static void test_determinism(void **state)
{
    (void)state;
    const struct dio_augment augment = everything();
    const struct dio_image_recipe recipe = dio_image_recipe_imagenet(256, 224);
    struct dio_view first[64], again;
    int differ_by_epoch = 0, differ_by_seed = 0;
    for (uint64_t i = 0; i < 64; i++) dio_augment_draw(&augment, &recipe, 500, 375, 7, 3, i, &first[i]);
    for (uint64_t i = 64; i-- > 0;) { /* in another order */
        dio_augment_draw(&augment, &recipe, 500, 375, 7, 3, i, &again);
        assert_memory_equal(&again, &first[i], sizeof again);
        dio_augment_draw(&augment, &recipe, 500, 375, 7, 4, i, &again);
        differ_by_epoch += again.x != first[i].x || again.width != first[i].width;
        dio_augment_draw(&augment, &recipe, 500, 375, 8, 3, i, &again);
        differ_by_seed += again.x != first[i].x || again.width != first[i].width;
    }
    assert_true(differ_by_epoch > 60 && differ_by_seed > 60);
}

/* With scale s ~ U(a, b), crops that fit have that area; position and ratio are uniform.  The standard error of a mean
 * of n uniform numbers is range / sqrt(12 n): five of them are allowed. */
static void test_distribution(void **state)
{
    (void)state;
    struct dio_augment augment = everything();
    augment.scale_min = 0.1;
    augment.scale_max = 0.4; /* always fits into a square, whatever the ratio */
    const struct dio_image_recipe recipe = dio_image_recipe_imagenet(256, 224);
    enum { N = 20000, SIDE = 1000 };
    double area = 0, ratio = 0, x = 0, flips = 0, vflips = 0, brightness = 0;
    int orders[3] = {0};
    for (uint64_t i = 0; i < N; i++) {
        struct dio_view view;
        dio_augment_draw(&augment, &recipe, SIDE, SIDE, 1, 0, i, &view);
        assert_true(view.x >= 0 && view.y >= 0 && view.x + view.width <= SIDE && view.y + view.height <= SIDE);
        area += (double)view.width * view.height / (SIDE * SIDE);
        ratio += log((double)view.width / view.height);
        x += (double)view.x / (SIDE - view.width);
        flips += view.orientation == 2 || view.orientation == 3;
        vflips += view.orientation == 4 || view.orientation == 3;
        brightness += (double)view.factor[DIO_JITTER_BRIGHTNESS];
        orders[view.order[0]]++;
    }
    const double error = 5 / sqrt(12.0 * N);
    assert_true(fabs(area / N - 0.25) < 0.3 * error + 1e-3); /* sizes are whole pixels */
    assert_true(fabs(ratio / N) < 2 * log(4.0 / 3) * error + 1e-3);
    assert_true(fabs(x / N - 0.5) < error);
    assert_true(fabs(brightness / N - 1) < 0.8 * error);
    assert_true(fabs(flips / N - 0.5) < 5 * sqrt(0.25 / N));
    assert_true(fabs(vflips / N - 0.25) < 5 * sqrt(0.1875 / N));
    for (int i = 0; i < 3; i++) assert_true(fabs((double)orders[i] / N - 1.0 / 3) < 5 * sqrt(2.0 / 9 / N));
}

static void test_fallback(void **state)
{
    (void)state;
    struct dio_augment augment = everything();
    const struct dio_image_recipe recipe = dio_image_recipe_imagenet(256, 224);
    augment.scale_min = augment.scale_max = 1;
    struct dio_view view;
    dio_augment_draw(&augment, &recipe, 10, 1000, 1, 0, 0, &view); /* too tall: whole width, ratio 3/4 */
    assert_int_equal(view.width, 10);
    assert_int_equal(view.height, 13);
    assert_int_equal(view.y, (1000 - 13) / 2);
    dio_augment_draw(&augment, &recipe, 1000, 10, 1, 0, 0, &view);
    assert_int_equal(view.width, 13);
    assert_int_equal(view.height, 10);
    dio_augment_draw(&augment, &recipe, 1, 1, 1, 0, 0, &view);
    assert_int_equal(view.width, 1);
    assert_int_equal(view.height, 1);
}

static void test_orientations(void **state)
{
    (void)state;
    struct dio_augment augment = dio_augment_none();
    augment.orientations = true;
    const struct dio_image_recipe recipe = dio_image_recipe_imagenet(32, 32);
    int count[9] = {0};
    for (uint64_t i = 0; i < 8000; i++) {
        struct dio_view view;
        dio_augment_draw(&augment, &recipe, 40, 40, 5, 0, i, &view);
        count[view.orientation]++;
    }
    for (int o = 1; o <= 8; o++) assert_true(abs(count[o] - 1000) < 150); /* five standard errors */
}

static void test_shift(void **state)
{
    (void)state;
    struct dio_augment augment = dio_augment_none();
    augment.crop = DIO_CROP_SHIFT;
    const struct dio_image_recipe recipe = dio_image_recipe_imagenet(32, 32);
    bool seen[9] = {false};
    for (uint64_t i = 0; i < 500; i++) {
        struct dio_view view;
        dio_augment_draw(&augment, &recipe, 32, 32, 5, 0, i, &view);
        assert_true(view.x >= 0 && view.x <= 8 && view.y >= 0 && view.y <= 8 && view.pad == 4);
        seen[view.x] = true;
    }
    for (int x = 0; x <= 8; x++) assert_true(seen[x]);
}

static void test_text(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct dio_augment augment = dio_augment_none();
    struct dio_place place = {.file = "r.yaml", .line = 3};
    assert_false(dio_augment_any(&augment));
    assert_ok(&test, dio_augment_set(&test.ctx, &place, "crop", "true", &augment));
    assert_ok(&test, dio_augment_set(&test.ctx, &place, "flip", "true", &augment));
    assert_ok(&test, dio_augment_set(&test.ctx, &place, "vflip", "0.125", &augment));
    assert_ok(&test, dio_augment_set(&test.ctx, &place, "scale", "0.5, 0.9", &augment));
    assert_ok(&test, dio_augment_set(&test.ctx, &place, "pad", "2", &augment));
    assert_ok(&test, dio_augment_set(&test.ctx, &place, "contrast", "0.4", &augment));
    assert_true(dio_augment_any(&augment));
    struct dio_str text;
    dio_str_init(&text, &test.ctx);
    dio_augment_write(&text, &augment);
    assert_string_equal(text.data, "crop=random scale=0.5,0.9 ratio=0.75,1.3333333333333333 pad=2 flip=0.5 vflip=0.125 "
                                   "orientations=false brightness=0 contrast=0.4 saturation=0");
    struct dio_augment copy = dio_augment_none();
    for (const struct dio_augment_name *name = dio_augment_names; name->name; name++) {
        struct dio_str value;
        dio_str_init(&value, &test.ctx);
        dio_augment_get(&value, name->name, &augment);
        assert_ok(&test, dio_augment_set(&test.ctx, &place, name->name, value.data, &copy));
        dio_str_free(&value);
    }
    struct dio_str again;
    dio_str_init(&again, &test.ctx);
    dio_augment_write(&again, &copy);
    assert_string_equal(again.data, text.data);
    dio_str_free(&again);
    dio_str_free(&text);
    assert_refused(&test, DIO_ERR_INPUT, "unknown key \"augment.spin\"",
                   dio_augment_set(&test.ctx, &place, "spin", "1", &augment));
    assert_refused(&test, DIO_ERR_INPUT, "did you mean \"vflip\"?",
                   dio_augment_set(&test.ctx, &place, "vflp", "1", &augment));
    assert_refused(&test, DIO_ERR_INPUT,
                   "augment.flip must be true, false, or a probability from 0 to 1 (found \"1.5\")",
                   dio_augment_set(&test.ctx, &place, "flip", "1.5", &augment));
    assert_refused(&test, DIO_ERR_INPUT, "(found \"0.9,0.1\")",
                   dio_augment_set(&test.ctx, &place, "scale", "0.9,0.1", &augment));
    assert_refused(&test, DIO_ERR_INPUT, "(found \"0,1\")",
                   dio_augment_set(&test.ctx, &place, "scale", "0,1", &augment));
    assert_refused(&test, DIO_ERR_INPUT, "(found \"nan\")",
                   dio_augment_set(&test.ctx, &place, "contrast", "nan", &augment));
    struct dio_image_recipe recipe = dio_image_recipe_imagenet(32, 32);
    recipe.width = 40;
    augment.orientations = true;
    assert_refused(&test, DIO_ERR_INPUT, "square input", dio_augment_check(&test.ctx, &place, &augment, &recipe));
    test_end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_determinism), cmocka_unit_test(test_distribution),
                                       cmocka_unit_test(test_fallback),    cmocka_unit_test(test_orientations),
                                       cmocka_unit_test(test_shift),       cmocka_unit_test(test_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
