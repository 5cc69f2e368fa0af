/* --decode fast: which pictures are decoded smaller, what becomes of their geometry, and how far the pixels are from those
 * of the whole picture. */
#include "image/prepare.h"
#include "image/thumbnail.h"
#include "support.h"

enum { WIDTH = 2601, HEIGHT = 1703, SIDE = 224, SAMPLES = SIDE * SIDE * 3 };

static void test_rule(void **state)
{
    (void)state;
    assert_int_equal(dio_picture_shrink(3999999, 4000, 999, 32, 32), 1); /* not large */
    assert_int_equal(dio_picture_shrink(4000000, 2000, 2000, 32, 32), 8);
    assert_int_equal(dio_picture_shrink(4000000, 2000, 2000, 125, 125), 8);
    assert_int_equal(dio_picture_shrink(4000000, 2000, 2000, 126, 125), 4);
    assert_int_equal(dio_picture_shrink(4000000, 2000, 2000, 256, 250), 2);
    assert_int_equal(dio_picture_shrink(4000000, 2000, 2000, 501, 501), 1);
    assert_int_equal(dio_picture_shrink(400000000, 20, 20, 224, 224), 1); /* a small crop of a large picture */
}

/* Slopes and waves without an edge finer than a few pixels, as photographs of that size are. */
static struct dio_encoded encode(struct test_ctx *test)
{
    struct dio_encoded encoded;
    uint8_t *pixels = malloc((size_t)WIDTH * HEIGHT * 3);
    assert_non_null(pixels);
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            uint8_t *p = pixels + ((size_t)y * WIDTH + (size_t)x) * 3;
            const int across = x % 240, down = y % 160;
            p[0] = (uint8_t)(across < 120 ? 2 * across : 2 * (239 - across));
            p[1] = (uint8_t)(down < 80 ? 3 * down : 3 * (159 - down));
            p[2] = (uint8_t)((x / 16 + y / 16) % 200);
        }
    }
    assert_ok(test, dio_encode_pixels(&test->ctx, pixels, WIDTH, HEIGHT, 3, &encoded));
    free(pixels);
    assert_string_equal(encoded.media_type, "image/jpeg");
    return encoded;
}

/* The same file with an EXIF block that says "turned". */
static uint8_t *with_orientation(const struct dio_encoded *encoded, uint8_t orientation, size_t *size)
{
    const uint8_t block[] = {0xff, 0xe1, 0, 34,  'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12,
                             0,    3,    0, 0,   0,   1,   0,   orientation, 0, 0, 0, 0, 0, 0};
    uint8_t *bytes = malloc(encoded->size + sizeof block);
    assert_non_null(bytes);
    memcpy(bytes, encoded->bytes, 2);
    memcpy(bytes + 2, block, sizeof block);
    memcpy(bytes + 2 + sizeof block, encoded->bytes + 2, encoded->size - 2);
    *size = encoded->size + sizeof block;
    return bytes;
}

struct asking {
    struct dio_prepare prepare;
    const struct dio_view *view;
};

static int32_t shrink(void *arg, int32_t width, int32_t height)
{
    const struct asking *asking = arg;
    return dio_prepare_shrink(&asking->prepare, asking->view, width, height);
}

/* Prepared pixels of a file, and what they were made of. */
static void prepare(struct test_ctx *test, const uint8_t *bytes, size_t size, bool fast, const struct dio_view *view, uint8_t *out,
                    struct dio_picture *picture)
{
    struct asking asking = {.view = view};
    struct dio_prepare_scratch scratch = {0};
    struct dio_image_recipe recipe = dio_image_recipe_imagenet(256, SIDE);
    recipe.fast_decode = fast;
    assert_ok(test, dio_prepare_init(&test->ctx, &recipe, &asking.prepare));
    const struct dio_window window = {.shrink = shrink, .arg = &asking};
    const struct dio_decode_options options = {.window = &window};
    assert_ok(test, dio_picture_decode(&test->ctx, "large.jpg", bytes, size, &options, picture));
    assert_ok(test, dio_prepare_pixels(&test->ctx, &asking.prepare, view, "large.jpg", picture, &scratch, out));
    dio_prepare_scratch_free(&test->ctx, &scratch);
    dio_prepare_free(&test->ctx, &asking.prepare);
}

