/* The slots as plain loops in double precision: what tests compare with.  Beside each result stands its magnitude, the sum
 * of the absolute values of all terms, from which tolerances follow: n * eps * magnitude for a sum of n terms. */
#ifndef DIO_KERNELS_REF_REF_H
#define DIO_KERNELS_REF_REF_H

#include "kernels/depthwise.h"
#include "kernels/winograd.h"

/* y, magnitude: [rows][columns]. */
void dio_ref_gemm_rows(const struct dio_gemm_rows *g, double *y, double *magnitude);
/* dw, magnitude: [channels][columns], the earlier content of g->dw included. */
void dio_ref_gemm_outer(const struct dio_gemm_outer *g, double *dw, double *magnitude);
/* y, magnitude: [pixels of the row][channels]. */
void dio_ref_depthwise_row(const struct dio_depthwise_row *d, double *y, double *magnitude);
void dio_ref_depthwise_dx_row(const struct dio_depthwise_row *d, double *y, double *magnitude);
/* dw, magnitude: [s][group][channels]. */
void dio_ref_depthwise_dw_row(const struct dio_depthwise_dw_row *d, double *dw, double *magnitude);
/* v, magnitude: [positions][channels].  y, magnitude: [rows][columns][channels]. */
void dio_ref_winograd_input(const struct dio_winograd_input *in, double *v, double *magnitude);
void dio_ref_winograd_output(const struct dio_winograd_output *out, double *y, double *magnitude);
void dio_ref_winograd_spread(const struct dio_winograd_spread *in, double *v, double *magnitude);
/* w: [tap][count]; [position][count] for the weights. */
void dio_ref_winograd_gather(const struct dio_winograd_gather *in, double *w, double *magnitude);
void dio_ref_winograd_weights(const struct dio_winograd_weights *in, double *u, double *magnitude);

#endif
