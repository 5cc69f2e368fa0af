/* Batch normalisation over everything but the last axis, and what training plans put behind it:
 *
 *   y = activation((x - mean) * w / sqrt(var + eps) + b + residual)
 *
 * With train_stats mean and (biased) variance are the batch's, and the running ones move (the variance unbiased); otherwise
 * they are the running ones, whose factors `pack` computes once.  Sums are taken in double over blocks of rows cut by shape,
 * and added in the blocks' order.
 *
 * All of this is bound by memory, so backward keeps and moves little: the activation's slope comes from x once more rather
 * than from a value of its own.  Passes whose order is free go through the pieces alternately upwards and downwards: what the
 * last one left in the cache comes first. */
#include <math.h>
#include <string.h>

#include "ops/helpers.h"
#include "ops/known.h"

struct attrs {
    double eps, momentum;
    int activation;
};

static const struct dio_attr_def attr_defs[] = {
    {.name = "eps", .type = DIO_ATTR_FLOAT, .offset = offsetof(struct attrs, eps), .initial = 1e-5, .min = 0, .max = 1,
     .onnx = "epsilon"},
    {.name = "momentum", .type = DIO_ATTR_FLOAT, .offset = offsetof(struct attrs, momentum), .initial = 0.1, .min = 0, .max = 1},
    {.name = "activation", .type = DIO_ATTR_ENUM, .offset = offsetof(struct attrs, activation), .initial = DIO_ACT_NONE, .names = dio_act_names},
    {.name = NULL},
};

enum { WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VAR, BATCHES };
enum { X, RESIDUAL };

double dio_batch_norm_eps(const void *attrs) { return ((const struct attrs *)attrs)->eps; }

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    for (int i = 0; i < shapes->n_inputs; i++) DIO_PASS(dio_infer_input(ctx, place, shapes, i, 2, DIO_MAX_RANK));
    if (shapes->n_inputs > RESIDUAL && !dio_same_image(&shapes->inputs[X], &shapes->inputs[RESIDUAL])) {
        return DIO_OP_REFUSE(ctx, place, "the residual has another shape than the input");
    }
    dio_infer_like_input(shapes);
    struct dio_shape channels = dio_shape_1(dio_channels(&shapes->inputs[0]));
    dio_infer_param(shapes, "weight", DIO_PARAM_TRAINED, DIO_INIT_ONE, channels);
    dio_infer_param(shapes, "bias", DIO_PARAM_TRAINED, DIO_INIT_ZERO, channels);
    dio_infer_param(shapes, "running_mean", DIO_PARAM_STATISTIC, DIO_INIT_ZERO, channels);
    dio_infer_param(shapes, "running_var", DIO_PARAM_STATISTIC, DIO_INIT_ONE, channels);
    dio_infer_param(shapes, "num_batches_tracked", DIO_PARAM_COUNTER, DIO_INIT_ZERO, (struct dio_shape){0});
    return DIO_OK;
}

/* ---- factors of a channel: packed (running statistics) or saved (the batch's) ---- */

struct factors {
    float *mean, *rstd, *scale; /* scale = weight * rstd */
};

static struct factors factors_of(const struct dio_step *step)
{
    int64_t channels = dio_channels(&step->in[0]);
    float *base = step->train_stats ? step->saved : step->packed;
    return (struct factors){base, base + channels, base + 2 * channels};
}

static void pack(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)piece, (void)scratch;
    const struct attrs *attrs = step->attrs;
    const float *weight = step->param[WEIGHT], *mean = step->param[RUNNING_MEAN], *variance = step->param[RUNNING_VAR];
    struct factors f = factors_of(step);
    for (int64_t c = 0; c < dio_channels(&step->in[0]); c++) {
        double rstd = 1 / sqrt((double)variance[c] + attrs->eps);
        f.mean[c] = mean[c];
        f.rstd[c] = (float)rstd;
        f.scale[c] = (float)(weight[c] * rstd);
    }
}

/* ---- blocks of rows, for sums ---- */

/* Two sums for each channel and block: [block][2][C] in `shared`, the backward's coefficients [2][C] behind them. */
static double *block_sums(const struct dio_step *step, int64_t block)
{
    return (double *)step->shared + block * 2 * dio_channels(&step->in[0]);
}

static void total(const struct dio_step *step, int64_t c, double *first, double *second)
{
    int64_t channels = dio_channels(&step->in[0]), blocks = dio_pieces_sums(step);
    *first = *second = 0;
    for (int64_t block = 0; block < blocks; block++) {
        *first += block_sums(step, block)[c];
        *second += block_sums(step, block)[channels + c];
    }
}