static void compare(struct test_ctx *test, const uint8_t *bytes, size_t size, const struct dio_view *view, int32_t by)
{
    struct dio_picture exact = {0}, fast = {0};
    uint8_t *a = malloc(SAMPLES), *b = malloc(SAMPLES);
    prepare(test, bytes, size, false, view, a, &exact);
    prepare(test, bytes, size, true, view, b, &fast);
    assert_int_equal(exact.shrink, 1);
    assert_int_equal(fast.shrink, by);
    assert_int_equal(fast.full_width, exact.width);
    assert_int_equal(fast.full_height, exact.height);
    assert_int_equal(fast.width, (exact.width + by - 1) / by);
    assert_int_equal(fast.height, (exact.height + by - 1) / by);
    assert_int_equal(dio_picture_facts(&fast).width, exact.width);
    uint64_t sum = 0;
    for (size_t i = 0; i < SAMPLES; i++) sum += (uint64_t)abs(a[i] - b[i]);
    /* Corners are moved by less than a stored pixel, which are at most 3 levels; a slip by a pixel of what comes out, some
     * seven stored ones, would be felt tenfold. */
    if (by == 1) assert_int_equal(sum, 0);
    else assert_true((double)sum / SAMPLES < 3.0);
    dio_picture_free(&test->ctx, &exact);
    dio_picture_free(&test->ctx, &fast);
    free(a);
    free(b);
}

static void test_pixels(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct dio_encoded encoded = encode(&test);
    compare(&test, encoded.bytes, encoded.size, NULL, 2); /* 1703 / 8 and / 4 are less than twice 256 */
    const struct dio_view most = {.crop = DIO_CROP_RANDOM, .x = 7, .y = 5, .width = 2400, .height = 1690, .orientation = 1};
    compare(&test, encoded.bytes, encoded.size, &most, 2);
    const struct dio_view edge = {.crop = DIO_CROP_RANDOM, .x = 801, .y = 0, .width = 1800, .height = HEIGHT, .orientation = 1};
    compare(&test, encoded.bytes, encoded.size, &edge, 2);
    const struct dio_view little = {.crop = DIO_CROP_RANDOM, .x = 700, .y = 500, .width = 500, .height = 400, .orientation = 1};
    compare(&test, encoded.bytes, encoded.size, &little, 1);
    for (uint8_t orientation = 2; orientation <= 8; orientation += 2) {
        size_t size = 0;
        uint8_t *turned = with_orientation(&encoded, orientation, &size);
        compare(&test, turned, size, NULL, 2);
        free(turned);
    }
    dio_free(&test.ctx, encoded.bytes);
    test_end(&test);
}

static void test_recipe(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct dio_image_recipe recipe = dio_image_recipe_imagenet(256, SIDE), read;
    struct dio_str text;
    dio_str_init(&text, &test.ctx);
    dio_image_recipe_write(&text, &recipe);
    assert_null(strstr(text.data, "decode"));
    text.length = 0;
    recipe.fast_decode = true;
    dio_image_recipe_write(&text, &recipe);
    assert_non_null(strstr(text.data, "\"exif\": \"apply\", \"decode\": \"fast\""));
    assert_ok(&test, dio_image_recipe_parse(&test.ctx, "m", NULL, text.data, text.length, &read));
    assert_memory_equal(&read, &recipe, sizeof read);
    memcpy(strstr(text.data, "fast"), "last", 4);
    assert_refused(&test, DIO_ERR_INPUT, "decode", dio_image_recipe_parse(&test.ctx, "m", NULL, text.data, text.length, &read));
    dio_str_free(&text);
    test_end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rule), cmocka_unit_test(test_pixels), cmocka_unit_test(test_recipe)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
