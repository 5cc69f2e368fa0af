/* Slots of depthwise convolution: each channel has its own filter.  Channels last; a call computes one row of pixels for
 * `channels` neighbouring channels of maps that have `pixel` floats a pixel.  Filters are packed tap-major:
 * [R * S][filter_stride]. */
#ifndef DIO_KERNELS_DEPTHWISE_H
#define DIO_KERNELS_DEPTHWISE_H

#include "kernels/gemm.h"

struct dio_depthwise_row {
    int64_t channels;
    int64_t x_pixel, y_pixel;        /* floats between neighbouring pixels */
    int64_t in_w, out_w;
    int r, s;                        /* kernel height, width */
    int stride, dilation, pad_left;  /* along the row */
    const float *const *rows;        /* r input rows; NULL: the row lies outside and counts as zeros */
    const float *filter;             /* [r * s][filter_stride] */
    int64_t filter_stride;
    const float *bias;               /* [channels], or NULL */
    const float *residual;           /* laid out as y, or NULL */
    float *y;
    enum dio_act act;
};
/* y[ox][c] = act(bias[c] + sum over r, s ascending of rows[r][ox * stride - pad_left + s * dilation][c] * filter + residual). */
typedef void dio_depthwise_row_fn(const struct dio_depthwise_row *d);

/* dx of one input row.  rows: the r rows of dy that row (iy) meets with kernel row r, NULL where there is none.
 * dx[ix][c] = sum over r ascending and s descending with (ix + pad_left - s * dilation) = ox * stride of rows[r][ox][c] * filter[r][s][c]
 * in_w, x_pixel belong to dx (`y` in the struct), out_w, y_pixel to dy; bias, act are not used; residual may be y. */
typedef void dio_depthwise_dx_row_fn(const struct dio_depthwise_row *d);

/* dfilter of kernel row r: dw[s][c] += sum over ox of x[ox * stride - pad_left + s * dilation][c] * dy[ox][c]. */
struct dio_depthwise_dw_row {
    int64_t channels;
    int64_t x_pixel, y_pixel;
    int64_t in_w, out_w;
    int s, stride, dilation, pad_left;
    const float *x, *dy;
    float *dw; /* [s][filter_stride] */
    int64_t filter_stride;
};
typedef void dio_depthwise_dw_row_fn(const struct dio_depthwise_dw_row *d);

#endif
