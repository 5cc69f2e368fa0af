/* Shortcut "option A" of the CIFAR residual networks: every stride-th pixel, the new channels zeros, half of them in front. */
#include <math.h>

#include "ops/helpers.h"

struct attrs {
    int64_t stride, channels;
};

static const struct dio_attr_def attr_defs[] = {
    {.name = "stride", .type = DIO_ATTR_INT, .offset = offsetof(struct attrs, stride), .initial = 2, .min = 1, .max = 65536},
    {.name = "channels", .type = DIO_ATTR_INT, .offset = offsetof(struct attrs, channels), .initial = NAN, .min = 1, .max = 1 << 20},
    {.name = NULL},
};

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    const struct attrs *attrs = shapes->attrs;
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 4, 4));
    dio_infer_like_input(shapes);
    int64_t *dims = shapes->outputs[0].shape.dims;
    if (attrs->channels < dims[3]) {
        return DIO_OP_REFUSE(ctx, place, "%lld channels are fewer than the input's %lld", (long long)attrs->channels,
                             (long long)dims[3]);
    }
    dims[1] = dio_ceil_div(dims[1], attrs->stride);
    dims[2] = dio_ceil_div(dims[2], attrs->stride);
    dims[3] = attrs->channels;
    return DIO_OK;
}

static int64_t pieces_forward(const struct dio_step *step) { return step->n * step->out[0].shape.dims[1]; }

static int64_t pieces_backward(const struct dio_step *step) { return step->n * step->in[0].shape.dims[1]; }

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct attrs *attrs = step->attrs;
    const int64_t *in = step->in[0].shape.dims, *out = step->out[0].shape.dims;
    int64_t image = piece / out[1], p = piece % out[1], front = (out[3] - in[3]) / 2;
    const float *x = (const float *)step->x[0] + (image * in[1] + p * attrs->stride) * in[2] * in[3];
    float *y = (float *)step->y[0] + piece * out[2] * out[3];
    for (int64_t q = 0; q < out[2]; q++, y += out[3], x += attrs->stride * in[3]) {
        for (int64_t c = 0; c < front; c++) y[c] = 0;
        dio_put_row(y + front, x, in[3], false);
        for (int64_t c = front + in[3]; c < out[3]; c++) y[c] = 0;
    }
}

/* A piece is one row of input pixels. */
static void backward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct attrs *attrs = step->attrs;
    const int64_t *in = step->in[0].shape.dims, *out = step->out[0].shape.dims;
    int64_t image = piece / in[1], h = piece % in[1], front = (out[3] - in[3]) / 2;
    const float *dy = step->dy[0] + (image * out[1] + h / attrs->stride) * out[2] * out[3] + front;
    float *dx = step->dx[0] + piece * in[2] * in[3];
    for (int64_t w = 0; w < in[2]; w++, dx += in[3]) {
        if (h % attrs->stride == 0 && w % attrs->stride == 0) {
            dio_put_row(dx, dy + w / attrs->stride * out[3], in[3], step->add_dx[0]);
        } else {
            for (int64_t c = 0; !step->add_dx[0] && c < in[3]; c++) dx[c] = 0;
        }
    }
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    dio_add_forward(step, forward, pieces_forward);
    if (wants->dx[0]) dio_add_backward(step, backward, pieces_backward);
    return DIO_OK;
}

static const char *const cases[] = {
    "in=2x8x8x16 channels=32", "in=1x7x5x3 channels=6", "in=2x4x4x3 channels=3 stride=1", "in=1x7x4x2 channels=5 stride=3",
    "in=1x1x1x1 channels=1", NULL,
};

const struct dio_op dio_op_subsample_pad = {
    .name = "subsample_pad",
    .attrs_size = sizeof(struct attrs),
    .attrs = attr_defs,
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
