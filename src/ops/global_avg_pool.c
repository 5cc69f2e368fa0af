/* Mean over everything between the batch and the channels; sums in double, in the order of the pixels. */
#include "ops/helpers.h"

struct attrs {
    bool keep_dims;
};

static const struct dio_attr_def attr_defs[] = {
    {.name = "keep_dims", .type = DIO_ATTR_BOOL, .offset = offsetof(struct attrs, keep_dims), .initial = 0},
    {.name = NULL},
};

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    const struct attrs *attrs = shapes->attrs;
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 3, DIO_MAX_RANK));
    dio_infer_like_input(shapes);
    struct dio_shape *out = &shapes->outputs[0].shape;
    int64_t channels = dio_channels(&shapes->inputs[0]);
    if (attrs->keep_dims) {
        for (int i = 1; i < out->rank - 1; i++) out->dims[i] = 1;
    } else {
        *out = dio_shape_2(out->dims[0], channels);
    }
    return DIO_OK;
}

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    int64_t channels = dio_channels(&step->in[0]), blocks = dio_ceil_div(channels, DIO_CHANNEL_BLOCK), image = piece / blocks;
    struct dio_range range = dio_block(channels, DIO_CHANNEL_BLOCK, piece % blocks);
    int64_t rows = dio_image_rows(&step->in[0]), width = range.end - range.begin;
    const int64_t from = image * rows * channels + range.begin, to = image * channels + range.begin;
    double sums[DIO_CHANNEL_BLOCK] = {0};
    float copy[DIO_CHANNEL_BLOCK];
    for (int64_t row = 0; row < rows; row++) {
        const float *x = dio_read_floats(step, 0, from + row * channels, width, copy);
        for (int64_t c = 0; c < width; c++) sums[c] += x[c];
    }
    float *y = dio_write_floats(step, to, copy);
    for (int64_t c = 0; c < width; c++) y[c] = (float)(sums[c] / (double)rows);
    dio_written_floats(step, to, width, copy);
}

static void backward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    int64_t channels = dio_channels(&step->in[0]), image_rows = dio_image_rows(&step->in[0]);
    struct dio_range rows = dio_block(step->n * image_rows, dio_block_rows(channels), piece);
    float factor = 1 / (float)image_rows;
    for (int64_t row = rows.begin; row < rows.end; row++) {
        const float *dy = step->dy[0] + row / image_rows * channels;
        float *dx = step->dx[0] + row * channels;
        if (step->add_dx[0]) {
            for (int64_t c = 0; c < channels; c++) dx[c] += dy[c] * factor;
        } else {
            for (int64_t c = 0; c < channels; c++) dx[c] = dy[c] * factor;
        }
    }
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    dio_add_forward(step, forward, dio_pieces_image_channels);
    if (wants->dx[0]) dio_add_backward(step, backward, dio_pieces_rows);
    return DIO_OK;
}

static const char *const cases[] = {"in=2x7x7x70", "in=1x1x1x1", "in=3x5x4x9 keep_dims=1", "in=2x50x3", "in=2x20x30x40", NULL};

const struct dio_op dio_op_global_avg_pool = {
    .name = "global_avg_pool",
    .onnx = "GlobalAveragePool",
    .attrs_size = sizeof(struct attrs),
    .attrs = attr_defs,
    .min_inputs = 1,
    .max_inputs = 1,
    .narrow = DIO_NARROW,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
