/* Every slot at every level that this CPU has, against ref/ in double or the formula itself.  A slot without a case is named
 * and fails.
 *
 *   check_kernels [--level NAME] [--seed N] [--bench [--seconds S]]
 *
 * A case is a line of text: the slot, then NAME=NUMBER.  Inputs are drawn from the seed, which is printed; buffers lie
 * between forbidden pages (fenced.h), outputs start as NaNs and their gaps have to stay so.  The allowed error of a sum of
 * n terms is (n + 3) * 2^-24 * sum|term|: what rounding every operation may cost at most. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "check.h"

/* act: a number of enum dio_act.  table: row offsets by a table with holes (zero rows).  scatter: y rows by a table. */
static const char *const cases[] = {
    "gemm_rows rows=1 channels=1 columns=1",
    "gemm_rows rows=1 channels=512 columns=1000",
    "gemm_rows rows=2 channels=3 columns=5 bias=1 act=1",
    "gemm_rows rows=6 channels=16 columns=64 bias=1 act=2 residual=1",
    "gemm_rows rows=7 channels=64 columns=64 act=1",
    "gemm_rows rows=13 channels=17 columns=70 taps=9 table=1 bias=1 act=1",
    "gemm_rows rows=49 channels=32 columns=48 taps=9 table=1 residual=1",
    "gemm_rows rows=49 channels=24 columns=32 taps=4 table=1 scatter=1",
    "gemm_rows rows=31 channels=24 columns=16 bias=1 residual=1 scatter=1 table=1 taps=2",
    "gemm_rows rows=33 channels=19 columns=24 bias=1 act=2 residual=1 table=1 taps=2", /* a half vector in the end */
    "gemm_rows rows=36 channels=21 columns=24 act=3", "gemm_rows rows=23 channels=7 columns=24 bias=1 residual=1 scatter=1 table=1 taps=3",
    "gemm_rows rows=29 channels=40 columns=15 bias=1 act=2",
    "gemm_rows rows=12 channels=8 columns=129 from_y=1 act=1",
    "gemm_rows rows=11 channels=8 columns=33 from_y=1 residual=1",
    "gemm_rows rows=23 channels=21 columns=64 taps=7 table=1 bias=1 act=1",
    "gemm_rows rows=5 channels=7 columns=20 taps=0 bias=1",
    "gemm_rows rows=5 channels=7 columns=64 taps=0",
    "gemm_rows rows=14 channels=1024 columns=16",
    "gemm_rows rows=57 channels=5 columns=63",
    "gemm_rows rows=13 channels=17 columns=70 bias=1 act=3 residual=1",
    "gemm_rows rows=31 channels=24 columns=16 bias=1 scatter=1 table=1 taps=2 act=4",
    "gemm_rows rows=49 channels=64 columns=64 act=6",
    "gemm_outer runs=1 count=1 channels=1 columns=1",
    "gemm_outer runs=1 count=49 channels=64 columns=64",
    "gemm_outer runs=7 count=6 channels=13 columns=70 step=2",
    "gemm_outer runs=3 count=9 channels=21 columns=48",
    "gemm_outer runs=5 count=11 channels=3 columns=32",
    "gemm_outer runs=2 count=30 channels=40 columns=10",
    "gemm_outer runs=1 count=25 channels=13 columns=70 overwrite=1",
    "gemm_outer runs=0 count=0 channels=5 columns=16",
    "gemm_outer runs=4 count=100 channels=6 columns=129",
    "depthwise_row channels=32 width=14 kernel=3 pad=1 bias=1 act=2",
    "depthwise_row channels=16 width=7 kernel=5 pad=2 bias=1 act=1 residual=1",
    "depthwise_row channels=40 width=30 kernel=7 pad=3 holes=1",
    "depthwise_row channels=19 width=15 kernel=3 pad=0 stride=2 bias=1",
    "depthwise_row channels=96 width=56 kernel=3 pad=1 stride=2",
    "depthwise_row channels=3 width=9 kernel=3 pad=2 dilation=2 gap=5",
    "depthwise_row channels=1 width=1 kernel=5 pad=2 holes=1",
    "depthwise_row channels=33 width=21 kernel=11 pad=5 stride=3",
    "depthwise_row channels=8 width=4 kernel=1 pad=0",
    "depthwise_row channels=40 width=15 kernel=3 pad=1 bias=1 act=3 residual=1",
    "depthwise_row channels=32 width=14 kernel=5 pad=2 stride=2 bias=1 act=7",
    "depthwise_row channels=16 width=9 kernel=3 pad=1 group=4 act=4 gap=3",
    "depthwise_row channels=17 width=2 kernel=7 pad=6 stride=1",
    "depthwise_dx_row channels=32 width=14 kernel=3 pad=1",
    "depthwise_dx_row channels=16 width=7 kernel=5 pad=2 residual=1",
    "depthwise_dx_row channels=19 width=15 kernel=3 pad=0 stride=2",
    "depthwise_dx_row channels=96 width=56 kernel=3 pad=1 stride=2 holes=1",
    "depthwise_dx_row channels=5 width=22 kernel=2 pad=0 stride=3 gap=3",
    "depthwise_dx_row channels=33 width=21 kernel=7 pad=4 stride=2 dilation=2",
    "depthwise_dx_row channels=12 width=1 kernel=3 pad=1 stride=2",
    "depthwise_row channels=32 width=14 kernel=3 pad=1 group=4 bias=1 act=1",
    "depthwise_row channels=48 width=15 kernel=3 pad=1 stride=2 group=2 holes=1",
    "depthwise_row channels=16 width=9 kernel=5 pad=2 group=4 gap=2",
    "depthwise_dx_row channels=32 width=14 kernel=3 pad=1 group=4",
    "depthwise_dx_row channels=48 width=15 kernel=3 pad=1 stride=2 group=2 residual=1",
    "depthwise_dw_row channels=32 width=14 kernel=3 pad=1 group=4",
    "depthwise_dw_row channels=16 width=15 kernel=5 pad=1 stride=2 group=2",
    "depthwise_dw_row channels=32 width=14 kernel=3 pad=1",
    "depthwise_dw_row channels=16 width=7 kernel=5 pad=2",
    "depthwise_dw_row channels=40 width=23 kernel=5 pad=2 stride=2",
    "depthwise_dw_row channels=21 width=30 kernel=7 pad=2 stride=2 gap=4",
    "depthwise_dw_row channels=16 width=3 kernel=7 pad=3",
    "depthwise_dw_row channels=19 width=15 kernel=3 pad=0 stride=2",
    "depthwise_dw_row channels=100 width=56 kernel=7 pad=3",
    "depthwise_dw_row channels=5 width=22 kernel=2 pad=0 stride=3 gap=3",
    "depthwise_dw_row channels=33 width=21 kernel=13 pad=6 dilation=2",
    "depthwise_dw_row channels=7 width=1 kernel=3 pad=1",
    "winograd_input m=4 channels=64",
    "winograd_input m=4 channels=37 holes=1",
    "winograd_input m=4 channels=1",
    "winograd_input m=2 channels=64 holes=1",
    "winograd_input m=2 channels=19",
    "winograd_output m=4 channels=64 rows=4 columns=4 bias=1 act=1",
    "winograd_output m=4 channels=48 rows=2 columns=4 residual=1",
    "winograd_output m=4 channels=21 rows=3 columns=1 bias=1 residual=1 act=2",
    "winograd_output m=2 channels=64 rows=2 columns=2 bias=1 residual=1 act=1",
    "winograd_output m=2 channels=13 rows=1 columns=2",
    "winograd_output m=2 channels=5 rows=1 columns=1 bias=1",
    "winograd_spread m=4 channels=64 holes=1",
    "winograd_spread m=4 channels=37",
    "winograd_spread m=2 channels=64",
    "winograd_spread m=2 channels=3 holes=1",
    "winograd_gather m=4 channels=64",
    "winograd_gather m=4 channels=16",
    "winograd_gather m=2 channels=48",
    "winograd_weights m=4 channels=64",
    "winograd_weights m=4 channels=19 flipped=1",
    "winograd_weights m=2 channels=16 flipped=1",
    "winograd_weights m=2 channels=5",
    "act_forward n=1 act=1",
    "act_forward n=1003 act=2",
    "act_forward n=67 act=0",
    "act_backward n=1003 act=1",
    "act_backward n=1003 act=2",
    "act_backward n=7 act=0",
    "act_backward_add n=1003 act=1",
    "act_backward_add n=1003 act=2",
    "act_backward_add n=7 act=0",
    "act_forward n=8001 act=3",
    "act_backward n=8001 act=3",
    "act_backward_add n=1003 act=3",
    "act_forward n=8001 act=4",
    "act_backward n=8001 act=4",
    "act_backward_add n=1003 act=4",
    "act_forward n=8001 act=5",
    "act_backward n=8001 act=5",
    "act_backward_add n=1003 act=5",
    "act_forward n=8001 act=6",
    "act_backward n=8001 act=6",
    "act_backward_add n=1003 act=6",
    "act_forward n=8001 act=7",
    "act_backward n=8001 act=7",
    "act_backward_add n=1003 act=7",
    "act_forward n=8001 act=8",
    "act_backward n=8001 act=8",
    "act_backward_add n=1003 act=8",
    "layer_norm rows=9 channels=37",
    "layer_norm rows=3 channels=192",
    "layer_norm rows=1 channels=1",
    "layer_norm rows=5 channels=130",
    "layer_norm_dx rows=9 channels=37",
    "layer_norm_dx rows=3 channels=192 add=1",
    "layer_norm_dparam rows=9 channels=70",
    "layer_norm_dparam rows=1 channels=16",
    "softmax_rows rows=7 columns=197 stride=208",
    "softmax_rows rows=3 columns=50 stride=53",
    "softmax_rows rows=2 columns=1 stride=1",
    "softmax_rows rows=2 columns=15 stride=16 low=1",
    "softmax_dx_rows rows=7 columns=197 stride=208",
    "softmax_dx_rows rows=3 columns=50 stride=53",
    "norm_sums rows=33 channels=70",
    "norm_sums rows=1 channels=1",
    "norm_gradient_sums rows=33 channels=70",
    "norm_gradient_sums rows=33 channels=300 act=1",
    "norm_gradient_sums rows=7 channels=13 act=2",
    "norm_gradient_sums rows=9 channels=70 act=1 residual=1 kept=1 gated=1",
    "norm_gradient_sums rows=9 channels=300 act=1 residual=1 kept=1 gated=2",
    "norm_gradient_sums rows=9 channels=37 residual=1 gated=1",
    "norm_gradient_sums rows=101 channels=13 act=3 gated=1",
    "norm_gradient_sums rows=5 channels=530 act=3 residual=1 gated=2",
    "norm_apply rows=9 channels=37",
    "norm_apply rows=300 channels=3 act=1",
    "norm_apply rows=9 channels=300 act=2 residual=1",
    "norm_apply rows=9 channels=37 act=3 residual=1",
    "norm_gradient rows=9 channels=37",
    "norm_gradient rows=9 channels=37 add=1",
    "norm_gradient rows=9 channels=37 add=1 constants=1",
    "norm_gradient rows=5 channels=16 constants=1",
    "norm_gradient rows=130 channels=13 act=1",
    "norm_gradient rows=9 channels=300 act=2",
    "norm_gradient rows=9 channels=300 act=2 add=1",
    "norm_gradient rows=9 channels=37 act=1 residual=1 kept=1",
    "norm_gradient rows=9 channels=37 act=1 residual=1 kept=1 constants=1",
    "norm_gradient rows=9 channels=37 act=3 residual=1",
    "dropout n=1",
    "dropout n=63 add=1",
    "dropout n=64 percent=20",
    "dropout n=1037 percent=80 add=1",
    "dropout n=65 percent=100",
    "dropout n=65 percent=0",
    "gemm_rows_bf16 rows=1 channels=1 columns=1",
    "gemm_rows_bf16 rows=1 channels=512 columns=1000 y_f32=1",
    "gemm_rows_bf16 rows=2 channels=3 columns=5 bias=1 act=1",
    "gemm_rows_bf16 rows=6 channels=16 columns=64 bias=1 act=2 residual=1",
    "gemm_rows_bf16 rows=7 channels=64 columns=64 act=1",
    "gemm_rows_bf16 rows=13 channels=17 columns=70 taps=9 table=1 bias=1 act=1",
    "gemm_rows_bf16 rows=49 channels=32 columns=48 taps=9 table=1 residual=1 residual_f32=1",
    "gemm_rows_bf16 rows=49 channels=24 columns=32 taps=4 table=1 y_f32=1",
    "gemm_rows_bf16 rows=31 channels=25 columns=16 bias=1 residual=1 table=1 taps=2 y_f32=1",
    "gemm_rows_bf16 rows=29 channels=40 columns=15 bias=1 act=2",
    "gemm_rows_bf16 rows=23 channels=21 columns=64 taps=7 table=1 bias=1 act=1",
    "gemm_rows_bf16 rows=14 channels=1024 columns=16",
    "gemm_rows_bf16 rows=57 channels=5 columns=63 residual=1 act=1",
    "gemm_rows_bf16 rows=33 channels=96 columns=129 bias=1 residual=1 residual_f32=1 y_f32=1",
    "depthwise_row_bf16 channels=32 width=14 kernel=3 pad=1 bias=1 act=2",
    "depthwise_row_bf16 channels=16 width=7 kernel=5 pad=2 bias=1 act=1 residual=1",
    "depthwise_row_bf16 channels=40 width=30 kernel=7 pad=3 holes=1 y_f32=1",
    "depthwise_row_bf16 channels=19 width=15 kernel=3 pad=0 stride=2 bias=1 residual=1 residual_f32=1",
    "depthwise_row_bf16 channels=96 width=56 kernel=3 pad=1 stride=2",
    "depthwise_row_bf16 channels=3 width=9 kernel=3 pad=2 dilation=2 gap=5",
    "depthwise_row_bf16 channels=33 width=21 kernel=11 pad=5 stride=3",
    "depthwise_row_bf16 channels=32 width=14 kernel=3 pad=1 group=4 bias=1 act=1",
    "depthwise_row_bf16 channels=48 width=15 kernel=3 pad=1 stride=2 group=2 holes=1",
    "gemm_rows_int8 rows=1 channels=1 columns=1",
    "gemm_rows_int8 rows=1 channels=512 columns=1000 y_f32=1",
    "gemm_rows_int8 rows=2 channels=3 columns=5 act=1",
    "gemm_rows_int8 rows=6 channels=16 columns=64 act=2 residual=1",
    "gemm_rows_int8 rows=7 channels=64 columns=64 act=1",
    "gemm_rows_int8 rows=13 channels=17 columns=70 taps=9 table=1 act=1",
    "gemm_rows_int8 rows=49 channels=32 columns=48 taps=9 table=1 residual=1 residual_f32=1",
    "gemm_rows_int8 rows=49 channels=26 columns=32 taps=4 table=1 y_f32=1",
    "gemm_rows_int8 rows=31 channels=27 columns=16 residual=1 table=1 taps=2 y_f32=1",
    "gemm_rows_int8 rows=29 channels=40 columns=15 act=2",
    "gemm_rows_int8 rows=14 channels=1024 columns=16",
    "gemm_rows_int8 rows=57 channels=5 columns=63 residual=1 act=1",
    "gemm_rows_int8 rows=33 channels=96 columns=129 residual=1 residual_f32=1 y_f32=1",
    "depthwise_row_int8 channels=64 width=14 kernel=3 pad=1 low=10 high=200",
    "depthwise_row_int8 channels=32 width=15 kernel=3 pad=1 holes=1",
    "depthwise_row_int8 channels=144 width=9 kernel=3 pad=1 stride=2 gap=5",
    "depthwise_row_int8 channels=96 width=12 kernel=5 pad=2 gap=3 low=3",
    "depthwise_row_int8 channels=70 width=11 kernel=5 pad=2 stride=2 holes=1",
    "depthwise_row_int8 channels=48 width=7 kernel=3 pad=1 wide=1 gap=2",
    "depthwise_row_int8 channels=23 width=6 kernel=3 pad=1 stride=2",
    "depthwise_row_int8 channels=5 width=9 kernel=3 pad=2 dilation=2 gap=5",
    "depthwise_row_int8 channels=1 width=1 kernel=5 pad=2 holes=1",
    "depthwise_row_int8 channels=33 width=21 kernel=11 pad=5 stride=3 wide=1",
    "depthwise_row_int8 channels=130 width=8 kernel=7 pad=3",
    "depthwise_row_int8 channels=64 width=1 kernel=3 pad=1 wide=1",
    "depthwise_row_int8 channels=32 width=2 kernel=5 pad=2",
    "depthwise_row_int8 channels=16 width=3 kernel=3 pad=1 stride=2",
    "depthwise_row_int8 channels=9 width=10 kernel=5 pad=0 high=100",
    "from_u8 n=1003",
    "to_u8 n=1003",
    "to_u8 n=0",
    "widen n=1003",
    "narrow n=1003",
    "narrow n=0",
    "max_to_bf16 n=1003",
    "max_to_bf16 n=1",
    "resize_across size=336 count=341",
    "resize_across size=336 count=224 taps=3",
    "resize_across size=500 count=341 taps=4",
    "resize_across size=500 count=224 taps=5 gap=7",
    "resize_across size=900 count=256 taps=8 rows=5",
    "resize_across size=1200 count=224 taps=12 wild=1",
    "resize_across size=3000 count=224 taps=27",
    "resize_across size=37 count=23 taps=13 wild=1",
    "resize_across size=6 count=9",
    "resize_across size=5 count=9",
    "resize_across size=1 count=7 taps=1",
    "resize_across size=4 count=1 taps=4 rows=1",
    "resize_across size=6 count=5 taps=1 rows=1",
    "resize_across size=100 count=33 taps=7 channels=1",
    "resize_across size=100 count=70 taps=3 channels=1",
    "resize_across size=100 count=65 taps=3 channels=4 wild=1",
    "resize_across size=60 count=20 taps=6 channels=5",
    "resize_across size=40 count=90 taps=6 wild=1",
    "resize_across size=64 count=64 taps=9 wild=1",
    "resize_across size=2000 count=3 taps=1500",
    "resize_down size=224 count=256 samples=672",
    "resize_down size=224 count=256 samples=673 gap=9",
    "resize_down size=375 count=224 samples=101 taps=3",
    "resize_down size=375 count=224 samples=64 taps=4 wild=1",
    "resize_down size=3000 count=224 samples=70 taps=27",
    "resize_down size=9 count=5 samples=31 taps=3",
    "resize_down size=9 count=5 samples=33 taps=5 wild=1",
    "resize_down size=1 count=3 samples=1 taps=1",
    "resize_down size=1 count=3 samples=200 taps=1",
    "resize_down size=2000 count=2 samples=95 taps=1500",
    "resize_down size=7 count=7 samples=127 taps=6 wild=1",
    "normalise_u8 pixels=1",
    "normalise_u8 pixels=224",
    "normalise_u8 pixels=1003",
    "normalise_u8 pixels=77 channels=1",
    "normalise_u8 pixels=16 channels=1 set=1",
    "normalise_u8 pixels=31 channels=4",
    "normalise_u8 pixels=100 channels=2",
    "normalise_u8 pixels=224 set=1",
    "normalise_u8 pixels=224 set=2",
    "normalise_u8 pixels=100 set=2 channels=1",
    "add_to n=1003",
    "add_to n=0",
    "column_sums rows=1 columns=1",
    "column_sums rows=130 columns=70 gap=3",
    "column_sums rows=64 columns=32",
    "column_sums rows=0 columns=33",
    NULL,
};

