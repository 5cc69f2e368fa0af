#ifndef DIO_EVAL_INTERVAL_H
#define DIO_EVAL_INTERVAL_H

#include "eval/rank.h"

/* Macro averages of a confusion matrix: over classes that occur (balanced accuracy: among the true ones; F1: at all). */
struct dio_macro {
    double balanced_accuracy, precision, recall, f1, f1_weighted;
};
struct dio_macro dio_macro_of(const uint64_t *confusion, size_t n_classes);

/* Percentile bootstrap of balanced accuracy, macro F1 and (binary) AUROC: the same resamples for all three. */
struct dio_bootstrap {
    const int32_t *truth, *predicted;
    size_t n, n_classes, resamples;
    uint64_t seed;
    const struct dio_ranking *ranking; /* NULL: no AUROC */
    const uint8_t *positive;
};
dio_status dio_bootstrap_run(struct dio_ctx *ctx, const struct dio_bootstrap *bootstrap, struct dio_metrics *metrics);

#endif
