/* Gradients of dense and grouped convolutions.
 *
 * Input: the forward kernel over dy with transposed weights, one phase of the strides after another, so that no
 * multiplication meets a zero that a stride put there.  Weights: outer products over pixels, summed in registers; a piece
 * owns its part of the gradient and walks all pictures, so the order of sums does not depend on threads. */
#include <string.h>

#include "ops/conv.h"

enum { DW_ROWS = 256 }; /* between two additions to a weight gradient, where a batch is one matrix */

const float *dio_conv_dy(const struct dio_step *step)
{
    return dio_conv_of(step)->act == DIO_ACT_NONE ? step->dy[0] : step->shared;
}

void dio_conv_activation_backward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct dio_conv *conv = dio_conv_of(step);
    const struct dio_range range = dio_block(step->n * conv->oh * conv->ow * conv->k, DIO_BLOCK, piece);
    const int64_t count = range.end - range.begin;
    if (conv->act != DIO_ACT_NONE) {
        step->kernels->act_backward(conv->act, (const float *)step->y[0] + range.begin, step->dy[0] + range.begin,
                                    (float *)step->shared + range.begin, count);
    }
    if (step->n_inputs == 2 && step->dx[1]) {
        dio_put_row(step->dx[1] + range.begin, dio_conv_dy(step) + range.begin, count, step->add_dx[1]);
    }
}

/* ---- input ---- */

static int64_t phase_rows(const struct dio_step *step, const struct dio_conv_phase *phase)
{
    return dio_conv_of(step)->path == DIO_CONV_POINTWISE ? dio_conv_rows(step) : phase->height * phase->width;
}

/* As many as the first phase has, the largest; pieces beyond the end of a smaller one are empty. */
static int64_t dx_row_blocks(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return dio_ceil_div(phase_rows(step, conv->phases), conv->dx_cut.row_block);
}

static int64_t dx_panel_groups(const struct dio_conv *conv) { return dio_ceil_div(conv->transposed_panels, conv->dx_cut.panel_group); }

static int64_t dx_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    if (!step->dx[0]) return 0;
    return dio_conv_images(step) * conv->n_phases * dx_row_blocks(step) * conv->blocks * dx_panel_groups(conv);
}

static void dx_offsets(const struct dio_conv *conv, const struct dio_conv_phase *phase, struct dio_range rows, int32_t *offset, int32_t *y_offset)
{
    const int64_t count = rows.end - rows.begin;
    for (int64_t t = 0; t < phase->taps; t++) {
        const int64_t y = phase->y + conv->top - conv->tap_y[phase->first_tap + t] * conv->dilation[0];
        const int64_t x = phase->x + conv->left - conv->tap_x[phase->first_tap + t] * conv->dilation[1];
        const struct dio_conv_source source = {1, y / conv->stride[0], 1, x / conv->stride[1], conv->oh, conv->ow, conv->k};
        dio_conv_offsets(offset + t * count, rows, phase->width, &source);
    }
    const struct dio_conv_source target = {conv->stride[0], phase->y, conv->stride[1], phase->x, conv->h, conv->w, conv->c};
    dio_conv_offsets(y_offset, rows, phase->width, &target);
}

