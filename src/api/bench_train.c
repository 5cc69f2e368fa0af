/* What a full training step takes: forward, backward, SGD with momentum over all parameters; all batch norms learn. */
#include <string.h>

#include "api/bench.h"
#include "base/clock.h"
#include "train/optimizer.h"

enum { WARM_UP = 1, RUNS = 5 };

struct lesson {
    struct dio_ctx *ctx;
    struct dio_graph *graph;
    unsigned char *weights;
    struct dio_plan *plan;
    struct dio_optimizer_state optimizer;
    float *pictures;
    int32_t *labels;
};

/* A clone of the graph over a copy of the weights. */
static dio_status own_weights(struct lesson *l, const struct dio_model *model)
{
    l->weights = dio_alloc_aligned(l->ctx, model->weights_bytes, "weights to train");
    if (!l->weights) return DIO_ERR_ENV;
    unsigned char *at = l->weights;
    for (int i = 0; i < l->graph->n_params; i++) {
        struct dio_param *param = &l->graph->params[i];
        param->trainable = param->role != DIO_PARAM_CONSTANT;
        size_t bytes;
        if (!param->data || !dio_shape_bytes(&param->shape, param->dtype, &bytes)) continue;
        memcpy(at, param->data, bytes); /* the block has room for all, each at a 64-byte boundary */
        param->data = at;
        at += (bytes + 63) / 64 * 64;
    }
    return DIO_OK;
}

static dio_status open_lesson(struct lesson *l, const struct dio_model *model, int64_t batch, bool exact)
{
    DIO_PASS(dio_graph_clone(model->graph, &l->graph));
    DIO_PASS(own_weights(l, model));
    const struct dio_shape one = dio_shape_1(0);
    const int labels = dio_graph_input(l->graph, "labels", DIO_I32, &one);
    const int loss = dio_node2(l->graph, "softmax_cross_entropy", "loss", model->logits, labels, "smoothing=0");
    DIO_PASS(l->graph->status);
    const int inputs[] = {model->graph->inputs[0], labels};
    const struct dio_train_plan_options options = {.plan = {.batch = batch, .exact = exact}, .train_stats = true, .drop = true};
    DIO_PASS(dio_plan_train(l->ctx, l->graph, inputs, 2, loss, &model->logits, 1, &options, &l->plan));
    const struct dio_optimizer_settings settings = {.momentum = 0.9, .weight_decay = 1e-4};
    DIO_PASS(dio_optimizer_start(l->ctx, dio_optimizer_find("sgd"), &settings, l->graph, &l->optimizer));
    l->pictures = api_bench_input(l->ctx, model, batch);
    l->labels = dio_alloc_array(l->ctx, (size_t)batch, sizeof *l->labels, "labels");
    if (!l->pictures || !l->labels) return DIO_ERR_ENV;
    for (int64_t i = 0; i < batch; i++) l->labels[i] = (int32_t)(i % model->n_classes);
    return DIO_OK;
}

static void close_lesson(struct lesson *l)
{
    dio_plan_free(l->plan);
    dio_optimizer_end(l->ctx, &l->optimizer);
    dio_graph_free(l->graph);
    dio_free(l->ctx, l->weights);
    dio_free(l->ctx, l->pictures);
    dio_free(l->ctx, l->labels);
}

static dio_status time_steps(struct lesson *l, int64_t batch, struct api_bench_step *out)
{
    const void *in[] = {l->pictures, l->labels};
    double forward[RUNS], backward[RUNS], update[RUNS], whole[RUNS];
    for (int run = -WARM_UP; run < RUNS; run++) {
        if (dio_cancelled(l->ctx)) return DIO_CANCELLED;
        const double start = dio_clock_seconds();
        (void)dio_plan_forward(l->plan, batch, in, 1, (uint64_t)(run + WARM_UP));
        const double turned = dio_clock_seconds();
        dio_plan_backward(l->plan, false, 1);
        const double told = dio_clock_seconds();
        dio_optimizer_apply(l->ctx->team, &l->optimizer, l->graph, l->plan, 1e-4);
        const double end = dio_clock_seconds();
        if (run < 0) continue;
        forward[run] = turned - start;
        backward[run] = told - turned;
        update[run] = end - told;
        whole[run] = end - start;
    }
    *out = (struct api_bench_step){.whole = api_bench_median(whole, RUNS), .forward = api_bench_median(forward, RUNS),
                                   .backward = api_bench_median(backward, RUNS), .update = api_bench_median(update, RUNS)};
    return DIO_OK;
}

