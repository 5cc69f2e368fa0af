/* Values side by side along the last axis (channels). */
#include <string.h>

#include "ops/helpers.h"

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 2, DIO_MAX_RANK));
    dio_infer_like_input(shapes);
    int last = shapes->inputs[0].shape.rank - 1;
    for (int i = 1; i < shapes->n_inputs; i++) {
        DIO_PASS(dio_infer_input(ctx, place, shapes, i, last + 1, last + 1));
        struct dio_value_type like = shapes->inputs[i];
        int64_t channels = like.shape.dims[last];
        like.shape.dims[last] = shapes->inputs[0].shape.dims[last];
        if (!dio_same_image(&like, &shapes->inputs[0])) {
            char a[160], b[160];
            dio_shape_format(a, sizeof a, &shapes->inputs[0].shape);
            dio_shape_format(b, sizeof b, &shapes->inputs[i].shape);
            return DIO_OP_REFUSE(ctx, place, "inputs %s and %s differ in more than the last axis", a, b);
        }
        if (__builtin_add_overflow(shapes->outputs[0].shape.dims[last], channels, &shapes->outputs[0].shape.dims[last])) {
            return DIO_OP_REFUSE(ctx, place, "shape is too large");
        }
    }
    return DIO_OK;
}

static int64_t pieces(const struct dio_step *step)
{
    return dio_ceil_div(step->n * dio_image_rows(&step->out[0]), dio_block_rows(dio_channels(&step->out[0])));
}

static struct dio_range rows_of(const struct dio_step *step, int64_t piece)
{
    return dio_block(step->n * dio_image_rows(&step->out[0]), dio_block_rows(dio_channels(&step->out[0])), piece);
}

/* A row of an input into its place in the output. */
static void put_row(const struct dio_step *step, int input, int64_t from, int64_t to, int64_t count)
{
    const size_t size = dio_element_size(&step->out[0]);
    const struct dio_value_type *in = &step->in[input], *out = &step->out[0];
    if (in->dtype == out->dtype && in->scale == out->scale && in->zero == out->zero) {
        memcpy((char *)step->y[0] + (size_t)to * size, (const char *)step->x[input] + (size_t)from * size, (size_t)count * size);
        return;
    }
    float copy[DIO_STRETCH];
    for (int64_t i = 0; i < count; i += DIO_STRETCH) {
        const int64_t some = dio_min_i64(DIO_STRETCH, count - i);
        const float *x = dio_read_floats(step, input, from + i, some, copy);
        if (out->dtype == DIO_F32) memcpy((float *)step->y[0] + to + i, copy, (size_t)some * sizeof *copy);
        dio_written_floats(step, to + i, some, x);
    }
}

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct dio_range rows = rows_of(step, piece);
    int64_t width = dio_channels(&step->out[0]);
    int64_t first = 0;
    for (int i = 0; i < step->n_inputs; i++) {
        int64_t channels = dio_channels(&step->in[i]);
        for (int64_t row = rows.begin; row < rows.end; row++) {
            put_row(step, i, row * channels, row * width + first, channels);
        }
        first += channels;
    }
}

static void backward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct dio_range rows = rows_of(step, piece);
    int64_t width = dio_channels(&step->out[0]);
    const float *dy = step->dy[0] + rows.begin * width;
    for (int i = 0; i < step->n_inputs; i++) {
        int64_t channels = dio_channels(&step->in[i]);
        for (int64_t row = 0; step->dx[i] && row < rows.end - rows.begin; row++) {
            dio_put_row(step->dx[i] + (rows.begin + row) * channels, dy + row * width, channels, step->add_dx[i]);
        }
        dy += channels;
    }
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    dio_add_forward(step, forward, pieces);
    if (dio_wants_any(wants)) dio_add_backward(step, backward, pieces);
    return DIO_OK;
}

static const char *const cases[] = {
    "in=2x7x9x16,2x7x9x8", "in=1x3,1x1,1x2", "in=2x30x30x7,2x30x30x64,2x30x30x1",
    "in=2x2x2x1,2x2x2x1,2x2x2x1,2x2x2x1,2x2x2x1,2x2x2x1,2x2x2x1,2x2x2x1",
    NULL,
};

const struct dio_op dio_op_concat = {
    .name = "concat",
    .onnx = "Concat",
    .min_inputs = 1,
    .max_inputs = DIO_OP_MAX_INPUTS,
    .narrow = DIO_NARROW,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
