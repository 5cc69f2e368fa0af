/* Messages, memory, hashing, random numbers, the machine. */
#include "base/cgroup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/str.h"

#include "support.h"

static void test_messages(void **state)
{
    (void)state;
    struct test_ctx test;
    char json[DIO_MESSAGE_JSON_SIZE], tiny[8];
    test_begin(&test);
    struct dio_place place = {.file = "a.safetensors", .part = "tensor fc.bias", .tensor = "fc.bias", .offset = DIO_AT(0), .hint = "write it anew"};
    assert_int_equal(dio_fail(&test.ctx, DIO_ERR_INPUT, "S15", &place, "data_offsets [%d, %d] overlap \"x\"\n", 8, 24), DIO_ERR_INPUT);
    assert_string_equal(test_error(&test), "a.safetensors: tensor fc.bias: data_offsets [8, 24] overlap \"x\"\\n (offset 0); write it anew");
    dio_fail(&test.ctx, DIO_ERR_ENV, NULL, NULL, "later");
    assert_int_equal(test.ctx.error.status, DIO_ERR_INPUT); /* the first stands */
    dio_message_json(&test.ctx.error, json, sizeof json);
    assert_string_equal(json, "{\"level\":\"error\",\"code\":\"S15\",\"exit\":3,\"file\":\"a.safetensors\",\"tensor\":\"fc.bias\",\"offset\":0,\"line\":null,"
                              "\"message\":\"tensor fc.bias: data_offsets [8, 24] overlap \\\"x\\\"\\\\n\",\"hint\":\"write it anew\"}");
    assert_true(dio_message_format(&test.ctx.error, tiny, sizeof tiny) > 20);
    assert_string_equal(tiny, "a.safet");
    dio_ctx_clear_error(&test.ctx);
    assert_refused(&test, DIO_ERR_ENV, "f: input/output error on fsync", dio_fail_errno(&test.ctx, "f", "fsync", 5));
    assert_refused(&test, DIO_ERR_ENV, "f: permission denied", dio_fail_errno(&test.ctx, "f", "open", 13));
    dio_say(&test.ctx, DIO_LEVEL_WARNING, "C8", &(struct dio_place){.file = "m.csv", .line = 6}, "listed twice");
    assert_string_equal(test.said, "m.csv: warning: line 6: listed twice\n");
    struct dio_ctx child = dio_ctx_child(&test.ctx);
    dio_fail(&child, DIO_CANCELLED, NULL, NULL, "stopped");
    dio_ctx_adopt_error(&test.ctx, &child);
    assert_int_equal(test.ctx.error.status, DIO_CANCELLED);
    test_end(&test);
}

/* The largest message fits its buffer. */
static void test_long_message(void **state)
{
    (void)state;
    struct test_ctx test;
    char *json = malloc(DIO_MESSAGE_JSON_SIZE), quotes[3000];
    memset(quotes, '"', sizeof quotes - 1);
    quotes[sizeof quotes - 1] = '\0';
    test_begin(&test);
    struct dio_place place = {.file = quotes, .part = quotes, .tensor = quotes, .offset = UINT64_MAX, .line = UINT32_MAX, .column = UINT32_MAX, .hint = quotes};
    dio_fail(&test.ctx, DIO_ERR_INPUT, quotes, &place, "%s", quotes);
    assert_true(dio_message_json(&test.ctx.error, json, DIO_MESSAGE_JSON_SIZE) < DIO_MESSAGE_JSON_SIZE);
    assert_int_equal(json[strlen(json) - 1], '}');
    free(json);
    test_end(&test);
}

