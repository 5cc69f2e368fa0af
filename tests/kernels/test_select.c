/* Choosing levels, and loading OpenBLAS without leaving traces. */
#include "support.h"

#include "kernels/kernels.h"

static void test_every_slot_is_filled(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    for (int level = 0; level < (int)DIO_ISA_COUNT; level++) {
        struct dio_kernels k;
        dio_kernels_select(&test.ctx.cpu, (enum dio_isa)level, &k);
#define DIO_SLOT(type, name) assert_true(k.name != NULL);
#include "kernels/slots.def"
#undef DIO_SLOT
        assert_true(k.level <= (enum dio_isa)level);
        assert_true(k.level <= dio_kernels_best(&test.ctx.cpu));
        assert_true(k.panel_width % k.vector_width == 0 && k.panel_width <= 64);
        for (int i = 0; i < (int)DIO_SLOT_COUNT; i++) assert_true(k.slot_isa[i] <= (uint8_t)k.level);
    }
    test_end(&test);
}

/* A level needs all the levels below it. */
static void test_missing_flag_stops(void **state)
{
    (void)state;
    struct dio_cpu cpu = {.flags = DIO_CPU_AVX512 | DIO_CPU_VNNI};
    assert_int_equal(dio_kernels_best(&cpu), DIO_ISA_portable);
    cpu.flags |= DIO_CPU_AVX2;
#if defined(__x86_64__)
    assert_int_equal(dio_kernels_best(&cpu), DIO_ISA_vnni);
#endif
    struct dio_kernels k;
    dio_kernels_select(&(struct dio_cpu){.flags = 0}, DIO_ISA_amx, &k);
    assert_int_equal(k.level, DIO_ISA_portable);
}

static void test_ceiling(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    test.ctx.cpu.flags = DIO_CPU_AVX2;
    enum dio_isa best = dio_kernels_best(&test.ctx.cpu), ceiling;
    assert_int_equal(dio_kernels_ceiling_parse(&test.ctx, "--cpu", NULL, &ceiling), DIO_OK);
    assert_int_equal(ceiling, best);
    assert_int_equal(dio_kernels_ceiling_parse(&test.ctx, "--cpu", "auto", &ceiling), DIO_OK);
    assert_int_equal(ceiling, best);
    assert_int_equal(dio_kernels_ceiling_parse(&test.ctx, "--cpu", "portable", &ceiling), DIO_OK);
    assert_int_equal(ceiling, DIO_ISA_portable);
    assert_int_equal(dio_kernels_ceiling_parse(&test.ctx, "DIOPTER_CPU", "avx512", &ceiling), DIO_ERR_USAGE);
    assert_non_null(strstr(test_error(&test), "DIOPTER_CPU: this machine lacks avx512"));
    dio_ctx_clear_error(&test.ctx);
    assert_int_equal(dio_kernels_ceiling_parse(&test.ctx, "--cpu", "avx51\x1b", &ceiling), DIO_ERR_USAGE);
    assert_non_null(strstr(test_error(&test), "unknown level"));
    assert_null(strchr(test_error(&test), 0x1b));
    dio_ctx_clear_error(&test.ctx);
    test_end(&test);
}

static void test_blas_leaves_the_environment(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct dio_kernels k;
    dio_kernels_select(&test.ctx.cpu, DIO_ISA_COUNT - 1, &k);
    setenv("OPENBLAS_NUM_THREADS", "7", 1);
    unsetenv("OPENBLAS_CORETYPE");
    if (dio_kernels_linear(&test.ctx, &k, DIO_LINEAR_BLAS) != DIO_OK) {
        print_message("skipped: %s\n", test_error(&test));
    } else {
        const float a[6] = {1, 2, 3, 4, 5, 6}, b[6] = {1, 0, 2, 0, 1, 1};
        float c[4];
        k.blas.sgemm(k.blas.handle, false, true, 2, 2, 3, a, 3, b, 3, 0.0f, c, 2);
        const float expected[4] = {7, 5, 16, 11};
        assert_memory_equal(c, expected, sizeof c);
        assert_string_not_equal(k.blas.core, "");
        assert_non_null(strstr(k.blas.name, "OpenBLAS"));
        assert_int_equal(k.linear, DIO_LINEAR_BLAS);
    }
    assert_string_equal(getenv("OPENBLAS_NUM_THREADS"), "7");
    assert_null(getenv("OPENBLAS_CORETYPE"));
    dio_kernels_close(&k);
    dio_ctx_clear_error(&test.ctx);
    test_end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_slot_is_filled),
        cmocka_unit_test(test_missing_flag_stops),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_blas_leaves_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
