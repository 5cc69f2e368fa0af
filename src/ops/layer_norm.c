/* Normalisation of each row (the last axis) by its own mean and biased variance; then a scale and a shift for each channel.
 * Backward computes mean and variance again, which costs less than keeping h would. */
#include <string.h>

#include "ops/helpers.h"

struct attrs {
    double eps;
};

static const struct dio_attr_def attr_defs[] = {
    {.name = "eps", .type = DIO_ATTR_FLOAT, .offset = offsetof(struct attrs, eps), .initial = 1e-5, .min = 0, .max = 1, .onnx = "epsilon"},
    {.name = NULL},
};

enum { WEIGHT, BIAS, CHUNK_ROWS = 32 };

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 2, DIO_MAX_RANK));
    dio_infer_like_input(shapes);
    struct dio_shape channels = dio_shape_1(dio_channels(&shapes->inputs[0]));
    dio_infer_param(shapes, "weight", DIO_PARAM_TRAINED, DIO_INIT_ONE, channels);
    dio_infer_param(shapes, "bias", DIO_PARAM_TRAINED, DIO_INIT_ZERO, channels);
    return DIO_OK;
}

/* The kernel's argument for `rows` of this step. */
static struct dio_layer_norm norm_of(const struct dio_step *step, struct dio_range rows)
{
    const int64_t channels = dio_channels(&step->in[0]);
    return (struct dio_layer_norm){.rows = rows.end - rows.begin, .channels = channels, .eps = ((const struct attrs *)step->attrs)->eps,
                                   .x = (const float *)step->x[0] + rows.begin * channels, .weight = step->param[WEIGHT],
                                   .bias = step->param[BIAS]};
}

static struct dio_range row_range(const struct dio_step *step, int64_t piece)
{
    return dio_block(step->n * dio_image_rows(&step->in[0]), dio_block_rows(dio_channels(&step->in[0])), piece);
}

/* scratch: a piece of f32, where the output is narrower. */
static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    const struct dio_range rows = row_range(step, piece);
    struct dio_layer_norm norm = norm_of(step, rows);
    const int64_t at = rows.begin * norm.channels;
    norm.out = dio_write_floats(step, at, scratch);
    step->kernels->layer_norm(&norm);
    dio_written_floats(step, at, norm.rows * norm.channels, scratch);
}

static void input_gradient(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct dio_range rows = row_range(step, piece);
    struct dio_layer_norm norm = norm_of(step, rows);
    norm.dy = step->dy[0] + rows.begin * norm.channels;
    norm.out = step->dx[0] + rows.begin * norm.channels;
    norm.add = step->add_dx[0];
    step->kernels->layer_norm_dx(&norm);
}

/* ---- gradients of the parameters: sums over blocks of rows, then over the blocks in order ---- */

/* scratch: the sums of a few rows, which are added to those of the block. */
static void sum_gradients(const struct dio_step *step, int64_t piece, void *scratch)
{
    const int64_t channels = dio_channels(&step->in[0]);
    const struct dio_range rows = dio_sum_rows(step, piece);
    double *sums = (double *)step->shared + piece * 2 * channels; /* of the bias, of the weight */
    float *chunk = scratch;
    memset(sums, 0, (size_t)channels * 2 * sizeof *sums);
    for (int64_t row = rows.begin; row < rows.end; row += CHUNK_ROWS) {
        struct dio_layer_norm norm = norm_of(step, (struct dio_range){row, dio_min_i64(rows.end, row + CHUNK_ROWS)});
        norm.dy = step->dy[0] + row * channels;
        norm.of_bias = chunk;
        norm.of_weight = chunk + channels;
        memset(chunk, 0, (size_t)channels * 2 * sizeof *chunk);
        step->kernels->layer_norm_dparam(&norm);
        for (int64_t i = 0; i < 2 * channels; i++) sums[i] += chunk[i];
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
    if (step->out[0].dtype != DIO_F32) {
        const int64_t channels = dio_channels(&step->in[0]);
        step->scratch_bytes = (size_t)(dio_block_rows(channels) * channels) * sizeof(float);
    }
    step->reads_x = of_params || wants->dx[0];
    step->in_place = !step->reads_x;
    if (of_params) {
        step->shared_bytes = (size_t)dio_channels(&step->in[0]) * DIO_MAX_SUMS * 2 * sizeof(double);
        step->scratch_bytes = (size_t)dio_channels(&step->in[0]) * 2 * sizeof(float);
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
    .narrow = DIO_BF16_WRITES | DIO_U8_WRITES, /* what it reads stays f32: a transformer's sum of all its blocks */
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
