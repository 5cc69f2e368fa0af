#include "predict/evaluate.h"

#include "predict/calibrate.h"

#include <math.h>
#include <string.h>

#include "data/bad.h"
#include "data/loader.h"
#include "graph/plan.h"

enum { DEFAULT_BATCH = 16 };

void dio_evaluation_free(struct dio_ctx *ctx, struct dio_evaluation *evaluation)
{
    dio_free(ctx, evaluation->items);
    dio_free(ctx, evaluation->labels);
    dio_free(ctx, evaluation->logits);
    *evaluation = (struct dio_evaluation){0};
}

static dio_status make_room(struct dio_ctx *ctx, size_t n, struct dio_evaluation *evaluation)
{
    evaluation->items = dio_alloc_array(ctx, n, sizeof *evaluation->items, "scores");
    evaluation->labels = dio_alloc_array(ctx, n, sizeof *evaluation->labels, "scores");
    evaluation->logits = dio_alloc_array(ctx, n * evaluation->n_classes, sizeof *evaluation->logits, "scores");
    return evaluation->items && evaluation->labels && evaluation->logits ? DIO_OK : DIO_ERR_ENV;
}

static dio_status run_batches(struct dio_ctx *ctx, struct dio_loader *loader, struct dio_plan *plan, struct dio_bad *bad,
                              size_t total, struct dio_evaluation *evaluation)
{
    struct dio_batch batch;
    for (;;) {
        if (dio_cancelled(ctx)) return DIO_CANCELLED;
        DIO_PASS(dio_loader_next(loader, ctx, &batch));
        if (batch.taken == 0) break;
        for (size_t i = 0; i < batch.n_bad; i++) DIO_PASS(dio_bad_report(bad, ctx, batch.why[i]));
        evaluation->skipped += batch.n_bad;
        if (batch.n > 0) {
            const void *in[] = {batch.pixels};
            void *out[] = {evaluation->logits + evaluation->count * evaluation->n_classes};
            dio_plan_run(plan, (int64_t)batch.n, in, out);
            memcpy(evaluation->labels + evaluation->count, batch.labels, batch.n * sizeof *batch.labels);
            memcpy(evaluation->items + evaluation->count, batch.items, batch.n * sizeof *batch.items);
            evaluation->count += batch.n;
        }
        dio_report_progress(ctx, &(struct dio_progress){"eval", "pictures", batch.first + batch.taken, total, NAN, NAN});
    }
    return dio_bad_finish(bad, ctx, total);
}

dio_status dio_evaluate(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_dataset *dataset,
                        const uint32_t *items, size_t n_items, const struct dio_evaluate_options *options,
                        struct dio_evaluation *evaluation)
{
    dio_status status;
    struct dio_prepare prepare = {0};
    struct dio_loader *loader = NULL;
    struct dio_plan *plan = NULL;
    struct dio_value_range *ranges = NULL; /* int8 */
    struct dio_bad bad;
    int64_t batch = options->batch > 0 ? options->batch : DEFAULT_BATCH;
    struct dio_loader_options loading = {.dataset = dataset, .prepare = &prepare, .order = items, .count = n_items,
                                         .batch = (size_t)batch, .decode = {.ignore_exif = model->recipe.ignore_exif,
                                                    .allow_damaged = options->allow_damaged},
                                         .no_digests = true};
    struct dio_plan_options planning = {.batch = batch, .memory_limit = ctx->cpu.memory_limit, .exact = options->exact,
                                        .precision = options->precision};
    *evaluation = (struct dio_evaluation){.n_classes = (size_t)model->n_classes};
    dio_bad_init(&bad, &(struct dio_bad_options){.stop = options->stop_at_bad, .max_share = options->max_bad, .total = n_items});
    if (model->logits < 0) return dio_fail(ctx, DIO_ERR_INPUT, "J5", NULL, "the model has no head; train gives it one");
    DIO_TRY(make_room(ctx, n_items, evaluation));
    DIO_TRY(dio_prepare_init(ctx, &model->recipe, &prepare));
    if (options->precision == DIO_PRECISION_INT8) DIO_TRY(dio_calibrate(ctx, model, &options->calibrate, &ranges));
    planning.ranges = ranges;
    DIO_TRY(dio_plan_infer(ctx, model->graph, model->graph->inputs, 1, &model->logits, 1, &planning, &plan));
    DIO_TRY(dio_loader_open(ctx, &loading, &loader));
    DIO_TRY(run_batches(ctx, loader, plan, &bad, n_items, evaluation));
fail:
    if (loader) dio_loader_close(loader);
    if (plan) dio_plan_free(plan);
    dio_free(ctx, ranges);
    dio_prepare_free(ctx, &prepare);
    if (status != DIO_OK) dio_evaluation_free(ctx, evaluation);
    return status;
}

dio_status dio_evaluate_items(struct dio_ctx *ctx, const struct dio_dataset *dataset, const char *split,
                              uint32_t **items, size_t *count)
{
    enum dio_split wanted = DIO_SPLIT_NONE;
    if (!split) {
        if (dio_dataset_has(dataset, DIO_SPLIT_TEST)) {
            wanted = DIO_SPLIT_TEST;
        } else if (dio_dataset_has(dataset, DIO_SPLIT_VAL)) {
            wanted = DIO_SPLIT_VAL;
        }
    } else if (strcmp(split, "all") != 0) {
        if (!dio_split_from_name(split, &wanted)) {
            return dio_fail(ctx, DIO_ERR_USAGE, "A4", NULL, "--split must be train, val, test or all, not \"%s\"", split);
        }
        if (!dio_dataset_has(dataset, wanted)) {
            return dio_fail(ctx, DIO_ERR_INPUT, "D2", NULL, "the data has no split %s", dio_split_name(wanted));
        }
    }
    DIO_PASS(dio_dataset_select(ctx, dataset, wanted, items, count));
    if (*count > 0) return DIO_OK;
    dio_free(ctx, *items);
    *items = NULL;
    return dio_fail(ctx, DIO_ERR_INPUT, "D2", NULL, "there are no pictures to evaluate");
}
