/* Pillow's resize, byte for byte at every level: 20 pictures, 6 filters, both orders of the passes; regions equal the whole. */
#include "image/resize.h"

#include "kernels/kernels.h"
#include "pattern.h"

struct golden {
    struct test_ctx *test;
    uint8_t *source, *expected;
    struct dio_resize_scratch scratch;
    int checked, regions;
};

static void check_row(char **f, void *arg)
{
    struct golden *golden = arg;
    struct dio_ctx *ctx = &golden->test->ctx;
    const int32_t w = atoi(f[2]), h = atoi(f[3]), ow = atoi(f[4]), oh = atoi(f[5]);
    enum dio_interpolation interpolation = DIO_NEAREST;
    assert_true(dio_interpolation_from_name(f[1], &interpolation));
    /* The column says which order Pillow 13 took; where it is down first, Pillow 12 gives other bytes. */
    const struct dio_pixels in = {golden->source + atol(f[7]), (size_t)w * 3, w, h, 3, DIO_SAMPLE_U8, 0, 0};
    const struct dio_region whole = {0, 0, ow, oh};
    const size_t bytes = (size_t)ow * (size_t)oh * 3;
    uint8_t *out = malloc(bytes), *part = malloc(bytes);
    assert_ok(golden->test, dio_resize(ctx, &in, ow, oh, interpolation, DIO_PILLOW_13, &whole, out, (size_t)ow * 3,
                                       &golden->scratch));
    assert_memory_equal(out, golden->expected + atol(f[8]), bytes);
    assert_digest(f[0], out, bytes, f[9]);
    if (strcmp(f[6], "HV") == 0) {
        assert_ok(golden->test, dio_resize(ctx, &in, ow, oh, interpolation, DIO_PILLOW_12, &whole, out, (size_t)ow * 3,
                                           &golden->scratch));
        assert_memory_equal(out, golden->expected + atol(f[8]), bytes);
    }
    golden->checked++;
    for (int32_t n = 0; n < 3; n++) { /* a part is that part of the whole, for both orders */
        const enum dio_pillow pillow = n == 1 ? DIO_PILLOW_12 : DIO_PILLOW_13;
        struct dio_region region = {ow * n / 4, oh / 3, (ow + 2) / 3, (oh + 1) / 2};
        if (region.x + region.width > ow || region.y + region.height > oh) continue;
        assert_ok(golden->test,
                  dio_resize(ctx, &in, ow, oh, interpolation, pillow, &whole, out, (size_t)ow * 3, &golden->scratch));
        const size_t stride = (size_t)region.width * 3;
        assert_ok(golden->test,
                  dio_resize(ctx, &in, ow, oh, interpolation, pillow, &region, part, stride, &golden->scratch));
        for (int32_t y = 0; y < region.height; y++) {
            assert_memory_equal(part + (size_t)y * stride,
                                out + ((size_t)(region.y + y) * (size_t)ow + (size_t)region.x) * 3, stride);
        }
        golden->regions++;
    }
    free(out);
    free(part);
}

static void test_golden(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct golden golden = {.test = &test};
    struct dio_kernels kernels;
    golden.source = (uint8_t *)test_read(test_source_path("image/golden/resize_src.bin"), NULL);
    golden.expected = (uint8_t *)test_read(test_source_path("image/golden/resize_out.bin"), NULL);
    const int levels = (int)dio_kernels_best(&test.ctx.cpu) + 1;
    for (int level = -1; level < levels; level++) { /* -1: a context without kernels */
        if (level >= 0) dio_kernels_select(&test.ctx.cpu, (enum dio_isa)level, &kernels);
        test.ctx.kernels = level >= 0 ? &kernels : NULL;
        const int rows = for_each_row(test_source_path("image/golden/resize.csv"), 10, check_row, &golden);
        assert_int_equal(rows, 120);
    }
    assert_int_equal(golden.checked, 120 * (levels + 1));
    assert_true(golden.regions > 200);
    free(golden.source);
    free(golden.expected);
    dio_resize_scratch_free(&test.ctx, &golden.scratch);
    test_end(&test);
}

