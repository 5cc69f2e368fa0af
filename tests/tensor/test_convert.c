/* Conversions against the definition of the types, worked out in double. */
#include "support.h"

#include "tensor/convert.h"

/* IEEE 754 with so many bits of exponent and fraction, by its definition. */
static double value_of(unsigned bits, int exponent_bits, int fraction_bits)
{
    int bias = (1 << (exponent_bits - 1)) - 1;
    unsigned fraction = bits & ((1u << fraction_bits) - 1), exponent = bits >> fraction_bits & ((1u << exponent_bits) - 1);
    double sign = bits >> 15 ? -1 : 1;
    if (exponent == (1u << exponent_bits) - 1) return fraction ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(fraction, 1 - bias - fraction_bits);
    return sign * ldexp((1u << fraction_bits) + fraction, (int)exponent - bias - fraction_bits);
}

static void widening_is_exact(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 65536; bits++) {
        double half = value_of(bits, 5, 10), brain = value_of(bits, 8, 7);
        float a = dio_f16_to_f32((uint16_t)bits), b = dio_bf16_to_f32((uint16_t)bits);
        assert_true(isnan(half) ? isnan(a) : (double)a == half && !signbit(a) == !(bits >> 15));
        assert_true(isnan(brain) ? isnan(b) : (double)b == brain && !signbit(b) == !(bits >> 15));
    }
}

static void widening_and_narrowing_is_the_identity(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 65536; bits++) {
        float a = dio_f16_to_f32((uint16_t)bits), b = dio_bf16_to_f32((uint16_t)bits);
        if (!isnan(a)) assert_int_equal(dio_f32_to_f16(a), bits);
        else assert_true(isnan(dio_f16_to_f32(dio_f32_to_f16(a))));
        if (!isnan(b)) assert_int_equal(dio_f32_to_bf16(b), bits);
        else assert_true(isnan(dio_bf16_to_f32(dio_f32_to_bf16(b))));
    }
}

/* Between two neighbours of the narrow type: the nearer one, and the even one from the middle. */
static void check_between(unsigned low, int exponent_bits, int fraction_bits, uint16_t (*narrow)(float))
{
    double a = value_of(low, exponent_bits, fraction_bits), b = value_of(low + 1, exponent_bits, fraction_bits);
    double step = isinf(b) ? a - value_of(low - 1, exponent_bits, fraction_bits) : b - a;
    float middle = (float)(a + step / 2); /* exact in f32 */
    unsigned even = low & 1 ? low + 1 : low;
    assert_int_equal(narrow(middle), even);
    assert_int_equal(narrow(nextafterf(middle, -INFINITY)), low);
    assert_int_equal(narrow(nextafterf(middle, INFINITY)), low + 1);
    assert_int_equal(narrow(-middle), even | 0x8000);
}

static void narrowing_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (unsigned low = 0; low < 0x7c00; low++) check_between(low, 5, 10, dio_f32_to_f16);
    for (unsigned low = 0; low < 0x7f80; low++) check_between(low, 8, 7, dio_f32_to_bf16);
    assert_int_equal(dio_f32_to_f16(1e10f), 0x7c00);
    assert_int_equal(dio_f32_to_f16(-INFINITY), 0xfc00);
    assert_int_equal(dio_f32_to_f16(1e-30f), 0);
}

static void whole_numbers_widen_and_saturate(void **state)
{
    (void)state;
    const int64_t longs[] = {0, -1, 7, INT64_MAX, INT64_MIN, (1 << 24) + 1};
    const float expected[] = {0, -1, 7, 0x1p63f, -0x1p63f, 0x1p24f};
    float out[6];
    unsigned char moved[49];
    memcpy(moved + 1, longs, sizeof longs); /* unaligned */
    assert_true(dio_convert_to_f32(out, moved + 1, DIO_I64, 6));
    assert_floats_same(out, expected, 6);
    const float from[] = {-1, 0.5f, 1.5f, 2.5f, 300, NAN, -INFINITY, 255.4f};
    const uint8_t bytes[] = {0, 0, 2, 2, 255, 0, 0, 255};
    const int64_t big[] = {-1, 0, 2, 2, 300, 0, INT64_MIN, 255};
    uint8_t u8[8];
    int64_t i64[8];
    assert_true(dio_convert_from_f32(u8, DIO_U8, from, 8));
    assert_memory_equal(u8, bytes, 8);
    assert_true(dio_convert_from_f32(i64, DIO_I64, from, 8));
    assert_memory_equal(i64, big, sizeof big);
    uint64_t u64[2];
    assert_true(dio_convert_from_f32(u64, DIO_U64, (const float[]){INFINITY, -3}, 2));
    assert_true(u64[0] == UINT64_MAX && u64[1] == 0);
    uint8_t truth[3];
    assert_true(dio_convert_from_f32(truth, DIO_BOOL, (const float[]){0, -0.25f, NAN}, 3));
    assert_memory_equal(truth, ((uint8_t[]){0, 1, 1}), 3);
    assert_false(dio_convert_to_f32(out, moved, DIO_F8_E4M3, 1));
    assert_false(dio_convert_from_f32(out, DIO_C64, from, 1));
}