/* A NaN passes every activation, in whole and in partial vectors. */
static bool nan_passes(const struct dio_kernels *kernels)
{
    bool passes = true;
    for (int act = DIO_ACT_NONE; act < (int)DIO_ACT_COUNT; act++) {
        for (int columns = 1; columns <= kernels->panel_width; columns++) {
            float x = NAN, panel[64] = {0}, y[64] = {0};
            struct dio_gemm_rows g = {.rows = 1, .taps = 1, .channels = 1, .x = &x, .x_stride = 1, .panel = panel, .columns = columns,
                                      .y = y, .y_stride = columns, .act = (enum dio_act)act};
            g.width = (columns + kernels->vector_width - 1) / kernels->vector_width * kernels->vector_width;
            kernels->gemm_rows(&g);
            for (int j = 0; j < columns; j++) passes = passes && isnan(y[j]);
        }
        float x[20], filter[20] = {0}, y[20] = {0};
        for (int i = 0; i < 20; i++) x[i] = NAN;
        const void *row = x;
        const struct dio_depthwise_row d = {.channels = 20, .x_pixel = 20, .y_pixel = 20, .in_w = 1, .out_w = 1, .group = 1, .r = 1,
                                            .s = 1, .stride = 1, .dilation = 1, .rows = &row, .filter = filter, .filter_stride = 20, .y = y,
                                            .act = (enum dio_act)act};
        kernels->depthwise_row(&d);
        for (int i = 0; i < 20; i++) passes = passes && isnan(y[i]);
    }
    return passes;
}

