/* Decoding: Pillow's bytes for every variant of JPEG and PNG, the collections of odd files where they are at hand,
 * orientation, damage, limits, and failing allocations. */
#include "image/orient.h"
#include "image/picture.h"
#include "pattern.h"

/* The pixels as RGB8, 16-bit samples by their high byte. */
static uint8_t *as_rgb8(const struct dio_picture *picture, size_t *bytes)
{
    const size_t pixels = (size_t)picture->width * (size_t)picture->height;
    uint8_t *out = malloc(pixels * 3 + 1);
    for (size_t i = 0; i < pixels * 3; i++) {
        const size_t at = picture->channels == 1 ? i / 3 : i;
        out[i] = picture->sample == DIO_SAMPLE_U16 ? (uint8_t)(((uint16_t *)picture->data)[at] >> 8)
                                                   : ((uint8_t *)picture->data)[at];
    }
    *bytes = pixels * 3;
    return out;
}

static dio_status decode_file(struct test_ctx *test, const char *path, const struct dio_decode_options *options,
                              struct dio_picture *picture)
{
    size_t length = 0;
    char *bytes = test_read(path, &length);
    dio_status status = dio_picture_decode(&test->ctx, path, bytes, length, options, picture);
    free(bytes);
    return status;
}

static bool has_digest(const struct dio_picture *picture, const char *expected)
{
    size_t length = 0;
    uint8_t *pixels = as_rgb8(picture, &length);
    char hex[65];
    const struct dio_digest digest = dio_sha256_of(pixels, length);
    dio_digest_hex(&digest, hex);
    free(pixels);
    return strcmp(hex, expected) == 0;
}

/* ---- Goldens: file,mode,w,h,sha256,first12,exif_sha256 ---- */

static void check_golden(char **f, void *arg)
{
    struct test_ctx *test = arg;
    struct dio_picture picture = {0};
    const struct dio_decode_options as_stored = {.ignore_exif = true};
    char name[256], path[4096];
    snprintf(name, sizeof name, "image/golden/decode/%s", f[0]);
    snprintf(path, sizeof path, "%s", test_source_path(name));
    if (strcmp(f[0], "p_shortpal.png") == 0) { /* Pillow gives black for indices past the palette */
        assert_refused(test, DIO_ERR_INPUT, "palette index", decode_file(test, path, NULL, &picture));
    } else {
        assert_ok(test, decode_file(test, path, &as_stored, &picture));
        assert_int_equal(picture.width, atoi(f[2]));
        assert_int_equal(picture.height, atoi(f[3]));
        const bool deep_grey = strcmp(f[1], "I;16") == 0; /* Pillow clips at 255, we keep 16 bits */
        if (deep_grey) assert_int_equal(picture.sample, DIO_SAMPLE_U16);
        else if (!has_digest(&picture, f[4])) fail_msg("%s: not Pillow's bytes", f[0]);
        if (f[6][0]) {
            assert_ok(test, decode_file(test, path, NULL, &picture));
            if (!has_digest(&picture, f[6])) fail_msg("%s: not Pillow's bytes after turning", f[0]);
        }
    }
    dio_picture_free(&test->ctx, &picture);
}

static void test_golden(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    assert_int_equal(for_each_row(test_source_path("image/golden/decode.csv"), 7, check_golden, &test), 56);
    test_end(&test);
}

/* ---- Collections: every file is as Pillow says, or stands in golden/deviations.csv with the reason ---- */

struct deviation {
    char file[128], ours[16];
    bool met;
};
struct collection {
    struct test_ctx *test;
    char folder[4096];
    struct deviation deviations[64];
    int count, equal, refused, skipped;
};

static void read_deviation(char **f, void *arg)
{
    struct collection *all = arg;
    struct deviation *deviation = &all->deviations[all->count++];
    assert_true(all->count <= 64);
    snprintf(deviation->file, sizeof deviation->file, "%s", f[0]);
    snprintf(deviation->ours, sizeof deviation->ours, "%s", f[1]);
}

static struct deviation *find_deviation(struct collection *all, const char *file)
{
    for (int i = 0; i < all->count; i++) {
        if (strcmp(all->deviations[i].file, file) == 0) return &all->deviations[i];
    }
    return NULL;
}