static void non_finite_values_are_counted(void **state)
{
    (void)state;
    uint64_t nan = 0, inf = 0;
    const float f32[] = {1, NAN, INFINITY, -INFINITY, -NAN, 3.4e38f};
    dio_count_nonfinite(f32, DIO_F32, 6, &nan, &inf);
    assert_true(nan == 2 && inf == 2);
    dio_count_nonfinite(f32, DIO_C64, 3, &nan, &inf); /* halves of complex numbers */
    assert_true(nan == 4 && inf == 4);
    const uint16_t f16[] = {0x7c00, 0x7c01, 0xfe00, 0x7bff};
    dio_count_nonfinite(f16, DIO_F16, 4, &nan, &inf);
    assert_true(nan == 6 && inf == 5);
    const uint8_t f8[] = {0x7f, 0xff, 0x7e, 0x80};
    dio_count_nonfinite(f8, DIO_F8_E4M3, 4, &nan, &inf);
    assert_true(nan == 8 && inf == 5);
    dio_count_nonfinite(f16, DIO_I16, 4, &nan, &inf);
    assert_true(nan == 8 && inf == 5);
}

static void gather_follows_strides_and_swaps(void **state)
{
    (void)state;
    const uint32_t src[24] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};
    const int64_t dims[] = {3, 2, 4}, strides[] = {4, 12, 1};
    struct dio_gather view = {src, dims, strides, 3, 4, 0};
    uint32_t all[24], part[24];
    dio_gather(&view, 0, 24, all);
    for (int i = 0; i < 24; i++) {
        int64_t c = i % 4, b = i / 4 % 2, a = i / 8;
        assert_int_equal(all[i], src[a * 4 + b * 12 + c]);
    }
    for (int begin = 0; begin < 24; begin += 7) { /* any piece is a piece of the whole */
        size_t count = begin + 7 < 24 ? 7 : (size_t)(24 - begin);
        dio_gather(&view, (uint64_t)begin, count, part);
        assert_memory_equal(part, all + begin, count * 4);
    }
    const int64_t zero[] = {0, 0, 1};
    view.strides = zero;
    dio_gather(&view, 0, 24, all);
    for (int i = 0; i < 24; i++) assert_int_equal(all[i], i % 4);
    struct dio_gather swapped = {src, dims, NULL, 3, 4, 4};
    dio_gather(&swapped, 0, 24, all);
    for (uint32_t i = 0; i < 24; i++) assert_int_equal(all[i], i << 24);
    struct dio_gather complex = {src, dims, NULL, 3, 8, 4};
    dio_gather(&complex, 1, 1, all);
    assert_true(all[0] == 2u << 24 && all[1] == 3u << 24);
}

static void shapes_do_not_wrap(void **state)
{
    (void)state;
    struct dio_shape shape = dio_shape_4(2, 3, 4, 5);
    size_t bytes;
    char text[64];
    assert_int_equal(dio_shape_elements(&shape), 120);
    assert_true(dio_shape_bytes(&shape, DIO_F16, &bytes) && bytes == 240);
    shape = (struct dio_shape){3, {0, INT64_MAX, 2}};
    assert_int_equal(dio_shape_elements(&shape), -1);
    shape = dio_shape_2(INT64_MAX, 1);
    assert_false(dio_shape_bytes(&shape, DIO_F32, &bytes));
    shape = dio_shape_2(3, 0);
    assert_int_equal(dio_shape_elements(&shape), 0);
    shape.rank = 0;
    assert_int_equal(dio_shape_elements(&shape), 1);
    assert_int_equal(dio_shape_format(text, sizeof text, &shape), 2);
    assert_string_equal(text, "[]");
    shape = dio_shape_2(64, 3);
    assert_int_equal(dio_shape_format(text, 4, &shape), 7);
    assert_string_equal(text, "[64");
    enum dio_dtype dtype;
    for (int i = 0; i < DIO_DTYPE_COUNT; i++) {
        const char *name = dio_dtype_name((enum dio_dtype)i);
        assert_true(dio_dtype_parse(name, strlen(name), &dtype) && (int)dtype == i);
    }
    assert_false(dio_dtype_parse("f32", 3, &dtype));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(widening_is_exact), cmocka_unit_test(widening_and_narrowing_is_the_identity),
        cmocka_unit_test(narrowing_rounds_to_nearest_even), cmocka_unit_test(whole_numbers_widen_and_saturate),
        cmocka_unit_test(non_finite_values_are_counted), cmocka_unit_test(gather_follows_strides_and_swaps),
        cmocka_unit_test(shapes_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
