/* Each channel times a learnt number.  The parameter, [C], has the node's own name ("blocks.0.gamma").  In an inference plan it
 * folds into the weights of the layer before it. */
#include <string.h>

#include "ops/helpers.h"
#include "ops/known.h"

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 2, DIO_MAX_RANK));
    dio_infer_like_input(shapes);
    dio_infer_param(shapes, "", DIO_PARAM_TRAINED, DIO_INIT_MILLIONTH, dio_shape_1(dio_channels(&shapes->inputs[0])));
    return DIO_OK;
}

static void scale_rows(const float *x, const float *gamma, float *out, int64_t rows, int64_t channels, bool add)
{
    for (int64_t row = 0; row < rows; row++, x += channels, out += channels) {
        if (add) {
            for (int64_t c = 0; c < channels; c++) out[c] += x[c] * gamma[c];
        } else {
            for (int64_t c = 0; c < channels; c++) out[c] = x[c] * gamma[c];
        }
    }
}

static struct dio_range row_range(const struct dio_step *step, int64_t piece)
{
    return dio_block(step->n * dio_image_rows(&step->in[0]), dio_block_rows(dio_channels(&step->in[0])), piece);
}

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const int64_t channels = dio_channels(&step->in[0]);
    const struct dio_range rows = row_range(step, piece);
    scale_rows((const float *)step->x[0] + rows.begin * channels, step->param[0], (float *)step->y[0] + rows.begin * channels,
               rows.end - rows.begin, channels, false);
}

static void input_gradient(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const int64_t channels = dio_channels(&step->in[0]);
    const struct dio_range rows = row_range(step, piece);
    scale_rows(step->dy[0] + rows.begin * channels, step->param[0], step->dx[0] + rows.begin * channels, rows.end - rows.begin, channels,
               step->add_dx[0]);
}

static int64_t channel_blocks(const struct dio_step *step) { return dio_ceil_div(dio_channels(&step->in[0]), DIO_CHANNEL_BLOCK); }

/* Sums over all rows in their order. */
static void gamma_gradient(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const int64_t channels = dio_channels(&step->in[0]), rows = step->n * dio_image_rows(&step->in[0]);
    const struct dio_range range = dio_block(channels, DIO_CHANNEL_BLOCK, piece);
    const float *x = step->x[0], *dy = step->dy[0];
    double sums[DIO_CHANNEL_BLOCK] = {0};
    for (int64_t row = 0; row < rows; row++, x += channels, dy += channels) {
        for (int64_t c = range.begin; c < range.end; c++) sums[c - range.begin] += (double)(x[c] * dy[c]);
    }
    for (int64_t c = range.begin; c < range.end; c++) {
        const double before = step->add_dparam[0] ? step->dparam[0][c] : 0;
        step->dparam[0][c] = (float)(before + sums[c - range.begin]);
    }
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    step->reads_x = wants->dparam[0];
    step->in_place = !step->reads_x;
    dio_add_forward(step, forward, dio_pieces_rows);
    if (wants->dx[0]) dio_add_backward(step, input_gradient, dio_pieces_rows);
    if (wants->dparam[0]) dio_add_backward(step, gamma_gradient, channel_blocks);
    return DIO_OK;
}

static const char *const cases[] = {"in=3x5x6", "in=2x7x9x70", "in=4x3", "in=1x600x70 # several pieces", NULL};

const struct dio_op dio_op_layer_scale = {
    .name = "layer_scale",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
