/* Slots of the matrix-product family: dense, pointwise and grouped convolutions, linear layers, and their gradients.
 *
 * Weights are read from panels.  A panel holds `width` neighbouring output channels, all taps, all input channels:
 * [tap][c][width].  All panels of a matrix are dio_kernels.panel_width wide but the last one, whose width is the number of
 * columns left rounded up to dio_kernels.vector_width; columns that do not exist are packed as zeros.
 *
 * Each output is one chain of fused multiply-adds in the order bias, (tap, c) ascending, residual: neither the row tile
 * nor the panel nor the block a row falls into changes its bits. */
#ifndef DIO_KERNELS_GEMM_H
#define DIO_KERNELS_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All hand a NaN on.  Those up to DIO_ACT_LAST_CLIP clip, and know their gradient from their output; the others need their
 * input for it.  Convolutions and linear layers take them all (ops/helpers.h has the names). */
enum dio_act {
    DIO_ACT_NONE, DIO_ACT_RELU, DIO_ACT_RELU6,
    DIO_ACT_SILU, DIO_ACT_GELU, DIO_ACT_GELU_TANH, DIO_ACT_SIGMOID, DIO_ACT_HARDSWISH, DIO_ACT_HARDSIGMOID,
    DIO_ACT_COUNT,
    DIO_ACT_LAST_CLIP = DIO_ACT_RELU6
};

/* y[i][j] = act(start + sum over taps t and channels c of x[row(i, t)][c] * panel[t][c][j] + residual[i][j]),
 * i < rows, j < columns.  Offsets and strides count floats. */
struct dio_gemm_rows {
    int64_t rows;
    int64_t taps, channels;
    const float *x;
    /* Row (i, t) is x + offset[t * offset_stride + i]; a negative offset means a row of zeros, `zero`, which has at least
     * `channels` floats.  offset NULL: x + i * x_stride, and taps is 1. */
    const int32_t *offset;
    int64_t offset_stride;
    int64_t x_stride;
    const float *zero;
    const float *panel;
    int width;             /* of this panel: a multiple of vector_width, at most panel_width */
    int columns;           /* 1..width: those that are stored */
    const float *bias;     /* [columns], the start value; NULL: 0 */
    bool from_y;           /* the start value is y itself (a sum cut into several calls); bias is then NULL */
    /* Row i of y is y + (y_offset ? y_offset[i] : i * y_stride); the same for the residual, which may be y itself. */
    float *y;
    const int32_t *y_offset;
    int64_t y_stride;
    const float *residual; /* NULL: none */
    int64_t residual_stride;
    enum dio_act act;
    bool far;              /* x and y lie in memory rather than in a cache: they are asked for ahead */
};
typedef void dio_gemm_rows_fn(const struct dio_gemm_rows *g);

enum { DIO_LINE = 16 }; /* floats of a cache line */

/* Neighbouring pixels of one run have their x and dy rows at constant distances. */
struct dio_gemm_run {
    int64_t x, dy; /* of the first pixel */
    int64_t count;
};

/* Rows that a later call reads, brought near meanwhile: with each tile one line of DIO_LINE floats of all of them. */
struct dio_gemm_ahead {
    const float *at;        /* the first row's first line; it need not exist */
    int64_t lines;
    int64_t step, run_step; /* between the rows of neighbouring pixels; of runs */
};

/* dw[c][j] += sum over runs and their pixels p of x[p][c] * dy[p][j], c < channels, j < columns.  The sum of one call is
 * built from zero and then added (or put there), so that a caller's blocks of pixels bound the length of a chain. */
struct dio_gemm_outer {
    const struct dio_gemm_run *runs;
    int64_t n_runs;
    const float *x, *dy;
    int64_t x_step, dy_step; /* between neighbouring pixels of a run */
    int64_t channels;
    int width, columns;      /* as above; columns of dy beyond `columns` are not read */
    float *dw;               /* [channels][width], a part of a panel */
    bool overwrite;          /* = in place of += */
    struct dio_gemm_ahead ahead[2];
};
typedef void dio_gemm_outer_fn(const struct dio_gemm_outer *g);

/* Plain C, the same for every instruction set: a strided copy from weights of any layout.
 * Element (tap, c, column) of the weights lies at w[tap_offset[tap] + c * c_stride + column * column_stride]. */
struct dio_pack {
    int64_t taps, channels, columns;
    const int64_t *tap_offset;
    int64_t c_stride, column_stride;
    int panel_width, vector_width;
};
/* Floats that all panels of `columns` take. */
int64_t dio_pack_size(const struct dio_pack *pack);
/* First float of panel p and its width; p * panel_width < columns. */
int64_t dio_pack_panel(const struct dio_pack *pack, int64_t p, int *width);
void dio_pack_panels(const struct dio_pack *pack, const float *w, int64_t first_panel, int64_t panels, float *packed);

#endif
