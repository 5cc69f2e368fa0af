#include "text/html.h"
#include "text/svg.h"

#include "support.h"

static const char *const names[] = {"cat", "dog & <wolf>", "a class with a name that does not end at all", "\xc3\xa9l\xc3\xa9phant"};

static void draw_lines(struct dio_str *out)
{
    double loss[30], validation[30], accuracy[30];
    for (int i = 0; i < 30; i++) {
        loss[i] = 2.3 * exp(-i / 8.0) + 0.05 * sin(i);
        validation[i] = 2.2 * exp(-i / 9.0) + 0.25;
        accuracy[i] = 0.95 - 0.6 * exp(-i / 5.0);
    }
    validation[12] = (double)NAN;
    struct dio_series series[] = {{"training", NULL, loss, 30}, {"validation", NULL, validation, 30}};
    dio_svg_lines(out, &(struct dio_plot){.title = "Loss", .x_label = "epoch", .y_label = "cross-entropy"}, series, 2);
    dio_svg_lines(out, &(struct dio_plot){.title = "Loss, logarithmic", .x_label = "epoch", .log_y = true}, series, 2);
    struct dio_series one = {"validation", NULL, accuracy, 30};
    dio_svg_lines(out, &(struct dio_plot){.title = "Accuracy", .x_label = "epoch", .percent = true}, &one, 1);
}

static void draw_odd(struct dio_str *out)
{
    static double many[100000], steps[100000];
    for (int i = 0; i < 100000; i++) {
        steps[i] = i;
        many[i] = 3.0 / (1 + i / 5000.0) + (i % 97) * 0.004;
    }
    double point = 0.5, bad[2] = {(double)NAN, HUGE_VAL}, zeros[3] = {0};
    struct dio_series series[] = {{"steps", steps, many, 100000}}, single = {NULL, NULL, &point, 1}, none = {"none", NULL, bad, 2},
                      flat = {"flat", NULL, zeros, 3};
    struct dio_plot plot = {.title = "Odd"};
    dio_svg_lines(out, &plot, series, 1);
    dio_svg_lines(out, &plot, &single, 1);
    dio_svg_lines(out, &plot, &none, 1);
    dio_svg_lines(out, &plot, &flat, 1);
    dio_svg_lines(out, &(struct dio_plot){.log_y = true}, &flat, 1);
    dio_svg_lines(out, &plot, NULL, 0);
    dio_svg_confusion(out, &plot, NULL, NULL, 0);
    dio_svg_roc(out, &plot, NULL, NULL, 0, (double)NAN);
}

static void draw_blocks(struct dio_str *out)
{
    static const uint64_t confusion[] = {50, 3, 0, 1, 6, 40, 2, 0, 0, 1, 12, 2, 9, 0, 0, 7};
    dio_svg_confusion(out, &(struct dio_plot){.title = "Confusion"}, names, confusion, 4);
    static uint64_t large[60 * 60];
    const char *labels[60];
    for (int i = 0; i < 60; i++) {
        labels[i] = names[i % 4];
        large[i * 60 + i] = 50;
        if ((i * 7 + 3) % 60 != i) large[i * 60 + (i * 7 + 3) % 60] = (uint64_t)(i % 11);
    }
    dio_svg_confusion(out, &(struct dio_plot){.title = "Confusion of 60"}, labels, large, 60);
    dio_svg_confusion(out, &(struct dio_plot){.title = "Confusion of 15"}, labels, large, 15);
}

static void draw_rates(struct dio_str *out)
{
    double x[201], y[201];
    for (int i = 0; i <= 200; i++) {
        x[i] = i / 200.0;
        y[i] = pow(x[i], 0.25);
    }
    dio_svg_roc(out, &(struct dio_plot){.title = "ROC"}, x, y, 201, 0.8);
}