/* ---- forward ---- */

static const float *rows_from(const void *value, int64_t at) { return value ? (const float *)value + at : NULL; }

static enum dio_act act_of(const struct dio_step *step) { return (enum dio_act)((const struct attrs *)step->attrs)->activation; }

/* The rows of a piece, with everything that the kernels' formulas name. */
static struct dio_norm_rows norm_rows(const struct dio_step *step, struct dio_range rows)
{
    int64_t channels = dio_channels(&step->in[X]), at = rows.begin * channels;
    struct factors f = factors_of(step);
    return (struct dio_norm_rows){
        .rows = rows.end - rows.begin, .channels = channels,
        .x = rows_from(step->x[X], at), .residual = rows_from(step->x[RESIDUAL], at), .dy = rows_from(step->dy[0], at),
        .act = act_of(step), .kept = step->reads_y ? rows_from(step->y[0], at) : NULL,
        .mean = f.mean, .scale = f.scale, .shift = step->param[BIAS]};
}

static struct dio_range row_range(const struct dio_step *step, int64_t piece)
{
    return dio_block(step->n * dio_image_rows(&step->in[0]), dio_block_rows(dio_channels(&step->in[0])), piece);
}

static void sum_inputs(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    piece = dio_pieces_sums(step) - 1 - piece;
    struct dio_norm_rows n = norm_rows(step, dio_sum_rows(step, piece));
    double *sums = block_sums(step, piece);
    step->kernels->norm_sums(&n, sums, sums + n.channels);
}

static void move_statistics(const struct dio_step *step, int64_t c, double mean, double variance, double count)
{
    const struct attrs *attrs = step->attrs;
    float *running_mean = step->param[RUNNING_MEAN], *running_var = step->param[RUNNING_VAR];
    double unbiased = count > 1 ? variance * count / (count - 1) : variance;
    running_mean[c] = (float)((1 - attrs->momentum) * running_mean[c] + attrs->momentum * mean);
    running_var[c] = (float)((1 - attrs->momentum) * running_var[c] + attrs->momentum * unbiased);
}

static void finish_statistics(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct attrs *attrs = step->attrs;
    const float *weight = step->param[WEIGHT];
    struct dio_range range = dio_block(dio_channels(&step->in[0]), DIO_CHANNEL_BLOCK, piece);
    struct factors f = factors_of(step);
    double count = (double)(step->n * dio_image_rows(&step->in[0]));
    for (int64_t c = range.begin; c < range.end; c++) {
        double sum, squares;
        total(step, c, &sum, &squares);
        double mean = sum / count, variance = squares / count - mean * mean;
        if (variance < 0) variance = 0; /* rounding; a NaN stays */
        double rstd = 1 / sqrt(variance + attrs->eps);
        f.mean[c] = (float)mean;
        f.rstd[c] = (float)rstd;
        f.scale[c] = (float)(weight[c] * rstd);
        move_statistics(step, c, mean, variance, count);
    }
    if (piece == 0 && step->param[BATCHES]) ++*(int64_t *)step->param[BATCHES];
}

static void normalise(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct dio_range range = row_range(step, piece);
    struct dio_norm_rows n = norm_rows(step, range);
    n.out = (float *)step->y[0] + range.begin * n.channels;
    step->kernels->norm_apply(&n);
}

/* ---- backward ---- */

/* Where sum_gradients leaves what is behind the activation for input_gradient to read; NULL: that computes it again.  The
 * residual's gradient is it; else a slope that costs more than memory is worth keeping. */
static float *gated_of(const struct dio_step *step)
{
    if (step->dx[RESIDUAL]) return step->add_dx[RESIDUAL] ? NULL : step->dx[RESIDUAL];
    const bool costly = act_of(step) > DIO_ACT_LAST_CLIP;
    return costly && !step->add_dx[X] ? step->dx[X] : NULL;
}

static void sum_gradients(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    piece = dio_pieces_sums(step) - 1 - piece;
    const struct dio_range range = dio_sum_rows(step, piece);
    struct dio_norm_rows n = norm_rows(step, range);
    double *sums = block_sums(step, piece);
    float *gated = step->dx[RESIDUAL] ? step->dx[RESIDUAL] : gated_of(step);
    if (gated) n.gated = gated + range.begin * n.channels;
    n.add_gated = step->dx[RESIDUAL] && step->add_dx[RESIDUAL];
    step->kernels->norm_gradient_sums(&n, sums, sums + n.channels);
}