static void dx_piece(const struct dio_step *step, int64_t index, void *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t blocks = dx_row_blocks(step), groups = dx_panel_groups(conv), columns = conv->blocks * groups;
    const int64_t images = dio_conv_images(step) * conv->n_phases * blocks;
    const int64_t column = conv->dx_cut.panels_first ? index / images : index % columns;
    const int64_t row = conv->dx_cut.panels_first ? index % images : index / columns;
    const int64_t image = row / (conv->n_phases * blocks), block = column / groups;
    const struct dio_conv_phase *phase = &conv->phases[row / blocks % conv->n_phases];
    const struct dio_range rows = dio_block(phase_rows(step, phase), conv->dx_cut.row_block, row % blocks);
    const struct dio_range panels = dio_block(conv->transposed_panels, conv->dx_cut.panel_group, column % groups);
    if (rows.begin >= rows.end || (phase->taps == 0 && step->add_dx[0])) return;

    const float *packed = step->packed;
    struct dio_gemm_rows g = {.rows = rows.end - rows.begin, .taps = phase->taps, .channels = conv->block_k, .zero = packed,
                              .x = dio_conv_dy(step) + image * conv->oh * conv->ow * conv->k + block * conv->block_k};
    float *dx = step->dx[0] + image * conv->h * conv->w * conv->c + block * conv->block_c;
    if (conv->path == DIO_CONV_POINTWISE) {
        g.x += rows.begin * conv->k;
        g.x_stride = conv->k;
        g.y_stride = g.residual_stride = conv->c;
        dx += rows.begin * conv->c;
    } else {
        int32_t *y_offset = scratch, *offset = y_offset + g.rows;
        dx_offsets(conv, phase, rows, offset, y_offset);
        g.offset = offset;
        g.offset_stride = g.rows;
        g.y_offset = y_offset;
    }
    for (int64_t panel = panels.begin; panel < panels.end; panel++) {
        const int64_t first = panel * conv->transposed.panel_width;
        g.panel = packed + conv->at_transposed + block * conv->transposed_size + dio_pack_panel(&conv->transposed, panel, &g.width);
        g.panel += phase->first_tap * conv->block_k * g.width;
        g.columns = (int)dio_min_i64(g.width, conv->block_c - first);
        g.y = dx + first;
        g.residual = step->add_dx[0] ? g.y : NULL;
        step->kernels->gemm_rows(&g);
    }
}

/* ---- weights ---- */

struct dw_piece {
    int64_t block, panel;
    struct dio_range taps, channels;
    int width, columns;
};

static int64_t dw_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    if (!step->dparam[0]) return 0;
    return conv->blocks * conv->panels * dio_ceil_div(conv->r * conv->s, conv->dw_taps) * dio_ceil_div(conv->block_c, conv->dw_channels);
}

static struct dw_piece dw_locate(const struct dio_conv *conv, int64_t index)
{
    const int64_t parts = dio_ceil_div(conv->block_c, conv->dw_channels), groups = dio_ceil_div(conv->r * conv->s, conv->dw_taps);
    struct dw_piece p = {.block = index / parts / groups / conv->panels, .panel = index / parts / groups % conv->panels,
                         .taps = dio_block(conv->r * conv->s, conv->dw_taps, index / parts % groups),
                         .channels = dio_block(conv->block_c, conv->dw_channels, index % parts)};
    dio_pack_panel(&conv->forward, p.panel, &p.width);
    p.columns = (int)dio_min_i64(p.width, conv->block_k - p.panel * conv->forward.panel_width);
    return p;
}

/* The pixels of some output lines that tap (r, s) meets inside the picture; dy starts with these lines. */
static int64_t dw_runs(const struct dio_conv *conv, int64_t r, int64_t s, struct dio_range lines, int64_t dy_step, struct dio_gemm_run *runs)
{
    const int64_t at_y = r * conv->dilation[0] - conv->top, at_x = s * conv->dilation[1] - conv->left;
    const struct dio_range inside = dio_conv_inside(conv->ow, conv->stride[1], at_x, conv->w);
    int64_t n = 0;
    for (int64_t y = lines.begin; y < lines.end && inside.begin < inside.end; y++) {
        const int64_t iy = y * conv->stride[0] + at_y;
        if (iy < 0 || iy >= conv->h) continue;
        runs[n++] = (struct dio_gemm_run){(int32_t)((iy * conv->w + inside.begin * conv->stride[1] + at_x) * conv->c),
                                          (int32_t)(((y - lines.begin) * conv->ow + inside.begin) * dy_step), (int32_t)(inside.end - inside.begin)};
    }
    return n;
}

