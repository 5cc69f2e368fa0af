/* Every slot of the matrix and depthwise families at every level that this CPU has, against ref/ in double.
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

#include "base/clock.h"
#include "base/rng.h"
#include "bench.h"
#include "fenced.h"
#include "kernels/kernels.h"
#include "kernels/ref/ref.h"

/* act: 0 none, 1 relu, 2 relu6.  table: row offsets by a table with holes (zero rows).  scatter: y rows by a table. */
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
    "gemm_rows rows=29 channels=40 columns=15 bias=1 act=2",
    "gemm_rows rows=12 channels=8 columns=129 from_y=1 act=1",
    "gemm_rows rows=11 channels=8 columns=33 from_y=1 residual=1",
    "gemm_rows rows=23 channels=21 columns=64 taps=7 table=1 bias=1 act=1",
    "gemm_rows rows=5 channels=7 columns=20 taps=0 bias=1",
    "gemm_rows rows=5 channels=7 columns=64 taps=0",
    "gemm_rows rows=14 channels=1024 columns=16",
    "gemm_rows rows=57 channels=5 columns=63",
    "gemm_outer runs=1 count=1 channels=1 columns=1",
    "gemm_outer runs=1 count=49 channels=64 columns=64",
    "gemm_outer runs=7 count=6 channels=13 columns=70 step=2",
    "gemm_outer runs=3 count=9 channels=21 columns=48",
    "gemm_outer runs=5 count=11 channels=3 columns=32",
    "gemm_outer runs=2 count=30 channels=40 columns=10",
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
    "depthwise_row channels=17 width=2 kernel=7 pad=6 stride=1",
    "depthwise_dx_row channels=32 width=14 kernel=3 pad=1",
    "depthwise_dx_row channels=16 width=7 kernel=5 pad=2 residual=1",
    "depthwise_dx_row channels=19 width=15 kernel=3 pad=0 stride=2",
    "depthwise_dx_row channels=96 width=56 kernel=3 pad=1 stride=2 holes=1",
    "depthwise_dx_row channels=5 width=22 kernel=2 pad=0 stride=3 gap=3",
    "depthwise_dx_row channels=33 width=21 kernel=7 pad=4 stride=2 dilation=2",
    "depthwise_dx_row channels=12 width=1 kernel=3 pad=1 stride=2",
    "depthwise_dw_row channels=32 width=14 kernel=3 pad=1",
    "depthwise_dw_row channels=16 width=7 kernel=5 pad=2",
    "depthwise_dw_row channels=19 width=15 kernel=3 pad=0 stride=2",
    "depthwise_dw_row channels=100 width=56 kernel=7 pad=3",
    "depthwise_dw_row channels=5 width=22 kernel=2 pad=0 stride=3 gap=3",
    "depthwise_dw_row channels=33 width=21 kernel=13 pad=6 dilation=2",
    "depthwise_dw_row channels=7 width=1 kernel=3 pad=1",
    NULL,
};

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

static int64_t number(const struct run *run, const char *name, int64_t initial)
{
    char key[32];
    snprintf(key, sizeof key, " %s=", name);
    const char *at = strstr(run->line, key);
    return at ? strtoll(at + strlen(key), NULL, 10) : initial;
}

static float *buffer(struct run *run, int64_t count)
{
    struct fenced *fenced = &run->buffers[run->n_buffers++];
    *fenced = fenced_new((size_t)count, run->after);
    return fenced->data;
}

static float draw(struct run *run)
{
    return (float)(dio_rng_uniform(&run->rng) * 2 - 1);
}

static void fill_rows(struct run *run, float *x, int64_t rows, int64_t columns, int64_t stride)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) x[i * stride + j] = draw(run);
    }
}

static float *filled(struct run *run, int64_t count)
{
    float *x = buffer(run, count);
    fill_rows(run, x, 1, count, count);
    return x;
}

static void judge(struct run *run, double got, double expected, double magnitude, int64_t terms, const char *where, int64_t i,
                  int64_t j)
{
    const double allowed = (double)(terms + 3) * 0x1p-24 * magnitude;
    const double error = fabs(got - expected);
    if (error > run->worst * allowed) run->worst = allowed > 0 ? error / allowed : INFINITY;
    if (error <= allowed || run->problem[0]) return;
    snprintf(run->problem, sizeof run->problem, "%s[%" PRId64 "][%" PRId64 "] is %.9g, expected %.9g +- %.2g", where, i, j, got,
             expected, allowed);
}

