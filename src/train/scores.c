#include <math.h>
#include <string.h>

#include "eval/metrics.h"
#include "train/loop.h"

void dio_scores_free(struct dio_ctx *ctx, struct dio_scores_set *set)
{
    dio_free(ctx, set->logits);
    dio_free(ctx, set->labels);
    dio_free(ctx, set->items);
    *set = (struct dio_scores_set){0};
}

static dio_status run_batches(struct dio_loop *loop, struct dio_plan *plan, size_t total, struct dio_scores_set *set)
{
    struct dio_feature_batch batch;
    size_t classes = (size_t)loop->n_classes, seen = 0;
    for (;;) {
        DIO_PASS(dio_features_next(loop->features, loop->bad, &batch));
        if (batch.taken == 0) return DIO_OK;
        seen += batch.taken;
        if (batch.n > 0) {
            void *out[] = {set->logits + set->count * classes};
            dio_plan_run(plan, (int64_t)batch.n, batch.in, out);
            memcpy(set->labels + set->count, batch.labels, batch.n * sizeof *set->labels);
            memcpy(set->items + set->count, batch.items, batch.n * sizeof *set->items);
            set->count += batch.n;
        }
        if (seen > total) return dio_fail(loop->ctx, DIO_ERR_INTERNAL, NULL, NULL, "more pictures than were asked for");
    }
}

dio_status dio_loop_scores(struct dio_loop *loop, const uint32_t *items, size_t count, struct dio_scores_set *set)
{
    dio_status status;
    struct dio_ctx *ctx = loop->ctx;
    struct dio_plan *plan = NULL;
    const struct dio_frontier *frontier = dio_features_frontier(loop->features);
    struct dio_plan_options options = {.batch = loop->options->batch_size, .memory_limit = ctx->cpu.memory_limit,
                                       .exact = loop->options->exact};
    *set = (struct dio_scores_set){.n_classes = loop->n_classes};
    set->logits = dio_alloc_array(ctx, count * (size_t)loop->n_classes, sizeof *set->logits, "scores");
    set->labels = dio_alloc_array(ctx, count, sizeof *set->labels, "scores");
    set->items = dio_alloc_array(ctx, count, sizeof *set->items, "scores");
    DIO_TRY(set->logits && set->labels && set->items ? DIO_OK : DIO_ERR_ENV);
    DIO_TRY(dio_plan_infer(loop->compute, loop->graph, frontier->values, frontier->n_values, &loop->logits, 1, &options, &plan));
    DIO_TRY(dio_features_begin(loop->features, items, count, 0, false, 0));
    DIO_TRY(run_batches(loop, plan, count, set));
fail:
    if (loop->compute != ctx) dio_ctx_adopt_error(ctx, loop->compute);
    if (plan) dio_plan_free(plan);
    if (status != DIO_OK) dio_scores_free(ctx, set);
    return status;
}

static size_t top_class(const float *logits, size_t classes)
{
    size_t best = 0;
    for (size_t k = 1; k < classes; k++) {
        if (logits[k] > logits[best]) best = k;
    }
    return best;
}

static double row_loss(const float *logits, size_t classes, int32_t label)
{
    double top = logits[top_class(logits, classes)], sum = 0;
    for (size_t k = 0; k < classes; k++) sum += exp((double)logits[k] - top);
    return top + log(sum) - (double)logits[label];
}

/* Mean recall over the classes that occur; NAN when memory is short (then it is only not shown). */
static double balanced_accuracy(struct dio_ctx *ctx, const struct dio_scores_set *set)
{
    size_t classes = (size_t)set->n_classes, present = 0;
    uint64_t *counts = dio_alloc_zeroed(ctx, 2 * classes, sizeof *counts, "class counts");
    if (!counts) return NAN;
    for (size_t i = 0; i < set->count; i++) {
        size_t label = (size_t)set->labels[i];
        counts[2 * label]++;
        counts[2 * label + 1] += top_class(set->logits + i * classes, classes) == label;
    }
    double sum = 0;
    for (size_t k = 0; k < classes; k++) {
        if (counts[2 * k] == 0) continue;
        sum += (double)counts[2 * k + 1] / (double)counts[2 * k];
        present++;
    }
    dio_free(ctx, counts);
    return present ? sum / (double)present : NAN;
}

static double two_class_auroc(struct dio_ctx *ctx, const struct dio_scores_set *set)
{
    double *scores = dio_alloc_array(ctx, set->count, sizeof *scores, "scores");
    uint8_t *positive = dio_alloc_array(ctx, set->count, sizeof *positive, "scores");
    double auroc = NAN;
    if (scores && positive) {
        for (size_t i = 0; i < set->count; i++) {
            scores[i] = (double)set->logits[2 * i + 1] - (double)set->logits[2 * i];
            positive[i] = set->labels[i] == 1;
        }
        auroc = dio_auroc(ctx, scores, positive, set->count);
    }
    dio_free(ctx, scores);
    dio_free(ctx, positive);
    return auroc;
}

void dio_scores_measure(struct dio_ctx *ctx, const struct dio_scores_set *set, struct dio_epoch_record *record)
{
    size_t classes = (size_t)set->n_classes;
    double loss = 0;
    uint64_t hits = 0;
    record->val_loss = record->val_accuracy = record->val_balanced = record->val_auroc = NAN;
    if (set->count == 0) return;
    for (size_t i = 0; i < set->count; i++) {
        const float *logits = set->logits + i * classes;
        loss += row_loss(logits, classes, set->labels[i]);
        hits += top_class(logits, classes) == (size_t)set->labels[i];
    }
    record->val_loss = loss / (double)set->count;
    record->val_accuracy = (double)hits / (double)set->count;
    record->val_balanced = balanced_accuracy(ctx, set);
    if (classes == 2) record->val_auroc = two_class_auroc(ctx, set);
}
