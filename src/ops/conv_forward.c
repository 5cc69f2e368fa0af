/* Forward of dense and grouped convolutions: for a block of output pixels and a run of panels, the row kernel. */
#include <string.h>

#include "ops/conv.h"

static int64_t row_blocks(const struct dio_step *step) { return dio_ceil_div(dio_conv_rows(step), dio_conv_of(step)->cut.row_block); }
static int64_t panel_groups(const struct dio_conv *conv) { return dio_ceil_div(conv->panels, conv->cut.panel_group); }

int64_t dio_conv_forward_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return dio_conv_images(step) * row_blocks(step) * conv->blocks * panel_groups(conv);
}

struct dio_conv_piece dio_conv_locate(const struct dio_step *step, int64_t index)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t rows = row_blocks(step), groups = panel_groups(conv), columns = conv->blocks * groups;
    const int64_t images = dio_conv_images(step) * rows;
    const int64_t column = conv->cut.panels_first ? index / images : index % columns;
    const int64_t row = conv->cut.panels_first ? index % images : index / columns;
    return (struct dio_conv_piece){row / rows, column / groups, dio_block(dio_conv_rows(step), conv->cut.row_block, row % rows),
                          dio_block(conv->panels, conv->cut.panel_group, column % groups)};
}

size_t dio_conv_forward_scratch(const struct dio_conv *conv)
{
    const size_t offsets = (size_t)(conv->cut.row_block * conv->r * (conv->path == DIO_CONV_FEW ? 1 : conv->s)) * sizeof(int32_t);
    if (conv->path == DIO_CONV_POINTWISE) return conv->gate ? (size_t)conv->forward_size * sizeof(float) : 0;
    if (conv->path != DIO_CONV_FEW) return offsets;
    return (offsets + 63) / 64 * 64 + (size_t)dio_conv_copy_floats(conv, conv->lines) * sizeof(float);
}

static int64_t copy_height(const struct dio_conv *conv, int64_t lines)
{
    return (lines - 1) * conv->stride[0] + (conv->r - 1) * conv->dilation[0] + 1;
}

static int64_t copy_width(const struct dio_conv *conv) { return (conv->ow - 1) * conv->stride[1] + conv->s; }

int64_t dio_conv_copy_floats(const struct dio_conv *conv, int64_t lines) { return copy_height(conv, lines) * copy_width(conv) * conv->c; }

int64_t dio_conv_copy_lines(const struct dio_conv *conv, const float *x, int64_t first, int64_t lines, float *copy)
{
    const int64_t height = copy_height(conv, lines), width = copy_width(conv);
    const int64_t left = dio_min_i64(conv->left, width), body = dio_max_i64(dio_min_i64(conv->w, width - left), 0);
    const size_t line = (size_t)(width * conv->c) * sizeof *copy;
    for (int64_t y = 0; y < height; y++) {
        const int64_t iy = first * conv->stride[0] - conv->top + y;
        float *out = copy + y * width * conv->c;
        if (iy < 0 || iy >= conv->h) {
            memset(out, 0, line);
            continue;
        }
        memset(out, 0, (size_t)(left * conv->c) * sizeof *copy);
        memcpy(out + left * conv->c, x + iy * conv->w * conv->c, (size_t)(body * conv->c) * sizeof *copy);
        memset(out + (left + body) * conv->c, 0, line - (size_t)((left + body) * conv->c) * sizeof *copy);
    }
    return width * conv->c;
}

/* Copies the lines under output lines [first, first + lines) with their padding, and points each output at its window:
 * a line of the kernel then is one tap of S * C floats, in the order in which weights are packed anyway. */
static const float *copy_lines(const struct dio_conv *conv, const float *x, int64_t first, int64_t lines, int32_t *offset, float *copy)
{
    const int64_t line = dio_conv_copy_lines(conv, x, first, lines, copy);
    for (int64_t r = 0; r < conv->r; r++) {
        for (int64_t y = 0; y < lines; y++) {
            const int64_t at = (y * conv->stride[0] + r * conv->dilation[0]) * line;
            for (int64_t i = 0; i < conv->ow; i++) *offset++ = (int32_t)(at + i * conv->stride[1] * conv->c);
        }
    }
    return copy;
}

/* The part of a call that all its panels share. */
static struct dio_gemm_rows gather(const struct dio_step *step, const struct dio_conv_piece *p, void *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t count = p->rows.end - p->rows.begin;
    const float *x = (const float *)step->x[0] + p->image * conv->h * conv->w * conv->c;
    struct dio_gemm_rows g = {.rows = count, .taps = conv->r * conv->s, .channels = conv->block_c, .zero = step->packed,
                              .y_stride = conv->k, .residual_stride = conv->k, .act = conv->act,
                              .far = step->mode == DIO_MODE_TRAIN};
    int32_t *offset = scratch;
    if (conv->path == DIO_CONV_POINTWISE) {
        g.x = x + p->rows.begin * conv->c;
        g.x_stride = conv->c;
        return g;
    }
    g.offset = offset;
    g.offset_stride = count;
    if (conv->path == DIO_CONV_FEW) {
        const size_t table = (size_t)(conv->cut.row_block * conv->r) * sizeof *offset;
        g.taps = conv->r;
        g.channels = conv->s * conv->c;
        g.x = copy_lines(conv, x, p->rows.begin / conv->ow, count / conv->ow, offset, (float *)((char *)scratch + (table + 63) / 64 * 64));
        return g;
    }
    g.x = x + p->block * conv->block_c;
    dio_conv_tap_offsets(conv, p->rows, offset);
    return g;
}

static const float *weights_of(const struct dio_step *step, int64_t block)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return (const float *)step->packed + conv->at_forward + block * conv->forward_size;
}

