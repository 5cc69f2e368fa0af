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

static struct dio_depthwise_row row_of(const struct dio_step *step, const void *const *rows)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return (struct dio_depthwise_row){.channels = conv->c, .x_pixel = conv->c, .y_pixel = conv->c, .in_w = conv->w, .out_w = conv->ow,
                                      .group = (int)conv->group_c, .r = (int)conv->r, .s = (int)conv->s, .stride = (int)conv->stride[1],
                                      .dilation = (int)conv->dilation[1], .pad_left = (int)conv->left, .rows = rows,
                                      .filter = step->packed, .filter_stride = conv->c};
}

static int64_t line_blocks(int64_t lines, const struct dio_conv *conv) { return dio_ceil_div(lines, conv->lines); }

static int64_t forward_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return step->n * line_blocks(conv->oh, conv);
}

static void forward_row(const struct dio_step *step, const void *const *rows, float *y, const float *residual, void *scratch)
{
    (void)scratch;
    const struct dio_conv *conv = dio_conv_of(step);
    struct dio_depthwise_row d = row_of(step, rows);
    d.act = conv->act;
    if (conv->bias) d.bias = (const float *)step->packed + filter_floats(conv);
    d.y = y;
    d.residual = residual;
    step->kernels->depthwise_row(&d);
}

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t blocks = line_blocks(conv->oh, conv), image = piece / blocks;
    const struct dio_range lines = dio_block(conv->oh, conv->lines, piece % blocks);
    const float *x = (const float *)step->x[0] + image * conv->h * conv->w * conv->c;
    const void *rows[DIO_DEPTHWISE_MAX];
    for (int64_t y = lines.begin; y < lines.end; y++) {
        for (int64_t r = 0; r < conv->r; r++) {
            const int64_t iy = y * conv->stride[0] - conv->top + r * conv->dilation[0];
            rows[r] = iy >= 0 && iy < conv->h ? x + iy * conv->w * conv->c : NULL;
        }
        const int64_t at = (image * conv->oh + y) * conv->ow * conv->c;
        forward_row(step, rows, (float *)step->y[0] + at, step->n_inputs == 2 ? (const float *)step->x[1] + at : NULL, scratch);
    }
}

/* Maps of bf16 on either side; an f32 input was narrowed into `shared`. */
static void forward_bf16(const struct dio_step *step, int64_t piece, void *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t blocks = line_blocks(conv->oh, conv), image = piece / blocks;
    const struct dio_range lines = dio_block(conv->oh, conv->lines, piece % blocks);
    const uint16_t *x = step->in[0].dtype == DIO_BF16 ? step->x[0] : step->shared;
    const void *rows[DIO_DEPTHWISE_MAX];
    struct dio_depthwise_row d = row_of(step, rows);
    d.act = conv->act;
    const bool floats = dio_conv_leaves_as_floats(step);
    d.y_f32 = step->out[0].dtype != DIO_BF16 || floats;
    d.residual_f32 = step->n_inputs == 2 && step->in[1].dtype != DIO_BF16;
    if (conv->bias) d.bias = (const float *)step->packed + filter_floats(conv);
    for (int64_t y = lines.begin; y < lines.end; y++) {
        for (int64_t r = 0; r < conv->r; r++) {
            const int64_t iy = y * conv->stride[0] - conv->top + r * conv->dilation[0];
            rows[r] = iy >= 0 && iy < conv->h ? x + (image * conv->h + iy) * conv->w * conv->c : NULL;
        }
        const size_t at = (size_t)((image * conv->oh + y) * conv->ow * conv->c);
        d.y = (char *)step->y[0] + at * dio_element_size(&step->out[0]);
        if (step->n_inputs == 2) d.residual = (const char *)step->x[1] + at * dio_element_size(&step->in[1]);
        if (floats) d.y = scratch;
        step->kernels->depthwise_row_bf16(&d);
        if (floats) dio_written_floats(step, (int64_t)at, conv->ow * conv->c, scratch);
    }
}

static int64_t dx_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return step->dx[0] ? step->n * line_blocks(conv->h, conv) : 0;
}

static void dx_piece(const struct dio_step *step, int64_t piece)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t blocks = line_blocks(conv->h, conv), image = piece / blocks;
    const struct dio_range lines = dio_block(conv->h, conv->lines, piece % blocks);
    const float *dy = dio_conv_dy(step) + image * conv->oh * conv->ow * conv->c;
    const void *rows[DIO_DEPTHWISE_MAX];
    struct dio_depthwise_row d = row_of(step, rows);
    if (conv->group_c > 1) d.filter += filter_floats(conv) + bias_floats(conv);
    for (int64_t iy = lines.begin; iy < lines.end; iy++) {
        for (int64_t r = 0; r < conv->r; r++) {
            const int64_t from = iy + conv->top - r * conv->dilation[0], y = from / conv->stride[0];
            rows[r] = from >= 0 && from % conv->stride[0] == 0 && y < conv->oh ? dy + y * conv->ow * conv->c : NULL;
        }
        d.y = step->dx[0] + (image * conv->h + iy) * conv->w * conv->c;
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
