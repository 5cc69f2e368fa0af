/* Which values an 8-bit plan had better not make bytes of. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "predict/calibrate.h"

enum { RANKING = 8 }; /* pictures on which values are ranked */

static int64_t scores_of(const struct dio_model *model)
{
    const struct dio_shape *shape = &model->graph->values[model->logits].type.shape;
    int64_t elements = 1;
    for (int d = 1; d < shape->rank; d++) elements *= shape->dims[d];
    return elements;
}

dio_status dio_calibration_check(struct dio_ctx *ctx, const struct dio_model *model, const char *path, const struct dio_calibration_sample *sample)
{
    for (int64_t i = 0; i < sample->count * scores_of(model); i++) {
        if (isfinite(sample->logits[i])) continue;
        return dio_fail(ctx, DIO_ERR_INPUT, "S18", &(struct dio_place){.file = path}, "the scores of these pictures are not finite in f32, so bytes cannot be held against them");
    }
    return DIO_OK;
}

/* exact: of each stride-th picture. */
static double relative_change(const float *scores, const float *exact, int64_t pictures, int64_t each, int64_t stride)
{
    double change = 0, spread = 0;
    for (int64_t i = 0; i < pictures; i++, scores += each, exact += stride * each) {
        double mean = 0;
        for (int64_t k = 0; k < each; k++) mean += (double)exact[k] / (double)each;
        for (int64_t k = 0; k < each; k++) {
            change += ((double)scores[k] - (double)exact[k]) * ((double)scores[k] - (double)exact[k]);
            spread += ((double)exact[k] - mean) * ((double)exact[k] - mean);
        }
    }
    return spread > 0 ? sqrt(change / spread) : 0;
}

/* On each stride-th picture of the sample. */
static dio_status loss_of(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_calibration_sample *sample, int64_t stride,
                          const struct dio_value_range *ranges, double *loss)
{
    const int64_t each = scores_of(model), count = sample->count / stride;
    const size_t picture = (size_t)model->recipe.height * (size_t)model->recipe.width * (size_t)model->recipe.channels;
    const struct dio_plan_options options = {.batch = stride > 1 ? 1 : sample->count, .memory_limit = ctx->cpu.memory_limit,
                                             .precision = DIO_PRECISION_INT8, .ranges = ranges};
    struct dio_plan *plan;
    float *scores = dio_alloc_array(ctx, (size_t)(count * each), sizeof *scores, "scores");
    if (!scores) return DIO_ERR_ENV;
    const dio_status status = dio_plan_infer(ctx, model->graph, model->graph->inputs, 1, &model->logits, 1, &options, &plan);
    if (status == DIO_OK) {
        for (int64_t i = 0; i < (stride > 1 ? count : 1); i++) {
            const void *in = sample->pixels + (size_t)(i * stride) * picture;
            void *out = scores + i * each;
            dio_plan_run(plan, stride > 1 ? 1 : sample->count, &in, &out);
        }
        *loss = relative_change(scores, sample->logits, count, each, stride);
    }
    dio_plan_free(plan);
    dio_free(ctx, scores);
    return status;
}

dio_status dio_calibration_loss(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_calibration_sample *sample,
                                const struct dio_value_range *ranges, double *loss)
{
    return loss_of(ctx, model, sample, 1, ranges, loss);
}

/* ---- value by value ---- */

struct judged {
    int value;
    double alone;
};

static bool some_op_reads_bytes(const struct dio_graph *graph, int value)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        for (int j = 0; j < graph->nodes[i].n_inputs; j++) {
            if (graph->nodes[i].inputs[j] == value && (graph->nodes[i].op->narrow & DIO_U8_READS)) return true;
        }
    }
    return false;
}

static bool is_judged(const struct dio_graph *graph, const struct dio_value_range *ranges, int value)
{
    return !dio_range_is_none(ranges[value]) && some_op_reads_bytes(graph, value);
}

/* Everything wide but one value.  Which of them lose more than others shows on a few of the pictures: a plan and a run for
 * each value are what calibration takes its time for. */
