#include "text/csv.h"

#include "support.h"
#include "vectors.h"

static void refuses(const void *text, size_t length, const char *words)
{
    struct test_ctx test;
    struct dio_csv csv;
    test_begin(&test);
    dio_status status = dio_csv_open(&test.ctx, "m.csv", text, length, &csv);
    while (status == DIO_OK && (status = dio_csv_next(&csv)) == DIO_OK && !csv.end) {
    }
    assert_refused(&test, DIO_ERR_INPUT, words, status);
    dio_csv_close(&csv);
    test_end(&test);
}

static void test_rows(void **state)
{
    (void)state;
    static const char text[] = "\xef\xbb\xbfpath,label,note\r\na.png,cat,\r\n\r\n\"b, \"\"x\"\".png\",\"two\nlines\",z\r\n   \nc.png,\"\",end";
    static const struct {
        uint32_t line;
        const char *fields[3];
    } expected[] = {{2, {"a.png", "cat", ""}}, {4, {"b, \"x\".png", "two\nlines", "z"}}, {7, {"c.png", "", "end"}}};
    struct test_ctx test;
    struct dio_csv csv;
    int index;
    test_begin(&test);
    assert_ok(&test, dio_csv_open(&test.ctx, "m.csv", text, sizeof text - 1, &csv));
    assert_ok(&test, dio_csv_column(&csv, "label", true, &index));
    assert_int_equal(index, 1);
    assert_ok(&test, dio_csv_column(&csv, "split", false, &index));
    assert_int_equal(index, -1);
    assert_refused(&test, DIO_ERR_INPUT, "m.csv: no column \"split\" (columns: path, label, note)", dio_csv_column(&csv, "split", true, &index));
    for (size_t i = 0; i < 3; i++) {
        assert_ok(&test, dio_csv_next(&csv));
        assert_false(csv.end);
        assert_int_equal(csv.line, expected[i].line);
        for (size_t k = 0; k < 3; k++) {
            assert_string_equal(csv.fields[k].text, expected[i].fields[k]);
            assert_int_equal(csv.fields[k].length, strlen(expected[i].fields[k]));
        }
    }
    assert_ok(&test, dio_csv_next(&csv));
    assert_true(csv.end);
    dio_csv_close(&csv);
    test_end(&test);
}

#define REFUSES(text, words) refuses("" text, sizeof(text) - 1, words)

static void test_refused(void **state)
{
    (void)state;
    REFUSES("", "m.csv: empty");
    REFUSES("\n\n", "empty");
    REFUSES("a,b\n1\n", "m.csv: line 2: 1 field, expected 2");
    REFUSES("a,b\n1,2\n1,2,3\n", "line 3: 3 fields, expected 2");
    REFUSES("a,b\n1,\"2\n3\n", "line 2: quote never closed");
    REFUSES("a,b\n\"1\"x,2\n", "line 2: text after a closing quote");
    REFUSES("a,b,a\n", "line 1: column \"a\" appears twice");
    REFUSES("a,b\n1,\xe9\n", "line 2 column 3: not UTF-8; save the file as UTF-8");
    REFUSES("a,b\n1,\0\n", "line 2 column 3: NUL byte");
    REFUSES("\xff\xfe" "a\0", "UTF-16");
    size_t size = (1 << 20) + 100;
    char *text = malloc(size);
    memset(text, 'x', size);
    memcpy(text, "a,b\n", 4);
    refuses(text, size, "line 2: longer than 1 MB");
    free(text);
}

/* One bad row does not hide the next. */
static void test_going_on(void **state)
{
    (void)state;
    static const char text[] = "a,b\n1\n\"x\"y,2\n3,4\n";
    struct test_ctx test;
    struct dio_csv csv;
    test_begin(&test);
    assert_ok(&test, dio_csv_open(&test.ctx, "m.csv", text, sizeof text - 1, &csv));
    assert_refused(&test, DIO_ERR_INPUT, "line 2: 1 field", dio_csv_next(&csv));
    assert_refused(&test, DIO_ERR_INPUT, "line 3: text after", dio_csv_next(&csv));
    assert_ok(&test, dio_csv_next(&csv));
    assert_string_equal(csv.fields[1].text, "4");
    dio_csv_close(&csv);
    test_end(&test);
}

