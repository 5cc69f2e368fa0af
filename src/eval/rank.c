/* Measures of a ranking: area under the ROC curve, average precision, the curve itself. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/rank.h"

static int by_score(const void *a, const void *b, void *scores)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    const double *s = scores;
    if (s[x] != s[y]) return (s[x] < s[y]) - (s[x] > s[y]); /* descending */
    return (x > y) - (x < y);
}

dio_status dio_ranking_make(struct dio_ctx *ctx, const double *scores, size_t n, struct dio_ranking *ranking)
{
    *ranking = (struct dio_ranking){.n = n};
    ranking->order = dio_alloc_array(ctx, n, sizeof *ranking->order, "ranking");
    ranking->ends = dio_alloc_array(ctx, n, sizeof *ranking->ends, "ranking");
    if (!ranking->order || !ranking->ends) {
        dio_ranking_free(ctx, ranking);
        return DIO_ERR_ENV;
    }
    for (size_t i = 0; i < n; i++) ranking->order[i] = (uint32_t)i;
    if (n) qsort_r(ranking->order, n, sizeof *ranking->order, by_score, (void *)(uintptr_t)scores);
    for (size_t i = 0; i < n; i++) {
        ranking->ends[i] = i + 1 == n || scores[ranking->order[i]] != scores[ranking->order[i + 1]];
    }
    return DIO_OK;
}

void dio_ranking_free(struct dio_ctx *ctx, struct dio_ranking *ranking)
{
    dio_free(ctx, ranking->order);
    dio_free(ctx, ranking->ends);
    *ranking = (struct dio_ranking){0};
}

/* P(positive above negative) + P(tie) / 2, as a sum of trapezoids over distinct scores.  All counts are whole: exact. */
double dio_ranking_auroc(const struct dio_ranking *ranking, const uint8_t *positive, const uint32_t *weight)
{
    double tp = 0, fp = 0, last_tp = 0, last_fp = 0, twice = 0;
    for (size_t i = 0; i < ranking->n; i++) {
        uint32_t k = ranking->order[i];
        double w = weight ? weight[k] : 1;
        *(positive[k] ? &tp : &fp) += w;
        if (!ranking->ends[i]) continue;
        twice += (fp - last_fp) * (tp + last_tp);
        last_tp = tp;
        last_fp = fp;
    }
    return tp > 0 && fp > 0 ? twice / (2 * tp * fp) : NAN;
}

double dio_ranking_average_precision(const struct dio_ranking *ranking, const uint8_t *positive)
{
    double tp = 0, seen = 0, last_tp = 0, sum = 0;
    for (size_t i = 0; i < ranking->n; i++) {
        tp += positive[ranking->order[i]];
        seen += 1;
        if (!ranking->ends[i]) continue;
        sum += (tp - last_tp) * (tp / seen);
        last_tp = tp;
    }
    return tp > 0 ? sum / tp : NAN;
}

size_t dio_ranking_roc(const struct dio_ranking *ranking, const uint8_t *positive, double *fpr, double *tpr)
{
    size_t points = 0;
    uint64_t tp = 0, fp = 0;
    fpr[points] = 0;
    tpr[points++] = 0;
    for (size_t i = 0; i < ranking->n; i++) {
        *(positive[ranking->order[i]] ? &tp : &fp) += 1;
        if (!ranking->ends[i]) continue;
        fpr[points] = (double)fp;
        tpr[points++] = (double)tp;
    }
    for (size_t i = 0; i < points; i++) {
        fpr[i] = fp ? fpr[i] / (double)fp : NAN;
        tpr[i] = tp ? tpr[i] / (double)tp : NAN;
    }
    return points;
}

double dio_auroc(struct dio_ctx *ctx, const double *scores, const uint8_t *positive, size_t n)
{
    struct dio_ranking ranking;
    if (dio_ranking_make(ctx, scores, n, &ranking) != DIO_OK) return NAN;
    double area = dio_ranking_auroc(&ranking, positive, NULL);
    dio_ranking_free(ctx, &ranking);
    return area;
}
