/* Slots that read and write bfloat16: the upper half of an f32.  Products are summed in f32.
 *
 * Weights are read from panels as in gemm.h, their input channels in pairs: [tap][(channels + 1) / 2][width][2]; where
 * channels is odd the last pair's second half is zero.  One load of a line thus feeds vdpbf16ps, and sixteen of them a tile of
 * AMX.  Where the CPU has neither, halves are widened and multiplied in f32, so that bf16 plans run everywhere.
 *
 * Each output is one chain: bias, then pairs in the order (tap, c) ascending, then the residual.  Neither the row tile nor the
 * panel nor the block a row falls into changes its bits; levels differ in how a pair is rounded (AVX512_BF16 and AMX flush
 * denormals). */
#ifndef DIO_KERNELS_BF16_H
#define DIO_KERNELS_BF16_H

#include "kernels/gemm.h"

/* As dio_gemm_rows_fn; offsets and strides count elements. */
struct dio_gemm_rows_bf16 {
    int64_t rows;
    int64_t taps, channels;
    const uint16_t *x;
    const int32_t *offset; /* as in struct dio_gemm_rows; NULL: x + i * x_stride, and taps is 1 */
    int64_t offset_stride;
    int64_t x_stride;
    const uint16_t *zero;  /* `channels` zeros */
    const uint16_t *panel;
    int width, columns;
    const float *bias;     /* [columns], or NULL */
    void *y;               /* bf16, or f32 where y_f32 says so */
    int64_t y_stride;
    const void *residual;  /* NULL: none; it may be y itself where both have one type */
    int64_t residual_stride;
    bool y_f32, residual_f32;
    enum dio_act act;      /* beyond DIO_ACT_LAST_CLIP: y_f32 only, so that nothing is rounded before it */
};
typedef void dio_gemm_rows_bf16_fn(const struct dio_gemm_rows_bf16 *g);

/* Element-wise (template/elementwise.inc).  Narrowing rounds to nearest even; a NaN stays one. */
typedef void dio_widen_fn(const uint16_t *x, float *y, int64_t n);
typedef void dio_narrow_fn(const float *x, uint16_t *y, int64_t n);
/* y[i] = the larger of x[i] and y[i]; a NaN in either wins. */
typedef void dio_max_to_bf16_fn(const uint16_t *x, uint16_t *y, int64_t n);

/* Panels of f32 weights: pack->channels may be odd.  Sizes and places in elements. */
int64_t dio_pack_bf16_size(const struct dio_pack *pack);
int64_t dio_pack_bf16_panel(const struct dio_pack *pack, int64_t p, int *width);
void dio_pack_bf16_panels(const struct dio_pack *pack, const float *w, int64_t first_panel, int64_t panels, uint16_t *packed);

#endif
