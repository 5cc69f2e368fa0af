#include "text/yaml.h"

#include "support.h"
#include "vectors.h"

static dio_status parse(struct test_ctx *test, const char *text, struct dio_tree *tree)
{
    return dio_yaml_parse(&test->ctx, "r.yaml", text, strlen(text), tree);
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
    static const char text[] = "\xef\xbb\xbf%YAML 1.2\r\n---\r\nmodel: arch:resnet20_cifar  # which\r\n\r\n\"lr\": 1e-2\r\naugment: {flip: true, crop: 8}\r\n"
                               "std:\r\n  - 0.5\r\n  - '0.25'\r\nmean: [0.5, 1]\r\n...\r\n";
    struct test_ctx test;
    struct dio_tree tree;
    double lr;
    bool flip = false;
    int64_t crop;
    test_begin(&test);
    assert_ok(&test, parse(&test, text, &tree));
    assert_true(dio_node_is(dio_node_get(tree.root, "model"), "arch:resnet20_cifar"));
    assert_ok(&test, dio_tree_number(&tree, tree.root, "lr", 0, 1, &lr, NULL));
    assert_true(lr == 0.01);
    assert_int_equal(dio_node_get(tree.root, "lr")->line, 5);
    const struct dio_tree_node *augment = dio_node_get(tree.root, "augment");
    assert_ok(&test, dio_tree_bool(&tree, augment, "flip", &flip, NULL));
    assert_ok(&test, dio_tree_whole(&tree, augment, "crop", 0, 100, &crop, NULL));
    assert_true(flip && crop == 8);
    const struct dio_tree_node *std = dio_node_get(tree.root, "std");
    assert_int_equal(std->count, 2);
    assert_int_equal(std->items[0].type, DIO_NODE_PLAIN);
    assert_int_equal(std->items[1].type, DIO_NODE_TEXT);
    static const char *const known[] = {"model", "lr", "augment", "std", "means"};
    assert_refused(&test, DIO_ERR_INPUT, "r.yaml: line 10: unknown key \"mean\"; did you mean \"means\"?",
                   dio_tree_only_keys(&tree, tree.root, "", known, 5));
    static const char *const inner[] = {"flop", "crop"};
    assert_refused(&test, DIO_ERR_INPUT, "line 6: unknown key \"augment.flip\"; did you mean \"augment.flop\"?",
                   dio_tree_only_keys(&tree, augment, "augment.", inner, 2));
    dio_tree_free(&tree);
    test_end(&test);
}

static void test_numbers(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_tree tree;
    double number;
    int64_t whole;
    size_t choice;
    test_begin(&test);
    assert_ok(&test, parse(&test, "lr: 0,01\nepochs: 0x2\nseed: 1_000\nw: .nan\np: 1%\nq: \"3\"\noptimizer: sdg\nbig: 1e400\n", &tree));
    assert_refused(&test, DIO_ERR_INPUT, "r.yaml: line 1: lr must be a number above 0 (found \"0,01\"; use a point)",
                   dio_tree_number(&tree, tree.root, "lr", 4.9406564584124654e-324, HUGE_VAL, &number, NULL));
    assert_refused(&test, DIO_ERR_INPUT, "epochs must be a whole number from 1 to 100 (found 0x2)", dio_tree_whole(&tree, tree.root, "epochs", 1, 100, &whole, NULL));
    assert_refused(&test, DIO_ERR_INPUT, "seed must be", dio_tree_whole(&tree, tree.root, "seed", 0, INT64_MAX, &whole, NULL));
    assert_refused(&test, DIO_ERR_INPUT, "w must be a number from 0 to 1 (found .nan)", dio_tree_number(&tree, tree.root, "w", 0, 1, &number, NULL));
    assert_refused(&test, DIO_ERR_INPUT, "p must be", dio_tree_number(&tree, tree.root, "p", 0, 1, &number, NULL));
    assert_refused(&test, DIO_ERR_INPUT, "q must be a whole number from 1 to 9 (found \"3\")", dio_tree_whole(&tree, tree.root, "q", 1, 9, &whole, NULL));
    assert_refused(&test, DIO_ERR_INPUT, "big must be", dio_tree_number(&tree, tree.root, "big", 0, HUGE_VAL, &number, NULL));
    static const char *const words[] = {"sgd", "adamw"};
    assert_refused(&test, DIO_ERR_INPUT, "optimizer: \"sdg\" is not known; did you mean \"sgd\"?", dio_tree_choice(&tree, tree.root, "optimizer", words, 2, &choice, NULL));
    dio_tree_free(&tree);
    test_end(&test);
}

