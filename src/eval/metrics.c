#include "eval/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval/interval.h"

enum { ECE_BINS = 15, DEFAULT_TOP = 5, BOOTSTRAP_CELLS = 1 << 16 };

void dio_softmax(const float *logits, size_t n, double *probabilities)
{
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) top = fmax(top, (double)logits[i]);
    for (size_t i = 0; i < n; i++) sum += probabilities[i] = exp((double)logits[i] - top);
    for (size_t i = 0; i < n; i++) probabilities[i] /= sum;
}

/* Equal bins (lo, hi] of the confidence; one of exactly 0 is in none. */
static double calibration_error(struct dio_ctx *ctx, const double *confidence, const uint8_t *right, size_t n, size_t bins)
{
    double *sums = dio_alloc_zeroed(ctx, bins, 3 * sizeof *sums, "calibration");
    if (!sums || n == 0) {
        dio_free(ctx, sums);
        return NAN;
    }
    for (size_t i = 0; i < n; i++) {
        if (!(confidence[i] > 0)) continue;
        size_t b = (size_t)(confidence[i] * (double)bins);
        if (b >= bins) b = bins - 1;
        /* The edges are k / bins as numbers: the product above may have rounded over one. */
        while (b > 0 && confidence[i] <= (double)b / (double)bins) b--;
        while (b + 1 < bins && confidence[i] > (double)(b + 1) / (double)bins) b++;
        sums[3 * b] += 1;
        sums[3 * b + 1] += confidence[i];
        sums[3 * b + 2] += right[i];
    }
    double error = 0;
    for (size_t b = 0; b < bins; b++) error += fabs(sums[3 * b + 2] - sums[3 * b + 1]) / (double)n;
    dio_free(ctx, sums);
    return error;
}

/* What one pass over the predictions leaves. */
struct pass {
    struct dio_ctx *ctx;
    const float *logits;
    const int32_t *truth;
    size_t n, classes;
    int32_t *predicted;
    double *confidence, *scores, *log_sum; /* of each picture; log_sum: log of the sum of exp(logit) */
    uint8_t *right, *positive;
    double *probabilities;                 /* of one picture */
};

static dio_status pass_alloc(struct pass *pass)
{
    struct dio_ctx *ctx = pass->ctx;
    size_t n = pass->n;
    pass->predicted = dio_alloc_array(ctx, n, sizeof *pass->predicted, "metrics");
    pass->confidence = dio_alloc_array(ctx, n, sizeof *pass->confidence, "metrics");
    pass->scores = dio_alloc_array(ctx, n, sizeof *pass->scores, "metrics");
    pass->log_sum = dio_alloc_array(ctx, n, sizeof *pass->log_sum, "metrics");
    pass->right = dio_alloc_array(ctx, n, 1, "metrics");
    pass->positive = dio_alloc_array(ctx, n, 1, "metrics");
    pass->probabilities = dio_alloc_array(ctx, pass->classes, sizeof *pass->probabilities, "metrics");
    bool ready = pass->predicted && pass->confidence && pass->scores && pass->log_sum && pass->right && pass->positive &&
                 pass->probabilities;
    return ready ? DIO_OK : DIO_ERR_ENV;
}

static void pass_free(struct pass *pass)
{
    dio_free(pass->ctx, pass->predicted);
    dio_free(pass->ctx, pass->confidence);
    dio_free(pass->ctx, pass->scores);
    dio_free(pass->ctx, pass->log_sum);
    dio_free(pass->ctx, pass->right);
    dio_free(pass->ctx, pass->positive);
    dio_free(pass->ctx, pass->probabilities);
}

static void add_picture(struct pass *pass, size_t i, size_t top_k, struct dio_metrics *m, uint64_t *in_top)
{
    const float *logits = pass->logits + i * pass->classes;
    size_t truth = (size_t)pass->truth[i], best = 0, above = 0;
    double *p = pass->probabilities;
    dio_softmax(logits, pass->classes, p);
    for (size_t c = 0; c < pass->classes; c++) {
        if (logits[c] > logits[best]) best = c;
        above += logits[c] > logits[truth];
    }
    double top = (double)logits[best], sum = 0, square = 0;
    for (size_t c = 0; c < pass->classes; c++) {
        sum += exp((double)logits[c] - top);
        double off = p[c] - (c == truth);
        square += off * off;
    }
    pass->predicted[i] = (int32_t)best;
    pass->confidence[i] = p[best];
    pass->right[i] = best == truth;
    pass->log_sum[i] = top + log(sum);
    *in_top += above < top_k;
    m->brier += square;
    double own = fmin(fmax(p[truth], 2.220446049250313e-16), 1 - 2.220446049250313e-16); /* scikit-learn's clip */
    m->log_loss -= log(own);
    m->confusion[truth * pass->classes + best]++;
}