static dio_status judge_alone(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_calibration_sample *sample,
                              const struct dio_value_range *ranges, struct dio_value_range *one, struct judged *judged, int *count)
{
    const struct dio_graph *graph = model->graph;
    const int64_t stride = sample->count < RANKING ? 1 : sample->count / RANKING; /* folders go by class */
    int64_t wanted = 0;
    for (int v = 0; v < graph->n_values; v++) {
        one[v] = dio_range_none();
        wanted += is_judged(graph, ranges, v);
    }
    for (int v = 0; v < graph->n_values; v++) {
        if (!is_judged(graph, ranges, v)) continue;
        if (dio_cancelled(ctx)) return DIO_CANCELLED;
        one[v] = ranges[v];
        judged[*count].value = v;
        DIO_PASS(loss_of(ctx, model, sample, stride, one, &judged[*count].alone));
        one[v] = dio_range_none();
        ++*count;
        dio_report_progress(ctx, &(struct dio_progress){"calibrate", "values", (uint64_t)*count, (uint64_t)wanted, NAN, NAN});
    }
    return DIO_OK;
}

static int worst_first(const void *a, const void *b)
{
    const struct judged *one = a, *other = b;
    if (one->alone != other->alone) return one->alone > other->alone ? -1 : 1;
    return one->value < other->value ? -1 : 1;
}

/* What is taken away, and from what. */
struct choice {
    struct dio_ctx *ctx;
    const struct dio_model *model;
    const struct dio_calibration_sample *sample;
    const struct judged *judged;
    int count;
    const struct dio_value_range *all;
    struct dio_value_range *ranges;
    double *lost;
};

/* The loss without the ranges of the `gone` values that lose the most. */
static dio_status without(const struct choice *c, int gone, double *loss)
{
    for (int i = 0; i < c->count; i++) {
        const int v = c->judged[i].value;
        c->ranges[v] = i < gone ? dio_range_none() : c->all[v];
        c->lost[v] = i < gone ? c->judged[i].alone : 0;
    }
    if (dio_cancelled(c->ctx)) return DIO_CANCELLED;
    return dio_calibration_loss(c->ctx, c->model, c->sample, c->ranges, loss);
}

/* As few as keep to the loss: twice as many at a time until they do, then by halves.  What is asked is a plan and a run. */
static dio_status take_away(const struct choice *c, double most, double *loss)
{
    int few = 0, enough = 0;
    for (int next = 1; *loss > most && enough < c->count; next *= 2) {
        few = enough;
        enough = enough + next < c->count ? enough + next : c->count;
        DIO_PASS(without(c, enough, loss));
    }
    double found = *loss;
    bool current = true;
    while (found <= most && enough - few > 1) {
        const int middle = few + (enough - few) / 2;
        DIO_PASS(without(c, middle, loss));
        current = *loss <= most;
        if (current) {
            enough = middle;
            found = *loss;
        } else {
            few = middle;
        }
    }
    return current ? DIO_OK : without(c, enough, loss);
}

dio_status dio_calibration_widen(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_calibration_sample *sample, double most,
                                 struct dio_value_range *ranges, double *lost, double *loss)
{
    dio_status status;
    const size_t values = (size_t)model->graph->n_values;
    struct judged *judged = NULL;
    struct dio_value_range *one = NULL, *all = NULL;
    int count = 0;
    memset(lost, 0, values * sizeof *lost);
    DIO_PASS(dio_calibration_loss(ctx, model, sample, ranges, loss));
    if (*loss <= most) return DIO_OK;
    judged = dio_alloc_array(ctx, values, sizeof *judged, "losses of values");
    one = dio_alloc_array(ctx, values, sizeof *one, "the ranges of values");
    all = dio_alloc_array(ctx, values, sizeof *all, "the ranges of values");
    if (!judged || !one || !all) {
        status = DIO_ERR_ENV;
        goto fail;
    }
    memcpy(all, ranges, values * sizeof *all);
    DIO_TRY(judge_alone(ctx, model, sample, ranges, one, judged, &count));
    qsort(judged, (size_t)count, sizeof *judged, worst_first);
    const struct choice choice = {ctx, model, sample, judged, count, all, ranges, lost};
    DIO_TRY(take_away(&choice, most, loss));
fail:
    dio_free(ctx, all);
    dio_free(ctx, one);
    dio_free(ctx, judged);
    return status;
}