static void check_file(char **f, void *arg)
{
    struct collection *all = arg;
    struct test_ctx *test = all->test;
    struct dio_picture picture = {0};
    struct deviation *deviation = find_deviation(all, f[0]);
    char path[4400];
    const char *format = f[2];
    snprintf(path, sizeof path, "%s/%.256s", all->folder, f[0]);
    const bool readable = strcmp(f[1], "yes") == 0;
    const bool foreign = strcmp(format, "TIFF") == 0 || strcmp(format, "WEBP") == 0 ||
                         strcmp(format, "JPEG2000") == 0 || strcmp(format, "ICO") == 0;
    const dio_status status = decode_file(test, path, NULL, &picture);
    const bool same =
        status == DIO_OK && readable && (has_digest(&picture, f[8]) || (f[9][0] && has_digest(&picture, f[9])));
    if (foreign) {
        assert_int_equal(status, DIO_ERR_INPUT);
        if (!strstr(test_error(test), "is not supported")) fail_msg("%s", test_error(test));
        all->skipped++;
    } else if (deviation) {
        const char *ours = status != DIO_OK ? "refused" : same ? "same" : readable ? "other" : "read";
        if (strcmp(ours, deviation->ours) != 0) {
            fail_msg("%s: %s, golden/deviations.csv says %s", f[0], ours, deviation->ours);
        }
        deviation->met = true;
    } else if (readable) {
        if (!same) fail_msg("%s: not as Pillow reads it: %s", f[0], test_error(test));
        all->equal++;
    } else {
        if (status != DIO_ERR_INPUT) fail_msg("%s: Pillow refuses it, status %d", f[0], (int)status);
        all->refused++;
    }
    dio_ctx_clear_error(&test->ctx);
    dio_picture_free(&test->ctx, &picture);
}

static void test_collections(void **state)
{
    (void)state;
    struct test_ctx test;
    const char *folder = test_shared_path("data/pictures");
    if (!folder) skip();
    test_begin(&test);
    struct collection *all = calloc(1, sizeof *all);
    all->test = &test;
    snprintf(all->folder, sizeof all->folder, "%s", folder);
    for_each_row(test_source_path("image/golden/deviations.csv"), 3, read_deviation, all);
    char list[4400];
    snprintf(list, sizeof list, "%s/expected.csv", all->folder);
    for_each_row(list, 17, check_file, all);
    for (int i = 0; i < all->count; i++) {
        if (!all->deviations[i].met) fail_msg("%s is not in the collection", all->deviations[i].file);
    }
    print_message("%d as Pillow reads them, %d refused by both, %d listed deviations, %d of formats not supported\n",
                  all->equal, all->refused, all->count, all->skipped);
    assert_true(all->equal > 300);
    free(all);
    test_end(&test);
}

/* ---- Orientation ---- */

static void test_orientation(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    /* 3 x 2: 0 1 2 / 3 4 5, turned each way, by the index maps that EXIF defines. */
    static const uint8_t expected[9][6] = {{0},
                                           {0, 1, 2, 3, 4, 5},
                                           {2, 1, 0, 5, 4, 3},
                                           {5, 4, 3, 2, 1, 0},
                                           {3, 4, 5, 0, 1, 2},
                                           {0, 3, 1, 4, 2, 5},
                                           {3, 0, 4, 1, 5, 2},
                                           {5, 2, 4, 1, 3, 0},
                                           {2, 5, 1, 4, 0, 3}};
    for (int32_t orientation = 1; orientation <= 8; orientation++) {
        for (int32_t channels = 1; channels <= 3; channels += 2) {
            struct dio_picture picture = {0};
            assert_ok(&test, dio_picture_reserve(&test.ctx, "t", 3, 2, channels, DIO_SAMPLE_U8, &picture));
            for (size_t i = 0; i < 6; i++) {
                memset((uint8_t *)picture.data + i * (size_t)channels, (int)i, (size_t)channels);
            }
            assert_ok(&test, dio_picture_orient(&test.ctx, &picture, orientation));
            assert_int_equal(picture.width, orientation < 5 ? 3 : 2);
            for (size_t i = 0; i < 6; i++) {
                assert_int_equal(((uint8_t *)picture.data)[i * (size_t)channels], expected[orientation][i]);
            }
            dio_picture_free(&test.ctx, &picture);
        }
    }
    test_end(&test);
}