static sigjmp_buf escape;

static void on_signal(int number_of_signal)
{
    siglongjmp(escape, number_of_signal);
}

static const struct check {
    const char *slot;
    void (*run)(struct run *run);
} checks[] = {
    {"gemm_rows", check_gemm_rows},
    {"gemm_outer", check_gemm_outer},
    {"depthwise_row", check_depthwise_row},
    {"depthwise_dx_row", check_depthwise_dx_row},
    {"depthwise_dw_row", check_depthwise_dw_row},
    {"winograd_input", check_winograd_input},
    {"winograd_output", check_winograd_output},
    {"winograd_spread", check_winograd_spread},
    {"winograd_gather", check_winograd_gather},
    {"winograd_weights", check_winograd_weights},
    {"act_forward", check_act_forward},
    {"act_backward", check_act_backward},
    {"act_backward_add", check_act_backward_add},
    {"gemm_rows_bf16", check_gemm_rows_bf16},
    {"depthwise_row_bf16", check_depthwise_row_bf16},
    {"gemm_rows_int8", check_gemm_rows_int8},
    {"depthwise_row_int8", check_depthwise_row_int8},
    {"from_u8", check_from_u8},
    {"to_u8", check_to_u8},
    {"widen", check_widen},
    {"narrow", check_narrow},
    {"max_to_bf16", check_max_to_bf16},
    {"add_to", check_add_to},
    {"column_sums", check_column_sums},
    {"layer_norm", check_layer_norm},
    {"layer_norm_dx", check_layer_norm_dx},
    {"layer_norm_dparam", check_layer_norm_dparam},
    {"softmax_rows", check_softmax_rows},
    {"softmax_dx_rows", check_softmax_dx_rows},
    {"norm_sums", check_norm_sums},
    {"norm_gradient_sums", check_norm_gradient_sums},
    {"norm_apply", check_norm_apply},
    {"norm_gradient", check_norm_gradient},
    {"dropout", check_dropout},
    {"resize_across", check_resize_across},
    {"resize_down", check_resize_down},
    {"normalise_u8", check_normalise_u8},
};

