/* Largest value of a window.  The first maximum in row-major order gets the gradient, padding counts as minus infinity,
 * a NaN wins: PyTorch's rules. */
#include <math.h>
#include <string.h>

#include "ops/helpers.h"

static const struct dio_attr_def attr_defs[] = {
    {.name = "kernel", .type = DIO_ATTR_INTS, .offset = offsetof(struct dio_window, kernel), .count = 2, .initial = NAN, .min = 1,
     .max = 255, .onnx = "kernel_shape"},
    {.name = "stride", .type = DIO_ATTR_INTS, .offset = offsetof(struct dio_window, stride), .count = 2, .initial = NAN, .min = 1,
     .max = 65536, .onnx = "strides"},
    {.name = "padding", .type = DIO_ATTR_INTS, .offset = offsetof(struct dio_window, padding), .count = 4, .initial = 0, .min = 0,
     .max = 254, .onnx = "pads"},
    {.name = "ceil_mode", .type = DIO_ATTR_BOOL, .offset = offsetof(struct dio_window, ceil_mode), .initial = 0, .onnx = "ceil_mode"},
    {.name = NULL},
};

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    return dio_infer_pool(ctx, place, shapes, shapes->attrs);
}

/* A piece is one row of output pixels of one image. */
static int64_t pieces_forward(const struct dio_step *step) { return step->n * step->out[0].shape.dims[1]; }

/* y[c] = max(y[c], x[c]) as above; where[c] follows with the position in the window, when it is kept. */
static void take_larger(float *restrict y, uint16_t *restrict where, const float *restrict x, int64_t channels, uint16_t position)
{
    if (!where) {
        for (int64_t c = 0; c < channels; c++) y[c] = !(x[c] <= y[c]) && y[c] == y[c] ? x[c] : y[c];
        return;
    }
    for (int64_t c = 0; c < channels; c++) {
        bool larger = !(x[c] <= y[c]) && y[c] == y[c];
        y[c] = larger ? x[c] : y[c];
        where[c] = larger ? position : where[c];
    }
}

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct dio_window *window = step->attrs;
    const int64_t *in = step->in[0].shape.dims, *out = step->out[0].shape.dims;
    int64_t channels = in[3], image = piece / out[1], p = piece % out[1];
    struct dio_range rows = dio_window_range(window, 0, in[1], p, NULL);
    const float *x = (const float *)step->x[0] + image * in[1] * in[2] * channels;
    float *y = (float *)step->y[0] + piece * out[2] * channels;
    uint16_t *where = step->saved ? (uint16_t *)step->saved + piece * out[2] * channels : NULL;
    for (int64_t q = 0; q < out[2]; q++, y += channels) {
        struct dio_range columns = dio_window_range(window, 1, in[2], q, NULL);
        const float *first = x + (rows.begin * in[2] + columns.begin) * channels;
        for (int64_t c = 0; c < channels; c++) y[c] = first[c];
        for (int64_t c = 0; where && c < channels; c++) where[c] = 0;
        for (int64_t h = rows.begin; h < rows.end; h++) {
            for (int64_t w = columns.begin; w < columns.end; w++) {
                uint16_t position = (uint16_t)((h - rows.begin) * (columns.end - columns.begin) + (w - columns.begin));
                if (position) take_larger(y, where, x + (h * in[2] + w) * channels, channels, position);
            }
        }
        if (where) where += channels;
    }
}

/* Of narrow values: rows are compared as floats, which keep their order, first down, then across.
 * scratch: the largest of the window's rows, and a row that was widened. */
static void forward_narrow(const struct dio_step *step, int64_t piece, void *scratch)
{
    const struct dio_window *window = step->attrs;
    const int64_t *in = step->in[0].shape.dims, *out = step->out[0].shape.dims;
    const int64_t channels = in[3], width = in[2] * channels, image = piece / out[1];
    const struct dio_range rows = dio_window_range(window, 0, in[1], piece % out[1], NULL);
    float *largest = scratch, *pixel = largest + width;
    for (int64_t h = rows.begin; h < rows.end; h++) {
        for (int64_t i = 0; i < width; i += DIO_STRETCH) {
            float copy[DIO_STRETCH];
            const int64_t count = dio_min_i64(DIO_STRETCH, width - i);
            const float *x = dio_read_floats(step, 0, (image * in[1] + h) * width + i, count, copy);
            if (h == rows.begin) memcpy(largest + i, x, (size_t)count * sizeof *x);
            else take_larger(largest + i, NULL, x, count, 0);
        }
    }
    for (int64_t q = 0; q < out[2]; q++) {
        const int64_t to = (piece * out[2] + q) * channels;
        const struct dio_range columns = dio_window_range(window, 1, in[2], q, NULL);
        float *y = dio_write_floats(step, to, pixel);
        memcpy(y, largest + columns.begin * channels, (size_t)channels * sizeof *y);
        for (int64_t w = columns.begin + 1; w < columns.end; w++) take_larger(y, NULL, largest + w * channels, channels, 0);
        dio_written_floats(step, to, channels, y);
    }
}

