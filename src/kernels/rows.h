/* Slots of work on rows that are summed up: layer normalisation and softmax.  Sums run over 64 fixed lanes and are joined in
 * one order, so that every instruction set gives the same bits; filled by template/rows.inc. */
#ifndef DIO_KERNELS_ROWS_H
#define DIO_KERNELS_ROWS_H

#include "kernels/gemm.h"

/* Rows lie side by side, `channels` floats each; h = (x - mean) / sqrt(variance + eps) of the row. */
struct dio_layer_norm {
    int64_t rows, channels;
    const float *x, *dy, *weight, *bias;
    double eps;
    float *out;
    bool add;                       /* layer_norm_dx: to what is there */
    float *of_weight, *of_bias;     /* layer_norm_dparam: [channels], added to; rows should be few, for they are floats */
};
typedef void dio_layer_norm_fn(const struct dio_layer_norm *n);
/* layer_norm: out = h * weight + bias; out may be x.
 * layer_norm_dx: out (+)= (q - mean(q) - h * mean(q * h)) / sqrt(variance + eps), q = dy * weight; out may be dy.
 * layer_norm_dparam: of_bias += sum of dy, of_weight += sum of dy * h, over the rows in order. */

/* Rows of `columns` floats, `stride` apart. */
struct dio_softmax_rows {
    int64_t rows, columns, stride;
    float scale;        /* above zero */
    float *x;
    float *inverse;     /* softmax: where it is not NULL, x becomes the exponentials alone, and inverse[row] one over their sum */
    const float *y;     /* softmax_dx */
};
typedef void dio_softmax_rows_fn(const struct dio_softmax_rows *s);
/* softmax: x = softmax(scale * x), in place.
 * softmax_dx: y is that result, x the gradient for it, which becomes the one for what went in: scale * y * (x - sum(x * y)). */

#endif
