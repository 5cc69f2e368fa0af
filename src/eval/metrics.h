/* How good predictions are: counts, rankings, calibration, intervals.
 *
 * Definitions are scikit-learn's (docs in the reference, section 4.7).  What is not defined (a class that does not occur,
 * one class only) is NAN, and written as null. */
#ifndef DIO_EVAL_METRICS_H
#define DIO_EVAL_METRICS_H

#include "base/memory.h"

struct dio_interval {
    double low, high; /* 95 %; NAN when not computed */
};

struct dio_class_metrics {
    const char *name;
    double precision, recall, f1; /* 0 where the denominator is 0 */
    double auroc, average_precision; /* one against the rest; NAN where not defined */
    uint64_t support, predicted;
};

enum { DIO_BOOTSTRAP_RESAMPLES = 1000, DIO_BOOTSTRAP_SEED = 0 };

struct dio_metrics_options {
    const char *const *classes; /* names, borrowed, or NULL: the index */
    size_t n_classes;
    size_t top_k;               /* of `topk`; 0: 5, or the number of classes */
    int positive;               /* two classes: which is the positive one; -1: the second */
    double threshold;           /* two classes: of the positive probability; 0: 0.5 */
    uint64_t seed;              /* of the bootstrap; everywhere DIO_BOOTSTRAP_SEED, so that equal scores have equal intervals */
    size_t bootstrap;           /* resamples; 0: none */
};

struct dio_metrics {
    struct dio_arena arena; /* owns everything below */
    uint64_t n, skipped;    /* `skipped`: pictures that could not be read; set by the caller */
    size_t n_classes, top_k;
    double top1, topk;
    struct dio_interval top1_interval; /* Wilson */
    double balanced_accuracy;
    double precision_macro, recall_macro, f1_macro, f1_weighted;
    struct dio_interval balanced_interval, f1_interval; /* bootstrap */
    double auroc_macro;     /* one against the rest, over classes where it is defined */
    double log_loss, brier, ece;
    struct dio_class_metrics *per_class;
    uint64_t *confusion;    /* n_classes x n_classes, rows: true class */

    bool binary;            /* the rest is for two classes */
    int positive;
    double threshold, auroc, average_precision, sensitivity, specificity;
    struct dio_interval auroc_interval, sensitivity_interval, specificity_interval;
    double *roc_fpr, *roc_tpr; /* distinct thresholds, from (0,0) to (1,1) */
    size_t n_roc;
};

/* logits: n x n_classes, rows in any order; truth: class index of each (0..n_classes-1; others DIO_ERR_INTERNAL). */
dio_status dio_metrics_compute(struct dio_ctx *ctx, const float *logits, const int32_t *truth, size_t n,
                               const struct dio_metrics_options *options, struct dio_metrics *metrics);
void dio_metrics_free(struct dio_metrics *metrics);

/* Single measures, for validation between epochs and for tests. */
void dio_softmax(const float *logits, size_t n, double *probabilities);
double dio_auroc(struct dio_ctx *ctx, const double *scores, const uint8_t *positive, size_t n); /* mid-ranks; NAN */
struct dio_interval dio_wilson(uint64_t hits, uint64_t n);

#endif