static void finish_gradients(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    int64_t channels = dio_channels(&step->in[0]);
    struct dio_range range = dio_block(channels, DIO_CHANNEL_BLOCK, piece);
    struct factors f = factors_of(step);
    double count = (double)(step->n * dio_image_rows(&step->in[0]));
    float *offset = (float *)block_sums(step, dio_pieces_sums(step)), *slope = offset + channels;
    for (int64_t c = range.begin; c < range.end; c++) {
        double sum, products;
        total(step, c, &sum, &products);
        double of_weight = products * f.rstd[c];
        if (step->dparam[WEIGHT]) {
            step->dparam[WEIGHT][c] = (float)(step->add_dparam[WEIGHT] ? step->dparam[WEIGHT][c] + of_weight : of_weight);
        }
        if (step->dparam[BIAS]) {
            step->dparam[BIAS][c] = (float)(step->add_dparam[BIAS] ? step->dparam[BIAS][c] + sum : sum);
        }
        offset[c] = (float)(sum / count);
        slope[c] = (float)(of_weight * f.rstd[c] / count);
    }
}

static void input_gradient(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct dio_range range = row_range(step, piece);
    struct dio_norm_rows n = norm_rows(step, range);
    n.out = step->dx[X] + range.begin * n.channels;
    n.add = step->add_dx[X];
    if (step->backward[0].run == sum_gradients && gated_of(step)) {
        n.dy = gated_of(step) + range.begin * n.channels;
        n.act = DIO_ACT_NONE;
    }
    if (step->train_stats) {
        n.offset = (const float *)block_sums(step, dio_pieces_sums(step));
        n.slope = n.offset + n.channels;
    }
    step->kernels->norm_gradient(&n);
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    size_t channels = (size_t)dio_channels(&step->in[0]);
    bool of_params = wants->dparam[WEIGHT] || wants->dparam[BIAS];
    bool backward = of_params || wants->dx[X] || wants->dx[RESIDUAL];
    if (step->train_stats) {
        step->saved_bytes = 3 * channels * sizeof(float);
        dio_add_forward(step, sum_inputs, dio_pieces_sums);
        dio_add_forward(step, finish_statistics, dio_pieces_channels);
    } else {
        step->packed_bytes = 3 * channels * sizeof(float);
        step->pack[step->n_pack++] = (struct dio_op_phase){pack, dio_pieces_one};
    }
    dio_add_forward(step, normalise, dio_pieces_rows);
    bool clips = act_of(step) != DIO_ACT_NONE && act_of(step) <= DIO_ACT_LAST_CLIP;
    bool sums = wants->dx[RESIDUAL] || (step->train_stats ? backward : of_params);
    step->reads_x = of_params || (backward && (step->train_stats || sums || act_of(step) > DIO_ACT_LAST_CLIP));
    step->reads_y = backward && clips && (step->n_inputs > RESIDUAL || !step->reads_x);
    step->in_place = !step->reads_x;
    step->dx_over_dy = wants->dx[RESIDUAL] ? DIO_OVER_DY + RESIDUAL : DIO_OVER_DY + X;
    if (step->train_stats || sums) step->shared_bytes = (DIO_MAX_SUMS + 1) * 2 * channels * sizeof(double);
    if (sums) {
        dio_add_backward(step, sum_gradients, dio_pieces_sums);
        dio_add_backward(step, finish_gradients, dio_pieces_channels);
    }
    if (wants->dx[X]) dio_add_backward(step, input_gradient, dio_pieces_rows);
    return DIO_OK;
}

static const char *const cases[] = {
    "in=2x7x9x16", "in=4x5x3x6 # as the golden", "in=3x1x1x5", "in=2x3", "in=5x2x2x1 eps=0.001 momentum=0.01", "in=2x40x40x70",
    "in=2x7x9x16 activation=relu", "in=3x5x7x37 activation=relu6", "in=2x20x30x70 activation=silu", "in=4x3x3x300 activation=hardswish",
    "in=2x7x9x16,2x7x9x16", "in=3x5x7x37,3x5x7x37 activation=relu", "in=2x5x7x9,2x5x7x9 activation=relu6", "in=2x9x9x33,2x9x9x33 activation=silu",
    "in=2x40x40x70,2x40x40x70 activation=relu", NULL,
};

const struct dio_op dio_op_batch_norm = {
    .name = "batch_norm",
    .onnx = "BatchNormalization",
    .attrs_size = sizeof(struct attrs),
    .attrs = attr_defs,
    .min_inputs = 1,
    .max_inputs = 2,
    .fuses_in_training = DIO_FUSE_ADD | DIO_FUSE_ACTIVATION,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
