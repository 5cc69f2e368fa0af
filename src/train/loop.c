#include "train/loop.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>


/* One phase under way. */
struct phase {
    struct dio_loop *loop;
    struct dio_plan *plan;
    const struct dio_schedule *schedule;
    struct dio_schedule_settings settings;
    uint32_t *order;
    const uint32_t *items;
    size_t count;
    uint64_t batches, epochs;  /* batches of an epoch */
    bool moving_statistics;    /* a batch norm learns: a batch of one picture has no variance */
};

static uint64_t ceil_div(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

static void set_schedule(struct phase *phase)
{
    const struct dio_train_options *options = phase->loop->options;
    double per_epoch = (double)ceil_div(phase->batches, (uint64_t)options->accumulate);
    phase->schedule = dio_schedule_find(options->schedule);
    phase->settings = (struct dio_schedule_settings){
        .lr = options->lr,
        .lr_min = options->lr_min,
        .total = per_epoch * (double)options->epochs, /* a refit stops on the same course */
        .warmup = per_epoch * options->warmup_epochs,
        .drop_every = per_epoch * (double)options->step_size,
        .gamma = options->gamma,
    };
}

void dio_loop_choose_threads(struct dio_loop *loop)
{
    enum { SMALL = 8 * 1000 * 1000 }; /* multiply-adds of a batch: well below a millisecond */
    const struct dio_frontier *frontier = dio_features_frontier(loop->features);
    const struct dio_graph *graph = loop->graph;
    int64_t macs = 0;
    /* The clone has the model's nodes first, and the loss behind them. */
    for (int i = 0; i < graph->n_nodes; i++) {
        bool prefix = frontier->prefix_nodes > 0 && graph->nodes[i].macs > 0 && frontier->in_prefix[i];
        if (!prefix) macs += graph->nodes[i].macs;
    }
    loop->alone = dio_ctx_child(loop->ctx);
    loop->compute = macs * loop->options->batch_size < SMALL ? &loop->alone : loop->ctx;
}

static dio_status begin_phase(struct phase *phase)
{
    struct dio_loop *loop = phase->loop;
    const struct dio_frontier *frontier = dio_features_frontier(loop->features);
    int inputs[DIO_FRONTIER_MAX + 1];
    for (int i = 0; i < frontier->n_values; i++) inputs[i] = frontier->values[i];
    inputs[frontier->n_values] = loop->labels;
    struct dio_train_plan_options options = {
        .plan = {.batch = loop->options->batch_size, .memory_limit = loop->ctx->cpu.memory_limit, .exact = loop->options->exact},
        .train_stats = true,
        .drop = true,
    };
    for (int i = 0; i < loop->graph->n_params; i++) {
        const struct dio_param *param = &loop->graph->params[i];
        phase->moving_statistics |= param->role == DIO_PARAM_STATISTIC && param->trainable;
    }
    phase->order = dio_alloc_array(loop->ctx, phase->count, sizeof *phase->order, "order of an epoch");
    if (!phase->order) return DIO_ERR_ENV;
    phase->batches = ceil_div(phase->count, (uint64_t)loop->options->batch_size);
    set_schedule(phase);
    dio_status status = dio_plan_train(loop->compute, loop->graph, inputs, frontier->n_values + 1, loop->loss, &loop->logits, 1,
                                       &options, &phase->plan);
    if (loop->compute != loop->ctx) dio_ctx_adopt_error(loop->ctx, loop->compute);
    if (status == DIO_OK && loop->position.phase == DIO_PHASE_SEARCH) {
        uint64_t bytes = dio_plan_memory(phase->plan).total + loop->optimizer.block_floats * sizeof(float);
        dio_say(loop->ctx, DIO_LEVEL_NOTE, "E3", NULL, "memory: %" PRIu64 " MB for a step of %" PRId64 " pictures", bytes / 1000000 + 1,
                loop->options->batch_size);
    }
    return status;
}

static uint64_t count_hits(const float *logits, size_t n, size_t classes, const int32_t *labels)
{
    uint64_t hits = 0;
    for (size_t i = 0; i < n; i++) {
        const float *row = logits + i * classes;
        size_t best = 0;
        for (size_t k = 1; k < classes; k++) {
            if (row[k] > row[best]) best = k;
        }
        hits += best == (size_t)labels[i];
    }
    return hits;
}

/* Epochs of the refit are other epochs to the random numbers than those of the search. */
static uint32_t random_epoch(const struct phase *phase)
{
    const struct dio_train_position *position = &phase->loop->position;
    return (uint32_t)position->epoch + (position->phase == DIO_PHASE_REFIT ? 1u << 20 : 0);
}

static dio_status one_batch(struct phase *phase, const struct dio_feature_batch *batch, bool add, float scale)
{
    struct dio_loop *loop = phase->loop;
    struct dio_train_position *position = &loop->position;
    float loss = dio_plan_forward(phase->plan, (int64_t)batch->n, batch->in, (uint64_t)loop->options->seed, position->steps);
    if (!isfinite(loss)) {
        return dio_fail(loop->ctx, DIO_ERR_INPUT, "R9", &(struct dio_place){.hint = "a lower --lr may help"},
                        "the loss is not finite at epoch %" PRIu64 " step %" PRIu64, position->epoch + 1, position->step + 1);
    }
    dio_plan_backward(phase->plan, add, scale);
    position->loss_sum += (double)loss * (double)batch->n;
    position->hits += count_hits(dio_plan_watched(phase->plan, 0), batch->n, (size_t)loop->n_classes, batch->labels);
    position->pictures += batch->n;
    return DIO_OK;
}

/* The rate at a batch of the epoch under way. */
static double rate_at(const struct phase *phase, uint64_t batch)
{
    const struct dio_train_position *position = &phase->loop->position;
    uint64_t accumulate = (uint64_t)phase->loop->options->accumulate;
    uint64_t step = position->epoch * ceil_div(phase->batches, accumulate) + batch / accumulate;
    return dio_schedule_rate(phase->schedule, &phase->settings, (double)step);
}

/* Gradients were weighed by the places of the step's batches; where pictures of them were missing, the rest weighs more. */
static void scale_gradients(struct phase *phase, float factor)
{
    const struct dio_graph *graph = phase->loop->graph;
    for (int i = 0; i < graph->n_params; i++) {
        float *grad = dio_plan_grad(phase->plan, i);
        size_t size = grad ? dio_snapshot_size(&graph->params[i]) : 0;
        for (size_t n = 0; n < size; n++) grad[n] *= factor;
    }
}

/* Batches up to one step of the optimiser: the mean over all pictures of theirs, as of one batch. */
static dio_status step_batches(struct phase *phase)
{
    struct dio_loop *loop = phase->loop;
    uint64_t accumulate = (uint64_t)loop->options->accumulate, first = loop->position.step;
    uint64_t end = first + accumulate < phase->batches ? first + accumulate : phase->batches;
    double lr = rate_at(phase, first);
    uint64_t size = (uint64_t)loop->options->batch_size, last = end * size < phase->count ? end * size : phase->count;
    uint64_t places = last - first * size, used = 0;
    bool single = end - first == 1;
    while (loop->position.step < end) {
        struct dio_feature_batch batch;
        DIO_PASS(dio_features_next(loop->features, loop->bad, &batch));
        if (batch.taken == 0) return dio_fail(loop->ctx, DIO_ERR_INTERNAL, NULL, NULL, "an epoch ended early");
        bool alone = batch.n == 1 && phase->moving_statistics && phase->batches > 1;
        if (batch.n > 0 && !alone) {
            DIO_PASS(one_batch(phase, &batch, used > 0, single ? 1.0f : (float)((double)batch.n / (double)places)));
            used += batch.n;
        }
        loop->position.step++;
        loop->position.steps++;
    }
    if (used > 0 && used < places && !single) scale_gradients(phase, (float)((double)places / (double)used));
    if (used > 0) dio_optimizer_apply(loop->compute->team, &loop->optimizer, loop->graph, phase->plan, lr);
    loop->position.optimizer_t = loop->optimizer.t;
    return DIO_OK;
}

/* A step that has begun is finished: reading its pictures does not look at the cancel flag. */
static dio_status one_step(struct phase *phase)
{
    struct dio_ctx *ctx = phase->loop->ctx;
    atomic_int *cancel = ctx->cancel;
    ctx->cancel = NULL;
    dio_status status = step_batches(phase);
    ctx->cancel = cancel;
    return status;
}

static void show_progress(const struct phase *phase)
{
    const struct dio_train_position *position = &phase->loop->position;
    char stage[64];
    snprintf(stage, sizeof stage, "%s %" PRIu64 " of %" PRIu64, position->phase == DIO_PHASE_REFIT ? "refit, epoch" : "epoch",
             position->epoch + 1, phase->epochs);
    double pictures = position->pictures ? (double)position->pictures : NAN;
    dio_report_progress(phase->loop->ctx, &(struct dio_progress){stage, "steps", position->step, phase->batches,
                                                                 position->loss_sum / pictures,
                                                                 (double)position->hits / pictures});
}

/* Larger is better; NAN when there is nothing to choose by. */
static double score_of(enum dio_select select, const struct dio_epoch_record *record)
{
    switch (select) {
    case DIO_SELECT_LOSS: return -record->val_loss;
    case DIO_SELECT_ACCURACY: return record->val_accuracy;
    case DIO_SELECT_BALANCED: return record->val_balanced;
    case DIO_SELECT_AUROC: return record->val_auroc;
    case DIO_SELECT_LAST: break;
    }
    return NAN;
}

static void judge(struct dio_loop *loop, const struct dio_epoch_record *record)
{
    struct dio_train_position *position = &loop->position;
    double score = score_of(loop->select, record);
    bool better = isnan(score) || position->best_epoch == 0 || score > position->best_score;
    if (better) {
        position->best_epoch = position->epoch;
        position->best_score = isnan(score) ? 0 : score;
        dio_snapshot_update(loop->graph, &loop->best);
    }
    uint64_t patience = (uint64_t)loop->options->early_stop;
    if (patience > 0 && !isnan(score) && position->epoch - position->best_epoch >= patience) position->early_stopped = true;
}

static dio_status validate(struct dio_loop *loop, struct dio_epoch_record *record)
{
    struct dio_scores_set set;
    record->val_loss = record->val_accuracy = record->val_balanced = record->val_auroc = NAN;
    if (loop->n_val == 0 || loop->position.phase != DIO_PHASE_SEARCH) return DIO_OK;
    DIO_PASS(dio_loop_scores(loop, loop->val, loop->n_val, &set));
    dio_scores_measure(loop->ctx, &set, record);
    dio_scores_free(loop->ctx, &set);
    return DIO_OK;
}

static dio_status end_epoch(struct phase *phase)
{
    struct dio_loop *loop = phase->loop;
    struct dio_train_position *position = &loop->position;
    double pictures = position->pictures ? (double)position->pictures : NAN;
    struct dio_epoch_record record = {
        .phase = (uint32_t)position->phase,
        .epoch = (uint32_t)position->epoch + 1,
        .steps = position->steps,
        .pictures = position->pictures,
        .lr = rate_at(phase, phase->batches - 1),
        .train_loss = position->loss_sum / pictures,
        .train_accuracy = (double)position->hits / pictures,
    };
    DIO_PASS(validate(loop, &record));
    position->epoch++;
    position->step = position->pictures = position->hits = 0;
    position->loss_sum = 0;
    if (position->phase == DIO_PHASE_SEARCH) judge(loop, &record);
    void *records = loop->records;
    DIO_PASS(dio_grow(loop->ctx, &records, &loop->records_capacity, loop->n_records + 1, sizeof record, "epoch records"));
    loop->records = records;
    loop->records[loop->n_records++] = record;
    return loop->save(loop->save_arg, &record);
}

static dio_status one_epoch(struct phase *phase)
{
    struct dio_loop *loop = phase->loop;
    struct dio_train_position *position = &loop->position;
    uint32_t epoch = random_epoch(phase);
    memcpy(phase->order, phase->items, phase->count * sizeof *phase->order);
    dio_dataset_shuffle((uint64_t)loop->options->seed, epoch, phase->order, phase->count);
    size_t start = (size_t)position->step * (size_t)loop->options->batch_size;
    DIO_PASS(dio_features_begin(loop->features, phase->order, phase->count, start, true, epoch));
    dio_status status = DIO_OK;
    while (position->step < phase->batches && status == DIO_OK) {
        if (dio_cancelled(loop->ctx)) {
            status = DIO_CANCELLED;
        } else {
            DIO_PASS(one_step(phase));
            show_progress(phase);
        }
    }
    if (status == DIO_OK) status = end_epoch(phase);
    /* Stopped between two steps or in the validation, which is then done again. */
    if (status == DIO_CANCELLED) DIO_PASS(loop->save(loop->save_arg, NULL));
    return status;
}

dio_status dio_loop_run(struct dio_loop *loop, const uint32_t *items, size_t count, int64_t epochs)
{
    dio_status status = DIO_OK;
    struct phase phase = {.loop = loop, .items = items, .count = count, .epochs = (uint64_t)epochs};
    DIO_TRY(begin_phase(&phase));
    while (loop->position.epoch < phase.epochs && !(loop->position.early_stopped && loop->position.phase == DIO_PHASE_SEARCH)) {
        DIO_TRY(one_epoch(&phase));
    }
fail:
    if (phase.plan) dio_plan_free(phase.plan);
    dio_free(loop->ctx, phase.order);
    return status;
}