static dio_status draw_page(struct test_ctx *test, struct dio_str *out)
{
    (void)test;
    dio_str_add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<body>\n");
    dio_html_heading(out, 1, "Plots & <tables>");
    dio_str_add(out, "<table>\n");
    dio_html_row_begin(out);
    dio_html_cell_head(out, names[1]);
    dio_html_cell(out, "12", true);
    dio_html_row_end(out);
    dio_str_add(out, "</table>\n");
    dio_html_figure_begin(out);
    draw_lines(out);
    draw_blocks(out);
    draw_rates(out);
    draw_odd(out);
    dio_html_figure_end(out, "All of them");
    dio_str_add(out, "</body>\n</html>\n");
    return dio_str_status(out);
}

/* Every element closed, in order; no character that XML forbids; numbers finite. */
static void assert_well_formed(const char *text)
{
    const char *open[64], *at = text;
    size_t depth = 0;
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    assert_true(dio_utf8_valid(text, strlen(text), NULL));
    while ((at = strchr(at, '<'))) {
        size_t length = strcspn(at + 1, " >/\n");
        const char *end = strchr(at, '>');
        assert_non_null(end);
        if (at[1] == '!' || strncmp(at, "<meta", 5) == 0 || strncmp(at, "<img", 4) == 0) {
        } else if (at[1] == '/') {
            assert_true(depth > 0);
            size_t name = (size_t)(end - at) - 2;
            assert_memory_equal(open[--depth], at + 2, name);
            assert_true(strcspn(open[depth], " >/\n") == name);
        } else if (end[-1] != '/') {
            assert_true(depth < 64 && length > 0);
            open[depth++] = at + 1;
        }
        at = end;
    }
    assert_int_equal(depth, 0);
}

static void test_drawing(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_str page, again;
    test_begin(&test);
    dio_str_init(&page, &test.ctx);
    dio_str_init(&again, &test.ctx);
    assert_ok(&test, draw_page(&test, &page));
    const char *keep = getenv("DIOPTER_TEST_KEEP"); /* a file to look at in a browser */
    if (keep) test_write(keep, page.data, page.length);
    assert_well_formed(page.data);
    assert_null(strstr(page.data, "<wolf>"));
    assert_true(page.length < 600000);
    assert_ok(&test, draw_page(&test, &again));
    assert_string_equal(page.data, again.data);
    dio_str_free(&page);
    dio_str_free(&again);
    test_end(&test);
}

static dio_status draw_and_free(struct test_ctx *test, void *arg)
{
    (void)arg;
    struct dio_str out;
    dio_str_init(&out, &test->ctx);
    draw_blocks(&out);
    draw_rates(&out);
    dio_status status = dio_str_status(&out);
    dio_str_free(&out);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    test_fail_each_allocation(draw_and_free, NULL);
}

static void encodes(const char *bytes, size_t length, const char *expected)
{
    struct test_ctx test;
    struct dio_str out;
    test_begin(&test);
    dio_str_init(&out, &test.ctx);
    dio_base64(&out, bytes, length);
    assert_string_equal(out.data, expected);
    dio_str_free(&out);
    test_end(&test);
}

/* The vectors of RFC 4648. */
static void test_base64(void **state)
{
    (void)state;
    encodes("", 0, "");
    encodes("f", 1, "Zg==");
    encodes("fo", 2, "Zm8=");
    encodes("foo", 3, "Zm9v");
    encodes("foob", 4, "Zm9vYg==");
    encodes("fooba", 5, "Zm9vYmE=");
    encodes("foobar", 6, "Zm9vYmFy");
    encodes("\xff\xef\xbe", 3, "/+++");
}

static void test_escape(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_str out;
    test_begin(&test);
    dio_str_init(&out, &test.ctx);
    dio_html_text(&out, "<a href=\"x\">&'\x01\xff\xc3\xa9\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8f\xc2\x9b");
    assert_string_equal(out.data, "&lt;a href=&quot;x&quot;&gt;&amp;&#39;\\x01\\xff\xc3\xa9\\u202e\\u2066\\u200f\\u009b");
    dio_str_free(&out);
    test_end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drawing), cmocka_unit_test(test_memory), cmocka_unit_test(test_base64), cmocka_unit_test(test_escape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