static void test_semicolons(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_csv csv;
    int index;
    test_begin(&test);
    assert_ok(&test, dio_csv_open(&test.ctx, "m.csv", "path;label\n", 11, &csv));
    assert_refused(&test, DIO_ERR_INPUT, "m.csv: no column \"label\" (columns: path;label); is the separator a comma?",
                   dio_csv_column(&csv, "label", true, &index));
    dio_csv_close(&csv);
    test_end(&test);
}

/* Whatever is written reads back. */
static dio_status round_trip(struct test_ctx *test, void *arg)
{
    (void)arg;
    static const char *const texts[] = {"plain", "", "a,b", "say \"x\"", "two\nlines", " blanks ", "\xc3\xa9", "\"", "=1+1", "cr\r"};
    enum { COUNT = sizeof texts / sizeof *texts };
    struct dio_str out;
    struct dio_csv csv = {.ctx = &test->ctx};
    dio_status status;
    dio_str_init(&out, &test->ctx);
    for (int row = 0; row < 2; row++) {
        for (size_t i = 0; i < COUNT; i++) dio_csv_put(&out, row ? texts[i] : i ? "" : "first", i == 0);
        dio_csv_end_row(&out);
    }
    DIO_TRY(dio_str_status(&out));
    DIO_TRY(dio_csv_open(&test->ctx, "m.csv", out.data, out.length, &csv));
    DIO_TRY(dio_csv_next(&csv));
    assert_int_equal(csv.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) assert_string_equal(csv.fields[i].text, texts[i]);
fail:
    dio_csv_close(&csv);
    dio_str_free(&out);
    return status;
}

static void test_writing(void **state)
{
    (void)state;
    test_fail_each_allocation(round_trip, NULL);
}

/* Manifests that are refused by their form alone; what their rows mean is for data/ to judge. */
static void check_vector(const struct vector *vector)
{
    static const char *const broken[] = {"empty", "header_missing", "column_missing", "column_twice", "row_short", "row_long", "quote_open",
                                         "quote_tail", "nul", "utf8_bad", "utf16", "semicolon", "columns_5000", "binary", "cr_only"};
    struct test_ctx test;
    struct dio_csv csv;
    int path, label;
    if (strchr(vector->name, '/')) return; /* pictures */
    test_begin(&test);
    dio_status status = dio_csv_open(&test.ctx, vector->name, vector->bytes, vector->length, &csv);
    if (status == DIO_OK) status = dio_csv_column(&csv, "path", true, &path);
    if (status == DIO_OK) status = dio_csv_column(&csv, "label", true, &label);
    while (status == DIO_OK && (status = dio_csv_next(&csv)) == DIO_OK && !csv.end) {
    }
    bool wrong = false;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        size_t length = strlen(broken[i]);
        wrong |= strncmp(vector->name, broken[i], length) == 0 && strcmp(vector->name + length, ".csv") == 0;
    }
    bool good = (status == DIO_OK) != wrong;
    if (wrong) good &= status == DIO_ERR_INPUT && vector_mentions(test_error(&test), vector->must_mention);
    if (!good) print_error("%s (\"%s\"): %s\n", vector->name, vector->must_mention, test_error(&test));
    assert_true(good);
    dio_csv_close(&csv);
    test_end(&test);
}

static void test_vectors(void **state)
{
    (void)state;
    int count = vectors_each("manifest_csv", NULL, check_vector);
    if (count == 0) skip();
    print_message("%d manifests\n", count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),       cmocka_unit_test(test_refused), cmocka_unit_test(test_going_on),
        cmocka_unit_test(test_semicolons), cmocka_unit_test(test_writing), cmocka_unit_test(test_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