/* Its first step; NULL where there is no room for another kind. */
static struct api_bench_kind *kind_of(struct api_bench_step *out, const char *op)
{
    for (int i = 0; i < out->n_kinds; i++) {
        if (strcmp(out->kinds[i].op, op) == 0) return &out->kinds[i];
    }
    if (out->n_kinds == API_BENCH_MAX_KINDS) return NULL;
    out->kinds[out->n_kinds].op = op;
    return &out->kinds[out->n_kinds++];
}

/* Sorted by what they take. */
static void gather_kinds(const struct lesson *l, const double *forward, const double *backward, struct api_bench_step *out)
{
    for (int i = 0; i < dio_plan_steps(l->plan); i++) {
        struct dio_plan_step_info info;
        dio_plan_step(l->plan, i, &info);
        struct api_bench_kind *kind = kind_of(out, info.op);
        if (!kind) continue;
        kind->steps++;
        kind->forward += forward[i];
        kind->backward += backward[i];
    }
    for (int i = 1; i < out->n_kinds; i++) {
        const struct api_bench_kind kind = out->kinds[i];
        int j = i;
        for (; j > 0 && out->kinds[j - 1].forward + out->kinds[j - 1].backward < kind.forward + kind.backward; j--) {
            out->kinds[j] = out->kinds[j - 1];
        }
        out->kinds[j] = kind;
    }
}

static dio_status time_kinds(struct lesson *l, int64_t batch, struct api_bench_step *out)
{
    const void *in[] = {l->pictures, l->labels};
    const int steps = dio_plan_steps(l->plan);
    double *times = dio_alloc_zeroed(l->ctx, (size_t)steps * 4 + 1, sizeof *times, "timings");
    if (!times) return DIO_ERR_ENV;
    double *best = times, *once = times + 2 * (size_t)steps;
    dio_status status = DIO_OK;
    for (int run = 0; run < RUNS && status == DIO_OK; run++) {
        dio_plan_time_train(l->plan, batch, in, once, once + steps);
        for (int i = 0; i < 2 * steps; i++) {
            if (run == 0 || once[i] < best[i]) best[i] = once[i];
        }
        if (dio_cancelled(l->ctx)) status = DIO_CANCELLED;
    }
    if (status == DIO_OK) gather_kinds(l, best, best + steps, out);
    dio_free(l->ctx, times);
    return status;
}

dio_status api_bench_train(struct dio_ctx *ctx, const struct dio_model *model, int64_t batch, bool exact, struct api_bench_step *out)
{
    struct lesson lesson = {.ctx = ctx};
    dio_status status = open_lesson(&lesson, model, batch, exact);
    if (status == DIO_OK) status = time_steps(&lesson, batch, out);
    if (status == DIO_OK) status = time_kinds(&lesson, batch, out);
    close_lesson(&lesson);
    return status;
}

void api_bench_step_text(struct dio_str *out, const struct api_bench_step *step, int64_t batch)
{
    double sum = 0;
    for (int i = 0; i < step->n_kinds; i++) sum += step->kinds[i].forward + step->kinds[i].backward;
    dio_str_addf(out, "\n%-22s %6s %11s %12s %6s\n", "in training", "steps", "forward ms", "backward ms", "share");
    for (int i = 0; i < step->n_kinds; i++) {
        const struct api_bench_kind *kind = &step->kinds[i];
        dio_str_addf(out, "%-22s %6d %11.2f %12.2f %4.0f %%\n", kind->op, kind->steps, kind->forward * 1e3, kind->backward * 1e3,
                     100 * (kind->forward + kind->backward) / sum);
    }
    dio_str_addf(out, "\ntraining step, batch %lld: %.1f ms (forward %.1f, backward %.1f, SGD %.1f), %.1f pictures/s\n", (long long)batch,
                 step->whole * 1e3, step->forward * 1e3, step->backward * 1e3, step->update * 1e3, (double)batch / step->whole);
}

void api_bench_step_json(struct dio_json_writer *w, const struct api_bench_step *step)
{
    dio_json_map(w, "training_step");
    dio_json_double(w, "seconds", step->whole);
    dio_json_double(w, "forward", step->forward);
    dio_json_double(w, "backward", step->backward);
    dio_json_double(w, "update", step->update);
    dio_json_list(w, "kinds");
    for (int i = 0; i < step->n_kinds; i++) {
        dio_json_map(w, NULL);
        dio_json_text(w, "op", step->kinds[i].op);
        dio_json_i64(w, "steps", step->kinds[i].steps);
        dio_json_double(w, "forward", step->kinds[i].forward);
        dio_json_double(w, "backward", step->kinds[i].backward);
        dio_json_end_map(w);
    }
    dio_json_end_list(w);
    dio_json_end_map(w);
}
