/* Sum of two values of one shape: residual connections. */
#include "ops/helpers.h"
#include "ops/known.h"

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    for (int i = 0; i < 2; i++) DIO_PASS(dio_infer_input(ctx, place, shapes, i, 2, DIO_MAX_RANK));
    if (!dio_same_image(&shapes->inputs[0], &shapes->inputs[1])) {
        char a[160], b[160];
        dio_shape_format(a, sizeof a, &shapes->inputs[0].shape);
        dio_shape_format(b, sizeof b, &shapes->inputs[1].shape);
        return DIO_OP_REFUSE(ctx, place, "inputs %s and %s differ", a, b);
    }
    dio_infer_like_input(shapes);
    return DIO_OK;
}

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct dio_range range = dio_block(step->n * dio_image_elements(&step->in[0]), DIO_BLOCK, piece);
    float copies[3][DIO_STRETCH];
    for (int64_t at = range.begin; at < range.end; at += DIO_STRETCH) {
        const int64_t count = dio_min_i64(DIO_STRETCH, range.end - at);
        const float *a = dio_read_floats(step, 0, at, count, copies[0]), *b = dio_read_floats(step, 1, at, count, copies[1]);
        float *y = dio_write_floats(step, at, copies[2]);
        for (int64_t i = 0; i < count; i++) y[i] = a[i] + b[i];
        dio_written_floats(step, at, count, copies[2]);
    }
}

/* Both gradients of a piece, one after the other: they may be the same memory (x + x). */
static void backward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct dio_range range = dio_block(step->n * dio_image_elements(&step->in[0]), DIO_BLOCK, piece);
    for (int input = 0; input < 2; input++) {
        if (!step->dx[input] || step->dx[input] == step->dy[0]) continue;
        dio_put_row(step->dx[input] + range.begin, step->dy[0] + range.begin, range.end - range.begin, step->add_dx[input]);
    }
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    step->in_place = true;
    step->dx_over_dy = DIO_OVER_DY + (wants->dx[0] ? 0 : 1);
    dio_add_forward(step, forward, dio_pieces_elements);
    if (dio_wants_any(wants)) dio_add_backward(step, backward, dio_pieces_elements);
    return DIO_OK;
}

static const char *const cases[] = {"in=2x7x9x16,2x7x9x16", "in=1x1,1x1", "in=3x40x41x6,3x40x41x6", NULL};

const struct dio_op dio_op_add = {
    .name = "add",
    .onnx = "Add",
    .min_inputs = 2,
    .max_inputs = 2,
    .narrow = DIO_NARROW,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
