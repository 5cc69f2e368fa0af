/* Slots of Winograd's minimal filtering: convolutions with a 3 x 3 kernel and stride 1, in tiles of m x m outputs.
 *
 * A patch of (m + 2) x (m + 2) input pixels is transformed into as many positions, each position's channels are multiplied by
 * the transformed weights of that position, and the sums are transformed back:
 *
 *   y = A^T [sum over c of (G w_c G^T) * (B^T x_c B)] A
 *
 * m = 2: the points 0, 1, -1, infinity.  m = 4: 0, 5/8, -5/8, 3/2, -3/2, infinity, exact in f32; they halve the error of the
 * usual 0, 1, -1, 2, -2, infinity at the same number of operations. */
#ifndef DIO_KERNELS_WINOGRAD_H
#define DIO_KERNELS_WINOGRAD_H

#include "kernels/gemm.h"

enum { DIO_WINOGRAD_POSITIONS = 36 }; /* of the larger tile */

static inline int dio_winograd_positions(int m) { return (m + 2) * (m + 2); }

/* v[p * v_step + c] = (B^T x_c B)[p], p = row * (m + 2) + column. */
struct dio_winograd_input {
    int m;
    int64_t channels;
    const float *const *x; /* the pixels of the patch, row by row; those outside the map point to zeros */
    float *v;
    int64_t v_step;
};
typedef void dio_winograd_input_fn(const struct dio_winograd_input *w);

/* y[i][j][k] = act((A^T s_k A)[i][j] + bias[k] + residual[i][j][k]), i < rows, j < columns, s_k[p] = s[p * s_step + k]. */
struct dio_winograd_output {
    int m;
    int rows, columns;     /* of the tile, that exist: 1..m */
    int64_t channels;
    const float *s;
    int64_t s_step;
    const float *bias, *residual; /* or NULL; the residual is laid out as y and may be y */
    float *y;
    int64_t y_line, y_pixel;
    enum dio_act act;      /* one that clips */
};
typedef void dio_winograd_output_fn(const struct dio_winograd_output *w);

/* u[p * u_step + i] = (G w_i G^T)[p] of `count` 3 x 3 kernels w_i = w + i * w_step, computed in double; flipped: of the
 * kernels turned by half a circle. */
struct dio_winograd_weights {
    int m;
    bool flipped;
    int count;
    const float *w;
    int64_t w_step;
    float *u;
    int64_t u_step;
};
typedef void dio_winograd_weights_fn(const struct dio_winograd_weights *w);

/* ---- the weights' gradient: dw_c = G^T [sum over tiles of (B^T x_c B) * (A dy A^T)] G ---- */

/* v[p * v_step + k] = (A dy_k A^T)[p]. */
struct dio_winograd_spread {
    int m;
    int64_t channels;
    const float *const *dy; /* m x m pixels, row by row; those outside the map point to zeros */
    float *v;
    int64_t v_step;
};
typedef void dio_winograd_spread_fn(const struct dio_winograd_spread *w);

/* In place: sum p of number i is u[p * step + i]; tap t of (G^T u_i G) goes to u[t * step + i]. */
struct dio_winograd_gather {
    int m;
    int64_t count; /* a multiple of dio_kernels.vector_width */
    float *u;
    int64_t step;
};
typedef void dio_winograd_gather_fn(const struct dio_winograd_gather *w);

#endif
