#include "base/str.h"

#include <locale.h>

#include "support.h"

static void shows(const char *text, size_t limit, const char *expected)
{
    char out[256];
    dio_escape(out, sizeof out, text, strlen(text), limit);
    assert_string_equal(out, expected);
}

static void test_escape(void **state)
{
    (void)state;
    shows("plain \xc3\xa9", 0, "plain \xc3\xa9");
    shows("a\nb\tc\x1b[0m\x7f", 0, "a\\nb\\tc\\x1b[0m\\x7f");
    shows("\xc2\x85", 0, "\\u0085");
    shows("\xe2\x80\xae" "x", 0, "\\u202ex");
    shows("\xff\xc3", 0, "\\xff\\xc3");
    shows("0123456789", 8, "01234...");
    shows("01234567", 8, "01234567");
    shows("0123456\n9", 8, "01234...");
    char tiny[3];
    dio_escape(tiny, sizeof tiny, "abcdef", 6, 0);
    assert_string_equal(tiny, "..");
}

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        int bad; /* -1: valid */
    } cases[] = {{"", 0, -1},
                 {"a\0b", 3, -1},
                 {"\xf0\x9f\x98\x80", 4, -1},
                 {"\xf4\x8f\xbf\xbf", 4, -1},
                 {"a\xc0\x80", 3, 1},         /* overlong */
                 {"\xe0\x80\x80", 3, 0},
                 {"\xed\xa0\x80", 3, 0},      /* surrogate */
                 {"\xf4\x90\x80\x80", 4, 0},  /* above U+10FFFF */
                 {"ab\xe2\x82", 4, 2},        /* cut */
                 {"\x80", 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t bad = 0;
        assert_int_equal(dio_utf8_valid(cases[i].bytes, cases[i].length, &bad), cases[i].bad < 0);
        if (cases[i].bad >= 0) assert_int_equal(bad, cases[i].bad);
    }
}

static bool parses(const char *text, double *value)
{
    return dio_parse_double(text, strlen(text), value);
}

/* strtod of the C locale is the reference. */
static void test_parse_double(void **state)
{
    (void)state;
    static const char *const good[] = {"0", "-0", "1", "+2.5", "0.1", "1e-2", "1E5", "123456789012345678", "0.000001", ".5", "5.",
                                       "1e22", "1e23", "9007199254740993", "4.9e-324", "2.4703282292062328e-324", "1e-400",
                                       "1.7976931348623157e308", "2.2250738585072011e-308", "179769313486231570000e288",
                                       "8.10109172351e-10", "0e999999999999", "6.62607015e-34", "123e-5"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double value;
        if (!parses(good[i], &value)) print_error("%s\n", good[i]);
        assert_true(parses(good[i], &value));
        double expected = strtod(good[i], NULL);
        assert_memory_equal(&value, &expected, sizeof value);
    }
    static const char *const bad[] = {"", "-", ".", "e5", "1e", "1e+", "0x10", "inf", "nan", " 1", "1 ", "1,5", "1_000", "1e400",
                                      "-1e999999999999", "1.2.3", "1e5x", "--1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double value;
        if (parses(bad[i], &value)) print_error("%s\n", bad[i]);
        assert_false(parses(bad[i], &value));
    }
    /* More digits than are kept: half way between two doubles, and a last digit that decides. */
    char text[2000];
    double value;
    memset(text, '0', sizeof text);
    memcpy(text, "9007199254740993.", 17);
    assert_true(dio_parse_double(text, 1500, &value));
    assert_true(value == 9007199254740992.0);
    text[1400] = '1';
    assert_true(dio_parse_double(text, 1500, &value));
    assert_true(value == 9007199254740994.0);
}

static void test_parse_i64(void **state)
{
    (void)state;
    int64_t value;
    assert_true(dio_parse_i64("-9223372036854775808", 20, &value) && value == INT64_MIN);
    assert_true(dio_parse_i64("+9223372036854775807", 20, &value) && value == INT64_MAX);
    assert_false(dio_parse_i64("9223372036854775808", 19, &value));
    assert_false(dio_parse_i64("", 0, &value));
    assert_false(dio_parse_i64("-", 1, &value));
    assert_false(dio_parse_i64("1.0", 3, &value));
    assert_false(dio_parse_i64("0x2", 3, &value));
}

static uint64_t next_bits(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state ^ *state >> 29;
}

