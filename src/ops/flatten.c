/* One row a picture, in PyTorch's order (channel first), so that the weights of a linear layer behind it keep theirs. */
#include "base/checked.h"
#include "ops/helpers.h"

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 2, DIO_MAX_RANK));
    const struct dio_shape *in = &shapes->inputs[0].shape;
    int64_t count = 1;
    for (int i = 1; i < in->rank; i++) {
        if (!dio_mul_i64(count, in->dims[i], &count)) return DIO_OP_REFUSE(ctx, place, "shape is too large");
    }
    shapes->n_outputs = 1;
    shapes->outputs[0] = (struct dio_value_type){.dtype = DIO_F32, .shape = dio_shape_2(in->dims[0], count)};
    return DIO_OK;
}

/* With one pixel or one channel both orders are the same. */
static bool keeps_order(const struct dio_step *step)
{
    return dio_channels(&step->in[0]) == 1 || dio_image_rows(&step->in[0]) == 1;
}

static void copy(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct dio_range range = dio_block(step->n * dio_image_elements(&step->in[0]), DIO_BLOCK, piece);
    if (step->y[0] == step->x[0]) return;
    dio_put_row((float *)step->y[0] + range.begin, (const float *)step->x[0] + range.begin, range.end - range.begin, false);
}

static void copy_back(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct dio_range range = dio_block(step->n * dio_image_elements(&step->in[0]), DIO_BLOCK, piece);
    dio_put_row(step->dx[0] + range.begin, step->dy[0] + range.begin, range.end - range.begin, step->add_dx[0]);
}

static void turn(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    int64_t channels = dio_channels(&step->in[0]), rows = dio_image_rows(&step->in[0]);
    int64_t blocks = dio_ceil_div(channels, DIO_CHANNEL_BLOCK);
    struct dio_range range = dio_block(channels, DIO_CHANNEL_BLOCK, piece % blocks);
    const float *x = (const float *)step->x[0] + piece / blocks * rows * channels;
    float *y = (float *)step->y[0] + piece / blocks * rows * channels;
    for (int64_t c = range.begin; c < range.end; c++) {
        for (int64_t row = 0; row < rows; row++) y[c * rows + row] = x[row * channels + c];
    }
}

static void turn_back(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    int64_t channels = dio_channels(&step->in[0]), rows = dio_image_rows(&step->in[0]);
    int64_t blocks = dio_ceil_div(channels, DIO_CHANNEL_BLOCK);
    struct dio_range range = dio_block(channels, DIO_CHANNEL_BLOCK, piece % blocks);
    const float *dy = step->dy[0] + piece / blocks * rows * channels;
    float *dx = step->dx[0] + piece / blocks * rows * channels;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t c = range.begin; c < range.end; c++) {
            float value = dy[c * rows + row];
            dx[row * channels + c] = step->add_dx[0] ? dx[row * channels + c] + value : value;
        }
    }
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    if (keeps_order(step)) {
        step->in_place = true;
        dio_add_forward(step, copy, dio_pieces_elements);
        if (wants->dx[0]) dio_add_backward(step, copy_back, dio_pieces_elements);
    } else {
        dio_add_forward(step, turn, dio_pieces_image_channels);
        if (wants->dx[0]) dio_add_backward(step, turn_back, dio_pieces_image_channels);
    }
    return DIO_OK;
}

static const char *const cases[] = {"in=2x7x7x70", "in=3x1x1x9", "in=2x5x4x1", "in=2x6", "in=1x2x3x2", NULL};

const struct dio_op dio_op_flatten = {
    .name = "flatten",
    .onnx = "Flatten",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