static void test_refused(void **state)
{
    (void)state;
    refuses("", "r.yaml: line 1: empty; a recipe is a mapping");
    refuses("# only\n", "a recipe is a mapping");
    refuses("word\n", "line 1: a recipe is a mapping");
    refuses("- a\n", "a recipe is a mapping");
    refuses("epochs:\nlr: 1\n", "line 1: epochs has no value");
    refuses("a: ~\n", "a has no value");
    refuses("a: 1\nb: 2\na: 3\n", "line 3: a appears twice (line 1)");
    refuses("a:\n\tb: 1\n", "line 2 column 1: tab used for indentation");
    refuses("a: &x 1\n", "line 1: anchors (&x) are not allowed");
    refuses("a: 1\nb: *x\n", "line 2: aliases (*x) are not allowed");
    refuses("a: !!python/object:x 1\n", "line 1: tags (!!python/object:x) are not allowed");
    refuses("a: !x 1\n", "tags (!x)");
    refuses("%TAG ! tag:x,2000:\n---\na: 1\n", "%TAG");
    refuses("a:\n  <<: {b: 1}\n", "merge keys");
    refuses("a: 1\n---\nb: 1\n", "line 2: a second document");
    refuses("a: |\n  x\n", "text blocks");
    refuses("a: \"x\nb: 1\n", "line 1 column 4: quote never closed");
    refuses("a: \"\\q\"\n", "unknown escape");
    refuses("a: \"\\0\"\n", "NUL");
    refuses("a: [1\n", "never closed");
    refuses("[a]: 1\n", "a key has to be a word");
    refuses("a: \x07\n", "line 1 column 4: control character \\x07");
    refuses("a: \xff\n", "line 1 column 4: not UTF-8");
    refuses("a: [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]\n", "nested deeper than 16");
}

static void check_vector(const struct vector *vector)
{
    /* What YAML itself cannot tell is for the recipe's reader: these parse. */
    static const char *const parse[] = {"key_unknown", "key_missing", "epochs_", "lr_", "batch_huge", "seed_huge", "optimizer_unknown",
                                        "mean_two", "std_zero", "model_missing", "train_missing"};
    struct test_ctx test;
    struct dio_tree tree;
    test_begin(&test);
    dio_status status = dio_yaml_parse(&test.ctx, vector->name, vector->bytes, vector->length, &tree);
    bool later = false;
    for (size_t i = 0; i < sizeof parse / sizeof *parse; i++) later |= strncmp(vector->name, parse[i], strlen(parse[i])) == 0;
    bool either = strcmp(vector->verdict, "either") == 0, accept = strcmp(vector->verdict, "accept") == 0;
    bool good = either || (status == DIO_OK) == (accept || later);
    if (status != DIO_OK) good &= status == DIO_ERR_INPUT && vector_mentions(test_error(&test), vector->must_mention);
    if (!good) print_error("%s (%s, \"%s\"): %s\n", vector->name, vector->verdict, vector->must_mention, test_error(&test));
    assert_true(good);
    dio_tree_free(&tree);
    test_end(&test);
}

static void test_vectors(void **state)
{
    (void)state;
    int count = vectors_each("recipe_yaml", NULL, check_vector);
    if (count == 0) skip();
    print_message("%d recipes\n", count);
}

static dio_status write_and_read(struct test_ctx *test, void *arg)
{
    (void)arg;
    static const char *const texts[] = {"plain", "arch:resnet20_cifar", "", "a: b", "true", "1e5", "0x10", "12:30", "x #y", "- a", "*x", "\xc3\xa9", "tab\t",
                                        "quote\"s", "no", "../data", "/abs/path", ".inf", "a:", "trailing ", "{", "x,y"};
    enum { COUNT = sizeof texts / sizeof *texts };
    static const double numbers[] = {0.1, 1e-5, 1e20, -3, 0.456};
    struct dio_yaml_writer writer;
    struct dio_str out;
    struct dio_tree tree = {.root = NULL};
    dio_status status;
    dio_str_init(&out, &test->ctx);
    dio_yaml_begin(&writer, &out);
    dio_yaml_comment(&writer, "one\n\ntwo");
    dio_yaml_map(&writer, "texts");
    for (size_t i = 0; i < COUNT; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%zu", i);
        dio_yaml_text(&writer, key, texts[i]);
    }
    dio_yaml_end_map(&writer);
    dio_yaml_raw(&writer, "decay", "1.0e-05");
    dio_yaml_raw(&writer, "mean", "[0.1, 1.0e-05, 1.0e+20, -3, 0.456]");
    DIO_TRY(dio_str_status(&out));
    assert_non_null(strstr(out.data, "k1: arch:resnet20_cifar\n"));
    assert_non_null(strstr(out.data, "decay: 1.0e-05\n"));
    DIO_TRY(dio_yaml_parse(&test->ctx, "w.yaml", out.data, out.length, &tree));
    const struct dio_tree_node *map = dio_node_get(tree.root, "texts");
    for (size_t i = 0; i < COUNT; i++) assert_string_equal(map->items[i].text, texts[i]);
    double back[5];
    DIO_TRY(dio_tree_numbers(&tree, tree.root, "mean", 5, -10, 1e30, back, NULL));
    assert_memory_equal(back, numbers, sizeof back);
fail:
    dio_tree_free(&tree);
    dio_str_free(&out);
    return status;
}

static void test_writing(void **state)
{
    (void)state;
    test_fail_each_allocation(write_and_read, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),    cmocka_unit_test(test_numbers), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
