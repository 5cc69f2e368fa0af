/* Depthwise convolution, and grouped convolution with groups smaller than a vector: row by row; the gradient of the
 * weights is in conv_depthwise_weights.c.
 * packed: filters as [R * S][group][C], the bias, and for groups the transposed filters. */
#include <string.h>

#include "ops/conv.h"

static int64_t filter_floats(const struct dio_conv *conv) { return conv->r * conv->s * conv->group_c * conv->c; }
static int64_t bias_floats(const struct dio_conv *conv) { return conv->bias ? conv->c : 0; }

static void pack(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)piece;
    (void)scratch;
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t taps = conv->r * conv->s, group = conv->group_c;
    const float *w = step->param[0];
    float *packed = step->packed, *transposed = packed + filter_floats(conv) + bias_floats(conv);
    for (int64_t t = 0; t < taps; t++) {
        for (int64_t i = 0; i < group; i++) {
            float *row = packed + (t * group + i) * conv->c;
            for (int64_t k = 0; k < conv->c; k++) row[k] = w[(k * group + i) * taps + t];
            if (!conv->with_dx || group == 1) continue;
            row = transposed + (t * group + i) * conv->c;
            for (int64_t c = 0; c < conv->c; c++) row[c] = w[((c / group * group + i) * group + c % group) * taps + t];
        }
    }
    if (conv->bias) memcpy(packed + filter_floats(conv), step->param[1], (size_t)conv->c * sizeof *packed);
}

static struct dio_depthwise_row row_of(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return (struct dio_depthwise_row){.channels = conv->c, .x_pixel = conv->c, .y_pixel = conv->c, .in_w = conv->w, .out_w = conv->ow,
                                      .group = (int)conv->group_c, .r = (int)conv->r, .s = (int)conv->s, .stride = (int)conv->stride[1],
                                      .dilation = (int)conv->dilation[1], .pad_left = (int)conv->left,
                                      .filter = step->packed, .filter_stride = conv->c};
}

/* A piece is some lines of some channels of one image: of the output, or of dx. */
struct piece {
    int64_t image;
    struct dio_range lines, channels;
};

static int64_t columns_of(const struct dio_conv *conv) { return dio_ceil_div(conv->c, conv->channels); }
static int64_t pieces_of(const struct dio_conv *conv, int64_t height) { return dio_ceil_div(height, conv->lines) * columns_of(conv); }

static struct piece locate(const struct dio_conv *conv, int64_t height, int64_t index)
{
    const int64_t pieces = pieces_of(conv, height), columns = columns_of(conv), at = index % pieces;
    return (struct piece){index / pieces, dio_block(height, conv->lines, at / columns), dio_block(conv->c, conv->channels, at % columns)};
}

static void take_channels(struct dio_depthwise_row *d, struct dio_range channels)
{
    d->channels = channels.end - channels.begin;
    d->filter += channels.begin;
    if (d->bias) d->bias += channels.begin;
}

static int64_t forward_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return step->n * pieces_of(conv, conv->oh);
}

static struct dio_depthwise_row forward_of(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    struct dio_depthwise_row d = row_of(step);
    d.act = conv->act;
    if (conv->bias) d.bias = (const float *)step->packed + filter_floats(conv);
    return d;
}

/* The means of the line that was just written, in f32: of whole maps they are then taken in double. */
static void line_means(const struct dio_step *step, const struct dio_depthwise_row *d, float *means)
{
    memset(means, 0, (size_t)d->channels * sizeof *means);
    step->kernels->column_sums(d->y, d->out_w, d->y_pixel, d->channels, means);
    for (int64_t c = 0; c < d->channels; c++) means[c] /= (float)d->out_w;
}

static void forward_row(const struct dio_step *step, const void *const *rows, float *y, const float *residual, float *means, void *scratch)
{
    (void)scratch;
    struct dio_depthwise_row d = forward_of(step);
    d.rows = rows;
    d.y = y;
    d.residual = residual;
    step->kernels->depthwise_row(&d);
    if (means) line_means(step, &d, means);
}

static void forward(const struct dio_step *step, int64_t index, void *scratch)
{
    (void)scratch;
    const struct dio_conv *conv = dio_conv_of(step);
    const struct piece piece = locate(conv, conv->oh, index);
    const float *x = (const float *)step->x[0] + piece.image * conv->h * conv->w * conv->c + piece.channels.begin;
    const void *rows[DIO_DEPTHWISE_MAX];
    struct dio_depthwise_row d = forward_of(step);
    d.rows = rows;
    take_channels(&d, piece.channels);
    for (int64_t y = piece.lines.begin; y < piece.lines.end; y++) {
        for (int64_t r = 0; r < conv->r; r++) {
            const int64_t iy = y * conv->stride[0] - conv->top + r * conv->dilation[0];
            rows[r] = iy >= 0 && iy < conv->h ? x + iy * conv->w * conv->c : NULL;
        }
        const int64_t at = (piece.image * conv->oh + y) * conv->ow * conv->c + piece.channels.begin;
        d.y = (float *)step->y[0] + at;
        if (step->n_inputs == 2) d.residual = (const float *)step->x[1] + at;
        step->kernels->depthwise_row(&d);
        if (step->n_outputs == 2) line_means(step, &d, (float *)step->y[1] + (piece.image * conv->oh + y) * conv->c + piece.channels.begin);
    }
}