static bool is_case_of(const char *line, const char *slot)
{
    const size_t length = strlen(slot);
    return strncmp(line, slot, length) == 0 && line[length] == ' ';
}

static bool run_case(struct run *run)
{
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (!is_case_of(run->line, checks[i].slot)) continue;
        checks[i].run(run);
        return !run->problem[0];
    }
    snprintf(run->problem, sizeof run->problem, "no such slot");
    return false;
}

static bool run_guarded(struct run *run)
{
    const int signal_number = sigsetjmp(escape, 1);
    if (signal_number == 0) return run_case(run);
    snprintf(run->problem, sizeof run->problem, "touched a forbidden page (signal %d)", signal_number);
    return false;
}

/* The cases of `only`; NULL: all. */
static int check_cases(const struct dio_kernels *kernels, uint64_t seed, const char *only)
{
    int failed = 0, n = 0;
    double worst = 0;
    for (int i = 0; cases[i]; i++) {
        if (only && !is_case_of(cases[i], only)) continue;
        for (int after = 0; after < 2; after++, n++) {
            struct run run = {.kernels = kernels, .line = cases[i], .after = after != 0};
            run.rng = dio_rng_make(seed, DIO_RNG_TEST, 0, (uint64_t)i);
            if (!run_guarded(&run)) {
                printf("  FAILED: %s: %s\n", run.line, run.problem);
                failed++;
            }
            for (int b = 0; b < run.n_buffers; b++) fenced_free(&run.buffers[b]);
            if (run.worst > worst) worst = run.worst;
        }
    }
    printf("  %d cases, %d failed, largest error %.2f of what is allowed\n", n, failed, worst);
    return failed;
}

