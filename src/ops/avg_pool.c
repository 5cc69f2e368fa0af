/* Mean of a window.  count_include_pad: padding counts as zeros (the overhang of ceil_mode does not); else only real pixels. */
#include <math.h>

#include "ops/helpers.h"

struct attrs {
    struct dio_window window;
    bool count_include_pad;
};

static const struct dio_attr_def attr_defs[] = {
    {.name = "kernel", .type = DIO_ATTR_INTS, .offset = offsetof(struct attrs, window.kernel), .count = 2, .initial = NAN, .min = 1,
     .max = 65536, .onnx = "kernel_shape"},
    {.name = "stride", .type = DIO_ATTR_INTS, .offset = offsetof(struct attrs, window.stride), .count = 2, .initial = NAN, .min = 1,
     .max = 65536, .onnx = "strides"},
    {.name = "padding", .type = DIO_ATTR_INTS, .offset = offsetof(struct attrs, window.padding), .count = 4, .initial = 0, .min = 0,
     .max = 65535, .onnx = "pads"},
    {.name = "ceil_mode", .type = DIO_ATTR_BOOL, .offset = offsetof(struct attrs, window.ceil_mode), .initial = 0, .onnx = "ceil_mode"},
    {.name = "count_include_pad", .type = DIO_ATTR_BOOL, .offset = offsetof(struct attrs, count_include_pad), .initial = 1,
     .onnx = "count_include_pad"},
    {.name = NULL},
};

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    const struct attrs *attrs = shapes->attrs;
    return dio_infer_pool(ctx, place, shapes, &attrs->window);
}

static int64_t pieces_forward(const struct dio_step *step) { return step->n * step->out[0].shape.dims[1]; }

/* The window of output (p, q): its real pixels, and one over what it is divided by. */
static float window_at(const struct dio_step *step, int64_t p, int64_t q, struct dio_range *rows, struct dio_range *columns)
{
    const struct attrs *attrs = step->attrs;
    int64_t high, wide;
    *rows = dio_window_range(&attrs->window, 0, step->in[0].shape.dims[1], p, &high);
    *columns = dio_window_range(&attrs->window, 1, step->in[0].shape.dims[2], q, &wide);
    if (!attrs->count_include_pad) {
        high = rows->end - rows->begin;
        wide = columns->end - columns->begin;
    }
    return 1 / ((float)high * (float)wide);
}

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const int64_t *in = step->in[0].shape.dims, *out = step->out[0].shape.dims;
    int64_t channels = in[3], image = piece / out[1];
    const float *x = (const float *)step->x[0] + image * in[1] * in[2] * channels;
    float *y = (float *)step->y[0] + piece * out[2] * channels;
    for (int64_t q = 0; q < out[2]; q++, y += channels) {
        struct dio_range rows, columns;
        float factor = window_at(step, piece % out[1], q, &rows, &columns);
        for (int64_t c = 0; c < channels; c++) y[c] = 0;
        for (int64_t h = rows.begin; h < rows.end; h++) {
            for (int64_t w = columns.begin; w < columns.end; w++) dio_put_row(y, x + (h * in[2] + w) * channels, channels, true);
        }
        for (int64_t c = 0; c < channels; c++) y[c] *= factor;
    }
}

static void backward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const int64_t *in = step->in[0].shape.dims, *out = step->out[0].shape.dims;
    int64_t channels = in[3], blocks = dio_ceil_div(channels, DIO_CHANNEL_BLOCK), image = piece / blocks;
    struct dio_range range = dio_block(channels, DIO_CHANNEL_BLOCK, piece % blocks);
    float *dx = step->dx[0] + image * in[1] * in[2] * channels;
    for (int64_t i = 0; !step->add_dx[0] && i < in[1] * in[2]; i++) {
        for (int64_t c = range.begin; c < range.end; c++) dx[i * channels + c] = 0;
    }
    const float *dy = step->dy[0] + image * out[1] * out[2] * channels;
    for (int64_t p = 0; p < out[1]; p++) {
        for (int64_t q = 0; q < out[2]; q++, dy += channels) {
            struct dio_range rows, columns;
            float factor = window_at(step, p, q, &rows, &columns);
            for (int64_t h = rows.begin; h < rows.end; h++) {
                for (int64_t w = columns.begin; w < columns.end; w++) {
                    float *to = dx + (h * in[2] + w) * channels;
                    for (int64_t c = range.begin; c < range.end; c++) to[c] += dy[c] * factor;
                }
            }
        }
    }
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    dio_add_forward(step, forward, pieces_forward);
    if (wants->dx[0]) dio_add_backward(step, backward, dio_pieces_image_channels);
    return DIO_OK;
}

static const char *const cases[] = {
    "in=2x5x6x16 kernel=3 stride=1 padding=1", "in=1x5x6x2 kernel=3 stride=1 padding=1 count_include_pad=0",
    "in=1x5x7x3 kernel=2 stride=2 ceil_mode=1 count_include_pad=0", "in=2x6x7x70 kernel=3 stride=2 padding=1 ceil_mode=1",
    "in=1x1x1x1 kernel=1 stride=1", "in=1x4x9x2 kernel=2,5 stride=3,1 padding=1,2,0,1", NULL,
};

const struct dio_op dio_op_avg_pool = {
    .name = "avg_pool",
    .onnx = "AveragePool",
    .attrs_size = sizeof(struct attrs),
    .attrs = attr_defs,
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