/* Maps of bf16 on either side; an f32 input was narrowed into `shared`. */
static void forward_bf16(const struct dio_step *step, int64_t index, void *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct piece piece = locate(conv, conv->oh, index);
    const uint16_t *map = step->in[0].dtype == DIO_BF16 ? step->x[0] : step->shared, *x = map + piece.channels.begin;
    const void *rows[DIO_DEPTHWISE_MAX];
    struct dio_depthwise_row d = forward_of(step);
    d.rows = rows;
    take_channels(&d, piece.channels);
    const bool floats = dio_conv_leaves_as_floats(step);
    d.y_f32 = step->out[0].dtype != DIO_BF16 || floats;
    d.residual_f32 = step->n_inputs == 2 && step->in[1].dtype != DIO_BF16;
    for (int64_t y = piece.lines.begin; y < piece.lines.end; y++) {
        for (int64_t r = 0; r < conv->r; r++) {
            const int64_t iy = y * conv->stride[0] - conv->top + r * conv->dilation[0];
            rows[r] = iy >= 0 && iy < conv->h ? x + (piece.image * conv->h + iy) * conv->w * conv->c : NULL;
        }
        const int64_t at = (piece.image * conv->oh + y) * conv->ow * conv->c + piece.channels.begin;
        d.y = (char *)step->y[0] + (size_t)at * dio_element_size(&step->out[0]);
        if (step->n_inputs == 2) d.residual = (const char *)step->x[1] + (size_t)at * dio_element_size(&step->in[1]);
        if (floats) d.y = scratch;
        step->kernels->depthwise_row_bf16(&d);
        for (int64_t ox = 0; floats && ox < conv->ow; ox++) {
            dio_written_floats(step, at + ox * conv->c, d.channels, (const float *)scratch + ox * conv->c);
        }
    }
}

static int64_t dx_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return step->dx[0] ? step->n * pieces_of(conv, conv->h) : 0;
}

static void dx_piece(const struct dio_step *step, int64_t index)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct piece piece = locate(conv, conv->h, index);
    const float *dy = dio_conv_dy(step) + piece.image * conv->oh * conv->ow * conv->c + piece.channels.begin;
    const void *rows[DIO_DEPTHWISE_MAX];
    struct dio_depthwise_row d = row_of(step);
    d.rows = rows;
    if (conv->group_c > 1) d.filter += filter_floats(conv) + bias_floats(conv);
    take_channels(&d, piece.channels);
    for (int64_t iy = piece.lines.begin; iy < piece.lines.end; iy++) {
        for (int64_t r = 0; r < conv->r; r++) {
            const int64_t from = iy + conv->top - r * conv->dilation[0], y = from / conv->stride[0];
            rows[r] = from >= 0 && from % conv->stride[0] == 0 && y < conv->oh ? dy + y * conv->ow * conv->c : NULL;
        }
        d.y = step->dx[0] + (piece.image * conv->h + iy) * conv->w * conv->c + piece.channels.begin;
        d.residual = step->add_dx[0] ? d.y : NULL;
        step->kernels->depthwise_dx_row(&d);
    }
}

static int64_t backward_pieces(const struct dio_step *step)
{
    return dio_depthwise_weights_pieces(step) + dx_pieces(step) + dio_conv_bias_pieces(step);
}

static void backward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const int64_t dw = dio_depthwise_weights_pieces(step), dx = dx_pieces(step);
    if (piece < dw) {
        dio_depthwise_weights_backward(step, piece);
    } else if (piece < dw + dx) {
        dx_piece(step, piece - dw);
    } else {
        dio_conv_bias_backward(step, piece - dw - dx);
    }
}

void dio_depthwise_prepare(struct dio_step *step, const struct dio_step_wants *wants)
{
    const struct dio_conv *conv = dio_conv_of(step);
    if (dio_conv_is_int8(step)) {
        dio_depthwise_int8_prepare(step);
        return;
    }
    const int64_t filters = conv->with_dx && conv->group_c > 1 ? 2 : 1;
    step->packed_bytes = (size_t)(filters * filter_floats(conv) + bias_floats(conv)) * sizeof(float);
    step->pack[step->n_pack++] = (struct dio_op_phase){pack, dio_pieces_one};
    if (dio_conv_is_bf16(step)) {
        step->precision = DIO_PRECISION_F32;
        step->rows.run = NULL;
        if (dio_conv_leaves_as_floats(step)) step->scratch_bytes = (size_t)(conv->ow * conv->c) * sizeof(float);
        dio_conv_bf16_narrow(step);
        dio_add_forward(step, forward_bf16, forward_pieces);
        return;
    }
    dio_add_forward(step, forward, forward_pieces);
    step->rows.run = forward_row;
    if (wants->dx[0] || wants->dparam[0] || wants->dparam[1]) dio_add_backward(step, backward, backward_pieces);
}
