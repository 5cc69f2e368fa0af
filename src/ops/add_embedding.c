/* Adds a learnt value to each picture: x + embedding, [N, T, D] or [N, H, W, D].  The parameter, [1, T, D] (PyTorch's order
 * whatever the rank, for tokens are rows of pixels), has the node's own name ("pos_embed"). */
#include "ops/helpers.h"

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 3, 4));
    dio_infer_like_input(shapes);
    const int64_t tokens = dio_image_rows(&shapes->inputs[0]), channels = dio_channels(&shapes->inputs[0]);
    dio_infer_param(shapes, "", DIO_PARAM_TRAINED, DIO_INIT_NORMAL_FIFTIETH, dio_shape_3(1, tokens, channels));
    shapes->params[0].added = true;
    return DIO_OK;
}

static int64_t blocks(const struct dio_step *step) { return dio_ceil_div(dio_image_elements(&step->in[0]), DIO_BLOCK); }
static int64_t image_blocks(const struct dio_step *step) { return step->n * blocks(step); }

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const int64_t elements = dio_image_elements(&step->in[0]), at = piece / blocks(step) * elements;
    const struct dio_range range = dio_block(elements, DIO_BLOCK, piece % blocks(step));
    const float *x = (const float *)step->x[0] + at, *embedding = step->param[0];
    float *y = (float *)step->y[0] + at;
    for (int64_t i = range.begin; i < range.end; i++) y[i] = x[i] + embedding[i];
}

static void input_gradient(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct dio_range range = dio_block(step->n * dio_image_elements(&step->in[0]), DIO_BLOCK, piece);
    dio_put_row(step->dx[0] + range.begin, step->dy[0] + range.begin, range.end - range.begin, step->add_dx[0]);
}

/* Sums over the pictures in their order. */
static void embedding_gradient(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const int64_t elements = dio_image_elements(&step->in[0]);
    const struct dio_range range = dio_block(elements, DIO_BLOCK, piece);
    for (int64_t i = range.begin; i < range.end; i++) {
        double sum = step->add_dparam[0] ? step->dparam[0][i] : 0;
        for (int64_t image = 0; image < step->n; image++) sum += step->dy[0][image * elements + i];
        step->dparam[0][i] = (float)sum;
    }
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    step->in_place = true;
    dio_add_forward(step, forward, image_blocks);
    if (wants->dx[0]) dio_add_backward(step, input_gradient, dio_pieces_elements);
    if (wants->dparam[0]) dio_add_backward(step, embedding_gradient, blocks);
    return DIO_OK;
}

static const char *const cases[] = {"in=3x5x6", "in=2x4x3x20", "in=2x50x400 # several pieces", "in=1x1x1", NULL};

const struct dio_op dio_op_add_embedding = {
    .name = "add_embedding",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
