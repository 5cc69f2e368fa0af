/* Slots that read and write 8-bit activations: a number is scale * (q - zero), q from 0 to 255.
 *
 * Weights are signed, symmetric, -127 to 127, one scale an output channel, and read from panels as in gemm.h, their input
 * channels in fours: [tap][(channels + 3) / 4][width][4]; where channels is no multiple of four the rest is zero.  One load of
 * a line feeds vpdpbusd, and sixteen of them a tile of AMX.  Sums are exact in 32 bits at every level; what follows them
 * (factor, residual, activation, rounding to nearest even) is f32. */
#ifndef DIO_KERNELS_INT8_H
#define DIO_KERNELS_INT8_H

#include "kernels/gemm.h"

/* How numbers lie in memory. */
enum dio_cell { DIO_CELL_F32, DIO_CELL_BF16, DIO_CELL_U8 };
struct dio_cells {
    enum dio_cell type;
    float scale;  /* DIO_CELL_U8 */
    int32_t zero; /* likewise, 0 to 255 */
};

enum { DIO_INT8_MAX_TERMS = 65536 }; /* taps * channels up to here cannot overflow: 255 * 127 * 65536 < 2^31 */

/* y[i][j] = act(factor[j] * sum over t, c of x[row(i, t)][c] * panel[t][c][j] + bias[j] + residual[i][j]).  The caller's
 * factor has the scales of input and weights, its bias what the input's zero point adds to every sum. */
struct dio_gemm_rows_int8 {
    int64_t rows;
    int64_t taps, channels;
    const uint8_t *x;
    const int32_t *offset; /* as in struct dio_gemm_rows; NULL: x + i * x_stride, and taps is 1 */
    int64_t offset_stride;
    int64_t x_stride;
    const uint8_t *zero;   /* `channels` times the input's zero point */
    const int8_t *panel;
    int width, columns;
    const float *factor, *bias; /* [columns] */
    void *y;
    int64_t y_stride;
    struct dio_cells y_cells;
    const void *residual;  /* NULL: none; it may be y itself where both have one type and scale */
    int64_t residual_stride;
    struct dio_cells residual_cells;
    enum dio_act act;      /* beyond DIO_ACT_LAST_CLIP: f32 cells only, so that nothing is rounded before it */
};
typedef void dio_gemm_rows_int8_fn(const struct dio_gemm_rows_int8 *g);

/* One row of a depthwise convolution: y[ox][c] = bias[c] + factor[c] * sum over r, s of
 * rows[r][ox * stride - pad_left + s * dilation][c] * filter[r][s][c], rounded to nearest even and cut to low..high.  As above,
 * the factor has all the scales (the output's, too, where bytes are written), and the bias what the zero points add.
 *
 * Channels go in blocks of dio_kernels.depthwise_int8_block; filter, factor and bias lie as dio_pack_depthwise_int8 puts them. */
struct dio_depthwise_row_int8 {
    int64_t channels;
    int64_t x_pixel, y_pixel;     /* numbers between neighbouring pixels */
    int64_t in_w, out_w;
    int r, s;                     /* kernel height (at most 32), width */
    int stride, dilation, pad_left;
    const uint8_t *const *rows;   /* r input rows; NULL: the row lies outside */
    const uint8_t *zero;          /* `channels` times the input's zero point */
    const int8_t *filter;
    const float *factor, *bias;
    float *wide;                  /* not NULL: floats are written, not rounded and not cut */
    uint8_t *y;
    float high;                   /* at most 255 */
    uint8_t low;
};
typedef void dio_depthwise_row_int8_fn(const struct dio_depthwise_row_int8 *d);

/* Block b's first channel and how many it has: all of a block, or half as many, or there are fewer in all.  The last block
 * may repeat channels of the one before. */
static inline int64_t dio_depthwise_int8_blocks(int64_t channels, int block)
{
    return channels > block / 2 && channels < block ? 2 : (channels + block - 1) / block;
}
static inline int64_t dio_depthwise_int8_first(int64_t channels, int block, int64_t b, int *count)
{
    const int64_t left = channels - b * block;
    *count = left > block / 2 && channels >= block ? block : block / 2;
    if (channels < *count) *count = (int)channels;
    return left < *count ? channels - *count : b * block;
}

/* w: [channels][r * s], scaled by inverse[channel] and rounded as below.  filter: [block][(r + 3) / 4][s][4][block / 4][4], of
 * dio_pack_depthwise_int8_size bytes; sums[channel]: of a channel's whole numbers. */
int64_t dio_pack_depthwise_int8_size(int64_t channels, int block, int r, int s);
void dio_pack_depthwise_int8(const float *w, const float *inverse, int64_t channels, int block, int r, int s, int8_t *filter, int32_t *sums);
/* Numbers of channels in the order of the blocks: out has as many as all blocks have. */
void dio_pack_depthwise_channels(const float *x, int64_t channels, int block, float *out);

/* Element-wise (template/elementwise.inc). */
typedef void dio_from_u8_fn(const uint8_t *x, float scale, int32_t zero, float *y, int64_t n);
/* Rounded to nearest even, cut to 0..255; a NaN becomes the zero point. */
typedef void dio_to_u8_fn(const float *x, float scale, int32_t zero, uint8_t *y, int64_t n);

/* Panels of w * inverse[column], rounded to nearest even and cut to -127..127; sums[column]: of a column's whole numbers.
 * inverse and sums begin at the first panel's columns.  Sizes and places in elements. */
int64_t dio_pack_int8_size(const struct dio_pack *pack);
int64_t dio_pack_int8_panel(const struct dio_pack *pack, int64_t p, int *width);
void dio_pack_int8_panels(const struct dio_pack *pack, const float *w, const float *inverse, int64_t first_panel, int64_t panels,
                          int8_t *packed, int32_t *sums);

#endif