/* Of bf16 on both sides the numbers stay what they are. */
static void forward_bf16(const struct dio_step *step, int64_t piece, void *scratch)
{
    const struct dio_window *window = step->attrs;
    const struct dio_kernels *k = step->kernels;
    const int64_t *in = step->in[0].shape.dims, *out = step->out[0].shape.dims;
    const int64_t channels = in[3], width = in[2] * channels, image = piece / out[1];
    const struct dio_range rows = dio_window_range(window, 0, in[1], piece % out[1], NULL);
    const uint16_t *x = (const uint16_t *)step->x[0] + image * in[1] * width;
    uint16_t *largest = scratch, *y = (uint16_t *)step->y[0] + piece * out[2] * channels;
    memcpy(largest, x + rows.begin * width, (size_t)width * sizeof *largest);
    for (int64_t h = rows.begin + 1; h < rows.end; h++) k->max_to_bf16(x + h * width, largest, width);
    for (int64_t q = 0; q < out[2]; q++, y += channels) {
        const struct dio_range columns = dio_window_range(window, 1, in[2], q, NULL);
        memcpy(y, largest + columns.begin * channels, (size_t)channels * sizeof *y);
        for (int64_t w = columns.begin + 1; w < columns.end; w++) k->max_to_bf16(largest + w * channels, y, channels);
    }
}

/* Of bytes on both sides with one scale likewise. */
static void forward_u8(const struct dio_step *step, int64_t piece, void *scratch)
{
    const struct dio_window *window = step->attrs;
    const int64_t *in = step->in[0].shape.dims, *out = step->out[0].shape.dims;
    const int64_t channels = in[3], width = in[2] * channels, image = piece / out[1];
    const struct dio_range rows = dio_window_range(window, 0, in[1], piece % out[1], NULL);
    const uint8_t *x = (const uint8_t *)step->x[0] + image * in[1] * width;
    uint8_t *restrict largest = scratch, *restrict y = (uint8_t *)step->y[0] + piece * out[2] * channels;
    memcpy(largest, x + rows.begin * width, (size_t)width);
    for (int64_t h = rows.begin + 1; h < rows.end; h++) {
        const uint8_t *restrict row = x + h * width;
        for (int64_t i = 0; i < width; i++) largest[i] = row[i] > largest[i] ? row[i] : largest[i];
    }
    for (int64_t q = 0; q < out[2]; q++, y += channels) {
        const struct dio_range columns = dio_window_range(window, 1, in[2], q, NULL);
        memcpy(y, largest + columns.begin * channels, (size_t)channels);
        for (int64_t w = columns.begin + 1; w < columns.end; w++) {
            const uint8_t *restrict from = largest + w * channels;
            for (int64_t c = 0; c < channels; c++) y[c] = from[c] > y[c] ? from[c] : y[c];
        }
    }
}

static dio_op_fn *narrow_forward(const struct dio_value_type *in, const struct dio_value_type *out)
{
    if (in->dtype == DIO_BF16 && out->dtype == DIO_BF16) return forward_bf16;
    const bool one_scale = in->scale == out->scale && in->zero == out->zero;
    return in->dtype == DIO_U8 && out->dtype == DIO_U8 && one_scale ? forward_u8 : forward_narrow;
}

/* A piece is a block of channels of one image: no two pieces meet in dx. */
static void backward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct dio_window *window = step->attrs;
    const int64_t *in = step->in[0].shape.dims, *out = step->out[0].shape.dims;
    int64_t channels = in[3], blocks = dio_ceil_div(channels, DIO_CHANNEL_BLOCK), image = piece / blocks;
    struct dio_range range = dio_block(channels, DIO_CHANNEL_BLOCK, piece % blocks);
    float *dx = step->dx[0] + image * in[1] * in[2] * channels;
    for (int64_t i = 0; !step->add_dx[0] && i < in[1] * in[2]; i++) {
        for (int64_t c = range.begin; c < range.end; c++) dx[i * channels + c] = 0;
    }
    const float *dy = step->dy[0] + image * out[1] * out[2] * channels;
    const uint16_t *where = (const uint16_t *)step->saved + image * out[1] * out[2] * channels;
    for (int64_t p = 0; p < out[1]; p++) {
        struct dio_range rows = dio_window_range(window, 0, in[1], p, NULL);
        for (int64_t q = 0; q < out[2]; q++, dy += channels, where += channels) {
            struct dio_range columns = dio_window_range(window, 1, in[2], q, NULL);
            int64_t width = columns.end - columns.begin;
            for (int64_t c = range.begin; c < range.end; c++) {
                int64_t h = rows.begin + where[c] / width, w = columns.begin + where[c] % width;
                dx[(h * in[2] + w) * channels + c] += dy[c];
            }
        }
    }
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    if (step->in[0].dtype != DIO_F32 || step->out[0].dtype != DIO_F32) {
        const int64_t *in = step->in[0].shape.dims;
        step->scratch_bytes = (size_t)((in[2] + 1) * in[3]) * sizeof(float);
        dio_add_forward(step, narrow_forward(&step->in[0], &step->out[0]), pieces_forward);
        return DIO_OK;
    }
    dio_add_forward(step, forward, pieces_forward);
    if (wants->dx[0]) {
        step->saved_bytes = (size_t)(step->in[0].shape.dims[0] * dio_image_elements(&step->out[0])) * sizeof(uint16_t);
        dio_add_backward(step, backward, dio_pieces_image_channels);
    }
    return DIO_OK;
}

static const char *const cases[] = {
    "in=2x9x8x16 kernel=3 stride=2 padding=1", "in=1x8x9x3 kernel=3 stride=2 ceil_mode=1", "in=2x5x5x70 kernel=2,3 stride=1",
    "in=1x1x1x1 kernel=1 stride=1", "in=2x6x7x4 kernel=3 stride=2 padding=0,0,1,1", "in=1x3x3x5 kernel=3 stride=7 padding=2", NULL,
};

const struct dio_op dio_op_max_pool = {
    .name = "max_pool",
    .onnx = "MaxPool",
    .attrs_size = sizeof(struct dio_window),
    .attrs = attr_defs,
    .min_inputs = 1,
    .max_inputs = 1,
    .narrow = DIO_NARROW | DIO_U8_SAME_RANGE,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