/* What lies between the rows that a kernel writes is still NaN. */
static void judge_gaps(struct run *run, const float *y, const bool *written, int64_t count)
{
    for (int64_t i = 0; i < count && !run->problem[0]; i++) {
        if (!written[i] && !isnan(y[i])) {
            snprintf(run->problem, sizeof run->problem, "wrote outside its outputs, at float %" PRId64, i);
        }
    }
}

static void *must(void *block)
{
    if (!block) {
        perror("malloc");
        exit(1);
    }
    return block;
}

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

static void check_gemm_rows(struct run *run)
{
    const int64_t rows = number(run, "rows", 1), taps = number(run, "taps", 1), channels = number(run, "channels", 1);
    const int64_t columns = number(run, "columns", 1), x_rows = rows + 3, y_stride = columns + 3;
    struct dio_pack pack = {.taps = taps, .channels = channels, .columns = columns, .c_stride = columns, .column_stride = 1,
                            .panel_width = run->kernels->panel_width, .vector_width = run->kernels->vector_width};
    float *packed = panels(run, &pack);
    struct dio_gemm_rows g = {.rows = rows, .taps = taps, .channels = channels, .x_stride = channels,
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

static void check_gemm_outer(struct run *run)
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
        runs[r] = (struct dio_gemm_run){(int32_t)(r * count * step * channels), (int32_t)((r * count + 1) * columns), (int32_t)count};
    }
    double *expected = must(malloc((size_t)(channels * columns) * sizeof *expected * 2)), *magnitude = expected + channels * columns;
    for (int64_t p = 0; p * pack.panel_width < columns; p++) {
        struct dio_gemm_outer g = {runs, n_runs, x, dy + p * pack.panel_width, step * channels, columns, channels, 0, 0, NULL};
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

struct depthwise {
    struct dio_depthwise_row d;
    int64_t gap; /* floats between the channels of neighbouring pixels that belong to nobody */
};

static struct depthwise depthwise_case(struct run *run)
{
    struct depthwise c = {.gap = number(run, "gap", 0)};
    c.d.channels = number(run, "channels", 1);
    c.d.in_w = number(run, "width", 1);
    c.d.r = c.d.s = (int)number(run, "kernel", 3);
    c.d.stride = (int)number(run, "stride", 1);
    c.d.dilation = (int)number(run, "dilation", 1);
    c.d.pad_left = (int)number(run, "pad", 0);
    c.d.out_w = (c.d.in_w + 2 * c.d.pad_left - (c.d.s - 1) * c.d.dilation - 1) / c.d.stride + 1;
    c.d.x_pixel = c.d.y_pixel = c.d.channels + c.gap;
    c.d.filter_stride = c.d.channels;
    c.d.act = (enum dio_act)number(run, "act", 0);
    return c;
}

static void check_depthwise_row(struct run *run, bool backward)
{
    struct depthwise c = depthwise_case(run);
    struct dio_depthwise_row *d = &c.d;
    const int64_t in_pixels = backward ? d->out_w : d->in_w, out_pixels = backward ? d->in_w : d->out_w;
    const int64_t in_count = (in_pixels - 1) * d->x_pixel + d->channels, out_count = (out_pixels - 1) * d->y_pixel + d->channels;
    const float *rows[16];
    for (int r = 0; r < d->r; r++) {
        float *row = NULL;
        if (!number(run, "holes", 0) || r % 3 != 1) {
            /* Exactly one row of the map; what lies in gaps is NaN. */
            row = buffer(run, in_count);
            fill_rows(run, row, in_pixels, d->channels, d->x_pixel);
        }
        rows[r] = row;
    }
    d->rows = rows;
    d->filter = filled(run, (int64_t)d->r * d->s * d->channels);
    if (number(run, "bias", 0)) d->bias = filled(run, d->channels);
    if (number(run, "residual", 0)) d->residual = filled(run, out_count);
    d->y = buffer(run, out_count);
    double *expected = must(malloc((size_t)(out_pixels * d->channels) * sizeof *expected * 2));
    double *magnitude = expected + out_pixels * d->channels;
    (backward ? dio_ref_depthwise_dx_row : dio_ref_depthwise_row)(d, expected, magnitude);
    (backward ? run->kernels->depthwise_dx_row : run->kernels->depthwise_row)(d);
    bool *written = must(calloc((size_t)out_count, sizeof *written));
    for (int64_t x = 0; x < out_pixels; x++) {
        for (int64_t k = 0; k < d->channels; k++) {
            const int64_t at = x * d->y_pixel + k;
            written[at] = true;
            judge(run, (double)d->y[at], expected[x * d->channels + k], magnitude[x * d->channels + k], (int64_t)d->r * d->s, "y", x, k);
        }
    }
    judge_gaps(run, d->y, written, out_count);
    free(expected);
    free(written);
}

static void check_depthwise_dw_row(struct run *run)
{
    const struct depthwise c = depthwise_case(run);
    struct dio_depthwise_dw_row d = {.channels = c.d.channels, .x_pixel = c.d.x_pixel, .y_pixel = c.d.y_pixel, .in_w = c.d.in_w,
                                     .out_w = c.d.out_w, .s = c.d.s, .stride = c.d.stride, .dilation = c.d.dilation,
                                     .pad_left = c.d.pad_left, .filter_stride = c.d.filter_stride};
    float *x = buffer(run, (d.in_w - 1) * d.x_pixel + d.channels), *dy = buffer(run, (d.out_w - 1) * d.y_pixel + d.channels);
    fill_rows(run, x, d.in_w, d.channels, d.x_pixel);
    fill_rows(run, dy, d.out_w, d.channels, d.y_pixel);
    d.x = x;
    d.dy = dy;
    d.dw = filled(run, d.s * d.channels);
    double *expected = must(malloc((size_t)(d.s * d.channels) * sizeof *expected * 2)), *magnitude = expected + d.s * d.channels;
    dio_ref_depthwise_dw_row(&d, expected, magnitude);
    run->kernels->depthwise_dw_row(&d);
    for (int64_t i = 0; i < d.s * d.channels; i++) {
        judge(run, (double)d.dw[i], expected[i], magnitude[i], d.out_w, "dw", i / d.channels, i % d.channels);
    }
    free(expected);
}

/* A NaN passes every activation, in whole and in partial vectors. */
static bool nan_passes(const struct dio_kernels *kernels)
{
    bool passes = true;
    for (int act = DIO_ACT_NONE; act <= (int)DIO_ACT_RELU6; act++) {
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
        const float *row = x;
        const struct dio_depthwise_row d = {.channels = 20, .x_pixel = 20, .y_pixel = 20, .in_w = 1, .out_w = 1, .r = 1, .s = 1,
                                            .stride = 1, .dilation = 1, .rows = &row, .filter = filter, .filter_stride = 20, .y = y,
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

static bool slot_is(const struct run *run, const char *slot)
{
    const size_t length = strlen(slot);
    return strncmp(run->line, slot, length) == 0 && run->line[length] == ' ';
}

static bool run_case(struct run *run)
{
    if (slot_is(run, "gemm_rows")) {
        check_gemm_rows(run);
    } else if (slot_is(run, "gemm_outer")) {
        check_gemm_outer(run);
    } else if (slot_is(run, "depthwise_row")) {
        check_depthwise_row(run, false);
    } else if (slot_is(run, "depthwise_dx_row")) {
        check_depthwise_row(run, true);
    } else if (slot_is(run, "depthwise_dw_row")) {
        check_depthwise_dw_row(run);
    } else {
        snprintf(run->problem, sizeof run->problem, "no such slot");
    }
    return !run->problem[0];
}

static bool run_guarded(struct run *run)
{
    const int signal_number = sigsetjmp(escape, 1);
    if (signal_number == 0) return run_case(run);
    snprintf(run->problem, sizeof run->problem, "touched a forbidden page (signal %d)", signal_number);
    return false;
}

static int check_level(const struct dio_kernels *kernels, uint64_t seed)
{
    int failed = !nan_passes(kernels), n = 0;
    if (failed) printf("  FAILED: an activation swallows NaN\n");
    double worst = 0;
    for (int i = 0; cases[i]; i++) {
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
    int failed = 0, used = 0;
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
    if (level && used == 0 && failed == 0) return 77;
    return failed != 0;
}
