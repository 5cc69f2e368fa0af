/* [N, H, W, D] or [N, T, D] to [N, 1 + T, D]: one learnt token before those of the picture.  The parameter, [1, 1, D], has
 * the node's own name ("cls_token"). */
#include <string.h>

#include "ops/helpers.h"

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 3, 4));
    const int64_t tokens = dio_image_rows(&shapes->inputs[0]), channels = dio_channels(&shapes->inputs[0]);
    if (tokens >= INT32_MAX) return DIO_OP_REFUSE(ctx, place, "%lld tokens are too many", (long long)tokens);
    shapes->n_outputs = 1;
    shapes->outputs[0] = (struct dio_value_type){.dtype = DIO_F32, .shape = dio_shape_3(shapes->inputs[0].shape.dims[0], tokens + 1, channels)};
    dio_infer_param(shapes, "", DIO_PARAM_TRAINED, DIO_INIT_NORMAL_FIFTIETH, dio_shape_3(1, 1, channels));
    shapes->params[0].added = true;
    return DIO_OK;
}

static void forward(const struct dio_step *step, int64_t image, void *scratch)
{
    (void)scratch;
    const int64_t channels = dio_channels(&step->in[0]), elements = dio_image_elements(&step->in[0]);
    float *y = (float *)step->y[0] + image * (elements + channels);
    memcpy(y, step->param[0], (size_t)channels * sizeof *y);
    memcpy(y + channels, (const float *)step->x[0] + image * elements, (size_t)elements * sizeof *y);
}

static void input_gradient(const struct dio_step *step, int64_t image, void *scratch)
{
    (void)scratch;
    const int64_t channels = dio_channels(&step->in[0]), elements = dio_image_elements(&step->in[0]);
    dio_put_row(step->dx[0] + image * elements, step->dy[0] + image * (elements + channels) + channels, elements, step->add_dx[0]);
}

/* Sums over the pictures in their order. */
static void token_gradient(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)piece;
    (void)scratch;
    const int64_t channels = dio_channels(&step->in[0]), stride = dio_image_elements(&step->out[0]);
    for (int64_t c = 0; c < channels; c++) {
        double sum = step->add_dparam[0] ? step->dparam[0][c] : 0;
        for (int64_t image = 0; image < step->n; image++) sum += step->dy[0][image * stride + c];
        step->dparam[0][c] = (float)sum;
    }
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    dio_add_forward(step, forward, dio_pieces_images);
    if (wants->dx[0]) dio_add_backward(step, input_gradient, dio_pieces_images);
    if (wants->dparam[0]) dio_add_backward(step, token_gradient, dio_pieces_one);
    return DIO_OK;
}

static const char *const cases[] = {"in=3x4x5x6", "in=2x7x20", "in=1x1x1x1", NULL};

const struct dio_op dio_op_prepend_token = {
    .name = "prepend_token",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
