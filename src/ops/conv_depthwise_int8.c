/* Forward of depthwise convolutions whose input is of bytes: row by row, filters rounded to whole numbers with one scale a
 * channel.  Bytes are written as such where the kernel can finish them; all else (other types, curved activations, residuals)
 * leaves it as floats.
 *
 * packed: a row of the input's zero point, factors and biases in f32, the filters; each part begins on a cache line. */
#include <math.h>
#include <string.h>

#include "ops/conv.h"

static int block_of(const struct dio_step *step) { return step->kernels->depthwise_int8_block; }

/* Numbers of all blocks. */
static int64_t padded_channels(const struct dio_step *step)
{
    return dio_depthwise_int8_blocks(dio_conv_of(step)->c, block_of(step)) * block_of(step);
}

static float *factors(const struct dio_step *step)
{
    return (float *)(void *)((char *)step->packed + (dio_conv_of(step)->c + 63) / 64 * 64);
}
static float *biases(const struct dio_step *step) { return factors(step) + padded_channels(step); }
static int8_t *filters(const struct dio_step *step) { return (int8_t *)(void *)(biases(step) + padded_channels(step)); }

static bool leaves_as_floats(const struct dio_step *step)
{
    return step->out[0].dtype != DIO_U8 || step->n_inputs == 2 || dio_conv_of(step)->act > DIO_ACT_LAST_CLIP;
}

/* ---- packing ---- */

/* scratch: four numbers a channel. */
static void pack(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)piece;
    const struct dio_conv *conv = dio_conv_of(step);
    const struct dio_value_type *x = &step->in[0], *y = &step->out[0];
    const int64_t taps = conv->r * conv->s;
    const float *w = step->param[0], *b = conv->bias ? step->param[1] : NULL;
    const bool floats = leaves_as_floats(step);
    float *inverse = scratch, *factor = inverse + conv->c, *bias = factor + conv->c;
    int32_t *sums = (int32_t *)(void *)(bias + conv->c);
    memset(step->packed, x->zero, (size_t)conv->c);
    for (int64_t c = 0; c < conv->c; c++) inverse[c] = dio_conv_inverse_scale(w + c * taps, taps);
    dio_pack_depthwise_int8(w, inverse, conv->c, block_of(step), (int)conv->r, (int)conv->s, filters(step), sums);
    for (int64_t c = 0; c < conv->c; c++) {
        factor[c] = inverse[c] > 0 ? x->scale / inverse[c] : 0;
        bias[c] = (b ? b[c] : 0) - factor[c] * (float)x->zero * (float)sums[c];
        if (floats) continue;
        factor[c] /= y->scale;
        bias[c] = bias[c] / y->scale + (float)y->zero;
    }
    dio_pack_depthwise_channels(factor, conv->c, block_of(step), factors(step));
    dio_pack_depthwise_channels(bias, conv->c, block_of(step), biases(step));
}

/* ---- forward ---- */

/* What the activation leaves of a byte's range. */
static void set_cuts(const struct dio_step *step, struct dio_depthwise_row_int8 *d)
{
    const struct dio_value_type *y = &step->out[0];
    const enum dio_act act = dio_conv_of(step)->act;
    const float six = (float)y->zero + 6 / y->scale;
    d->low = act == DIO_ACT_NONE ? 0 : (uint8_t)y->zero;
    d->high = act == DIO_ACT_RELU6 && six < 255 ? six : 255;
}

/* Floats of a pixel: the residual, the activation, the value's own type. */
static void finish_pixel(const struct dio_step *step, float *pixel, int64_t at, int64_t count)
{
    const enum dio_act act = dio_conv_of(step)->act;
    float copy[DIO_STRETCH];
    for (int64_t i = 0; step->n_inputs == 2 && i < count; i += DIO_STRETCH) {
        const int64_t n = dio_min_i64(DIO_STRETCH, count - i);
        step->kernels->add_to(dio_read_floats(step, 1, at + i, n, copy), pixel + i, n);
    }
    if (act != DIO_ACT_NONE) step->kernels->act_forward(act, pixel, pixel, count);
    if (step->out[0].dtype == DIO_F32) memcpy((float *)step->y[0] + at, pixel, (size_t)count * sizeof *pixel);
    else dio_written_floats(step, at, count, pixel);
}