static void test_allocation(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct dio_ctx *ctx = &test.ctx;
    unsigned char *a = dio_alloc(ctx, 0, "nothing"), *b = dio_alloc_zeroed(ctx, 10, 10, "zeros");
    assert_non_null(a);
    for (int i = 0; i < 100; i++) assert_int_equal(b[i], 0);
    assert_int_equal(atomic_load(&test.stats.live_bytes), 100);
    static const size_t sizes[] = {1, 64, 1000, 4 << 20, (5 << 20) + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *c = dio_alloc_aligned(ctx, sizes[i], "aligned");
        assert_non_null(c);
        assert_int_equal((uintptr_t)c % 64, 0);
        assert_int_equal(c[0] | c[sizes[i] - 1] | c[sizes[i] / 2], 0);
        memset(c, 1, sizes[i]);
        dio_free(ctx, c);
    }
    assert_int_equal(atomic_load(&test.stats.peak_bytes), 100 + (5 << 20) + 1);
    b = dio_realloc_array(ctx, b, 1000, 2, "more");
    memset(b, 2, 2000);
    assert_int_equal(atomic_load(&test.stats.live_bytes), 2000);
    assert_null(dio_alloc_array(ctx, SIZE_MAX / 2, 3, "too much"));
    assert_refused(&test, DIO_ERR_ENV, "out of memory", test.ctx.error.status);
    assert_null(dio_realloc_array(ctx, b, SIZE_MAX / 8, 16, "far too much"));
    assert_refused(&test, DIO_ERR_ENV, "far too much", test.ctx.error.status);
    assert_null(dio_alloc_zeroed(ctx, 1, SIZE_MAX, "all"));
    dio_ctx_clear_error(ctx);
    assert_null(dio_alloc_aligned(ctx, SIZE_MAX - 10, "all"));
    assert_refused(&test, DIO_ERR_ENV, "bytes for all", test.ctx.error.status);
    dio_free(ctx, a);
    dio_free(ctx, b);
    dio_free(ctx, NULL);
    char *text = dio_sprintf(ctx, "%d-%s", 7, "x");
    assert_string_equal(text, "7-x");
    dio_free(ctx, text);
    test_end(&test);
}

static dio_status fill_arena(struct test_ctx *test, void *arg)
{
    (void)arg;
    struct dio_arena arena;
    dio_status status = DIO_OK;
    dio_arena_init(&arena, &test->ctx);
    for (size_t i = 0; i < 3000 && status == DIO_OK; i++) {
        size_t size = i % 700 == 699 ? 50000 : i % 50;
        unsigned char *block = dio_arena_alloc(&arena, size);
        if (!block) status = DIO_ERR_ENV;
        else assert_int_equal((uintptr_t)block % 16, 0);
        for (size_t k = 0; block && k < size; k++) assert_int_equal(block[k], 0);
        if (block) memset(block, 255, size);
    }
    char *text = status == DIO_OK ? dio_arena_sprintf(&arena, "%s %d", "n", 5) : NULL;
    if (text) assert_string_equal(text, "n 5");
    if (status == DIO_OK && !text) status = DIO_ERR_ENV;
    dio_arena_free(&arena);
    return status;
}

static void test_arena(void **state)
{
    (void)state;
    test_fail_each_allocation(fill_arena, NULL);
}