static void test_round_trip(void **unused)
{
    (void)unused;
    uint64_t state = 1;
    char text[64];
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = next_bits(&state);
        uint32_t half = (uint32_t)(bits >> 32);
        double d, d_back;
        float f;
        memcpy(&d, &bits, sizeof d);
        memcpy(&f, &half, sizeof f);
        if (isfinite(d)) {
            size_t length = dio_format_double(text, sizeof text, d);
            assert_int_equal(length, strlen(text));
            assert_true(dio_parse_double(text, length, &d_back) && d_back == d);
        }
        if (isfinite(f)) {
            size_t length = dio_format_float(text, sizeof text, f);
            assert_true(dio_parse_double(text, length, &d_back));
            assert_floats_same(&(float){(float)d_back}, &f, 1);
        }
    }
    dio_format_double(text, sizeof text, 0.1);
    assert_string_equal(text, "0.1");
    dio_format_float(text, sizeof text, 0.1f);
    assert_string_equal(text, "0.1");
    dio_format_double(text, sizeof text, -HUGE_VAL);
    assert_string_equal(text, "-inf");
    dio_format_double(text, sizeof text, -0.0);
    assert_string_equal(text, "-0");
}

/* With a decimal comma in force nothing changes. */
static void test_locale(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE", "ru_RU.UTF-8"};
    bool found = false;
    for (size_t i = 0; i < sizeof names / sizeof *names && !found; i++) found = setlocale(LC_ALL, names[i]) != NULL;
    if (!found) print_message("skipped: no locale with a decimal comma is installed; the rest ran in \"C\"\n");
    struct test_ctx test;
    test_begin(&test);
    char text[64];
    double value;
    dio_format_double(text, sizeof text, 1234.5678);
    assert_string_equal(text, "1234.5678");
    assert_true(parses("0.12345678901234567890123", &value) && value > 0.12 && value < 0.13);
    struct dio_str str;
    dio_str_init(&str, &test.ctx);
    dio_str_addf(&str, "%.2f", 0.25);
    assert_string_equal(str.data, "0.25");
    dio_str_free(&str);
    test_end(&test);
    setlocale(LC_ALL, "C");
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const words[] = {"train", "predict", "export", "epochs", "sgd", "flip", "lr"};
    size_t count = sizeof words / sizeof *words;
    assert_string_equal(dio_nearest("trian", words, count), "train");
    assert_string_equal(dio_nearest("epoch", words, count), "epochs");
    assert_string_equal(dio_nearest("sdg", words, count), "sgd");
    assert_string_equal(dio_nearest("flop", words, count), "flip");
    assert_null(dio_nearest("zorkformer", words, count));
    assert_null(dio_nearest("", words, count));
}

static void test_glob(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {{"*", "", true},         {"a*c", "abbc", true},      {"a*c", "abbd", false},   {"?", "", false},
                 {"layer[12].*", "layer2.0", true}, {"layer[12].*", "layer3.0", false}, {"[!a]", "b", true}, {"[!a]", "a", false},
                 {"[a-c]x", "bx", true},  {"[", "[", true},           {"[]]", "]", true},        {"**a", "aaa", true},
                 {"*.bias", "fc.bias", true}, {"*.bias", "fc.weight", false}, {"a.b/c", "a.b/c", true}, {"", "", true},
                 {"", "a", false},        {"*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaa", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (dio_glob(cases[i].pattern, cases[i].text) != cases[i].matches) print_error("%s %s\n", cases[i].pattern, cases[i].text);
        assert_int_equal(dio_glob(cases[i].pattern, cases[i].text), cases[i].matches);
    }
}

static dio_status build_text(struct test_ctx *test, void *arg)
{
    (void)arg;
    struct dio_str str;
    dio_str_init(&str, &test->ctx);
    for (int i = 0; i < 1000; i++) dio_str_addf(&str, "%d,", i);
    dio_str_addf(&str, "%0400d", 7);
    dio_status status = dio_str_status(&str);
    if (status == DIO_OK) assert_int_equal(str.length, 3890 + 400);
    dio_str_free(&str);
    return status;
}

static void test_choices(void **state)
{
    (void)state;
    assert_true(dio_is_choice("a|bc|d", "bc", 2) && dio_is_choice("a|bc|d", "d", 1) && dio_is_choice("a", "ab", 1));
    assert_false(dio_is_choice("a|bc|d", "b", 1) || dio_is_choice("a|bc|d", "a|bc", 4) || dio_is_choice("a||d", "", 0));
    assert_false(dio_is_choice(NULL, "a", 1) || dio_is_choice("", "a", 1));
    char out[8];
    dio_option_spelling(out, sizeof out, "max_px_all");
    assert_string_equal(out, "max-px-");
}

static void test_building(void **state)
{
    (void)state;
    test_fail_each_allocation(build_text, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escape),     cmocka_unit_test(test_utf8),       cmocka_unit_test(test_parse_double),
        cmocka_unit_test(test_parse_i64),  cmocka_unit_test(test_round_trip), cmocka_unit_test(test_locale),
        cmocka_unit_test(test_nearest),    cmocka_unit_test(test_glob),       cmocka_unit_test(test_building),
        cmocka_unit_test(test_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
