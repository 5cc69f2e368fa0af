/* Gradients of dense and grouped convolutions; that of the weights is in conv_weights.c.
 *
 * Input: the forward kernel over dy with transposed weights, one phase of the strides after another, so that no
 * multiplication meets a zero that a stride put there. */
#include <string.h>

#include "ops/conv.h"

const float *dio_conv_dy(const struct dio_step *step)
{
    return dio_conv_of(step)->act == dio_conv_of(step)->late_act ? step->dy[0] : step->shared; /* both none */
}

void dio_conv_late_activation(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct dio_conv *conv = dio_conv_of(step);
    const struct dio_range range = dio_block(step->n * conv->oh * conv->ow * conv->k, DIO_BLOCK, piece);
    float *y = (float *)step->y[0] + range.begin, *kept = (float *)step->saved + range.begin;
    memcpy(kept, y, (size_t)(range.end - range.begin) * sizeof *y);
    step->kernels->act_forward(conv->late_act, kept, y, range.end - range.begin);
}

void dio_conv_activation_backward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct dio_conv *conv = dio_conv_of(step);
    const struct dio_range range = dio_block(step->n * conv->oh * conv->ow * conv->k, DIO_BLOCK, piece);
    const int64_t count = range.end - range.begin;
    const bool late = conv->late_act != DIO_ACT_NONE;
    if (late || conv->act != DIO_ACT_NONE) {
        const float *kept = late ? step->saved : step->y[0];
        step->kernels->act_backward(late ? conv->late_act : conv->act, kept + range.begin, step->dy[0] + range.begin,
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
    if (conv->dx_tiles.m) return dio_winograd_dx_pieces(step);
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
    struct dio_gemm_rows g = {.rows = rows.end - rows.begin, .taps = phase->taps, .channels = conv->block_k, .zero = packed, .far = true,
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

/* ---- bias ---- */

int64_t dio_conv_bias_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return conv->bias && step->dparam[1] && !conv->dw.bias ? dio_ceil_div(conv->k, DIO_CHANNEL_BLOCK) : 0;
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

int64_t dio_conv_backward_pieces(const struct dio_step *step) { return dio_conv_weights_pieces(step) + dx_pieces(step) + dio_conv_bias_pieces(step); }

size_t dio_conv_backward_scratch(const struct dio_conv *conv)
{
    size_t dx = 0;
    for (int64_t i = 0; i < conv->n_phases; i++) {
        const size_t offsets = (size_t)(conv->dx_cut.row_block * (conv->phases[i].taps + 1)) * sizeof(int32_t);
        if (offsets > dx) dx = offsets;
    }
    if (conv->dx_tiles.m) dx = dio_winograd_scratch(&conv->dx_tiles);
    const size_t dw = dio_conv_weights_scratch(conv);
    return dx > dw ? dx : dw;
}

void dio_conv_backward(const struct dio_step *step, int64_t index, void *scratch)
{
    const int64_t dw = dio_conv_weights_pieces(step), dx = dx_pieces(step);
    if (index < dw) {
        dio_conv_weights_backward(step, index, scratch);
    } else if (index < dw + dx) {
        (dio_conv_of(step)->dx_tiles.m ? dio_winograd_dx : dx_piece)(step, index - dw, scratch);
    } else {
        dio_conv_bias_backward(step, index - dw - dx);
    }
}
