/* What the checks of slots share: a case line, seeded inputs between forbidden pages, and the judgement of results. */
#ifndef DIO_TESTS_KERNELS_CHECK_H
#define DIO_TESTS_KERNELS_CHECK_H

#include "base/rng.h"
#include "fenced.h"
#include "kernels/kernels.h"

struct run {
    const struct dio_kernels *kernels;
    const char *line;
    struct dio_rng rng;
    bool after;         /* buffers touch the page behind them */
    double worst;       /* largest error as a share of what is allowed */
    char problem[200];
    struct fenced buffers[24];
    int n_buffers;
};

/* NAME=NUMBER of the case line. */
int64_t number(const struct run *run, const char *name, int64_t initial);
/* Freed with the run; starts as NaNs. */
float *buffer(struct run *run, int64_t count);
float draw(struct run *run); /* uniform in -1..1 */
void fill_rows(struct run *run, float *x, int64_t rows, int64_t columns, int64_t stride);
float *filled(struct run *run, int64_t count);
void *must(void *block); /* ends the program on NULL */

/* |got - expected| <= (terms + 3) * 2^-24 * magnitude, or the run has a problem. */
void judge(struct run *run, double got, double expected, double magnitude, int64_t terms, const char *where, int64_t i, int64_t j);
void judge_within(struct run *run, double got, double expected, double allowed, const char *where, int64_t i, int64_t j);
/* What lies between the rows that a kernel writes is still NaN. */
void judge_gaps(struct run *run, const float *y, const bool *written, int64_t count);

/* The checks; `run->line` starts with the slot's name. */
void check_gemm_rows(struct run *run);
void check_gemm_outer(struct run *run);
void check_depthwise_row(struct run *run);
void check_depthwise_dx_row(struct run *run);
void check_depthwise_dw_row(struct run *run);
void check_winograd_input(struct run *run);
void check_winograd_output(struct run *run);
void check_winograd_spread(struct run *run);
void check_winograd_gather(struct run *run);
void check_winograd_weights(struct run *run);
void check_act_forward(struct run *run);
void check_act_backward(struct run *run);
void check_act_backward_add(struct run *run);
void check_gemm_rows_bf16(struct run *run);
void check_depthwise_row_bf16(struct run *run);
void check_gemm_rows_int8(struct run *run);
void check_depthwise_row_int8(struct run *run);
void check_from_u8(struct run *run);
void check_to_u8(struct run *run);
void check_widen(struct run *run);
void check_narrow(struct run *run);
void check_max_to_bf16(struct run *run);
void check_add_to(struct run *run);
void check_column_sums(struct run *run);
void check_norm_sums(struct run *run);
void check_norm_gradient_sums(struct run *run);
void check_norm_apply(struct run *run);
void check_norm_gradient(struct run *run);
void check_dropout(struct run *run);
void check_layer_norm(struct run *run);
void check_layer_norm_dx(struct run *run);
void check_layer_norm_dparam(struct run *run);
void check_softmax_rows(struct run *run);
void check_softmax_dx_rows(struct run *run);

/* In double: the activation of x, and its slope there. */
double curve(enum dio_act act, double x);
double curve_slope(enum dio_act act, double x);
void check_resize_across(struct run *run);
void check_resize_down(struct run *run);
void check_normalise_u8(struct run *run);

#endif