/* sums: [tap][channel][width]; in joined groups, what lies off the diagonal belongs to no weight. */
static void dw_write(const struct dio_step *step, const struct dw_piece *p, const float *sums)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t taps = conv->r * conv->s, channels = p->channels.end - p->channels.begin;
    for (int j = 0; j < p->columns; j++) {
        const int64_t k = p->panel * conv->forward.panel_width + j, group = k / conv->group_k * conv->group_c;
        const int64_t first = dio_max_i64(p->channels.begin, group), last = dio_min_i64(p->channels.end, group + conv->group_c);
        float *dw = step->dparam[0] + ((p->block * conv->block_k + k) * conv->group_c + first - group) * taps;
        for (int64_t c = first; c < last; c++, dw += taps) {
            const float *sum = sums + (c - p->channels.begin) * p->width + j;
            for (int64_t t = p->taps.begin; t < p->taps.end; t++, sum += channels * p->width) {
                dw[t] = step->add_dparam[0] ? dw[t] + *sum : *sum;
            }
        }
    }
}

/* scratch of a piece: its sums, the runs of a tap, and where it pays a dense copy of dy's columns: far apart in memory, their
 * distances are powers of two more often than not, and meet in a few sets of the near cache. */
struct dw_scratch {
    float *sums, *dy;
    struct dio_gemm_run *runs;
};

static int64_t dw_strip_rows(const struct dio_conv *conv)
{
    return conv->path == DIO_CONV_POINTWISE ? DW_ROWS : conv->dw_lines * conv->ow;
}

static size_t dw_scratch_floats(const struct dio_conv *conv, struct dw_scratch *scratch, float *base)
{
    const size_t width = (size_t)conv->forward.panel_width, sums = (size_t)(conv->dw_taps * conv->dw_channels) * width;
    const size_t dy = conv->dw_dense ? (size_t)dw_strip_rows(conv) * width : 0, runs = (size_t)conv->dw_lines * sizeof(struct dio_gemm_run) / sizeof(float);
    if (scratch) *scratch = (struct dw_scratch){base, base + sums, (struct dio_gemm_run *)(void *)(base + sums + dy)};
    return sums + dy + runs;
}

/* Sets where a call finds `rows` rows of dy that start at `dy`. */
static void dw_bind_dy(const struct dio_conv *conv, const struct dw_piece *p, const float *dy, int64_t rows, const struct dw_scratch *scratch,
                       struct dio_gemm_outer *g)
{
    g->width = p->width;
    g->columns = conv->dw_dense ? p->width : p->columns;
    g->dy = conv->dw_dense ? scratch->dy : dy;
    g->dy_step = conv->dw_dense ? p->width : conv->k;
    for (int64_t i = 0; conv->dw_dense && i < rows; i++) {
        float *copy = scratch->dy + i * p->width;
        memcpy(copy, dy + i * conv->k, (size_t)p->columns * sizeof *copy);
        memset(copy + p->columns, 0, (size_t)(p->width - p->columns) * sizeof *copy);
    }
}

/* Adds the pixels of one picture's output lines to all taps of a piece. */
static void dw_add(const struct dio_step *step, const struct dw_piece *p, int64_t image, struct dio_range lines, const struct dw_scratch *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t channels = p->channels.end - p->channels.begin;
    const float *dy = dio_conv_dy(step) + (image * conv->oh + lines.begin) * conv->ow * conv->k + p->block * conv->block_k;
    struct dio_gemm_outer g = {.runs = scratch->runs, .x_step = conv->stride[1] * conv->c, .channels = channels, .dw = scratch->sums};
    dw_bind_dy(conv, p, dy + p->panel * conv->forward.panel_width, (lines.end - lines.begin) * conv->ow, scratch, &g);
    g.x = (const float *)step->x[0] + image * conv->h * conv->w * conv->c + p->block * conv->block_c + p->channels.begin;
    for (int64_t t = p->taps.begin; t < p->taps.end; t++, g.dw += channels * p->width) {
        g.n_runs = dw_runs(conv, t / conv->s, t % conv->s, lines, g.dy_step, scratch->runs);
        if (g.n_runs > 0) step->kernels->gemm_outer(&g);
    }
}

