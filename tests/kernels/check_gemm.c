/* Slots of gemm.h. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "kernels/ref/ref.h"

/* Panels of a random [taps][channels][columns] matrix in the table's layout. */
static float *panels(struct run *run, struct dio_pack *pack)
{
    const int64_t taps = pack->taps ? pack->taps : 1; /* a sum without taps still has a panel to point to */
    float *w = filled(run, taps * pack->channels * pack->columns);
    int64_t *tap_offset = must(calloc((size_t)taps, sizeof *tap_offset));
    for (int64_t t = 0; t < taps; t++) tap_offset[t] = t * pack->channels * pack->columns;
    struct dio_pack sized = *pack;
    sized.taps = taps;
    sized.tap_offset = tap_offset;
    float *packed = buffer(run, dio_pack_size(&sized));
    const int64_t count = (pack->columns + pack->panel_width - 1) / pack->panel_width;
    dio_pack_panels(&sized, w, 0, count, packed);
    free(tap_offset);
    return packed;
}

void check_gemm_rows(struct run *run)
{
    const int64_t rows = number(run, "rows", 1), taps = number(run, "taps", 1), channels = number(run, "channels", 1);
    const int64_t columns = number(run, "columns", 1), x_rows = rows + 3, y_stride = columns + 3;
    struct dio_pack pack = {.taps = taps, .channels = channels, .columns = columns, .c_stride = columns, .column_stride = 1,
                            .panel_width = run->kernels->panel_width, .vector_width = run->kernels->vector_width};
    float *packed = panels(run, &pack);
    struct dio_gemm_rows g = {.rows = rows, .taps = taps, .channels = channels, .x_stride = channels, .far = rows % 2 != 0,
                              .offset_stride = rows, .y_stride = y_stride, .residual_stride = y_stride,
                              .from_y = number(run, "from_y", 0) != 0, .act = (enum dio_act)number(run, "act", 0)};
    g.x = filled(run, x_rows * channels);
    float *zero = buffer(run, channels);
    memset(zero, 0, (size_t)channels * sizeof *zero);
    g.zero = zero;
    int32_t *offset = must(calloc((size_t)(rows * taps + 1), sizeof *offset));
    for (int64_t i = 0; i < rows * taps; i++) {
        const uint64_t row = dio_rng_below(&run->rng, (uint64_t)x_rows + 2);
        offset[i] = row < (uint64_t)x_rows ? (int32_t)((int64_t)row * channels) : -1;
    }
    if (number(run, "table", 0)) g.offset = offset;
    int32_t *scatter = must(calloc((size_t)rows, sizeof *scatter));
    for (int64_t i = 0; i < rows; i++) scatter[i] = (int32_t)((rows - 1 - i) * y_stride);
    if (number(run, "scatter", 0)) g.y_offset = scatter;

    const int64_t y_count = (rows - 1) * y_stride + columns;
    float *y = buffer(run, y_count), *bias = number(run, "bias", 0) ? filled(run, columns) : NULL;
    float *residual = number(run, "residual", 0) ? filled(run, y_count) : NULL;
    if (g.from_y) fill_rows(run, y, rows, columns, y_stride);
    bool *written = must(calloc((size_t)y_count, sizeof *written));
    double *expected = must(malloc((size_t)(rows * columns) * sizeof *expected * 2)), *magnitude = expected + rows * columns;
    pack.taps = taps ? taps : 1;
    for (int64_t p = 0; p * pack.panel_width < columns; p++) {
        const int64_t first = p * pack.panel_width;
        g.panel = packed + dio_pack_panel(&pack, p, &g.width);
        g.columns = (int)(columns - first < g.width ? columns - first : g.width);
        g.bias = bias ? bias + first : NULL;
        g.residual = residual ? residual + first : NULL;
        g.y = y + first;
        dio_ref_gemm_rows(&g, expected, magnitude);
        run->kernels->gemm_rows(&g);
        for (int64_t i = 0; i < rows; i++) {
            const int64_t at = (g.y_offset ? g.y_offset[i] : i * y_stride) + first;
            for (int j = 0; j < g.columns; j++) {
                written[at + j] = true;
                judge(run, (double)y[at + j], expected[i * g.columns + j], magnitude[i * g.columns + j], taps * channels, "y", i,
                      first + j);
            }
        }
    }
    judge_gaps(run, y, written, y_count);
    free(offset);
    free(scatter);
    free(written);
    free(expected);
}

void check_gemm_outer(struct run *run)
{
    const int64_t n_runs = number(run, "runs", 1), count = number(run, "count", 1), step = number(run, "step", 1);
    const int64_t channels = number(run, "channels", 1), columns = number(run, "columns", 1);
    const int64_t x_pixels = n_runs * count * step + 1, dy_pixels = n_runs * count + 1;
    const struct dio_pack pack = {.taps = 1, .channels = channels, .columns = columns,
                                  .panel_width = run->kernels->panel_width, .vector_width = run->kernels->vector_width};
    const int64_t size = dio_pack_size(&pack);
    const float *x = filled(run, x_pixels * channels), *dy = filled(run, dy_pixels * columns);
    float *dw = filled(run, size);
    struct dio_gemm_run *runs = must(calloc((size_t)n_runs + 1, sizeof *runs));
    for (int64_t r = 0; r < n_runs; r++) {
        runs[r] = (struct dio_gemm_run){r * count * step * channels, (r * count + 1) * columns, count};
    }
    double *expected = must(malloc((size_t)(channels * columns) * sizeof *expected * 2)), *magnitude = expected + channels * columns;
    for (int64_t p = 0; p * pack.panel_width < columns; p++) {
        struct dio_gemm_outer g = {.runs = runs, .n_runs = n_runs, .x = x, .dy = dy + p * pack.panel_width, .x_step = step * channels, .dy_step = columns,
                                   .channels = channels, .overwrite = number(run, "overwrite", 0),
                                   /* the second row of lines lies behind what there is: none of them is read */
                                   .ahead = {{x, 2, step * channels, 0}, {dy + dy_pixels * columns, 1, columns, count * columns}}};
        g.dw = dw + dio_pack_panel(&pack, p, &g.width);
        const int64_t left = columns - p * pack.panel_width;
        g.columns = (int)(left < g.width ? left : g.width);
        dio_ref_gemm_outer(&g, expected, magnitude);
        run->kernels->gemm_outer(&g);
        for (int64_t c = 0; c < channels; c++) {
            for (int j = 0; j < g.columns; j++) {
                judge(run, (double)g.dw[c * g.width + j], expected[c * g.columns + j], magnitude[c * g.columns + j], n_runs * count,
                      "dw", c, p * pack.panel_width + j);
            }
        }
    }
    free(runs);
    free(expected);
}
