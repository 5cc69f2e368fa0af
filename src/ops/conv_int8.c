/* Forward of convolutions and linear layers whose input is of bytes: weights are rounded to whole numbers, one scale an output
 * channel; sums are exact.  The work is cut as that of conv_forward.c is.
 *
 * packed: a row of the input's zero point, factors and biases in f32, the panels of all blocks; each part begins on a cache
 * line. */
#include <math.h>
#include <string.h>

#include "ops/conv.h"

enum { PANEL_MAX = 64 };

static size_t lines_of(size_t bytes) { return (bytes + 63) / 64 * 64; }
static struct dio_pack layout(const struct dio_conv *conv) { return dio_conv_narrow_layout(conv, 4); }
static size_t zero_bytes(const struct dio_conv *conv) { return lines_of((size_t)layout(conv).channels); }
static float *factors(const struct dio_step *step) { return (float *)(void *)((char *)step->packed + zero_bytes(dio_conv_of(step))); }
static int64_t factor_floats(const struct dio_conv *conv) { return (conv->k + 15) / 16 * 16; }

static int8_t *block_panels(const struct dio_step *step, int64_t block)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct dio_pack pack = layout(conv);
    return (int8_t *)(void *)(factors(step) + 2 * factor_floats(conv)) + block * dio_pack_int8_size(&pack);
}

/* ---- packing ---- */

static int64_t pack_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return conv->blocks * conv->panels + 1;
}

/* One over a column's scale; 0 where it has nothing but zeros (or no finite largest number). */
float dio_conv_inverse_scale(const float *w, int64_t count)
{
    float largest = 0;
    for (int64_t i = 0; i < count; i++) largest = fmaxf(largest, fabsf(w[i]));
    const float inverse = 127 / largest;
    return largest > 0 && isfinite(inverse) && inverse > 0 ? inverse : 0;
}

static void pack_panel(const struct dio_step *step, int64_t piece, void *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t block = piece / conv->panels, panel = piece % conv->panels, each = conv->group_c * conv->r * conv->s;
    const struct dio_value_type *x = &step->in[0];
    if (block == conv->blocks) {
        memset(step->packed, x->zero, zero_bytes(conv));
        return;
    }
    const float *w = (const float *)step->param[0] + block * conv->block_k * each;
    struct dio_pack pack = layout(conv);
    int width;
    const int64_t first = panel * pack.panel_width, at = dio_pack_int8_panel(&pack, panel, &width);
    const int64_t columns = dio_min_i64(width, conv->block_k - first);
    float inverse[PANEL_MAX];
    int32_t sums[PANEL_MAX];
    for (int64_t j = 0; j < columns; j++) inverse[j] = dio_conv_inverse_scale(w + (first + j) * each, each);
    int8_t *panels = block_panels(step, block);
    if (!dio_conv_is_staged(conv)) {
        dio_pack_int8_panels(&pack, w, inverse, panel, 1, panels, sums);
    } else {
        dio_conv_stage(conv, &pack, w, first, columns, scratch);
        pack.columns = columns;
        pack.c_stride = pack.taps;
        pack.column_stride = pack.taps * pack.channels;
        dio_pack_int8_panels(&pack, scratch, inverse, 0, 1, panels + at, sums);
    }
    for (int64_t j = 0; j < columns; j++) {
        const int64_t k = block * conv->block_k + first + j;
        const float factor = inverse[j] > 0 ? x->scale / inverse[j] : 0;
        const float bias = conv->bias ? ((const float *)step->param[1])[k] : 0;
        factors(step)[k] = factor;
        factors(step)[factor_floats(conv) + k] = bias - factor * (float)x->zero * (float)sums[j];
    }
}

/* ---- forward ---- */

static size_t table_bytes(const struct dio_conv *conv) { return lines_of((size_t)(conv->cut.row_block * layout(conv).taps) * sizeof(int32_t)); }

static size_t forward_scratch(const struct dio_conv *conv)
{
    if (conv->path == DIO_CONV_POINTWISE) return 0;
    if (conv->path != DIO_CONV_FEW) return table_bytes(conv);
    const int64_t filled = layout(conv).channels - conv->s * conv->c; /* read behind the last pixel, times a weight of 0 */
    return table_bytes(conv) + lines_of((size_t)(dio_conv_copied_height(conv, conv->lines) * dio_conv_copied_width(conv) * conv->c + filled));
}

/* Bytes of the lines under output lines [first, first + lines), with their padding, and where their pixels begin. */
static void copy_lines(const struct dio_step *step, int64_t image, int64_t first, int64_t lines, int32_t *offset, uint8_t *copy)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct dio_value_type *x = &step->in[0];
    const int64_t height = dio_conv_copied_height(conv, lines), width = dio_conv_copied_width(conv), c = conv->c;
    const int64_t left = dio_min_i64(conv->left, width), body = dio_max_i64(dio_min_i64(conv->w, width - left), 0);
    const float *map = (const float *)step->x[0] + image * conv->h * conv->w * c;
    for (int64_t y = 0; y < height; y++) {
        const int64_t iy = first * conv->stride[0] - conv->top + y;
        uint8_t *out = copy + y * width * c;
        const bool inside = iy >= 0 && iy < conv->h;
        if (!inside || body < width) memset(out, x->zero, (size_t)(width * c));
        if (inside) step->kernels->to_u8(map + iy * conv->w * c, x->scale, x->zero, out + left * c, body * c);
    }
    for (int64_t r = 0; r < conv->r; r++) {
        for (int64_t y = 0; y < lines; y++) {
            const int64_t at = (y * conv->stride[0] + r * conv->dilation[0]) * width * c;
            for (int64_t i = 0; i < conv->ow; i++) *offset++ = (int32_t)(at + i * conv->stride[1] * c);
        }
    }
}

