#ifndef DIO_EVAL_RANK_H
#define DIO_EVAL_RANK_H

#include "eval/metrics.h"

/* Descending order of scores; ties stand together. */
struct dio_ranking {
    size_t n;
    uint32_t *order;
    uint8_t *ends; /* is this the last of its score? */
};
dio_status dio_ranking_make(struct dio_ctx *ctx, const double *scores, size_t n, struct dio_ranking *ranking);
void dio_ranking_free(struct dio_ctx *ctx, struct dio_ranking *ranking);
/* weight: how often each one counts (bootstrap), NULL: once. */
double dio_ranking_auroc(const struct dio_ranking *ranking, const uint8_t *positive, const uint32_t *weight);
double dio_ranking_average_precision(const struct dio_ranking *ranking, const uint8_t *positive);
/* fpr and tpr have room for n + 1; returns the number of points. */
size_t dio_ranking_roc(const struct dio_ranking *ranking, const uint8_t *positive, double *fpr, double *tpr);

#endif
