/* The list of weights: names of any bytes, look-up, who frees what. */
#include "support.h"

#include "tensor/weights.h"

static dio_status fill(struct dio_ctx *ctx, struct dio_weights *weights, size_t count)
{
    static const int64_t dims[] = {2};
    static const float data[2] = {1, 2};
    char name[32];
    dio_weights_init(weights, ctx);
    for (size_t i = 0; i < count; i++) {
        struct dio_weight item = {.name = name, .dtype = DIO_F32, .rank = 1, .dims = dims, .elements = 2, .data = data};
        item.name_length = (size_t)snprintf(name, sizeof name, "layer%zu.weight", i);
        DIO_PASS(dio_weights_add(ctx, weights, &item));
    }
    DIO_PASS(dio_weights_add_metadata(ctx, weights, "format", 6, "pt", 2));
    DIO_PASS(dio_weights_add_other(ctx, weights, "epoch", "int", "7"));
    void *block = dio_weights_block(ctx, weights, 100, "a test");
    if (!block) return DIO_ERR_ENV;
    return dio_weights_index(ctx, weights, NULL);
}

static void names_are_found(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_weights weights;
    const struct dio_weight *twice;
    test_begin(&test);
    assert_ok(&test, fill(&test.ctx, &weights, 5000));
    for (size_t i = 0; i < 5000; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer%zu.weight", i);
        const struct dio_weight *found = dio_weights_find(&weights, name);
        assert_ptr_equal(found, &weights.items[i]);
    }
    assert_null(dio_weights_find(&weights, "layer5000.weight"));
    assert_string_equal(dio_weights_meta(&weights, "format"), "pt");
    assert_null(dio_weights_meta(&weights, "other"));
    /* a NUL inside a name is a byte like others, and tells names apart */
    struct dio_weight item = weights.items[0];
    item.name = "layer1.weight\0x";
    item.name_length = 15;
    assert_ok(&test, dio_weights_add(&test.ctx, &weights, &item));
    assert_ok(&test, dio_weights_index(&test.ctx, &weights, &twice));
    assert_null(twice);
    assert_non_null(dio_weights_find_n(&weights, "layer1.weight\0x", 15));
    item.name_length = 13;
    assert_ok(&test, dio_weights_add(&test.ctx, &weights, &item));
    assert_ok(&test, dio_weights_index(&test.ctx, &weights, &twice));
    assert_non_null(twice);
    assert_string_equal(twice->name, "layer1.weight");
    dio_weights_free(&test.ctx, &weights);
    assert_null(dio_weights_find(&weights, "layer1.weight")); /* an empty list */
    dio_weights_free(&test.ctx, &weights);
    test_end(&test);
}

static dio_status fill_body(struct test_ctx *test, void *arg)
{
    struct dio_weights weights;
    (void)arg;
    dio_status status = fill(&test->ctx, &weights, 40);
    dio_weights_free(&test->ctx, &weights);
    return status;
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    test_fail_each_allocation(fill_body, NULL);
}

static void shapes_of_weights(void **state)
{
    (void)state;
    const int64_t dims[] = {1, 2, 3, 4, 5, 6, 7};
    struct dio_weight item = {.rank = 6, .dims = dims};
    struct dio_shape shape;
    assert_true(dio_weight_shape(&item, &shape) && shape.rank == 6 && shape.dims[5] == 6);
    item.rank = 7;
    assert_false(dio_weight_shape(&item, &shape)); /* more than the engine computes with */
    item.rank = 2;
    assert_true(dio_weight_is(&item, 2, (const int64_t[]){1, 2}));
    assert_false(dio_weight_is(&item, 2, (const int64_t[]){1, 3}));
    assert_false(dio_weight_is(&item, 1, dims));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found), cmocka_unit_test(memory_may_run_out_anywhere), cmocka_unit_test(shapes_of_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
