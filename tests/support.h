/* What every test needs: cmocka with its prerequisites, a context that keeps its messages, places of test data, a folder
 * that is removed again, comparisons of floats, and the loop that fails every allocation in turn. */
#ifndef DIO_TESTS_SUPPORT_H
#define DIO_TESTS_SUPPORT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/context.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"

/* ---- A context, its messages kept ---- */

struct test_ctx {
    struct dio_ctx ctx;
    struct dio_alloc_stats stats;
    struct dio_message last; /* last note or warning */
    int notes, warnings;
    char said[16384];        /* all notes and warnings, one a line, in their human form */
};

static inline void test_keep_message(void *arg, const struct dio_message *message)
{
    struct test_ctx *test = arg;
    char line[4096];
    test->last = *message;
    test->notes += message->level == DIO_LEVEL_NOTE;
    test->warnings += message->level == DIO_LEVEL_WARNING;
    dio_message_format(message, line, sizeof line);
    size_t used = strlen(test->said);
    snprintf(test->said + used, sizeof test->said - used, "%s\n", line);
}

static inline void test_begin(struct test_ctx *test)
{
    memset(test, 0, sizeof *test);
    dio_ctx_init(&test->ctx, &test->stats);
    test->ctx.on_message = test_keep_message;
    test->ctx.message_arg = test;
}

/* Nothing may be left allocated. */
static inline void test_end(struct test_ctx *test)
{
    int64_t blocks = atomic_load(&test->stats.live_blocks), bytes = atomic_load(&test->stats.live_bytes);
    if (blocks != 0) print_error("%lld blocks, %lld bytes left allocated\n", (long long)blocks, (long long)bytes);
    assert_int_equal(blocks, 0);
    assert_int_equal(bytes, 0);
}

/* The recorded error in its human form; the text lives until the next call. */
static inline const char *test_error(const struct test_ctx *test)
{
    static char text[4096];
    text[0] = '\0';
    if (test->ctx.error.status != DIO_OK) dio_message_format(&test->ctx.error, text, sizeof text);
    return text;
}

