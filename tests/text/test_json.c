#include "text/json.h"

#include <jansson.h>

#include "base/str.h"
#include "support.h"
#include "text/json_write.h"
#include "vectors.h"

static dio_status parse(struct test_ctx *test, const char *text, struct dio_tree *tree)
{
    return dio_json_parse(&test->ctx, "a.json", NULL, "J1", text, strlen(text), tree);
}

static void refuses(const char *text, const char *words)
{
    struct test_ctx test;
    struct dio_tree tree;
    test_begin(&test);
    assert_refused(&test, DIO_ERR_INPUT, words, parse(&test, text, &tree));
    test_end(&test);
}

static void test_tree(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_tree tree;
    test_begin(&test);
    assert_ok(&test, parse(&test, "\xef\xbb\xbf{\"a\": [1, -2.5e3, true, null],\r\n \"b\\u00e9\": {\"c\": \"x\\n\\ud83d\\ude00\"}}\n", &tree));
    assert_int_equal(tree.root->type, DIO_NODE_MAP);
    assert_int_equal(tree.root->count, 2);
    const struct dio_tree_node *a = dio_node_get(tree.root, "a");
    assert_non_null(a);
    assert_int_equal(a->count, 4);
    assert_string_equal(a->items[1].text, "-2.5e3");
    assert_int_equal(a->items[2].type, DIO_NODE_BOOL);
    assert_int_equal(a->items[3].type, DIO_NODE_NULL);
    assert_int_equal(a->line, 1);
    assert_int_equal(a->column, 7);
    const struct dio_tree_node *b = dio_node_get(tree.root, "b\xc3\xa9");
    assert_non_null(b);
    assert_int_equal(b->key_line, 2);
    assert_string_equal(dio_node_get(b, "c")->text, "x\n\xf0\x9f\x98\x80");
    assert_null(dio_node_get(tree.root, "c"));
    dio_tree_free(&tree);
    test_end(&test);
}

static void test_refused(void **state)
{
    (void)state;
    refuses("", "line 1 column 1: empty");
    refuses("{\"a\": 1,}", "line 1 column 9: comma before }");
    refuses("[1,]", "comma before ]");
    refuses("[1 2]", "line 1 column 4: a comma or ] was expected");
    refuses("{\"a\":1 // x\n}", "a comma or } was expected");
    refuses("{\n// x\n}", "line 2 column 1");
    refuses("[NaN]", "NaN");
    refuses("[-Infinity]", "not a number");
    refuses("[01]", "not a number");
    refuses("[1.]", "not a number");
    refuses("[1e]", "not a number");
    refuses("['a']", "double quotes");
    refuses("{\"a\"}", "a colon was expected");
    refuses("{\"a\": \"b", "closing quote");
    refuses("[\"\\x\"]", "unknown escape");
    refuses("[\"\\ud800\"]", "surrogate");
    refuses("[\"\\ud800\\u0041\"]", "surrogate");
    refuses("[\"\\u0000\"]", "NUL");
    refuses("[\"a\tb\"]", "control character");
    refuses("[1] x", "line 1 column 5: something stands behind");
    refuses("{\"a\": {\"k\": 1,\n\"k\": 2}}", "a.json: line 2: k appears twice (line 1)");
    refuses("[\"\xff\"]", "line 1 column 3: not UTF-8");
    refuses("\xff\xfe{", "UTF-16");
    refuses("{\"a\"", "a colon was expected");
    refuses("[[1]", "ends in the middle");
    struct test_ctx test;
    struct dio_tree tree;
    test_begin(&test);
    assert_refused(&test, DIO_ERR_INPUT, "NUL", dio_json_parse(&test.ctx, "a", NULL, "J1", "[1]\0", 4, &tree));
    char deep[400];
    memset(deep, '[', 200);
    memset(deep + 200, ']', 200);
    assert_refused(&test, DIO_ERR_INPUT, "nested deeper than 64", dio_json_parse(&test.ctx, "a", NULL, "J1", deep, 400, &tree));
    assert_ok(&test, dio_json_parse(&test.ctx, "a", NULL, "J1", deep + 200 - 64, 128, &tree));
    dio_tree_free(&tree);
    char *large = malloc(DIO_MAX_JSON_STRING + 3);
    memset(large, 'x', DIO_MAX_JSON_STRING + 3);
    large[0] = large[DIO_MAX_JSON_STRING + 2] = '"';
    assert_refused(&test, DIO_ERR_INPUT, "longer than 1 MB", dio_json_parse(&test.ctx, "a", NULL, "J1", large, DIO_MAX_JSON_STRING + 3, &tree));
    free(large);
    test_end(&test);
}

