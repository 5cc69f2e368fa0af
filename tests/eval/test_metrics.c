/* Metrics against scikit-learn's numbers, and by hand where those have none. */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/metrics.h"
#include "eval/rank.h"
#include "eval/tables.h"

enum { N = 200, CLASSES = 5 };

struct golden {
    float logits[N * CLASSES];
    int32_t truth[N];
    uint8_t binary[N];
    double score[N];
    char keys[128][32];
    double values[128];
    int n_values;
};

static struct golden golden;
static struct dio_alloc_stats stats;
static struct dio_ctx ctx;

static FILE *open_golden(const char *name)
{
    char path[1024];
    const char *tests = getenv("DIOPTER_TESTS");
    snprintf(path, sizeof path, "%s/eval/golden/%s", tests ? tests : "tests", name);
    FILE *file = fopen(path, "r");
    if (!file) fail_msg("cannot open %s", path);
    return file;
}

static int setup(void **state)
{
    (void)state;
    dio_ctx_init(&ctx, &stats);
    char line[1024];
    FILE *file = open_golden("metrics_scores.csv");
    assert_non_null(fgets(line, sizeof line, file));
    for (int i = 0; i < N; i++) {
        assert_non_null(fgets(line, sizeof line, file));
        char *at = line;
        golden.truth[i] = (int32_t)strtol(at, &at, 10);
        for (int c = 0; c < CLASSES; c++) golden.logits[i * CLASSES + c] = (float)strtod(at + 1, &at);
        golden.binary[i] = (uint8_t)strtol(at + 1, &at, 10);
        golden.score[i] = strtod(at + 1, &at);
    }
    fclose(file);
    file = open_golden("metrics.txt");
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#') continue;
        assert_int_equal(sscanf(line, "%31s %lf", golden.keys[golden.n_values], &golden.values[golden.n_values]), 2);
        golden.n_values++;
    }
    fclose(file);
    return 0;
}

static double want(const char *key)
{
    for (int i = 0; i < golden.n_values; i++) {
        if (strcmp(golden.keys[i], key) == 0) return golden.values[i];
    }
    fail_msg("no golden %s", key);
    return NAN;
}

/* The logits of the file have three digits and are held as float here, as double there: 4 * 2^-24 relative in each logit of
 * at most 10 gives 6e-7 * 4 in log terms. */
#define ROUNDING 3e-6

static void check(const char *key, double got, double tolerance)
{
    double expected = want(key);
    if (!(fabs(got - expected) <= tolerance)) fail_msg("%s: %.17g, scikit-learn has %.17g", key, got, expected);
}

static void test_five_classes(void **state)
{
    (void)state;
    struct dio_metrics_options options = {.n_classes = CLASSES, .top_k = 2, .positive = -1, .seed = 1, .bootstrap = 500};
    struct dio_metrics m;
    assert_int_equal(dio_metrics_compute(&ctx, golden.logits, golden.truth, N, &options, &m), DIO_OK);
    check("accuracy", m.top1, 1e-15);
    check("top2", m.topk, 1e-15);
    check("balanced_accuracy", m.balanced_accuracy, 1e-12);
    check("f1_macro", m.f1_macro, 1e-12);
    check("f1_weighted", m.f1_weighted, 1e-12);
    check("precision_macro", m.precision_macro, 1e-12);
    check("recall_macro", m.recall_macro, 1e-12);
    check("log_loss", m.log_loss, ROUNDING);
    check("brier_multi", m.brier, ROUNDING);
    check("ece15", m.ece, ROUNDING);
    check("ovr_macro_auroc", m.auroc_macro, 1e-12);
    for (int c = 0; c < CLASSES; c++) {
        char key[32];
        snprintf(key, sizeof key, "auroc_%d", c);
        check(key, m.per_class[c].auroc, 1e-12);
        snprintf(key, sizeof key, "ap_%d", c);
        check(key, m.per_class[c].average_precision, 1e-12);
        for (int k = 0; k < CLASSES; k++) {
            snprintf(key, sizeof key, "confusion_%d_%d", c, k);
            check(key, (double)m.confusion[c * CLASSES + k], 0);
        }
    }
    assert_true(m.f1_interval.low < m.f1_macro && m.f1_macro < m.f1_interval.high);
    /* About two standard errors either side: sqrt(.63 * .37 / 200) = .034. */
    assert_true(m.f1_interval.high - m.f1_interval.low > 0.08 && m.f1_interval.high - m.f1_interval.low < 0.2);
    struct dio_metrics again;
    assert_int_equal(dio_metrics_compute(&ctx, golden.logits, golden.truth, N, &options, &again), DIO_OK);
    assert_memory_equal(&m.f1_interval, &again.f1_interval, sizeof m.f1_interval);
    dio_metrics_free(&again);
    dio_metrics_free(&m);
}

static double average_precision(const double *scores, const uint8_t *positive, size_t n)
{
    struct dio_ranking ranking;
    assert_int_equal(dio_ranking_make(&ctx, scores, n, &ranking), DIO_OK);
    double precision = dio_ranking_average_precision(&ranking, positive);
    dio_ranking_free(&ctx, &ranking);
    return precision;
}

static void test_ranking_with_ties(void **state)
{
    (void)state;
    check("binary_auroc", dio_auroc(&ctx, golden.score, golden.binary, N), 1e-12);
    check("binary_ap", average_precision(golden.score, golden.binary, N), 1e-12);
    const double scores[3] = {0.1, 0.2, 0.3};
    const uint8_t none[3] = {0};
    assert_true(isnan(dio_auroc(&ctx, scores, none, 3)));
    assert_true(isnan(average_precision(scores, none, 3)));
}

