/* Slots of depthwise convolution, and of grouped convolution whose groups are smaller than a vector.  Channels last; a call
 * computes one row of pixels for `channels` neighbouring channels of maps that have `pixel` floats a pixel.
 *
 * `group` is the number of input and of output channels of a group: 1 for depthwise, else a divisor of
 * dio_kernels.vector_width, of which channels then is a multiple.  Filters are packed tap-major:
 * [R * S][group][filter_stride], element (tap, i, c) being what member i of c's group contributes to c. */
#ifndef DIO_KERNELS_DEPTHWISE_H
#define DIO_KERNELS_DEPTHWISE_H

#include "kernels/gemm.h"

struct dio_depthwise_row {
    int64_t channels;
    int64_t x_pixel, y_pixel;        /* floats between neighbouring pixels */
    int64_t in_w, out_w;
    int group;
    int r, s;                        /* kernel height, width */
    int stride, dilation, pad_left;  /* along the row */
    const void *const *rows;         /* r input rows; NULL: the row lies outside and counts as zeros */
    const float *filter;             /* [r * s][group][filter_stride] */
    int64_t filter_stride;
    const float *bias;               /* [channels], or NULL */
    const void *residual;            /* laid out as y, or NULL; it may be y itself where both have one type */
    void *y;
    bool y_f32, residual_f32;        /* depthwise_row_bf16: f32 instead of bf16 */
    enum dio_act act;
};
/* y[ox][c] = act(bias[c] + sum over r, i, s ascending of
 *                rows[r][ox * stride - pad_left + s * dilation][c / group * group + i] * filter[r][s][i][c] + residual). */
typedef void dio_depthwise_row_fn(const struct dio_depthwise_row *d);
/* depthwise_row: rows, residual and y are f32.  depthwise_row_bf16: rows are bf16, the others as the flags
 * say; activations beyond DIO_ACT_LAST_CLIP with y_f32 only. */

/* dx of one input row.  rows: the r rows of dy that row (iy) meets with kernel row r, NULL where there is none.
 * dx[ix][c] = sum over r and i ascending and s descending, (ix + pad_left - s * dilation) = ox * stride, of
 *             rows[r][ox][c / group * group + i] * filter[r][s][i][c].  The filter is the transposed one.
 * in_w, x_pixel belong to dx (`y` in the struct), out_w, y_pixel to dy; bias, act are not used; residual may be y. */
typedef void dio_depthwise_dx_row_fn(const struct dio_depthwise_row *d);

/* dfilter of kernel row r: dw[s][i][c] += sum over ox of x[ox * stride - pad_left + s * dilation][c / group * group + i] * dy[ox][c]. */
struct dio_depthwise_dw_row {
    int64_t channels;
    int64_t x_pixel, y_pixel;
    int64_t in_w, out_w;
    int group, s, stride, dilation, pad_left;
    const float *x, *dy;
    float *dw; /* [s][group][filter_stride] */
    int64_t filter_stride;
};
typedef void dio_depthwise_dw_row_fn(const struct dio_depthwise_dw_row *d);

#endif