/* Many keys: the sorted comparison, which names the later of two. */
static void test_many_keys(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_tree tree;
    struct dio_str text;
    test_begin(&test);
    dio_str_init(&text, &test.ctx);
    for (int i = 0; i < 1000; i++) dio_str_addf(&text, "%s\"k%d\": %d", i ? ",\n" : "{", i, i);
    dio_str_add(&text, ",\n\"k500\": 0, \"k3\": 0}");
    assert_refused(&test, DIO_ERR_INPUT, "line 1001: k500 appears twice (line 501)", dio_json_parse(&test.ctx, "a", NULL, "J1", text.data, text.length, &tree));
    dio_str_free(&text);
    test_end(&test);
}

static void test_values(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_tree tree;
    int64_t whole = 7;
    double number;
    bool truth, found;
    const char *text;
    test_begin(&test);
    assert_ok(&test, parse(&test, "{\"hidden_size\": 18446744073709551620, \"big\": 1e999,\n\"half\": 4.5, \"eps\": 1e-12, \"yes\": true, \"name\": \"x\",\n"
                                  "\"none\": null, \"mean\": [0.5, 1, \"a\"]}", &tree));
    assert_refused(&test, DIO_ERR_INPUT, "a.json: line 1: hidden_size must be a whole number from 1 to 65536 (found 18446744073709551620)",
                   dio_tree_whole(&tree, tree.root, "hidden_size", 1, 65536, &whole, NULL));
    assert_refused(&test, DIO_ERR_INPUT, "big must be a number", dio_tree_number(&tree, tree.root, "big", -1e300, 1e300, &number, NULL));
    assert_refused(&test, DIO_ERR_INPUT, "line 2: half", dio_tree_whole(&tree, tree.root, "half", 1, 9, &whole, &found));
    assert_refused(&test, DIO_ERR_INPUT, "width is missing", dio_tree_whole(&tree, tree.root, "width", 1, 9, &whole, NULL));
    assert_refused(&test, DIO_ERR_INPUT, "none must be a whole number from 1 to 9 (found nothing)", dio_tree_whole(&tree, tree.root, "none", 1, 9, &whole, NULL));
    assert_ok(&test, dio_tree_whole(&tree, tree.root, "none", 1, 9, &whole, &found));
    assert_false(found);
    assert_int_equal(whole, 7);
    assert_ok(&test, dio_tree_number(&tree, tree.root, "eps", 0, 1, &number, &found));
    assert_true(found && number == 1e-12);
    assert_ok(&test, dio_tree_bool(&tree, tree.root, "yes", &truth, NULL));
    assert_true(truth);
    assert_ok(&test, dio_tree_text(&tree, tree.root, "name", &text, NULL));
    assert_string_equal(text, "x");
    double mean[3];
    assert_refused(&test, DIO_ERR_INPUT, "mean[2] must be a number", dio_tree_numbers(&tree, tree.root, "mean", 3, -10, 10, mean, NULL));
    assert_refused(&test, DIO_ERR_INPUT, "mean must have 2 numbers (found 3)", dio_tree_numbers(&tree, tree.root, "mean", 2, -10, 10, mean, NULL));
    dio_tree_free(&tree);
    test_end(&test);
}

