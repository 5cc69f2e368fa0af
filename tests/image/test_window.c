/* Decoding a window: the same pixels as of the whole, the same verdict and the same words about damage, for every JPEG at
 * hand, as it is and turned, cut and with bytes changed. */
#include <dirent.h>

#include "base/rng.h"
#include "image/picture.h"
#include "image/prepare.h"
#include "support.h"

struct asked {
    struct dio_rng *rng;
    struct dio_region window;
    int32_t width, height;
};

/* Anything from a pixel to all, often at an edge. */
static void draw_span(struct dio_rng *rng, int32_t size, int32_t *from, int32_t *length)
{
    *length = 1 + (int32_t)dio_rng_below(rng, (uint64_t)size);
    const int32_t spare = size - *length;
    const uint64_t place = dio_rng_below(rng, 4);
    *from = place == 0 ? 0 : place == 1 ? spare : (int32_t)dio_rng_below(rng, (uint64_t)spare + 1);
}

static struct dio_region choose(void *arg, int32_t width, int32_t height)
{
    struct asked *asked = arg;
    asked->width = width;
    asked->height = height;
    draw_span(asked->rng, width, &asked->window.x, &asked->window.width);
    draw_span(asked->rng, height, &asked->window.y, &asked->window.height);
    return asked->window;
}

static void compare_pixels(const char *name, const struct dio_picture *whole, const struct dio_picture *part,
                           const struct dio_region *window)
{
    const struct dio_region *held = &part->held;
    const size_t pixel = (size_t)whole->channels * (whole->sample == DIO_SAMPLE_U16 ? 2u : 1u);
    assert_int_equal(part->width, whole->width);
    assert_int_equal(part->height, whole->height);
    assert_true(held->x <= window->x && held->x + held->width >= window->x + window->width);
    assert_true(held->y <= window->y && held->y + held->height >= window->y + window->height);
    for (int32_t y = window->y; y < window->y + window->height; y++) {
        const uint8_t *a = (const uint8_t *)whole->data + ((size_t)y * (size_t)whole->width + (size_t)window->x) * pixel;
        const uint8_t *b = (const uint8_t *)part->data +
                           ((size_t)(y - held->y) * (size_t)held->width + (size_t)(window->x - held->x)) * pixel;
        if (memcmp(a, b, (size_t)window->width * pixel) == 0) continue;
        fail_msg("%s: row %d of the window %d,%d %dx%d differs", name, (int)y, (int)window->x, (int)window->y,
                 (int)window->width, (int)window->height);
    }
}

struct pair {
    struct test_ctx *test;
    struct dio_rng rng;
    struct dio_picture whole, part;
    int decoded, refused, smaller;
};

static void compare(struct pair *pair, const char *name, const uint8_t *bytes, size_t size, struct dio_decode_options options)
{
    struct dio_ctx *ctx = &pair->test->ctx;
    struct asked asked = {.rng = &pair->rng};
    const struct dio_window window = {.choose = choose, .arg = &asked};
    char words[4096];
    options.quiet = true;
    const dio_status expected = dio_picture_decode(ctx, name, bytes, size, &options, &pair->whole);
    snprintf(words, sizeof words, "%s", test_error(pair->test));
    dio_ctx_clear_error(ctx);
    options.window = &window;
    const dio_status status = dio_picture_decode(ctx, name, bytes, size, &options, &pair->part);
    if (status != expected || strcmp(words, test_error(pair->test)) != 0) {
        fail_msg("%s: whole \"%s\", window \"%s\"", name, words, test_error(pair->test));
    }
    dio_ctx_clear_error(ctx);
    pair->refused += expected != DIO_OK;
    if (expected != DIO_OK) return;
    pair->decoded++;
    if (asked.width == 0) asked.window = (struct dio_region){0, 0, pair->whole.width, pair->whole.height}; /* another codec */
    assert_string_equal(pair->part.damage, pair->whole.damage);
    assert_int_equal(pair->part.orientation, pair->whole.orientation);
    compare_pixels(name, &pair->whole, &pair->part, &asked.window);
    pair->smaller += pair->part.held.width < pair->part.width || pair->part.held.height < pair->part.height;
}

static void one_file(struct pair *pair, const char *path, int windows, int damages)
{
    size_t size = 0;
    uint8_t *bytes = (uint8_t *)test_read(path, &size);
    if (size < 4 || bytes[0] != 0xff || bytes[1] != 0xd8 || size > 3000000) windows = damages = 0;
    for (int n = 0; n < windows; n++) {
        compare(pair, path, bytes, size, (struct dio_decode_options){.ignore_exif = n % 3 == 0, .allow_damaged = n % 2});
    }
    for (int n = 0; n < damages; n++) {
        const struct dio_decode_options options = {.allow_damaged = n % 4 == 3};
        const size_t at = (size_t)dio_rng_below(&pair->rng, size);
        if (n % 2 == 0) {
            uint8_t *cut = malloc(at + 1);
            memcpy(cut, bytes, at);
            compare(pair, path, cut, at, options);
            free(cut);
            continue;
        }
        uint8_t *changed = malloc(size);
        memcpy(changed, bytes, size);
        for (int k = 0; k < 1 + n % 3; k++) changed[dio_rng_below(&pair->rng, size)] ^= (uint8_t)(1 + dio_rng_below(&pair->rng, 255));
        compare(pair, path, changed, size, options);
        free(changed);
    }
    free(bytes);
}

static void all_of(struct pair *pair, const char *folder, int windows, int damages)
{
    DIR *listing = opendir(folder);
    if (!listing) return;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        const size_t length = strlen(path);
        if (entry->d_type == DT_DIR) all_of(pair, path, windows, damages);
        else if (length > 4 && (!strcmp(path + length - 4, ".jpg") || !strcmp(path + length - 5, ".jpeg"))) one_file(pair, path, windows, damages);
    }
    closedir(listing);
}

static void run_folder(const char *folder, int windows, int damages, int least)
{
    struct test_ctx test;
    test_begin(&test);
    test.ctx.limits.max_pixels = 20000000;
    struct pair pair = {.test = &test, .rng = dio_rng_make(20261122, DIO_RNG_TEST, 0, 0)};
    char place[4096];
    snprintf(place, sizeof place, "%s", folder);
    all_of(&pair, place, windows, damages);
    print_message("%d decoded (%d of them in part), %d refused\n", pair.decoded, pair.smaller, pair.refused);
    assert_true(pair.decoded >= least && pair.smaller > pair.decoded / 3);
    dio_picture_free(&test.ctx, &pair.whole);
    dio_picture_free(&test.ctx, &pair.part);
    test_end(&test);
}

/* Every subsampling, baseline and progressive, odd sizes. */
static void test_goldens(void **state)
{
    (void)state;
    run_folder(test_source_path("image/golden/decode"), 200, 200, 1000);
}

static void test_collections(void **state)
{
    (void)state;
    const char *folder = test_shared_path("data/pictures");
    if (!folder) skip();
    run_folder(folder, 12, 6, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_goldens), cmocka_unit_test(test_collections)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