/* Succeeds, or shows the recorded error. */
#define assert_ok(test, call)                                                                                          \
    do {                                                                                                               \
        dio_status assert_status_ = (call);                                                                            \
        if (assert_status_ != DIO_OK) print_error("%s: %s\n", #call, test_error(test));                                \
        assert_int_equal(assert_status_, DIO_OK);                                                                      \
    } while (0)

/* Fails with this status, and with these words in the message; the error is cleared. */
#define assert_refused(test, expected, words, call)                                                                    \
    do {                                                                                                               \
        dio_status assert_status_ = (call);                                                                            \
        if (assert_status_ != (expected) || !strstr(test_error(test), (words))) {                                      \
            print_error("%s: status %d, \"%s\"; expected status %d and \"%s\"\n", #call, (int)assert_status_,          \
                        test_error(test), (int)(expected), (words));                                                   \
            fail();                                                                                                    \
        }                                                                                                              \
        assert_int_equal((test)->ctx.error.status, (expected));                                                        \
        dio_ctx_clear_error(&(test)->ctx);                                                                             \
    } while (0)

/* Runs body(test, arg) with the first allocation failing, then the second, ... until it succeeds.  Each failed run has to
 * return DIO_ERR_ENV, record an error and leave nothing allocated.  body returns its status and frees what it made. */
static inline void test_fail_each_allocation(dio_status (*body)(struct test_ctx *test, void *arg), void *arg)
{
    for (int64_t n = 1; n < 1000000; n++) {
        struct test_ctx test;
        test_begin(&test);
        test.stats.fail_at = n;
        dio_status status = body(&test, arg);
        if (status != DIO_OK) {
            if (status != DIO_ERR_ENV) print_error("allocation %lld: status %d: %s\n", (long long)n, (int)status, test_error(&test));
            assert_int_equal(status, DIO_ERR_ENV);
            assert_int_equal(test.ctx.error.status, DIO_ERR_ENV);
        }
        if (atomic_load(&test.stats.live_blocks) != 0) print_error("allocation %lld failed and left blocks\n", (long long)n);
        test_end(&test);
        if (status == DIO_OK) return;
    }
    fail_msg("never succeeds");
}

/* ---- Places ---- */

/* tests/NAME in the source tree (golden numbers).  The text lives until the next call. */
static inline const char *test_source_path(const char *name)
{
    static char path[4096];
    const char *tests = getenv("DIOPTER_TESTS");
    snprintf(path, sizeof path, "%s/%s", tests ? tests : "tests", name);
    return path;
}

/* NAME in the folder of shared data (real weights, pictures, hostile files): $DIOPTER_SHARED, else ../shared beside the
 * source tree.  NULL when it is not there, after saying "skipped: ..."; then call skip(). */
static inline const char *test_shared_path(const char *name)
{
    static char path[4096];
    const char *shared = getenv("DIOPTER_SHARED"), *source = getenv("DIOPTER_SOURCE");
    if (shared) {
        snprintf(path, sizeof path, "%s/%s", shared, name);
    } else {
        snprintf(path, sizeof path, "%s/../shared/%s", source ? source : ".", name);
    }
    if (access(path, R_OK) == 0) return path;
    print_message("skipped: %s is not there (set DIOPTER_SHARED)\n", path);
    return NULL;
}

/* ---- A folder of one's own ---- */

struct test_folder {
    char path[256];
};

static inline void test_folder_make(struct test_folder *folder)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(folder->path, sizeof folder->path, "%.200s/diopter-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder->path));
}

static inline void test_remove_tree(const char *path)
{
    struct dio_ctx ctx = {0};
    struct dio_listing listing;
    char inner[4096];
    if (unlink(path) == 0 || dio_list_folder(&ctx, path, &listing) != DIO_OK) return;
    for (size_t i = 0; i < listing.count; i++) {
        int length = snprintf(inner, sizeof inner, "%s/%s", path, listing.entries[i].name);
        if (length < (int)sizeof inner) test_remove_tree(inner);
    }
    dio_listing_free(&ctx, &listing);
    rmdir(path);
}

static inline void test_folder_remove(struct test_folder *folder)
{
    test_remove_tree(folder->path);
}

/* FOLDER/NAME; the text lives until the sixteenth next call. */
static inline const char *test_in(const struct test_folder *folder, const char *name)
{
    static char paths[16][1024];
    static int next;
    char *path = paths[next++ % 16];
    int length = snprintf(path, sizeof paths[0], "%s/%s", folder->path, name);
    assert_in_range(length, 1, sizeof paths[0] - 1);
    return path;
}

static inline void test_write(const char *path, const void *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

/* A whole file, terminated; free it with free(). */
static inline char *test_read(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (!file) print_error("%s cannot be opened\n", path);
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    char *bytes = malloc((size_t)size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), (size_t)size);
    bytes[size] = '\0';
    fclose(file);
    if (length) *length = (size_t)size;
    return bytes;
}

/* ---- Floats ---- */

/* Every element within absolute + relative * |expected|; shows the worst one otherwise. */
static inline void assert_floats_near(const float *got, const float *expected, size_t count, double absolute, double relative)
{
    size_t worst = 0, bad = 0;
    double worst_excess = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)got[i] - (double)expected[i]);
        double allowed = absolute + relative * fabs((double)expected[i]);
        bool same = got[i] == expected[i] || (isnan(got[i]) && isnan(expected[i]));
        if (same || difference <= allowed) continue;
        double excess = isnan(difference) ? HUGE_VAL : difference - allowed;
        if (bad++ == 0 || excess > worst_excess) {
            worst = i;
            worst_excess = excess;
        }
    }
    if (bad > 0) {
        fail_msg("%zu of %zu differ; worst at %zu: %.9g, expected %.9g", bad, count, worst, (double)got[worst],
                 (double)expected[worst]);
    }
}

/* The same bits. */
static inline void assert_floats_same(const float *got, const float *expected, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(&got[i], &expected[i], sizeof *got) != 0) {
            fail_msg("bits differ at %zu of %zu: %.9g, expected %.9g", i, count, (double)got[i], (double)expected[i]);
        }
    }
}

/* How many representable floats lie between two finite ones. */
static inline int64_t test_ulps(float a, float b)
{
    int32_t ia, ib;
    memcpy(&ia, &a, sizeof ia);
    memcpy(&ib, &b, sizeof ib);
    int64_t oa = ia < 0 ? (int64_t)INT32_MIN - ia : ia, ob = ib < 0 ? (int64_t)INT32_MIN - ib : ib;
    return oa > ob ? oa - ob : ob - oa;
}

#endif
