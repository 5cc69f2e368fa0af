/* Gradient of the weights of depthwise convolutions, and of grouped ones with groups smaller than a vector.
 *
 * The pictures' lines are shared among some pieces, each with sums of its own; a second phase adds them in order.  How many
 * there are follows from the number of pictures, so the bits do not depend on threads.  A piece goes through some lines of all
 * channels at a time, which its second-level cache holds, and through them by blocks of channels, of which the first holds a
 * line of dy, the lines of x under it, and the sums, [block][R * S][group][channels of the block]. */
#include <string.h>

#include "ops/conv.h"

enum {
    SHARES = 32,             /* at most */
    UNIT_BYTES = 512 << 10,  /* of the lines of x and dy that a piece goes through at a time */
    BLOCK_BYTES = 24 << 10,  /* of what belongs to one line of dy, for a block of channels */
    LEAST_CHANNELS = 32
};

static int64_t rows_of(const struct dio_conv *conv) { return conv->r * conv->s * conv->group_c; }
static int64_t filter_floats(const struct dio_conv *conv) { return rows_of(conv) * conv->c; }

void dio_depthwise_weights_plan(struct dio_conv *conv)
{
    const int64_t line = (conv->w * conv->stride[0] + conv->ow) * conv->c * (int64_t)sizeof(float);
    const int64_t channel = (conv->w * conv->r + conv->ow + rows_of(conv)) * (int64_t)sizeof(float);
    conv->dw.lines = dio_max_i64(1, dio_min_i64(conv->oh, UNIT_BYTES / line));
    conv->dw.channels = dio_max_i64(LEAST_CHANNELS, BLOCK_BYTES / channel / LEAST_CHANNELS * LEAST_CHANNELS);
}

static int64_t units_of(const struct dio_conv *conv, int64_t images) { return images * dio_ceil_div(conv->oh, conv->dw.lines); }
static int64_t shares_of(const struct dio_conv *conv, int64_t images) { return dio_min_i64(SHARES, units_of(conv, images)); }

size_t dio_depthwise_weights_shared(const struct dio_conv *conv, int64_t images)
{
    return (size_t)(shares_of(conv, images) * filter_floats(conv)) * sizeof(float);
}

int64_t dio_depthwise_weights_pieces(const struct dio_step *step)
{
    return step->dparam[0] ? shares_of(dio_conv_of(step), step->n) : 0;
}

/* The sums of a block that begins with `channel`. */
static float *share_sums(const struct dio_step *step, int64_t share, int64_t channel)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return (float *)(void *)((char *)step->shared + conv->dw.at_shared) + share * filter_floats(conv) + rows_of(conv) * channel;
}

/* A line of dy with the lines of x that it meets. */
static void add_line(const struct dio_step *step, int64_t image, int64_t y, struct dio_range channels, float *sums)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t width = channels.end - channels.begin;
    struct dio_depthwise_dw_row d = {.channels = width, .x_pixel = conv->c, .y_pixel = conv->c, .in_w = conv->w,
                                     .out_w = conv->ow, .group = (int)conv->group_c, .s = (int)conv->s, .stride = (int)conv->stride[1],
                                     .dilation = (int)conv->dilation[1], .pad_left = (int)conv->left, .filter_stride = width,
                                     .dy = dio_conv_dy(step) + (image * conv->oh + y) * conv->ow * conv->c + channels.begin};
    const float *x = (const float *)step->x[0] + image * conv->h * conv->w * conv->c + channels.begin;
    for (int64_t r = 0; r < conv->r; r++) {
        const int64_t iy = y * conv->stride[0] - conv->top + r * conv->dilation[0];
        if (iy < 0 || iy >= conv->h) continue;
        d.x = x + iy * conv->w * conv->c;
        d.dw = sums + r * conv->s * conv->group_c * width;
        step->kernels->depthwise_dw_row(&d);
    }
}

void dio_depthwise_weights_backward(const struct dio_step *step, int64_t share)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t shares = shares_of(conv, step->n), units = units_of(conv, step->n), per_image = dio_ceil_div(conv->oh, conv->dw.lines);
    memset(share_sums(step, share, 0), 0, (size_t)filter_floats(conv) * sizeof(float));
    for (int64_t unit = units * share / shares; unit < units * (share + 1) / shares; unit++) {
        const struct dio_range lines = dio_block(conv->oh, conv->dw.lines, unit % per_image);
        for (int64_t block = 0; block * conv->dw.channels < conv->c; block++) {
            const struct dio_range channels = dio_block(conv->c, conv->dw.channels, block);
            float *sums = share_sums(step, share, channels.begin);
            for (int64_t y = lines.begin; y < lines.end; y++) add_line(step, unit / per_image, y, channels, sums);
        }
    }
}

int64_t dio_depthwise_weights_sum_pieces(const struct dio_step *step)
{
    return step->dparam[0] ? dio_ceil_div(dio_conv_of(step)->c, dio_conv_of(step)->dw.channels) : 0;
}

/* A block of channels of all shares, in order, and from there to where PyTorch has it: [K][group][R * S]. */
void dio_depthwise_weights_sum(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t taps = conv->r * conv->s, group = conv->group_c, shares = shares_of(conv, step->n);
    const struct dio_range channels = dio_block(conv->c, conv->dw.channels, piece);
    const int64_t width = channels.end - channels.begin;
    float *sums = share_sums(step, 0, channels.begin);
    for (int64_t share = 1; share < shares; share++) step->kernels->add_to(share_sums(step, share, channels.begin), sums, rows_of(conv) * width);
    for (int64_t row = 0; row < taps * group; row++) {
        float *dw = step->dparam[0] + (channels.begin * group + row % group) * taps + row / group;
        for (int64_t k = 0; k < width; k++, dw += group * taps) *dw = step->add_dparam[0] ? *dw + sums[row * width + k] : sums[row * width + k];
    }
}
