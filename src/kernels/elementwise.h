/* Slots of element-wise work, sums and windows.
 *
 * One plain-C source, template/elementwise.inc, is compiled for each instruction set by <isa>/elementwise.c: compilers
 * vectorise it.  Nothing in it may depend on the width of vectors: sums run over a fixed number of lanes, and no a*b+c is
 * contracted (the project is compiled with -ffp-contract=off), so that every instruction set gives the same bits; but for
 * SiLU and GELU, which fuse where the instruction set can.
 * A new slot: its type here, a line in elementwise.def, the function and its entry in DIO_FILL in the .inc. */
#ifndef DIO_KERNELS_ELEMENTWISE_H
#define DIO_KERNELS_ELEMENTWISE_H

#include "kernels/gemm.h"

/* y[i] = the activation of x[i]; y may be x. */
typedef void dio_act_forward_fn(enum dio_act act, const float *x, float *y, int64_t n);

/* dx[i] = dy[i] times the activation's slope; dx may be dy.  `kept`: of the activations that clip the output (dy passes where
 * the activation passed it on; a NaN in it passes), of the others the input. */
typedef void dio_act_backward_fn(enum dio_act act, const float *kept, const float *dy, float *dx, int64_t n);
/* The same, added to what is there. */
typedef void dio_act_backward_add_fn(enum dio_act act, const float *kept, const float *dy, float *dx, int64_t n);

/* y[i] += x[i] */
typedef void dio_add_to_fn(const float *x, float *y, int64_t n);

/* sums[c] += sum over rows i of x[i * stride + c], c < columns; rows in chunks of 64 whose sums are added in order. */
typedef void dio_column_sums_fn(const float *x, int64_t rows, int64_t stride, int64_t columns, float *sums);

/* Batch normalisation over rows of `channels` numbers; each slot reads what its formula names.
 * norm = (x - mean) * scale + shift + residual; g = dy times the slope of `act` there. */
struct dio_norm_rows {
    int64_t rows, channels;
    const float *x, *dy;
    const float *mean, *scale, *shift;  /* of each channel */
    const float *offset, *slope;        /* of each channel; offset NULL: statistics are constants */
    const float *residual;              /* NULL: none */
    enum dio_act act;
    const float *kept;                  /* act(norm), of an activation that clips; NULL: g takes norm, computed again */
    float *gated;                       /* norm_gradient_sums: g goes here as well; NULL: nowhere.  May be dy */
    bool add_gated;
    float *out;
    bool add;                           /* norm_gradient: to what is there */
};
/* sum[c] = sum of x, other[c] = sum of x * x: over the rows in their order, in double. */
typedef void dio_norm_sums_fn(const struct dio_norm_rows *n, double *sum, double *other);
/* norm_gradient_sums: sum[c] of g, other[c] of g * (x - mean); of four rows in float, then in double. */
/* norm_apply: out = act(norm); out may be x. */
typedef void dio_norm_rows_fn(const struct dio_norm_rows *n);
/* norm_gradient: out (+)= scale * (g - offset - (x - mean) * slope), or scale * g; out may be dy. */

/* y[i] (+)= x[i] * factor where number i of a stream is at least `threshold`, else 0; y may be x.  Number i is the one that
 * base/rng.h draws i-th: number i % 4 of Philox4x32-10 for the counter {i / 4, counter[1..3]}. */
struct dio_dropout {
    uint32_t key[2], counter[4]; /* counter[0] is not read */
    uint64_t threshold;          /* 0 to 2^32 */
    float factor;
    bool add;
};
typedef void dio_dropout_fn(const struct dio_dropout *d, const float *x, float *y, int64_t n);

#endif
