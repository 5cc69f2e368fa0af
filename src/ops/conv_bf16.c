/* Forward of convolutions and linear layers in a bf16 plan: weights are packed as bf16, products summed in f32.  In a bf16x3 plan
 * numbers and weights are split into a high half and a low half, and three products of halves are summed.  The work is
 * cut as that of conv_forward.c is.  Input, residual and output may each be bf16 or f32; an f32 input is narrowed first.
 *
 * packed: a row of zeros, the bias in f32, the panels of all blocks, those of the low halves; each part begins on a cache line. */
#include <string.h>

#include "ops/conv.h"

static size_t lines_of(size_t bytes) { return (bytes + 63) / 64 * 64; }

static struct dio_pack layout(const struct dio_conv *conv) { return dio_conv_narrow_layout(conv, 1); }

static size_t zero_bytes(const struct dio_conv *conv) { return lines_of((size_t)layout(conv).channels * sizeof(uint16_t)); }
static size_t bias_bytes(const struct dio_conv *conv) { return conv->bias ? lines_of((size_t)conv->k * sizeof(float)) : 0; }

static uint16_t *block_panels(const struct dio_step *step, int64_t block)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct dio_pack pack = layout(conv);
    return (uint16_t *)((char *)step->packed + zero_bytes(conv) + bias_bytes(conv)) + block * dio_pack_bf16_size(&pack);
}

/* From a panel to the one of its low halves. */
static int64_t low_panels(const struct dio_conv *conv)
{
    const struct dio_pack pack = layout(conv);
    return conv->blocks * dio_pack_bf16_size(&pack);
}

/* ---- halves (bf16x3) ---- */

static bool splits(const struct dio_step *step) { return step->precision == DIO_PRECISION_BF16X3; }
static int parts_of(const struct dio_step *step) { return splits(step) ? 2 : 1; }

enum { SOME = 256 };

/* rest = x - high of at most SOME numbers, high being the halves next to x; rest may be x. */
static void take_high(const struct dio_kernels *kernels, const float *x, int64_t count, uint16_t *high, float *rest)
{
    float wide[SOME];
    kernels->narrow(x, high, count);
    kernels->widen(high, wide, count);
    for (int64_t i = 0; i < count; i++) rest[i] = x[i] - wide[i];
}

/* x = high + low, but for 2^-17 of it.  low NULL: high alone. */
static void narrow(const struct dio_kernels *kernels, const float *x, int64_t count, uint16_t *high, uint16_t *low)
{
    float rest[SOME];
    for (int64_t i = 0; low && i < count; i += SOME) {
        const int64_t n = dio_min_i64(SOME, count - i);
        take_high(kernels, x + i, n, high + i, rest);
        kernels->narrow(rest, low + i, n);
    }
    if (!low) kernels->narrow(x, high, count);
}

/* ---- packing ---- */

static int64_t pack_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return conv->blocks * conv->panels + 1;
}

void dio_conv_stage(const struct dio_conv *conv, const struct dio_pack *pack, const float *w, int64_t first, int64_t columns, float *out)
{
    const int64_t all = conv->r * conv->s;
    memset(out, 0, (size_t)(columns * pack->taps * pack->channels) * sizeof *out);
    for (int64_t j = 0; j < columns; j++) {
        const int64_t k = first + j, first_c = k / conv->group_k * conv->group_c;
        for (int64_t i = 0; i < conv->group_c * all; i++) {
            const int64_t c = first_c + i / all, t = i % all;
            const int64_t channel = conv->path == DIO_CONV_FEW ? t % conv->s * conv->c + c : c;
            const int64_t tap = conv->path == DIO_CONV_FEW ? t / conv->s : t;
            out[(j * pack->channels + channel) * pack->taps + tap] = w[k * conv->group_c * all + i];
        }
    }
}

/* What the high halves leave. */
static void leave_low(const struct dio_kernels *kernels, float *w, int64_t count)
{
    uint16_t high[SOME];
    for (int64_t i = 0; i < count; i += SOME) take_high(kernels, w + i, dio_min_i64(SOME, count - i), high, w + i);
}

static void pack(const struct dio_step *step, int64_t piece, void *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t block = piece / conv->panels, panel = piece % conv->panels, taps = conv->r * conv->s;
    if (block == conv->blocks) {
        memset(step->packed, 0, zero_bytes(conv));
        if (conv->bias) memcpy((char *)step->packed + zero_bytes(conv), step->param[1], (size_t)conv->k * sizeof(float));
        return;
    }
    const float *w = (const float *)step->param[0] + block * conv->block_k * conv->group_c * taps;
    uint16_t *panels = block_panels(step, block);
    struct dio_pack pack = layout(conv);
    if (!dio_conv_is_staged(conv) && !splits(step)) {
        dio_pack_bf16_panels(&pack, w, panel, 1, panels);
        return;
    }
    int width;
    const int64_t first = panel * pack.panel_width, at = dio_pack_bf16_panel(&pack, panel, &width);
    pack.columns = dio_min_i64(width, conv->block_k - first);
    pack.c_stride = pack.taps;
    pack.column_stride = pack.taps * pack.channels;
    dio_conv_stage(conv, &pack, w, first, pack.columns, scratch);
    dio_pack_bf16_panels(&pack, scratch, 0, 1, panels + at);
    if (!splits(step)) return;
    leave_low(step->kernels, scratch, pack.columns * pack.column_stride);
    dio_pack_bf16_panels(&pack, scratch, 0, 1, panels + low_panels(conv) + at);
}

