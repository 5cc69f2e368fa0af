/* Image recipes: text form, refusals, size rules. */
#include "image/recipe.h"

#include "support.h"

static const char imagenet[] =
    "{\"version\": 1, \"input\": [3, 224, 224], \"resize\": [256, 256], \"fit\": \"crop\", \"interpolation\": \"bilinear\", "
    "\"pillow\": 13, \"scaling\": \"divide\", \"exif\": \"apply\", \"mean\": [0.485, 0.456, 0.406], \"std\": [0.229, 0.224, 0.225]}";

static void test_text(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct dio_image_recipe recipe = dio_image_recipe_imagenet(256, 224), read;
    struct dio_str text;
    dio_str_init(&text, &test.ctx);
    dio_image_recipe_write(&text, &recipe);
    assert_string_equal(text.data, imagenet);
    dio_str_free(&text);
    assert_ok(&test, dio_image_recipe_parse(&test.ctx, "m.safetensors", "recipe", imagenet, strlen(imagenet), &read));
    assert_memory_equal(&read, &recipe, sizeof read);

    recipe.channels = 16;
    recipe.fit = DIO_FIT_PAD;
    recipe.interpolation = DIO_LANCZOS;
    recipe.pillow = DIO_PILLOW_12;
    recipe.scaling = DIO_SCALE_RESCALE;
    recipe.ignore_exif = true;
    for (int c = 0; c < 16; c++) recipe.mean[c] = c / 37.0, recipe.std[c] = 1.0 / (c + 3);
    dio_str_init(&text, &test.ctx);
    dio_image_recipe_write(&text, &recipe);
    assert_ok(&test, dio_image_recipe_parse(&test.ctx, "m", NULL, text.data, text.length, &read));
    assert_memory_equal(&read, &recipe, sizeof read);
    dio_str_free(&text);
    test_end(&test);
}

static void refuse(struct test_ctx *test, const char *from, const char *to, const char *words)
{
    char text[1024];
    const char *at = strstr(imagenet, from);
    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - imagenet), imagenet, to, at + strlen(from));
    struct dio_image_recipe recipe;
    assert_refused(test, DIO_ERR_INPUT, words,
                   dio_image_recipe_parse(&test->ctx, "m", NULL, text, strlen(text), &recipe));
}

static void test_refusals(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    refuse(&test, "\"version\": 1", "\"version\":2", "version");
    refuse(&test, "[3, 224, 224]", "[0,224,224]", "channels");
    refuse(&test, "[3, 224, 224]", "[17,224,224]", "channels");
    refuse(&test, "[3, 224, 224]", "[3,0,224]", "0 pixels");
    refuse(&test, "[3, 224, 224]", "[3,224.5,224]", "whole");
    refuse(&test, "[3, 224, 224]", "[3,224]", "input");
    refuse(&test, "[256, 256]", "[256,0]", "resize");
    refuse(&test, "\"crop\"", "\"crap\"", "crap");
    refuse(&test, "\"bilinear\"", "3", "interpolation");
    refuse(&test, "0.229", "0", "std of channel 0");
    refuse(&test, "0.229", "-1", "std");
    refuse(&test, "0.485", "1e39", "mean");
    refuse(&test, "\"exif\": \"apply\",", "", "exif");
    refuse(&test, "\"exif\"", "\"exfi\"", "exfi");
    struct dio_image_recipe recipe;
    assert_refused(&test, DIO_ERR_INPUT, "not an object",
                   dio_image_recipe_parse(&test.ctx, "m", NULL, "[1]", 3, &recipe));
    test_end(&test);
}

static void resized(struct dio_image_recipe recipe, int32_t w, int32_t h, int32_t expected_w, int32_t expected_h)
{
    int32_t rw = 0, rh = 0;
    dio_image_recipe_resized(&recipe, w, h, &rw, &rh);
    assert_int_equal(rw, expected_w);
    assert_int_equal(rh, expected_h);
}

static void test_sizes(void **state)
{
    (void)state;
    struct dio_image_recipe recipe = dio_image_recipe_imagenet(256, 224);
    resized(recipe, 500, 375, 341, 256);
    resized(recipe, 375, 500, 256, 341);
    resized(recipe, 256, 256, 256, 256);
    resized(recipe, 1, 65535, 256, 16776960);
    recipe.resize_height = recipe.resize_width = 65535;
    resized(recipe, 1, 65535, 65535, 1 << 30); /* held to what fits */
    recipe = dio_image_recipe_imagenet(224, 224);
    recipe.fit = DIO_FIT_PAD;
    resized(recipe, 500, 375, 224, 168);
    resized(recipe, 3, 1000, 1, 224);
    recipe.fit = DIO_FIT_SQUASH;
    resized(recipe, 3, 1000, 224, 224);
    recipe = dio_image_recipe_imagenet(256, 224);
    recipe.resize_width = 128; /* not square: both sides covered, as timm keeps the ratio */
    resized(recipe, 500, 375, 341, 256);
    resized(recipe, 100, 400, 128, 512);

    /* timm's sizes: floor(size / crop_pct) in double. */
    assert_int_equal(dio_image_recipe_resize_for(224, 0.875), 256);
    assert_int_equal(dio_image_recipe_resize_for(224, 0.9), 248);
    assert_int_equal(dio_image_recipe_resize_for(240, 0.882), 272);
    assert_int_equal(dio_image_recipe_resize_for(300, 0.904), 331);
    assert_int_equal(dio_image_recipe_resize_for(380, 0.922), 412);
    assert_int_equal(dio_image_recipe_resize_for(288, 0.95), 303);
    assert_true(dio_image_recipe_resize_for(224, 1e-9) > 65535); /* refused later, not wrapped */

    recipe = dio_image_recipe_imagenet(256, 224);
    dio_image_recipe_set_size(&recipe, 320);
    assert_int_equal(recipe.resize_height, 366);
    assert_int_equal(recipe.width, 320);
    dio_image_recipe_set_fit(&recipe, DIO_FIT_SQUASH);
    assert_int_equal(recipe.resize_width, 320);
}

static void test_words(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    const struct dio_image_recipe recipe = dio_image_recipe_imagenet(256, 224);
    struct dio_str text;
    dio_str_init(&text, &test.ctx);
    dio_image_recipe_describe(&text, &recipe);
    assert_string_equal(
        text.data,
        "short side to 256 (bilinear, Pillow 13), centre 224 x 224, mean 0.485 0.456 0.406, std 0.229 0.224 0.225");
    dio_str_free(&text);
    test_end(&test);
}

static dio_status parse_once(struct test_ctx *test, void *arg)
{
    (void)arg;
    struct dio_image_recipe recipe;
    struct dio_str text;
    DIO_PASS(dio_image_recipe_parse(&test->ctx, "m", NULL, imagenet, strlen(imagenet), &recipe));
    dio_str_init(&text, &test->ctx);
    dio_image_recipe_write(&text, &recipe);
    dio_status status = dio_str_status(&text);
    dio_str_free(&text);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    test_fail_each_allocation(parse_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_sizes), cmocka_unit_test(test_words),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
