#include "eval/interval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

/* Wilson's score interval, 95 %. */
struct dio_interval dio_wilson(uint64_t hits, uint64_t n)
{
    if (n == 0) return (struct dio_interval){NAN, NAN};
    const double z = 1.959963984540054;
    double m = (double)n, p = (double)hits / m, z2 = z * z / m;
    double centre = p + z2 / 2, half = z * sqrt(p * (1 - p) / m + z2 / (4 * m));
    struct dio_interval interval = {(centre - half) / (1 + z2), (centre + half) / (1 + z2)};
    if (hits == 0) interval.low = 0;
    if (hits == n) interval.high = 1;
    return interval;
}

struct dio_macro dio_macro_of(const uint64_t *confusion, size_t n_classes)
{
    double recall = 0, precision = 0, f1 = 0, weighted = 0, total = 0;
    size_t occurring = 0, present = 0;
    for (size_t c = 0; c < n_classes; c++) {
        double hits = (double)confusion[c * n_classes + c], truth = 0, predicted = 0;
        for (size_t k = 0; k < n_classes; k++) {
            truth += (double)confusion[c * n_classes + k];
            predicted += (double)confusion[k * n_classes + c];
        }
        double own_f1 = truth + predicted > 0 ? 2 * hits / (truth + predicted) : 0;
        occurring += truth > 0;
        present += truth + predicted > 0;
        recall += truth > 0 ? hits / truth : 0;
        precision += predicted > 0 ? hits / predicted : 0;
        f1 += own_f1;
        weighted += own_f1 * truth;
        total += truth;
    }
    double classes = present ? (double)present : NAN;
    return (struct dio_macro){occurring ? recall / (double)occurring : NAN, precision / classes, recall / classes, f1 / classes,
                              total > 0 ? weighted / total : NAN};
}

static int by_value(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

/* numpy's percentile, linear between neighbours. */
static double percentile(const double *sorted, size_t n, double share)
{
    double at = share * (double)(n - 1);
    size_t low = (size_t)at;
    return low + 1 < n ? sorted[low] + (at - (double)low) * (sorted[low + 1] - sorted[low]) : sorted[n - 1];
}

/* Resamples in which the measure is not defined are left out. */
static struct dio_interval interval_of(double *values, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isnan(values[i])) values[kept++] = values[i];
    }
    if (kept < 2) return (struct dio_interval){NAN, NAN};
    qsort(values, kept, sizeof *values, by_value);
    return (struct dio_interval){percentile(values, kept, 0.025), percentile(values, kept, 0.975)};
}

dio_status dio_bootstrap_run(struct dio_ctx *ctx, const struct dio_bootstrap *b, struct dio_metrics *metrics)
{
    size_t cells = b->n_classes * b->n_classes;
    uint64_t *confusion = dio_alloc_array(ctx, cells, sizeof *confusion, "bootstrap");
    uint32_t *weight = dio_alloc_array(ctx, b->n, sizeof *weight, "bootstrap");
    double *values = dio_alloc_array(ctx, b->resamples, 3 * sizeof *values, "bootstrap");
    bool ready = confusion && weight && values;
    double *balanced = values, *f1 = ready ? values + b->resamples : NULL, *auroc = ready ? f1 + b->resamples : NULL;
    for (size_t r = 0; r < b->resamples && ready; r++) {
        struct dio_rng rng = dio_rng_make(b->seed, DIO_RNG_BOOTSTRAP, 0, r);
        memset(weight, 0, b->n * sizeof *weight);
        memset(confusion, 0, cells * sizeof *confusion);
        for (size_t i = 0; i < b->n; i++) {
            size_t k = (size_t)dio_rng_below(&rng, b->n);
            weight[k]++;
            confusion[(size_t)b->truth[k] * b->n_classes + (size_t)b->predicted[k]]++;
        }
        struct dio_macro macro = dio_macro_of(confusion, b->n_classes);
        balanced[r] = macro.balanced_accuracy;
        f1[r] = macro.f1;
        auroc[r] = b->ranking ? dio_ranking_auroc(b->ranking, b->positive, weight) : NAN;
    }
    if (ready) {
        metrics->balanced_interval = interval_of(balanced, b->resamples);
        metrics->f1_interval = interval_of(f1, b->resamples);
        metrics->auroc_interval = interval_of(auroc, b->resamples);
    }
    dio_free(ctx, confusion);
    dio_free(ctx, weight);
    dio_free(ctx, values);
    return ready ? DIO_OK : DIO_ERR_ENV;
}