/* A curved activation is applied to f32, from where numbers are narrowed. */
static bool curves(const struct dio_step *step)
{
    return step->out[0].dtype != DIO_F32 && dio_conv_of(step)->act > DIO_ACT_LAST_CLIP;
}

/* The part of a call that all its panels share. */
static struct dio_gemm_rows_int8 gather(const struct dio_step *step, const struct dio_conv_piece *p, void *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t count = p->rows.end - p->rows.begin;
    const uint8_t *x = step->x[0];
    const struct dio_pack pack = layout(conv);
    struct dio_gemm_rows_int8 g = {.rows = count, .taps = pack.taps, .channels = pack.channels, .zero = step->packed,
                                   .y_stride = conv->k, .residual_stride = conv->k, .act = conv->act, .y_cells = dio_cells_of(&step->out[0])};
    if (step->n_inputs == 2) g.residual_cells = dio_cells_of(&step->in[1]);
    if (conv->path == DIO_CONV_POINTWISE) {
        g.x = x + p->rows.begin * conv->c;
        g.x_stride = conv->c;
        return g;
    }
    int32_t *offset = scratch;
    g.offset = offset;
    g.offset_stride = count;
    if (conv->path == DIO_CONV_FEW) {
        uint8_t *copy = (uint8_t *)scratch + table_bytes(conv);
        copy_lines(step, p->image, p->rows.begin / conv->ow, count / conv->ow, offset, copy);
        g.x = copy;
        return g;
    }
    g.x = x + p->image * conv->h * conv->w * conv->c + p->block * conv->block_c;
    dio_conv_tap_offsets(conv, p->rows, offset);
    return g;
}

static void forward(const struct dio_step *step, int64_t index, void *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct dio_conv_piece p = dio_conv_locate(step, index);
    const struct dio_pack pack = layout(conv);
    const int8_t *panels = block_panels(step, p.block);
    struct dio_gemm_rows_int8 g = gather(step, &p, scratch);
    for (int64_t panel = p.panels.begin; panel < p.panels.end; panel++) {
        const int64_t first = p.block * conv->block_k + panel * conv->forward.panel_width;
        const int64_t at = (p.image * conv->oh * conv->ow + p.rows.begin) * conv->k + first;
        g.panel = panels + dio_pack_int8_panel(&pack, panel, &g.width);
        g.columns = (int)dio_min_i64(g.width, conv->block_k - panel * conv->forward.panel_width);
        g.factor = factors(step) + first;
        g.bias = g.factor + factor_floats(conv);
        g.y = (char *)step->y[0] + (size_t)at * dio_element_size(&step->out[0]);
        g.residual = step->n_inputs == 2 ? (const char *)step->x[1] + (size_t)at * dio_element_size(&step->in[1]) : NULL;
        if (curves(step)) {
            g.y = (char *)scratch + forward_scratch(conv);
            g.y_stride = g.columns;
            g.y_cells.type = DIO_CELL_F32;
        }
        step->kernels->gemm_rows_int8(&g);
        for (int64_t i = 0; curves(step) && i < g.rows; i++) {
            dio_written_floats(step, at + i * conv->k, g.columns, (const float *)g.y + i * g.columns);
        }
    }
}

void dio_conv_int8_prepare(struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct dio_pack pack = layout(conv);
    step->precision = DIO_PRECISION_INT8;
    step->rows.run = NULL;
    step->packed_bytes = zero_bytes(conv) + (size_t)(2 * factor_floats(conv)) * sizeof(float) + (size_t)(conv->blocks * dio_pack_int8_size(&pack));
    step->pack[step->n_pack++] = (struct dio_op_phase){pack_panel, pack_pieces};
    step->scratch_bytes = forward_scratch(conv);
    if (curves(step)) step->scratch_bytes += (size_t)(conv->cut.row_block * conv->forward.panel_width) * sizeof(float);
    if (dio_conv_is_staged(conv)) {
        const int64_t columns = dio_min_i64(conv->block_k, conv->forward.panel_width);
        const size_t staged = (size_t)(columns * pack.taps * pack.channels) * sizeof(float);
        if (staged > step->scratch_bytes) step->scratch_bytes = staged;
    }
    dio_add_forward(step, forward, dio_conv_forward_pieces);
}

bool dio_conv_is_int8(const struct dio_step *step)
{
    if (step->precision != DIO_PRECISION_INT8 || step->mode != DIO_MODE_INFER) return false;
    return step->in[0].dtype == DIO_U8 || (step->in[0].scale > 0 && dio_conv_of(step)->path == DIO_CONV_FEW);
}