static dio_status class_metrics(struct pass *pass, const struct dio_metrics_options *options, struct dio_metrics *m)
{
    double sum = 0;
    size_t defined = 0;
    for (size_t c = 0; c < pass->classes; c++) {
        struct dio_class_metrics *own = &m->per_class[c];
        uint64_t hits = m->confusion[c * pass->classes + c];
        for (size_t k = 0; k < pass->classes; k++) {
            own->support += m->confusion[c * pass->classes + k];
            own->predicted += m->confusion[k * pass->classes + c];
        }
        own->precision = own->predicted ? (double)hits / (double)own->predicted : 0;
        own->recall = own->support ? (double)hits / (double)own->support : 0;
        own->f1 = own->support + own->predicted ? 2 * (double)hits / (double)(own->support + own->predicted) : 0;
        own->name = options->classes ? dio_arena_strndup(&m->arena, options->classes[c], strlen(options->classes[c]))
                                     : dio_arena_sprintf(&m->arena, "%zu", c);
        if (!own->name) return DIO_ERR_ENV;
        own->auroc = own->average_precision = NAN;
        if (own->support == 0 || own->support == pass->n) continue;
        for (size_t i = 0; i < pass->n; i++) {
            pass->scores[i] = exp((double)pass->logits[i * pass->classes + c] - pass->log_sum[i]);
            pass->positive[i] = (size_t)pass->truth[i] == c;
        }
        struct dio_ranking ranking;
        DIO_PASS(dio_ranking_make(pass->ctx, pass->scores, pass->n, &ranking));
        own->auroc = dio_ranking_auroc(&ranking, pass->positive, NULL);
        own->average_precision = dio_ranking_average_precision(&ranking, pass->positive);
        dio_ranking_free(pass->ctx, &ranking);
        sum += own->auroc;
        defined++;
    }
    m->auroc_macro = defined ? sum / (double)defined : NAN;
    return DIO_OK;
}

static void sensitivity(const struct pass *pass, struct dio_metrics *m)
{
    uint64_t hits = 0, positives = 0, rejected = 0, negatives = 0;
    size_t p = (size_t)m->positive;
    for (size_t i = 0; i < pass->n; i++) {
        /* The probability of two classes, without the rounding of a sum. */
        double share = 1 / (1 + exp(-pass->scores[i]));
        bool called = share >= m->threshold;
        if ((size_t)pass->truth[i] == p) {
            positives++;
            hits += called;
        } else {
            negatives++;
            rejected += !called;
        }
    }
    m->sensitivity = positives ? (double)hits / (double)positives : NAN;
    m->specificity = negatives ? (double)rejected / (double)negatives : NAN;
    m->sensitivity_interval = dio_wilson(hits, positives);
    m->specificity_interval = dio_wilson(rejected, negatives);
}

/* Two classes: ranked by the difference of the logits, which does not saturate as probabilities do. */
static dio_status binary_metrics(struct pass *pass, const struct dio_metrics_options *options, struct dio_metrics *m,
                                 struct dio_ranking *ranking)
{
    m->binary = true;
    m->positive = options->positive == 0 ? 0 : 1;
    m->threshold = options->threshold > 0 ? options->threshold : 0.5;
    for (size_t i = 0; i < pass->n; i++) {
        const float *logits = pass->logits + 2 * i;
        pass->scores[i] = (double)logits[m->positive] - (double)logits[1 - m->positive];
        pass->positive[i] = pass->truth[i] == m->positive;
    }
    sensitivity(pass, m);
    DIO_PASS(dio_ranking_make(pass->ctx, pass->scores, pass->n, ranking));
    m->auroc = dio_ranking_auroc(ranking, pass->positive, NULL);
    m->average_precision = dio_ranking_average_precision(ranking, pass->positive);
    m->roc_fpr = dio_arena_alloc(&m->arena, (pass->n + 1) * sizeof(double));
    m->roc_tpr = dio_arena_alloc(&m->arena, (pass->n + 1) * sizeof(double));
    if (!m->roc_fpr || !m->roc_tpr) return DIO_ERR_ENV;
    m->n_roc = dio_ranking_roc(ranking, pass->positive, m->roc_fpr, m->roc_tpr);
    return DIO_OK;
}