static void check_nearest16(char **f, void *arg)
{
    struct golden *golden = arg;
    enum { MOST = 1024 };
    const int32_t w = atoi(f[0]), ow = atoi(f[1]);
    uint16_t in[MOST], across[MOST], down[MOST];
    assert_in_range(w, 1, MOST);
    assert_in_range(ow, 1, MOST);
    for (int32_t i = 0; i < w; i++) in[i] = (uint16_t)i;
    const struct dio_pixels row = {in, (size_t)w * 2, w, 1, 1, DIO_SAMPLE_U16, 0, 0}, column = {in, 2, 1, w, 1, DIO_SAMPLE_U16, 0, 0};
    const struct dio_region half = {ow / 2, 0, ow - ow / 2, 1}, whole = {0, 0, 1, ow};
    struct dio_ctx *ctx = &golden->test->ctx;
    assert_ok(golden->test, dio_resize(ctx, &row, ow, 1, DIO_NEAREST, DIO_PILLOW_13, &half, across, (size_t)ow * 2,
                                       &golden->scratch));
    assert_ok(golden->test, dio_resize(ctx, &column, 1, ow, DIO_NEAREST, DIO_PILLOW_13, &whole, down, 2, &golden->scratch));
    char *at = f[2];
    for (int32_t i = 0; i < ow; i++) {
        const long expected = strtol(at, &at, 10);
        assert_int_equal(down[i], expected);
        if (i >= half.x) assert_int_equal(across[i - half.x], expected);
    }
    golden->checked++;
}

/* Rows and columns of mode I;16, for which Pillow computes the nearest pixel otherwise than for 8 bits. */
static void test_nearest16(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct golden golden = {.test = &test};
    assert_int_equal(for_each_row(test_source_path("image/golden/nearest16.csv"), 3, check_nearest16, &golden), 64);
    assert_int_equal(golden.checked, 64);
    dio_resize_scratch_free(&test.ctx, &golden.scratch);
    test_end(&test);
}

/* Several channels are resized as each alone. */
static void test_channels(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    for (int deep = 0; deep < 2; deep++) {
        const enum dio_sample sample = deep ? DIO_SAMPLE_U16 : DIO_SAMPLE_U8;
        struct dio_picture five = {0}, one = {0};
        struct dio_resize_scratch scratch = {0};
        enum { W = 23, H = 31, OW = 11, OH = 40, C = 5 };
        pattern_make(&test, W, H, C, sample, &five);
        pattern_make(&test, W, H, 1, sample, &one);
        uint16_t out5[OW * OH * C], out1[OW * OH]; /* large enough for both types */
        const struct dio_region whole = {0, 0, OW, OH};
        const struct dio_pixels pixels5 = dio_pixels_of(&five, 0, 0, W, H), pixels1 = dio_pixels_of(&one, 0, 0, W, H);
        const size_t size = deep ? 2 : 1;
        assert_ok(&test, dio_resize(&test.ctx, &pixels5, OW, OH, DIO_BICUBIC, DIO_PILLOW_13, &whole, out5,
                                    OW * C * size, &scratch));
        for (size_t c = 0; c < C; c++) {
            for (size_t i = 0; i < W * H; i++) {
                memcpy((uint8_t *)one.data + i * size, (uint8_t *)five.data + (i * C + c) * size, size);
            }
            assert_ok(&test, dio_resize(&test.ctx, &pixels1, OW, OH, DIO_BICUBIC, DIO_PILLOW_13, &whole, out1,
                                        OW * size, &scratch));
            for (size_t i = 0; i < OW * OH; i++) {
                assert_memory_equal((uint8_t *)out5 + (i * C + c) * size, (uint8_t *)out1 + i * size, size);
            }
        }
        dio_picture_free(&test.ctx, &five);
        dio_picture_free(&test.ctx, &one);
        dio_resize_scratch_free(&test.ctx, &scratch);
    }
    test_end(&test);
}

static dio_status resize_once(struct test_ctx *test, void *arg)
{
    (void)arg;
    uint8_t in[20 * 30 * 3] = {0}, out[9 * 8 * 3];
    const struct dio_pixels pixels = {in, 60, 20, 30, 3, DIO_SAMPLE_U8, 0, 0};
    const struct dio_region whole = {0, 0, 9, 8};
    struct dio_resize_scratch scratch = {0};
    dio_status status = dio_resize(&test->ctx, &pixels, 9, 8, DIO_LANCZOS, DIO_PILLOW_13, &whole, out, 27, &scratch);
    if (status == DIO_OK) {
        status = dio_resize(&test->ctx, &pixels, 9, 8, DIO_NEAREST, DIO_PILLOW_13, &whole, out, 27, &scratch);
    }
    dio_resize_scratch_free(&test->ctx, &scratch);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    test_fail_each_allocation(resize_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden), cmocka_unit_test(test_nearest16),
                                       cmocka_unit_test(test_channels), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
