/* Which values an 8-bit plan had better not make bytes of. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "predict/calibrate.h"

static int64_t scores_of(const struct dio_model *model)
{
    const struct dio_shape *shape = &model->graph->values[model->logits].type.shape;
    int64_t elements = 1;
    for (int d = 1; d < shape->rank; d++) elements *= shape->dims[d];
    return elements;
}

static double relative_change(const float *scores, const float *exact, int64_t pictures, int64_t each)
{
    double change = 0, spread = 0;
    for (int64_t i = 0; i < pictures; i++, scores += each, exact += each) {
        double mean = 0;
        for (int64_t k = 0; k < each; k++) mean += (double)exact[k] / (double)each;
        for (int64_t k = 0; k < each; k++) {
            change += ((double)scores[k] - (double)exact[k]) * ((double)scores[k] - (double)exact[k]);
            spread += ((double)exact[k] - mean) * ((double)exact[k] - mean);
        }
    }
    return spread > 0 ? sqrt(change / spread) : 0;
}

dio_status dio_calibration_loss(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_calibration_sample *sample,
                                const struct dio_value_range *ranges, double *loss)
{
    const struct dio_plan_options options = {.batch = sample->count, .memory_limit = ctx->cpu.memory_limit,
                                             .precision = DIO_PRECISION_INT8, .ranges = ranges};
    const int64_t each = scores_of(model);
    struct dio_plan *plan;
    float *scores = dio_alloc_array(ctx, (size_t)(sample->count * each), sizeof *scores, "scores");
    if (!scores) return DIO_ERR_ENV;
    const dio_status status = dio_plan_infer(ctx, model->graph, model->graph->inputs, 1, &model->logits, 1, &options, &plan);
    if (status == DIO_OK) {
        const void *in = sample->pixels;
        void *out = scores;
        dio_plan_run(plan, sample->count, &in, &out);
        *loss = relative_change(scores, sample->logits, sample->count, each);
    }
    dio_plan_free(plan);
    dio_free(ctx, scores);
    return status;
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

/* Everything wide but one value. */
static dio_status judge_alone(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_calibration_sample *sample,
                              const struct dio_value_range *ranges, struct dio_value_range *one, struct judged *judged, int *count)
{
    const struct dio_graph *graph = model->graph;
    for (int v = 0; v < graph->n_values; v++) one[v] = dio_range_none();
    for (int v = 0; v < graph->n_values; v++) {
        if (dio_range_is_none(ranges[v]) || !some_op_reads_bytes(graph, v)) continue;
        if (dio_cancelled(ctx)) return DIO_CANCELLED;
        one[v] = ranges[v];
        judged[*count].value = v;
        DIO_PASS(dio_calibration_loss(ctx, model, sample, one, &judged[*count].alone));
        one[v] = dio_range_none();
        ++*count;
    }
    return DIO_OK;
}

static int worst_first(const void *a, const void *b)
{
    const struct judged *one = a, *other = b;
    if (one->alone != other->alone) return one->alone > other->alone ? -1 : 1;
    return one->value < other->value ? -1 : 1;
}

/* Twice as many at a time: what is asked is a plan and a run. */
static dio_status take_away(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_calibration_sample *sample, double most,
                            const struct judged *judged, int count, struct dio_value_range *ranges, double *lost, double *loss)
{
    for (int gone = 0, next = 1; *loss > most && gone < count; next *= 2) {
        for (int i = 0; i < next && gone < count; i++, gone++) {
            ranges[judged[gone].value] = dio_range_none();
            lost[judged[gone].value] = judged[gone].alone;
        }
        DIO_PASS(dio_calibration_loss(ctx, model, sample, ranges, loss));
    }
    return DIO_OK;
}

dio_status dio_calibration_widen(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_calibration_sample *sample, double most,
                                 struct dio_value_range *ranges, double *lost, double *loss)
{
    dio_status status;
    const size_t values = (size_t)model->graph->n_values;
    struct judged *judged = NULL;
    struct dio_value_range *one = NULL;
    int count = 0;
    memset(lost, 0, values * sizeof *lost);
    DIO_PASS(dio_calibration_loss(ctx, model, sample, ranges, loss));
    if (*loss <= most) return DIO_OK;
    judged = dio_alloc_array(ctx, values, sizeof *judged, "losses of values");
    one = dio_alloc_array(ctx, values, sizeof *one, "the ranges of values");
    if (!judged || !one) {
        status = DIO_ERR_ENV;
        goto fail;
    }
    DIO_TRY(judge_alone(ctx, model, sample, ranges, one, judged, &count));
    qsort(judged, (size_t)count, sizeof *judged, worst_first);
    DIO_TRY(take_away(ctx, model, sample, most, judged, count, ranges, lost, loss));
fail:
    dio_free(ctx, one);
    dio_free(ctx, judged);
    return status;
}