/* ---- forward ---- */

/* A curved activation is applied to f32, and bytes are made of it: the kernel writes into scratch, from where numbers are
 * narrowed. */
bool dio_conv_leaves_as_floats(const struct dio_step *step)
{
    return step->out[0].dtype == DIO_U8 || (step->out[0].dtype != DIO_F32 && dio_conv_of(step)->act > DIO_ACT_LAST_CLIP);
}

static bool narrows(const struct dio_step *step)
{
    return step->in[0].dtype != DIO_BF16 && dio_conv_of(step)->path != DIO_CONV_FEW;
}

static size_t narrowed_bytes(const struct dio_step *step)
{
    return lines_of((size_t)(step->in[0].shape.dims[0] * dio_image_elements(&step->in[0])) * sizeof(uint16_t));
}

static void narrow_input(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    uint16_t *high = step->shared, *low = (uint16_t *)((char *)step->shared + narrowed_bytes(step));
    const struct dio_range range = dio_block(step->n * dio_image_elements(&step->in[0]), DIO_BLOCK, piece);
    narrow(step->kernels, (const float *)step->x[0] + range.begin, range.end - range.begin, high + range.begin,
           splits(step) ? low + range.begin : NULL);
}

static const uint16_t *input_of(const struct dio_step *step) { return narrows(step) ? step->shared : step->x[0]; }

/* From a number of the copy to its low half. */
static int64_t low_copy(const struct dio_conv *conv)
{
    return (int64_t)(lines_of((size_t)(dio_conv_copied_height(conv, conv->lines) * dio_conv_copied_width(conv) * conv->c) * sizeof(uint16_t)) / sizeof(uint16_t));
}

/* As copy_lines of conv_forward.c. */
static void copy_lines(const struct dio_step *step, int64_t image, int64_t first, int64_t lines, int32_t *offset, uint16_t *copy)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t height = dio_conv_copied_height(conv, lines), width = dio_conv_copied_width(conv), c = conv->c;
    const int64_t left = dio_min_i64(conv->left, width), body = dio_max_i64(dio_min_i64(conv->w, width - left), 0);
    if (splits(step)) memset(copy + low_copy(conv), 0, (size_t)(height * width * c) * sizeof *copy);
    for (int64_t y = 0; y < height; y++) {
        const int64_t iy = first * conv->stride[0] - conv->top + y, from = (image * conv->h + iy) * conv->w * c;
        uint16_t *out = copy + y * width * c;
        memset(out, 0, (size_t)(width * c) * sizeof *out);
        if (iy < 0 || iy >= conv->h) continue;
        if (step->in[0].dtype == DIO_BF16) {
            memcpy(out + left * c, (const uint16_t *)step->x[0] + from, (size_t)(body * c) * sizeof *out);
        } else {
            uint16_t *low = splits(step) ? out + low_copy(conv) + left * c : NULL;
            narrow(step->kernels, (const float *)step->x[0] + from, body * c, out + left * c, low);
        }
    }
    for (int64_t r = 0; r < conv->r; r++) {
        for (int64_t y = 0; y < lines; y++) {
            const int64_t at = (y * conv->stride[0] + r * conv->dilation[0]) * width * c;
            for (int64_t i = 0; i < conv->ow; i++) *offset++ = (int32_t)(at + i * conv->stride[1] * c);
        }
    }
}

static size_t table_bytes(const struct dio_conv *conv)
{
    return lines_of((size_t)(conv->cut.row_block * layout(conv).taps) * sizeof(int32_t));
}

static size_t forward_scratch(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    if (conv->path == DIO_CONV_POINTWISE) return 0;
    if (conv->path != DIO_CONV_FEW) return table_bytes(conv);
    return table_bytes(conv) + (size_t)(parts_of(step) * low_copy(conv)) * sizeof(uint16_t);
}