static void test_two_classes(void **state)
{
    (void)state;
    /* Differences of the logits, positive class 1: 2, 1, -1, -2, 3, -3, .5; truth 1 1 1 0 1 0 0. */
    const float logits[14] = {0, 2, 0, 1, 0, -1, 0, -2, 0, 3, 0, -3, 0, 0.5F};
    const int32_t truth[7] = {1, 1, 1, 0, 1, 0, 0};
    const char *names[2] = {"normal", "ill"};
    struct dio_metrics_options options = {.classes = names, .n_classes = 2, .positive = -1};
    struct dio_metrics m;
    assert_int_equal(dio_metrics_compute(&ctx, logits, truth, 7, &options, &m), DIO_OK);
    assert_true(m.binary);
    assert_float_equal(m.sensitivity, 3.0 / 4, 1e-15);
    assert_float_equal(m.specificity, 2.0 / 3, 1e-15);
    assert_float_equal(m.auroc, 11.0 / 12, 1e-15);
    assert_int_equal(m.n_roc, 8);
    assert_float_equal(m.roc_tpr[7], 1, 0);
    dio_metrics_free(&m);
    options.positive = 0;
    options.threshold = 0.9;
    assert_int_equal(dio_metrics_compute(&ctx, logits, truth, 7, &options, &m), DIO_OK);
    assert_float_equal(m.auroc, 11.0 / 12, 1e-15);
    /* p(normal) of difference -2 is .8808, of -3 .9526. */
    assert_float_equal(m.sensitivity, 1.0 / 3, 1e-15);
    assert_float_equal(m.specificity, 1, 1e-15);
    dio_metrics_free(&m);
}

static void test_wilson(void **state)
{
    (void)state;
    /* By the formula, in Python. */
    struct dio_interval interval = dio_wilson(125, 200);
    assert_float_equal(interval.low, 0.5561430369897816, 1e-14);
    assert_float_equal(interval.high, 0.6891456314159018, 1e-14);
    assert_float_equal(dio_wilson(0, 10).low, 0, 0);
    assert_float_equal(dio_wilson(10, 10).high, 1, 0);
    assert_true(isnan(dio_wilson(0, 0).low));
}

static void test_tables(void **state)
{
    (void)state;
    const char *names[CLASSES] = {"a\"b", "caf\xC3\xA9", "c", "\x1b[31m", "<e>"};
    struct dio_metrics_options options = {.classes = names, .n_classes = CLASSES, .positive = -1};
    struct dio_metrics m;
    assert_int_equal(dio_metrics_compute(&ctx, golden.logits, golden.truth, N, &options, &m), DIO_OK);
    struct dio_str out;
    dio_str_init(&out, &ctx);
    dio_metrics_json(&out, &m);
    assert_int_equal(dio_str_status(&out), DIO_OK);
    assert_non_null(strstr(out.data, "\"top1\": 0.625,"));
    assert_non_null(strstr(out.data, "\"classes\": [\"a\\\"b\", \"caf\xC3\xA9\", \"c\", \"\\u001b[31m\", \"<e>\"]"));
    assert_non_null(strstr(out.data, "\"confusion\": [[31, 4, 5, 5, 5], "));
    assert_null(strchr(out.data, '\n'));
    dio_str_free(&out);
    dio_str_init(&out, &ctx);
    dio_metrics_text(&out, &m);
    assert_int_equal(dio_str_status(&out), DIO_OK);
    assert_null(strchr(out.data, '\x1b'));
    assert_non_null(strstr(out.data, "top-1               0.6250   95 % interval 0.5561 to 0.6891"));
    dio_str_free(&out);
    dio_metrics_free(&m);
}

static void test_nothing(void **state)
{
    (void)state;
    struct dio_metrics_options options = {.n_classes = 2, .positive = -1, .bootstrap = 10};
    struct dio_metrics m;
    assert_int_equal(dio_metrics_compute(&ctx, NULL, NULL, 0, &options, &m), DIO_OK);
    assert_true(isnan(m.top1) && isnan(m.auroc));
    dio_metrics_free(&m);
    const float logits[4] = {1, 0, 2, 0};
    const int32_t one[2] = {0, 0}, wrong[2] = {0, 7};
    assert_int_equal(dio_metrics_compute(&ctx, logits, one, 2, &options, &m), DIO_OK);
    assert_true(isnan(m.auroc) && isnan(m.auroc_interval.low));
    assert_float_equal(m.top1, 1, 0);
    dio_metrics_free(&m);
    assert_int_equal(dio_metrics_compute(&ctx, logits, wrong, 2, &options, &m), DIO_ERR_INTERNAL);
    dio_ctx_clear_error(&ctx);
    assert_int_equal(stats.live_blocks, 0);
}

/* Every allocation fails once: an error, nothing leaked. */
static void test_memory(void **state)
{
    (void)state;
    struct dio_metrics_options options = {.n_classes = CLASSES, .positive = -1, .bootstrap = 3};
    for (int64_t n = 1;; n++) {
        struct dio_alloc_stats own = {.fail_at = n};
        struct dio_ctx poor;
        dio_ctx_init(&poor, &own);
        struct dio_metrics m;
        dio_status status = dio_metrics_compute(&poor, golden.logits, golden.truth, N, &options, &m);
        if (status == DIO_OK) dio_metrics_free(&m);
        assert_int_equal(own.live_blocks, 0);
        if (own.calls < n) break;
        assert_true(status == DIO_ERR_ENV || status == DIO_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_five_classes), cmocka_unit_test(test_ranking_with_ties), cmocka_unit_test(test_two_classes),
        cmocka_unit_test(test_wilson),       cmocka_unit_test(test_tables),            cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