static dio_status compute(struct pass *pass, const struct dio_metrics_options *options, struct dio_metrics *m)
{
    uint64_t in_top = 0, hits = 0;
    for (size_t i = 0; i < pass->n; i++) {
        if (pass->truth[i] < 0 || (size_t)pass->truth[i] >= pass->classes) {
            return dio_fail(pass->ctx, DIO_ERR_INTERNAL, NULL, NULL, "label %d of %zu classes", pass->truth[i], pass->classes);
        }
        add_picture(pass, i, m->top_k, m, &in_top);
        hits += pass->right[i];
    }
    double n = pass->n ? (double)pass->n : NAN;
    m->top1 = (double)hits / n;
    m->topk = (double)in_top / n;
    m->top1_interval = dio_wilson(hits, pass->n);
    m->log_loss /= n;
    m->brier /= n;
    m->ece = calibration_error(pass->ctx, pass->confidence, pass->right, pass->n, ECE_BINS);
    if (pass->n && isnan(m->ece)) return pass->ctx->error.status == DIO_OK ? DIO_ERR_INTERNAL : pass->ctx->error.status;
    struct dio_macro macro = dio_macro_of(m->confusion, pass->classes);
    m->balanced_accuracy = macro.balanced_accuracy;
    m->precision_macro = macro.precision;
    m->recall_macro = macro.recall;
    m->f1_macro = macro.f1;
    m->f1_weighted = macro.f1_weighted;
    DIO_PASS(class_metrics(pass, options, m));
    struct dio_ranking ranking = {0};
    dio_status status = DIO_OK;
    if (pass->classes == 2 && pass->n) status = binary_metrics(pass, options, m, &ranking);
    /* The matrix is cleared for each resample: not worth it for very many classes. */
    if (status == DIO_OK && options->bootstrap && pass->n && pass->classes * pass->classes <= BOOTSTRAP_CELLS) {
        struct dio_bootstrap bootstrap = {pass->truth, pass->predicted, pass->n, pass->classes, options->bootstrap,
                                          options->seed, m->binary ? &ranking : NULL, pass->positive};
        status = dio_bootstrap_run(pass->ctx, &bootstrap, m);
    }
    dio_ranking_free(pass->ctx, &ranking);
    return status;
}

dio_status dio_metrics_compute(struct dio_ctx *ctx, const float *logits, const int32_t *truth, size_t n,
                               const struct dio_metrics_options *options, struct dio_metrics *m)
{
    const struct dio_interval none = {NAN, NAN};
    size_t classes = options->n_classes;
    *m = (struct dio_metrics){.n = n, .n_classes = classes, .balanced_interval = none, .f1_interval = none,
                              .auroc_interval = none, .auroc = NAN, .average_precision = NAN, .sensitivity = NAN,
                              .specificity = NAN, .sensitivity_interval = none, .specificity_interval = none};
    dio_arena_init(&m->arena, ctx);
    m->top_k = options->top_k ? options->top_k : DEFAULT_TOP;
    if (m->top_k > classes) m->top_k = classes;
    struct pass pass = {.ctx = ctx, .logits = logits, .truth = truth, .n = n, .classes = classes};
    m->per_class = dio_arena_alloc(&m->arena, (classes + 1) * sizeof *m->per_class);
    m->confusion = dio_arena_alloc(&m->arena, (classes * classes + 1) * sizeof *m->confusion);
    dio_status status = m->per_class && m->confusion ? pass_alloc(&pass) : DIO_ERR_ENV;
    if (status == DIO_OK) status = compute(&pass, options, m);
    pass_free(&pass);
    if (status != DIO_OK) dio_metrics_free(m);
    return status;
}

void dio_metrics_free(struct dio_metrics *metrics)
{
    dio_arena_free(&metrics->arena);
    *metrics = (struct dio_metrics){0};
}