/* jansson as judge, over mutations of a small document: what it refuses we refuse.  (We refuse more: depth, keys twice.) */
static void test_against_jansson(void **state)
{
    (void)state;
    static const char seed_text[] = "{\"a\": [1, -2.5e3, true, null, false], \"b\\u00e9\\n\": {\"c\": \"x\\ud83d\\ude00\"}, \"d\": \"\xc3\xa9\"}";
    static const char alphabet[] = "{}[]\",:\\u0123dDeE+-.tfn \n\xc3\xa9";
    uint64_t random = 42;
    int accepted = 0;
    struct test_ctx test;
    test_begin(&test);
    for (int round = 0; round < 30000; round++) {
        char text[sizeof seed_text];
        memcpy(text, seed_text, sizeof text);
        random = random * 6364136223846793005u + 1442695040888963407u;
        for (int change = 0; change <= (int)(random >> 60 & 1); change++) {
            text[(random >> (20 + 8 * change)) % (sizeof text - 1)] = alphabet[(random >> (40 + 6 * change)) % (sizeof alphabet - 1)];
        }
        struct dio_tree tree;
        json_error_t error;
        json_t *judge = json_loadb(text, sizeof text - 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
        dio_status status = dio_json_parse(&test.ctx, "a", NULL, "J1", text, sizeof text - 1, &tree);
        if ((status == DIO_OK) != (judge != NULL)) print_error("%s\nwe: %s\njansson: %s\n", text, test_error(&test), judge ? "accepts" : error.text);
        assert_int_equal(status == DIO_OK, judge != NULL);
        accepted += judge != NULL;
        json_decref(judge);
        dio_tree_free(&tree);
        dio_ctx_clear_error(&test.ctx);
    }
    test_end(&test);
    assert_true(accepted > 1000);
}

/* config.json of the hostile folders: syntax is refused here, meaning by the reader of models. */
static void check_vector(const struct vector *vector)
{
    static const char *const syntax[] = {"empty", "cut_35", "cut_50", "comma", "trailing_comma", "comments", "nan", "utf8_bad", "utf16", "nul",
                                         "nest", "dup_key"};
    struct test_ctx test;
    struct dio_tree tree;
    test_begin(&test);
    dio_status status = dio_json_parse(&test.ctx, "config.json", NULL, "J1", vector->bytes, vector->length, &tree);
    bool broken = false;
    for (size_t i = 0; i < sizeof syntax / sizeof *syntax; i++) broken |= strcmp(vector->name, syntax[i]) == 0;
    bool good = (status == DIO_OK) != broken;
    if (broken) good &= status == DIO_ERR_INPUT && vector_mentions(test_error(&test), vector->must_mention);
    if (!good) print_error("%s (\"%s\"): %s\n", vector->name, vector->must_mention, test_error(&test));
    assert_true(good);
    dio_tree_free(&tree);
    test_end(&test);
}

static void test_vectors(void **state)
{
    (void)state;
    int count = vectors_each("config", "config.json", check_vector);
    if (count == 0) skip();
    print_message("%d configurations\n", count);
}

static dio_status write_sample(struct dio_str *out, int indent)
{
    struct dio_json_writer w;
    dio_json_begin(&w, out, indent);
    dio_json_map(&w, NULL);
    dio_json_text(&w, "name", "a\"\\\n\x1b\xc3\xa9\xff");
    dio_json_row(&w, "shape");
    dio_json_i64(&w, NULL, -3);
    dio_json_u64(&w, NULL, INT64_MAX);
    dio_json_end_list(&w);
    dio_json_list(&w, "maps");
    dio_json_map(&w, NULL);
    dio_json_end_map(&w);
    dio_json_map(&w, NULL);
    dio_json_double(&w, "x", 0.1);
    dio_json_double(&w, "nan", (double)NAN);
    dio_json_end_map(&w);
    dio_json_end_list(&w);
    dio_json_bool(&w, "ok", true);
    dio_json_null(&w, "none");
    dio_json_end_map(&w);
    return dio_str_status(out);
}

static void test_writing(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_str out;
    test_begin(&test);
    dio_str_init(&out, &test.ctx);
    assert_ok(&test, write_sample(&out, 0));
    assert_string_equal(out.data, "{\"name\": \"a\\\"\\\\\\n\\u001b\xc3\xa9\xef\xbf\xbd\", \"shape\": [-3, 9223372036854775807], \"maps\": [{}, {\"x\": 0.1, "
                                  "\"nan\": null}], \"ok\": true, \"none\": null}");
    json_error_t error;
    json_t *judged = json_loadb(out.data, out.length, 0, &error);
    assert_non_null(judged);
    assert_true(json_real_value(json_object_get(json_array_get(json_object_get(judged, "maps"), 1), "x")) == 0.1);
    json_decref(judged);
    dio_str_free(&out);
    assert_ok(&test, write_sample(&out, 2));
    assert_string_equal(out.data, "{\n  \"name\": \"a\\\"\\\\\\n\\u001b\xc3\xa9\xef\xbf\xbd\",\n  \"shape\": [-3, 9223372036854775807],\n  \"maps\": [\n    {},\n    {\n"
                                  "      \"x\": 0.1,\n      \"nan\": null\n    }\n  ],\n  \"ok\": true,\n  \"none\": null\n}");
    dio_str_free(&out);
    test_end(&test);
}

static dio_status parse_some(struct test_ctx *test, void *arg)
{
    struct dio_tree tree;
    DIO_PASS(parse(test, arg, &tree));
    dio_tree_free(&tree);
    return DIO_OK;
}

static void test_memory(void **state)
{
    (void)state;
    char text[4096] = "{\"e\\n\": [";
    for (int i = 0; i < 50; i++) snprintf(text + strlen(text), sizeof text - strlen(text), "[%d, \"\\u00e9\"], ", i);
    snprintf(text + strlen(text), sizeof text - strlen(text), "{");
    for (int i = 0; i < 20; i++) snprintf(text + strlen(text), sizeof text - strlen(text), "%s\"k%d\": 1", i ? "," : "", i);
    snprintf(text + strlen(text), sizeof text - strlen(text), "}]}");
    test_fail_each_allocation(parse_some, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),   cmocka_unit_test(test_refused),         cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_values), cmocka_unit_test(test_against_jansson), cmocka_unit_test(test_writing),
        cmocka_unit_test(test_memory), cmocka_unit_test(test_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