static int check_level(const struct dio_kernels *kernels, uint64_t seed)
{
    const bool passes = nan_passes(kernels);
    if (!passes) printf("  FAILED: an activation swallows NaN\n");
    return !passes + check_cases(kernels, seed, NULL);
}

/* What AMX would run, on tiles made of arrays: panels as wide as those of the levels below it. */
void fill_emulated_tiles(struct dio_kernels *kernels);
static int check_emulated_tiles(const struct dio_cpu *cpu, uint64_t seed)
{
    struct dio_kernels kernels;
    dio_kernels_select(cpu, DIO_ISA_portable, &kernels);
    fill_emulated_tiles(&kernels);
    kernels.panel_width = 64;
    kernels.vector_width = 16;
    printf("tiles, emulated:\n");
    return check_cases(&kernels, seed, "gemm_rows_bf16");
}

/* Those named burn_... measure and compute nothing. */
static int slots_without_case(void)
{
    int missing = 0;
    for (int slot = 0; slot < (int)DIO_SLOT_COUNT; slot++) {
        const char *name = dio_slot_name((enum dio_slot)slot);
        bool found = strncmp(name, "burn_", 5) == 0;
        for (int i = 0; cases[i]; i++) found = found || is_case_of(cases[i], name);
        if (!found) printf("FAILED: slot %s has no case here\n", name);
        missing += !found;
    }
    return missing;
}