/* The same for rows of a batch that are one matrix. */
static void dw_add_rows(const struct dio_step *step, const struct dw_piece *p, struct dio_range rows, const struct dw_scratch *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t count = rows.end - rows.begin;
    const float *dy = dio_conv_dy(step) + rows.begin * conv->k + p->panel * conv->forward.panel_width;
    const struct dio_gemm_run run = {0, 0, (int32_t)count};
    struct dio_gemm_outer g = {.runs = &run, .n_runs = 1, .x_step = conv->c, .channels = p->channels.end - p->channels.begin,
                               .dw = scratch->sums, .x = (const float *)step->x[0] + rows.begin * conv->c + p->channels.begin};
    dw_bind_dy(conv, p, dy, count, scratch, &g);
    step->kernels->gemm_outer(&g);
}

static void dw_piece(const struct dio_step *step, int64_t index, void *memory)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct dw_piece p = dw_locate(conv, index);
    struct dw_scratch scratch;
    dw_scratch_floats(conv, &scratch, memory);
    memset(scratch.sums, 0, (size_t)((p.taps.end - p.taps.begin) * (p.channels.end - p.channels.begin) * p.width) * sizeof(float));
    if (conv->path == DIO_CONV_POINTWISE) {
        const int64_t rows = dio_conv_rows(step);
        for (int64_t row = 0; row < rows; row += DW_ROWS) {
            dw_add_rows(step, &p, (struct dio_range){row, dio_min_i64(rows, row + DW_ROWS)}, &scratch);
        }
    } else {
        for (int64_t image = 0; image < step->n; image++) {
            for (int64_t line = 0; line < conv->oh; line += conv->dw_lines) {
                dw_add(step, &p, image, (struct dio_range){line, dio_min_i64(conv->oh, line + conv->dw_lines)}, &scratch);
            }
        }
    }
    dw_write(step, &p, scratch.sums);
}

/* ---- bias ---- */

int64_t dio_conv_bias_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return conv->bias && step->dparam[1] ? dio_ceil_div(conv->k, DIO_CHANNEL_BLOCK) : 0;
}

void dio_conv_bias_backward(const struct dio_step *step, int64_t index)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct dio_range channels = dio_block(conv->k, DIO_CHANNEL_BLOCK, index);
    const int64_t count = channels.end - channels.begin;
    float sums[DIO_CHANNEL_BLOCK] = {0};
    step->kernels->column_sums(dio_conv_dy(step) + channels.begin, step->n * conv->oh * conv->ow, conv->k, count, sums);
    dio_put_row(step->dparam[1] + channels.begin, sums, count, step->add_dparam[1]);
}

/* ---- all three ---- */

int64_t dio_conv_backward_pieces(const struct dio_step *step) { return dw_pieces(step) + dx_pieces(step) + dio_conv_bias_pieces(step); }

size_t dio_conv_backward_scratch(const struct dio_conv *conv)
{
    size_t dx = 0;
    for (int64_t i = 0; i < conv->n_phases; i++) {
        const size_t offsets = (size_t)(conv->dx_cut.row_block * (conv->phases[i].taps + 1)) * sizeof(int32_t);
        if (offsets > dx) dx = offsets;
    }
    const size_t dw = dw_scratch_floats(conv, NULL, NULL) * sizeof(float);
    return dx > dw ? dx : dw;
}

void dio_conv_backward(const struct dio_step *step, int64_t index, void *scratch)
{
    const int64_t dw = dw_pieces(step), dx = dx_pieces(step);
    if (index < dw) {
        dw_piece(step, index, scratch);
    } else if (index < dw + dx) {
        dx_piece(step, index - dw, scratch);
    } else {
        dio_conv_bias_backward(step, index - dw - dx);
    }
}