/* Pixels that lie side by side are one. */
static void finish_row(const struct dio_step *step, const struct dio_depthwise_row_int8 *d, int64_t at)
{
    const bool whole = d->channels == d->y_pixel;
    const int64_t pixels = whole ? 1 : d->out_w, count = whole ? d->out_w * d->channels : d->channels;
    for (int64_t i = 0; i < pixels; i++) finish_pixel(step, d->wide + i * d->y_pixel, at + i * d->y_pixel, count);
}

/* Two halves of the channels where lines alone could not be shared evenly. */
static int64_t columns_of(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return conv->channels < conv->c && conv->c >= 4 * block_of(step) ? 2 : 1;
}

static int64_t forward_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return step->n * dio_ceil_div(conv->oh, conv->lines) * columns_of(step);
}

/* Channels from the first of some block on; all but the second of two halves begin with the first. */
static struct dio_depthwise_row_int8 row_of(const struct dio_step *step, int64_t column, const uint8_t *const *rows)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t half = columns_of(step) == 2 ? conv->c / 2 / block_of(step) * block_of(step) : conv->c, first = column * half;
    const int64_t filter_bytes = dio_pack_depthwise_int8_size(1, block_of(step), (int)conv->r, (int)conv->s) / block_of(step);
    return (struct dio_depthwise_row_int8){.channels = column ? conv->c - half : half, .x_pixel = conv->c, .y_pixel = conv->c,
                                           .in_w = conv->w, .out_w = conv->ow, .r = (int)conv->r, .s = (int)conv->s,
                                           .stride = (int)conv->stride[1], .dilation = (int)conv->dilation[1], .pad_left = (int)conv->left,
                                           .rows = rows, .zero = (const uint8_t *)step->packed + first, .filter = filters(step) + first * filter_bytes,
                                           .factor = factors(step) + first, .bias = biases(step) + first};
}

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t columns = columns_of(step), blocks = dio_ceil_div(conv->oh, conv->lines) * columns, image = piece / blocks;
    const struct dio_range lines = dio_block(conv->oh, conv->lines, piece % blocks / columns);
    const int64_t line = conv->w * conv->c;
    const uint8_t *rows[DIO_DEPTHWISE_MAX];
    struct dio_depthwise_row_int8 d = row_of(step, piece % columns, rows);
    const int64_t first = d.zero - (const uint8_t *)step->packed;
    const uint8_t *x = (const uint8_t *)step->x[0] + image * conv->h * line + first;
    if (leaves_as_floats(step)) d.wide = scratch;
    else set_cuts(step, &d);
    for (int64_t y = lines.begin; y < lines.end; y++) {
        for (int64_t r = 0; r < conv->r; r++) {
            const int64_t iy = y * conv->stride[0] - conv->top + r * conv->dilation[0];
            rows[r] = iy >= 0 && iy < conv->h ? x + iy * line : NULL;
        }
        const int64_t at = (image * conv->oh + y) * conv->ow * conv->c + first;
        if (!d.wide) d.y = (uint8_t *)step->y[0] + at;
        step->kernels->depthwise_row_int8(&d);
        if (d.wide) finish_row(step, &d, at);
    }
}

void dio_depthwise_int8_prepare(struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const size_t of_packing = (size_t)(4 * conv->c) * sizeof(float), of_row = (size_t)(conv->ow * conv->c) * sizeof(float);
    step->precision = DIO_PRECISION_INT8;
    step->rows.run = NULL;
    step->packed_bytes = (size_t)((conv->c + 63) / 64 * 64) + (size_t)(2 * padded_channels(step)) * sizeof(float)
                         + (size_t)dio_pack_depthwise_int8_size(conv->c, block_of(step), (int)conv->r, (int)conv->s);
    step->pack[step->n_pack++] = (struct dio_op_phase){pack, dio_pieces_one};
    step->scratch_bytes = leaves_as_floats(step) && of_row > of_packing ? of_row : of_packing;
    dio_add_forward(step, forward, forward_pieces);
}