int main(int argc, char **argv)
{
    uint64_t seed = 20260101;
    const char *level = NULL;
    double seconds = 0.2;
    bool bench = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0) {
            bench = true;
        } else if (strcmp(argv[i], "--level") == 0 && i + 1 < argc) {
            level = argv[++i];
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            seed = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
            seconds = strtod(argv[++i], NULL);
        } else {
            fprintf(stderr, "check_kernels [--level NAME] [--seed N] [--bench [--seconds S]]\n");
            return 2;
        }
    }
    struct dio_cpu cpu;
    dio_cpu_detect(&cpu);
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
    printf("seed %" PRIu64 "\n", seed);
    int failed = slots_without_case(), used = 0;
    for (int isa = 0; isa < (int)DIO_ISA_COUNT; isa++) {
        const char *name = dio_isa_name((enum dio_isa)isa);
        if (level && strcmp(level, name) != 0) continue;
        if (isa > (int)dio_kernels_best(&cpu)) {
            printf("%s: skipped, this machine lacks it\n", name);
            continue;
        }
        struct dio_kernels kernels;
        dio_kernels_select(&cpu, (enum dio_isa)isa, &kernels);
        int slots = 0;
        for (int s = 0; s < DIO_SLOT_COUNT; s++) slots += kernels.slot_isa[s] == (uint8_t)isa;
        if (slots == 0) {
            printf("%s: fills no slot of its own\n", name);
            continue;
        }
        printf("%s: %d slots\n", name, slots);
        used++;
        failed += bench ? bench_level(&kernels, seconds) : check_level(&kernels, seed);
    }
    if (!bench && (!level || strcmp(level, "portable") == 0)) failed += check_emulated_tiles(&cpu, seed);
    if (level && used == 0 && failed == 0) return 77;
    return failed != 0;
}