/* The panels of a piece times the gate of its image: they have fewer rows than the map, so it is they that are multiplied. */
static const float *gated_panels(const struct dio_step *step, const struct dio_conv_piece *p, float *out)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const float *packed = (const float *)step->packed + conv->at_forward;
    const float *gate = (const float *)step->x[step->n_inputs - 1] + p->image * conv->c;
    for (int64_t panel = p->panels.begin; panel < p->panels.end; panel++) {
        int width;
        int64_t at = dio_pack_panel(&conv->forward, panel, &width);
        for (int64_t c = 0; c < conv->c; c++, at += width) {
            for (int j = 0; j < width; j++) out[at + j] = packed[at + j] * gate[c];
        }
    }
    return out;
}

/* The call for each panel of a block, of those that lie from `weights` on; y and residual: the first row's first channel of the
 * step's output. */
static void run_panels(const struct dio_step *step, struct dio_gemm_rows *g, const float *weights, int64_t block, struct dio_range panels,
                       float *y, const float *residual)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const float *packed = step->packed;
    for (int64_t panel = panels.begin; panel < panels.end; panel++) {
        const int64_t first = block * conv->block_k + panel * conv->forward.panel_width;
        g->panel = weights + dio_pack_panel(&conv->forward, panel, &g->width);
        g->columns = (int)dio_min_i64(g->width, conv->block_k - panel * conv->forward.panel_width);
        g->bias = conv->bias ? packed + conv->at_bias + first : NULL;
        g->y = y + first;
        g->residual = residual ? residual + first : NULL;
        step->kernels->gemm_rows(g);
    }
}

void dio_conv_forward(const struct dio_step *step, int64_t index, void *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct dio_conv_piece p = dio_conv_locate(step, index);
    struct dio_gemm_rows g = gather(step, &p, scratch);
    const int64_t at = (p.image * conv->oh * conv->ow + p.rows.begin) * conv->k;
    const float *residual = dio_conv_residual(step), *weights = conv->gate ? gated_panels(step, &p, scratch) : weights_of(step, p.block);
    run_panels(step, &g, weights, p.block, p.panels, (float *)step->y[0] + at, residual ? residual + at : NULL);
}

/* ---- one row of pixels, from the rows of x that it meets ---- */

/* Offsets count from the first of the rows that exist: they lie in one block of memory. */
static const float *row_offsets(const struct dio_conv *conv, const void *const *rows, int32_t *offset)
{
    const float *base = NULL;
    for (int64_t r = 0; r < conv->r && !base; r++) base = rows[r];
    for (int64_t t = 0; t < conv->r * conv->s; t++, offset += conv->ow) {
        const float *row = rows[t / conv->s];
        const int64_t at = t % conv->s * conv->dilation[1] - conv->left;
        const struct dio_range inside = dio_conv_inside(conv->ow, conv->stride[1], at, conv->w);
        for (int64_t x = 0; x < conv->ow; x++) {
            const bool exists = row && x >= inside.begin && x < inside.end;
            offset[x] = exists ? (int32_t)(row - base + (x * conv->stride[1] + at) * conv->c) : -1;
        }
    }
    return base;
}

/* offset: [R][OW] into a copy of the rows with their padding. */
static const float *row_copy(const struct dio_conv *conv, const void *const *rows, int32_t *offset, float *copy)
{
    const int64_t width = copy_width(conv) * conv->c, left = dio_min_i64(conv->left * conv->c, width);
    const int64_t body = dio_max_i64(dio_min_i64(conv->w * conv->c, width - left), 0);
    for (int64_t r = 0; r < conv->r; r++) {
        float *line = copy + r * width;
        memset(line, 0, (size_t)width * sizeof *line);
        if (rows[r]) memcpy(line + left, rows[r], (size_t)body * sizeof *line);
        for (int64_t x = 0; x < conv->ow; x++) *offset++ = (int32_t)(r * width + x * conv->stride[1] * conv->c);
    }
    return copy;
}

static size_t row_table_bytes(const struct dio_conv *conv)
{
    return ((size_t)(conv->ow * conv->r * (conv->path == DIO_CONV_FEW ? 1 : conv->s)) * sizeof(int32_t) + 63) / 64 * 64;
}

size_t dio_conv_row_scratch(const struct dio_conv *conv)
{
    if (conv->path == DIO_CONV_POINTWISE || conv->path == DIO_CONV_DEPTHWISE) return 0;
    return row_table_bytes(conv) + (conv->path == DIO_CONV_FEW ? (size_t)(conv->r * copy_width(conv) * conv->c) * sizeof(float) : 0);
}

void dio_conv_row(const struct dio_step *step, const void *const *rows, float *y, const float *residual, float *means, void *scratch)
{
    (void)means;
    const struct dio_conv *conv = dio_conv_of(step);
    struct dio_gemm_rows g = {.rows = conv->ow, .taps = conv->r * conv->s, .channels = conv->block_c, .zero = step->packed,
                              .y_stride = conv->k, .residual_stride = conv->k, .act = conv->act};
    const float *x = rows[0];
    if (conv->path == DIO_CONV_POINTWISE) {
        g.x_stride = conv->c;
    } else {
        g.offset = scratch;
        g.offset_stride = conv->ow;
        if (conv->path == DIO_CONV_FEW) {
            g.taps = conv->r;
            g.channels = conv->s * conv->c;
            x = row_copy(conv, rows, scratch, (float *)(void *)((char *)scratch + row_table_bytes(conv)));
        } else {
            x = row_offsets(conv, rows, scratch);
        }
    }
    for (int64_t block = 0; block < conv->blocks; block++) {
        g.x = x ? x + block * conv->block_c : NULL;
        run_panels(step, &g, weights_of(step, block), block, (struct dio_range){0, conv->panels}, y, residual);
    }
}