static void test_exif_noise(void **state)
{
    (void)state;
    uint8_t good[] = {'I', 'I', '*', 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0};
    assert_int_equal(dio_exif_orientation(good, sizeof good), 6);
    for (size_t cut = 0; cut < 22; cut++) assert_int_equal(dio_exif_orientation(good, cut), 0);
    for (uint8_t odd = 0; odd < 10; odd = (uint8_t)(odd + 9)) { /* what is there and senseless is 1, not "none" */
        good[18] = odd;
        assert_int_equal(dio_exif_orientation(good, sizeof good), 1);
    }
    good[18] = 6;
    good[12] = 2; /* text */
    assert_int_equal(dio_exif_orientation(good, sizeof good), 1);
    good[12] = 3;
    good[4] = 255; /* directory outside */
    assert_int_equal(dio_exif_orientation(good, sizeof good), 0);
    static const char xmp[] = "<x tiff:Orientation=\"8\"/>", element[] = "<tiff:Orientation>3</tiff:Orientation>",
                      none[] = "tiff:Orientation=\"";
    assert_int_equal(dio_xmp_orientation((const uint8_t *)xmp, sizeof xmp - 1), 8);
    assert_int_equal(dio_xmp_orientation((const uint8_t *)element, sizeof element - 1), 3);
    assert_int_equal(dio_xmp_orientation((const uint8_t *)none, sizeof none - 1), 0);
}

/* ---- Every byte changed, every cut: an answer, never a crash; nothing kept ---- */

static void torture(struct test_ctx *test, const char *name)
{
    char path[256];
    size_t length = 0;
    snprintf(path, sizeof path, "image/golden/decode/%s", name);
    uint8_t *bytes = (uint8_t *)test_read(test_source_path(path), &length);
    struct dio_picture picture = {0};
    test->ctx.limits.max_pixels = 1000000;
    for (int damaged = 0; damaged < 2; damaged++) {
        const struct dio_decode_options options = {.allow_damaged = damaged, .quiet = true};
        for (size_t cut = 0; cut < length; cut++) {
            uint8_t *exact = malloc(cut + 1); /* so that a sanitizer sees a read past the end */
            memcpy(exact, bytes, cut);
            dio_status status = dio_picture_decode(&test->ctx, name, exact, cut, &options, &picture);
            assert_true(status == DIO_OK || status == DIO_ERR_INPUT);
            dio_ctx_clear_error(&test->ctx);
            free(exact);
        }
        for (size_t at = 0; at < length; at++) {
            static const uint8_t flips[] = {0x01, 0x80, 0xff};
            const uint8_t old = bytes[at];
            bytes[at] ^= flips[at % 3];
            dio_status status = dio_picture_decode(&test->ctx, name, bytes, length, &options, &picture);
            assert_true(status == DIO_OK || status == DIO_ERR_INPUT);
            assert_true(status == DIO_OK || picture.width == 0);
            dio_ctx_clear_error(&test->ctx);
            bytes[at] = old;
        }
    }
    dio_picture_free(&test->ctx, &picture);
    free(bytes);
}

static void test_damage(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    static const char *const names[] = {"j00_ss0b.jpg",  "j01_ss0p.jpg",    "j11_cmyk.jpg",
                                        "p_pal4_i1.png", "p_ct6_16_i1.png", "p_grey1_i0.png"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) torture(&test, names[i]);
    test_end(&test);
}

