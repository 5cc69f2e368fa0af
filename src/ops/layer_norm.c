/* Normalisation of each row (the last axis) by its own mean and biased variance, in double; then a scale and a shift for
 * each channel. */
#include <math.h>
#include <string.h>

#include "ops/helpers.h"

struct attrs {
    double eps;
};

static const struct dio_attr_def attr_defs[] = {
    {.name = "eps", .type = DIO_ATTR_FLOAT, .offset = offsetof(struct attrs, eps), .initial = 1e-5, .min = 0, .max = 1, .onnx = "epsilon"},
    {.name = NULL},
};

enum { WEIGHT, BIAS };

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 2, DIO_MAX_RANK));
    dio_infer_like_input(shapes);
    struct dio_shape channels = dio_shape_1(dio_channels(&shapes->inputs[0]));
    dio_infer_param(shapes, "weight", DIO_PARAM_TRAINED, DIO_INIT_ONE, channels);
    dio_infer_param(shapes, "bias", DIO_PARAM_TRAINED, DIO_INIT_ZERO, channels);
    return DIO_OK;
}

/* Mean and one over the deviation of a row: recomputed by backward, which costs less than keeping them would. */
static void row_moments(const float *x, int64_t channels, double eps, double *mean, double *rstd)
{
    double sum = 0, squares = 0;
    for (int64_t c = 0; c < channels; c++) sum += x[c];
    *mean = sum / (double)channels;
    for (int64_t c = 0; c < channels; c++) squares += (x[c] - *mean) * (x[c] - *mean);
    *rstd = 1 / sqrt(squares / (double)channels + eps);
}

static struct dio_range row_range(const struct dio_step *step, int64_t piece)
{
    return dio_block(step->n * dio_image_rows(&step->in[0]), dio_block_rows(dio_channels(&step->in[0])), piece);
}

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct attrs *attrs = step->attrs;
    const float *weight = step->param[WEIGHT], *bias = step->param[BIAS];
    int64_t channels = dio_channels(&step->in[0]);
    struct dio_range rows = row_range(step, piece);
    for (int64_t row = rows.begin; row < rows.end; row++) {
        const float *x = (const float *)step->x[0] + row * channels;
        float *y = (float *)step->y[0] + row * channels;
        double mean, rstd;
        row_moments(x, channels, attrs->eps, &mean, &rstd);
        for (int64_t c = 0; c < channels; c++) y[c] = (float)((x[c] - mean) * rstd) * weight[c] + bias[c];
    }
}

/* dx = rstd * (q - mean(q) - xh * mean(q * xh)), q = dy * weight */
static void input_gradient(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct attrs *attrs = step->attrs;
    const float *weight = step->param[WEIGHT];
    int64_t channels = dio_channels(&step->in[0]);
    struct dio_range rows = row_range(step, piece);
    for (int64_t row = rows.begin; row < rows.end; row++) {
        const float *x = (const float *)step->x[0] + row * channels, *dy = step->dy[0] + row * channels;
        float *dx = step->dx[0] + row * channels;
        double mean, rstd, of_q = 0, of_product = 0;
        row_moments(x, channels, attrs->eps, &mean, &rstd);
        for (int64_t c = 0; c < channels; c++) {
            double q = (double)dy[c] * weight[c];
            of_q += q;
            of_product += q * (x[c] - mean) * rstd;
        }
        of_q /= (double)channels;
        of_product /= (double)channels;
        for (int64_t c = 0; c < channels; c++) {
            double slope = rstd * ((double)dy[c] * weight[c] - of_q - (x[c] - mean) * rstd * of_product);
            dx[c] = (float)(step->add_dx[0] ? dx[c] + slope : slope);
        }
    }
}

/* ---- gradients of the parameters: sums over blocks of rows, then over the blocks in order ---- */

static void sum_gradients(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct attrs *attrs = step->attrs;
    int64_t channels = dio_channels(&step->in[0]);
    struct dio_range rows = dio_sum_rows(step, piece);
    double *of_bias = (double *)step->shared + piece * 2 * channels, *of_weight = of_bias + channels;
    memset(of_bias, 0, (size_t)channels * 2 * sizeof *of_bias);
    for (int64_t row = rows.begin; row < rows.end; row++) {
        const float *x = (const float *)step->x[0] + row * channels, *dy = step->dy[0] + row * channels;
        double mean, rstd;
        row_moments(x, channels, attrs->eps, &mean, &rstd);
        for (int64_t c = 0; c < channels; c++) {
            of_bias[c] += dy[c];
            of_weight[c] += dy[c] * (x[c] - mean) * rstd;
        }
    }
}

static void finish_gradients(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    dio_finish_scale_and_shift(step, dio_pieces_sums(step), piece);
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    bool of_params = wants->dparam[WEIGHT] || wants->dparam[BIAS];
    dio_add_forward(step, forward, dio_pieces_rows);
    step->reads_x = of_params || wants->dx[0];
    step->in_place = !step->reads_x;
    if (of_params) {
        step->shared_bytes = (size_t)dio_channels(&step->in[0]) * DIO_MAX_SUMS * 2 * sizeof(double);
        dio_add_backward(step, sum_gradients, dio_pieces_sums);
        dio_add_backward(step, finish_gradients, dio_pieces_channels);
    }
    if (wants->dx[0]) dio_add_backward(step, input_gradient, dio_pieces_rows);
    return DIO_OK;
}

static const char *const cases[] = {"in=3x4x6 eps=1e-06", "in=2x197x48", "in=4x3", "in=2x3x5x8", "in=1x600x70", NULL};

const struct dio_op dio_op_layer_norm = {
    .name = "layer_norm",
    .onnx = "LayerNormalization",
    .attrs_size = sizeof(struct attrs),
    .attrs = attr_defs,
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