/* The part of a call that all its panels share. */
static struct dio_gemm_rows_bf16 gather(const struct dio_step *step, const struct dio_conv_piece *p, void *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t count = p->rows.end - p->rows.begin;
    const uint16_t *x = input_of(step);
    struct dio_gemm_rows_bf16 g = {.rows = count, .taps = layout(conv).taps, .channels = layout(conv).channels, .zero = step->packed,
                                   .y_stride = conv->k, .residual_stride = conv->k, .act = conv->act,
                                   .y_f32 = step->out[0].dtype != DIO_BF16 || dio_conv_leaves_as_floats(step), .residual_f32 = step->n_inputs == 2 && step->in[1].dtype != DIO_BF16};
    int32_t *offset = scratch;
    if (conv->path == DIO_CONV_POINTWISE) {
        g.x = x + p->rows.begin * conv->c;
        g.x_stride = conv->c;
        return g;
    }
    g.offset = offset;
    g.offset_stride = count;
    if (conv->path == DIO_CONV_FEW) {
        uint16_t *copy = (uint16_t *)((char *)scratch + table_bytes(conv));
        copy_lines(step, p->image, p->rows.begin / conv->ow, count / conv->ow, offset, copy);
        g.x = copy;
        return g;
    }
    g.x = x + p->image * conv->h * conv->w * conv->c + p->block * conv->block_c;
    dio_conv_tap_offsets(conv, p->rows, offset);
    return g;
}

/* bf16x3: low times high and high times low, then the largest, each upon the last. */
static void multiply_halves(const struct dio_step *step, const struct dio_gemm_rows_bf16 *whole)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t low = conv->path == DIO_CONV_FEW ? low_copy(conv) : (int64_t)(narrowed_bytes(step) / sizeof(uint16_t));
    struct dio_gemm_rows_bf16 g = *whole;
    for (int part = 0; part < 3; part++) {
        g.x = whole->x + (part == 0 ? low : 0);
        g.panel = whole->panel + (part == 1 ? low_panels(conv) : 0);
        g.act = part == 2 ? whole->act : DIO_ACT_NONE;
        step->kernels->gemm_rows_bf16(&g);
        g.bias = NULL;
        g.residual = g.y;
        g.residual_stride = g.y_stride;
        g.residual_f32 = true;
    }
}

static void forward(const struct dio_step *step, int64_t index, void *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct dio_conv_piece p = dio_conv_locate(step, index);
    const struct dio_pack pack = layout(conv);
    const uint16_t *panels = block_panels(step, p.block);
    const float *bias = conv->bias ? (const float *)(const void *)((const char *)step->packed + zero_bytes(conv)) : NULL;
    struct dio_gemm_rows_bf16 g = gather(step, &p, scratch);
    for (int64_t panel = p.panels.begin; panel < p.panels.end; panel++) {
        const int64_t first = p.block * conv->block_k + panel * pack.panel_width;
        const int64_t at = (p.image * conv->oh * conv->ow + p.rows.begin) * conv->k + first;
        g.panel = panels + dio_pack_bf16_panel(&pack, panel, &g.width);
        g.columns = (int)dio_min_i64(g.width, conv->block_k - panel * pack.panel_width);
        g.bias = bias ? bias + first : NULL;
        g.y = (char *)step->y[0] + (size_t)at * dio_element_size(&step->out[0]);
        g.residual = step->n_inputs == 2 ? (const char *)step->x[1] + (size_t)at * dio_element_size(&step->in[1]) : NULL;
        if (dio_conv_leaves_as_floats(step)) {
            g.y = (char *)scratch + forward_scratch(step);
            g.y_stride = g.columns;
        }
        if (splits(step)) multiply_halves(step, &g);
        else step->kernels->gemm_rows_bf16(&g);
        for (int64_t i = 0; dio_conv_leaves_as_floats(step) && i < g.rows; i++) {
            dio_written_floats(step, at + i * conv->k, g.columns, (const float *)g.y + i * g.columns);
        }
    }
}

bool dio_conv_is_bf16(const struct dio_step *step)
{
    if (step->precision == DIO_PRECISION_F32 || step->mode != DIO_MODE_INFER) return false;
    /* Depthwise filters stay f32: only the maps are narrower. */
    return dio_conv_of(step)->path != DIO_CONV_DEPTHWISE || step->in[0].dtype != DIO_F32 || step->out[0].dtype != DIO_F32;
}

void dio_conv_bf16_narrow(struct dio_step *step)
{
    if (!narrows(step)) return;
    step->shared_bytes = (size_t)parts_of(step) * narrowed_bytes(step);
    dio_add_forward(step, narrow_input, dio_pieces_elements);
}

void dio_conv_bf16_prepare(struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    if (!splits(step)) step->precision = DIO_PRECISION_BF16;
    step->packed_bytes = zero_bytes(conv) + bias_bytes(conv) + (size_t)(parts_of(step) * low_panels(conv)) * sizeof(uint16_t);
    step->pack[step->n_pack++] = (struct dio_op_phase){pack, pack_pieces};
    step->scratch_bytes = forward_scratch(step);
    if (dio_conv_leaves_as_floats(step)) step->scratch_bytes += (size_t)(conv->cut.row_block * conv->forward.panel_width) * sizeof(float);
    if (dio_conv_is_staged(conv) || splits(step)) {
        const int64_t columns = dio_min_i64(conv->block_k, conv->forward.panel_width);
        const size_t staged = (size_t)(columns * conv->r * conv->s * conv->block_c) * sizeof(float);
        if (staged > step->scratch_bytes) step->scratch_bytes = staged;
    }
    dio_conv_bf16_narrow(step);
    dio_add_forward(step, forward, dio_conv_forward_pieces);
}
