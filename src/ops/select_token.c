/* [N, T, D] to [N, D]: one token of each picture. */
#include <math.h>
#include <string.h>

#include "ops/helpers.h"

struct attrs {
    int64_t index;
};

static const struct dio_attr_def attr_defs[] = {
    {.name = "index", .type = DIO_ATTR_INT, .offset = offsetof(struct attrs, index), .initial = 0, .min = 0, .max = 1 << 24},
    {.name = NULL},
};

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    const struct attrs *attrs = shapes->attrs;
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 3, 3));
    const struct dio_shape *in = &shapes->inputs[0].shape;
    if (attrs->index >= in->dims[1]) {
        return DIO_OP_REFUSE(ctx, place, "token %lld of %lld", (long long)attrs->index, (long long)in->dims[1]);
    }
    shapes->n_outputs = 1;
    shapes->outputs[0] = (struct dio_value_type){.dtype = DIO_F32, .shape = dio_shape_2(in->dims[0], in->dims[2])};
    return DIO_OK;
}

static int64_t offset_of(const struct dio_step *step, int64_t image)
{
    return image * dio_image_elements(&step->in[0]) + ((const struct attrs *)step->attrs)->index * dio_channels(&step->in[0]);
}

static void forward(const struct dio_step *step, int64_t image, void *scratch)
{
    (void)scratch;
    const int64_t channels = dio_channels(&step->in[0]);
    const float *x = (const float *)step->x[0] + offset_of(step, image);
    memcpy((float *)step->y[0] + image * channels, x, (size_t)channels * sizeof *x);
}

static void backward(const struct dio_step *step, int64_t image, void *scratch)
{
    (void)scratch;
    const int64_t channels = dio_channels(&step->in[0]), elements = dio_image_elements(&step->in[0]);
    if (!step->add_dx[0]) memset(step->dx[0] + image * elements, 0, (size_t)elements * sizeof(float));
    dio_put_row(step->dx[0] + offset_of(step, image), step->dy[0] + image * channels, channels, step->add_dx[0]);
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    dio_add_forward(step, forward, dio_pieces_images);
    if (wants->dx[0]) dio_add_backward(step, backward, dio_pieces_images);
    return DIO_OK;
}

static const char *const cases[] = {"in=3x5x6", "in=2x4x20 index=3", "in=1x1x1", NULL};

const struct dio_op dio_op_select_token = {
    .name = "select_token",
    .attrs_size = sizeof(struct attrs),
    .attrs = attr_defs,
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