/* FIPS 180-4's examples. */
static void test_hash(void **state)
{
    (void)state;
    char hex[65];
    struct dio_digest digest = dio_sha256_of("abc", 3);
    dio_digest_hex(&digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest = dio_sha256_of("", 0);
    dio_digest_hex(&digest, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    struct dio_sha256 one, two;
    dio_sha256_init(&one);
    dio_sha256_init(&two);
    dio_sha256_add_text(&one, "ab");
    dio_sha256_add_text(&one, "c");
    dio_sha256_add_text(&two, "a");
    dio_sha256_add_text(&two, "bc");
    struct dio_digest first = dio_sha256_end(&one), second = dio_sha256_end(&two);
    assert_memory_not_equal(&first, &second, sizeof first);
}

/* Known answers of the reference implementation (Random123, kat_vectors: philox4x32 10). */
static void test_philox(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t out[4];
        dio_philox4x32(cases[i].counter, cases[i].key, out);
        assert_memory_equal(out, cases[i].expected, sizeof out);
    }
}

static void test_random(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct dio_rng a = dio_rng_make(1, DIO_RNG_TEST, 2, 3), b = dio_rng_make(1, DIO_RNG_TEST, 2, 3), c = dio_rng_make(1, DIO_RNG_TEST, 2, 4);
    int same = 0;
    for (int i = 0; i < 100; i++) {
        uint32_t value = dio_rng_u32(&a);
        assert_int_equal(value, dio_rng_u32(&b));
        same += value == dio_rng_u32(&c);
    }
    assert_true(same < 3);
    /* Means and variances within five standard errors. */
    double sum = 0, squares = 0, normal = 0, normal_squares = 0;
    for (int i = 0; i < N; i++) {
        double u = dio_rng_uniform(&a), n = dio_rng_normal(&b);
        assert_true(u >= 0 && u < 1 && isfinite(n));
        sum += u;
        squares += u * u;
        normal += n;
        normal_squares += n * n;
    }
    assert_true(fabs(sum / N - 0.5) < 5 * sqrt(1.0 / 12 / N));
    assert_true(fabs(squares / N - 1.0 / 3) < 5 * sqrt(4.0 / 45 / N));
    assert_true(fabs(normal / N) < 5 / sqrt(N));
    assert_true(fabs(normal_squares / N - 1) < 5 * sqrt(2.0 / N));
    uint32_t seen[7] = {0}, order[50], found[50] = {0};
    for (int i = 0; i < 70000; i++) seen[dio_rng_below(&a, 7)]++;
    for (int i = 0; i < 7; i++) assert_true(abs((int)seen[i] - 10000) < 5 * 93);
    assert_int_equal(dio_rng_below(&a, 0), 0);
    assert_int_equal(dio_rng_below(&a, 1), 0);
    for (uint32_t i = 0; i < 50; i++) order[i] = i;
    dio_rng_shuffle(&a, order, 50);
    int moved = 0;
    for (uint32_t i = 0; i < 50; i++) {
        found[order[i]]++;
        moved += order[i] != i;
    }
    for (int i = 0; i < 50; i++) assert_int_equal(found[i], 1);
    assert_true(moved > 30);
}

static void put(const struct test_folder *folder, const char *name, const char *text)
{
    char path[512];
    struct dio_ctx ctx = {0};
    snprintf(path, sizeof path, "%s/%s", folder->path, name);
    char *parent = dio_path_parent(&ctx, path);
    assert_int_equal(dio_mkdirs(&ctx, parent), DIO_OK);
    dio_free(&ctx, parent);
    test_write(path, text, strlen(text));
}

static void test_control_groups(void **state)
{
    (void)state;
    struct test_folder v2, v1, none;
    test_folder_make(&v2);
    put(&v2, "proc/self/cgroup", "0::/a/b\n");
    put(&v2, "sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    put(&v2, "sys/fs/cgroup/a/b/memory.max", "max\n");
    put(&v2, "sys/fs/cgroup/a/cpu.max", "150000 100000\n");
    put(&v2, "sys/fs/cgroup/a/memory.max", "1073741824\n");
    put(&v2, "sys/fs/cgroup/memory.max", "2147483648\n");
    struct dio_cgroup limits = dio_cgroup_read(v2.path);
    assert_true(limits.cpus == 1.5 && limits.memory == 1073741824);
    test_folder_remove(&v2);
    test_folder_make(&v1);
    put(&v1, "proc/self/cgroup", "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n3:cpuset:/\n");
    put(&v1, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n"); /* as seen from inside a container */
    put(&v1, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    put(&v1, "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "536870912\n");
    put(&v1, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    limits = dio_cgroup_read(v1.path);
    assert_true(limits.cpus == 3 && limits.memory == 536870912);
    test_folder_remove(&v1);
    test_folder_make(&none);
    limits = dio_cgroup_read(none.path);
    assert_true(limits.cpus == 0 && limits.memory == UINT64_MAX);
    test_folder_remove(&none);
}

static void test_machine(void **state)
{
    (void)state;
    struct dio_cpu cpu;
    char utc[32];
    dio_cpu_detect(&cpu);
    assert_true(cpu.allowed >= 1 && cpu.memory > 0 && cpu.memory_limit > 0 && cpu.memory_limit <= cpu.memory);
    /* The kernel's own opinion. */
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[8192];
    while (file && fgets(line, sizeof line, file) && strncmp(line, "flags", 5) != 0) {
    }
    if (file && strncmp(line, "flags", 5) == 0) {
        assert_int_equal((cpu.flags & DIO_CPU_AVX2) != 0, strstr(line, " avx2 ") && strstr(line, " fma ") && strstr(line, " f16c "));
        assert_int_equal((cpu.flags & DIO_CPU_AVX512) != 0, strstr(line, " avx512f ") && strstr(line, " avx512bw ") && strstr(line, " avx512vl ") && strstr(line, " avx512dq "));
        if (cpu.flags & DIO_CPU_AVX512) assert_int_equal((cpu.flags & DIO_CPU_BF16) != 0, strstr(line, " avx512_bf16 ") != NULL);
    }
    if (file) fclose(file);
    double before = dio_clock_seconds();
    dio_clock_utc(utc, sizeof utc);
    assert_int_equal(strlen(utc), 20);
    assert_true(dio_clock_seconds() >= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages), cmocka_unit_test(test_long_message), cmocka_unit_test(test_allocation),
        cmocka_unit_test(test_arena),    cmocka_unit_test(test_hash),         cmocka_unit_test(test_philox),
        cmocka_unit_test(test_random),   cmocka_unit_test(test_control_groups), cmocka_unit_test(test_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