static void test_messages(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct dio_picture picture = {0};
    static const struct {
        const char *name, *bytes;
        size_t size;
        const char *words;
    } cases[] = {
        {"a.png", "", 0, "a.png: empty file"},
        {"a.png", "<!DOCTYPE html><p>", 18, "a.png: not a picture (looks like HTML)"},
        {"a.jpg", "PK\3\4........", 12, "looks like a zip archive"},
        {"a.jpg", "RIFF....WEBPVP8 ", 16, "a.jpg: WebP is not supported; convert to PNG or JPEG"},
        {"a.jpg", "\0\0\2\0\0\0\0\0\0\0\0\0\4\0\4\0\30\0........", 26, "looks like TGA, which is read under the name .tga alone"},
        {"a.jpg", "\0\0\2\0\1\0................", 22, "CUR is not supported"},
        {"a.tif", "II*\0....", 8, "TIFF is not supported"},
        {"a.jpg", "version https://git-lfs.github.com/spec/v1\n", 43, "Git LFS pointer"},
        {"a.jpg", "\xff\xd8\xff", 3, "truncated at byte 3"},
        {"a.ppm", "P6 60000 60000 255 ", 19, "60000 x 60000 pixels, above --max-pixels 100000000"},
        {"a.ppm", "P6 0 4 255 ", 11, "width 0"},
        {"a.ppm", "P5 2 2 65536 ", 13, "maxval above 65535 (1 to 65535)"},
        {"a.tga", "hello", 5, "truncated at byte 5"},
        {"a.gif", "GIF89a\1\0\1\0\0\0\0;", 14, "GIF without a frame"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_refused(&test, DIO_ERR_INPUT, cases[i].words,
                       dio_picture_decode(&test.ctx, cases[i].name, cases[i].bytes, cases[i].size, NULL, &picture));
    }
    test.ctx.limits.max_file = 4;
    assert_refused(&test, DIO_ERR_INPUT, "above --max-file 4",
                   dio_picture_decode(&test.ctx, "a", "12345", 5, NULL, &picture));
    assert_string_equal(dio_picture_probe("x", "\xff\xd8\xff\xe0", 4), "jpeg");
    assert_string_equal(dio_picture_probe("x.TGA", "....", 4), "tga");
    assert_null(dio_picture_probe("x.png", "hello", 5));
    assert_true(dio_picture_has_extension("a/b.JPEG") && dio_picture_has_extension("x.webp"));
    assert_false(dio_picture_has_extension("a.jpg/b") || dio_picture_has_extension("jpg") ||
                 dio_picture_has_extension("notes.txt"));
    dio_picture_free(&test.ctx, &picture);
    test_end(&test);
}

/* PNM with every maxval: stretched as Pillow does, round half to even. */
static void test_pnm(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct dio_picture picture = {0};
    static const char text[] = "P2 # comment\n3 1\n6\n1 3 6";
    assert_ok(&test, dio_picture_decode(&test.ctx, "t.pgm", text, sizeof text - 1, NULL, &picture));
    static const uint8_t grey[9] = {42, 42, 42, 128, 128, 128, 255, 255, 255};
    assert_memory_equal(picture.data, grey, 9);
    static const char deep[] = "P5 2 1 1000\n\x01\xf4\x03\xe8";
    assert_ok(&test, dio_picture_decode(&test.ctx, "t.pgm", deep, sizeof deep - 1, NULL, &picture));
    assert_int_equal(picture.channels, 1);
    assert_int_equal(((uint16_t *)picture.data)[0], 32768);
    assert_int_equal(((uint16_t *)picture.data)[1], 65535);
    static const char bits[] = "P4 10 1 \xaa\x40";
    assert_ok(&test, dio_picture_decode(&test.ctx, "t.pbm", bits, sizeof bits - 1, NULL, &picture));
    assert_int_equal(((uint8_t *)picture.data)[0], 0);
    assert_int_equal(((uint8_t *)picture.data)[3], 255);
    assert_int_equal(((uint8_t *)picture.data)[27], 0);
    const struct dio_decode_options damaged = {.allow_damaged = true};
    static const char cut[] = "P5 2 2 255\n\x10\x20\x30";
    assert_refused(&test, DIO_ERR_INPUT, "truncated",
                   dio_picture_decode(&test.ctx, "t.pgm", cut, sizeof cut - 1, NULL, &picture));
    assert_ok(&test, dio_picture_decode(&test.ctx, "t.pgm", cut, sizeof cut - 1, &damaged, &picture));
    assert_int_equal(((uint8_t *)picture.data)[6], 0x30);
    assert_int_equal(((uint8_t *)picture.data)[9], 128);
    assert_int_equal(test.warnings, 1);
    dio_picture_free(&test.ctx, &picture);
    test_end(&test);
}

static dio_status decode_once(struct test_ctx *test, void *arg)
{
    struct dio_picture picture = {0};
    dio_status status = decode_file(test, arg, NULL, &picture);
    dio_picture_free(&test->ctx, &picture);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"j18_exif7.jpg", "j11_cmyk.jpg", "p_pal4_i1.png", "p_ct6_16_i1.png"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[256], path[4096];
        snprintf(name, sizeof name, "image/golden/decode/%s", names[i]);
        snprintf(path, sizeof path, "%s", test_source_path(name));
        test_fail_each_allocation(decode_once, path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden),      cmocka_unit_test(test_collections),
                                       cmocka_unit_test(test_orientation), cmocka_unit_test(test_exif_noise),
                                       cmocka_unit_test(test_damage),      cmocka_unit_test(test_messages),
                                       cmocka_unit_test(test_pnm),         cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
