/* The weights' gradient of 3 x 3 convolutions with stride 1 by Winograd's tiles (kernels/winograd.h): patches of x and tiles of dy
 * are transformed, and for each position their products over the tiles are summed as one matrix; conv_weights.c transforms the
 * sums back. */
#include "ops/conv.h"

struct block {
    float *x, *dy; /* [position][tile][row] */
    int64_t x_row, x_step, dy_row, dy_step;
};

static size_t bind_scratch(const struct dio_conv *conv, float *scratch, struct block *b)
{
    const int64_t positions = dio_winograd_positions(conv->dw.tile);
    b->x_row = dio_winograd_row(conv->dw.channels);
    b->x_step = dio_winograd_position(conv->dw.rows, b->x_row);
    b->dy_row = dio_winograd_row(conv->dw.panels * conv->forward.panel_width);
    b->dy_step = dio_winograd_position(conv->dw.rows, b->dy_row);
    b->x = scratch;
    b->dy = scratch ? scratch + positions * b->x_step : NULL;
    return (size_t)(positions * (b->x_step + b->dy_step)) * sizeof(float);
}

size_t dio_winograd_unit_scratch(const struct dio_conv *conv)
{
    struct block b;
    return bind_scratch(conv, NULL, &b);
}

static void transform_patch(const struct dio_step *step, const struct dio_winograd_unit *unit, int64_t tile, float *v, int64_t v_step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct dio_winograd_place at = dio_winograd_locate(conv->oh, conv->ow, conv->dw.tile, tile);
    const float *pixels[DIO_WINOGRAD_POSITIONS], *x = (const float *)step->x[0] + at.image * conv->h * conv->w * conv->c;
    const int64_t shape[] = {conv->h, conv->w, conv->c};
    dio_winograd_pixels(x + unit->channels.begin, shape, at.y - conv->top, at.x - conv->left, conv->dw.tile + 2, step->packed, pixels);
    const struct dio_winograd_input w = {conv->dw.tile, unit->channels.end - unit->channels.begin, pixels, v, v_step};
    step->kernels->winograd_input(&w);
}

static void transform_dy(const struct dio_step *step, struct dio_range columns, int64_t tile, float *v, int64_t v_step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct dio_winograd_place at = dio_winograd_locate(conv->oh, conv->ow, conv->dw.tile, tile);
    const float *pixels[DIO_WINOGRAD_POSITIONS], *dy = dio_conv_dy(step) + at.image * conv->oh * conv->ow * conv->k;
    const int64_t shape[] = {conv->oh, conv->ow, conv->k};
    dio_winograd_pixels(dy + columns.begin, shape, at.y, at.x, conv->dw.tile, step->packed, pixels);
    const struct dio_winograd_spread w = {conv->dw.tile, columns.end - columns.begin, pixels, v, v_step};
    step->kernels->winograd_spread(&w);
}

void dio_winograd_add_unit(const struct dio_step *step, const struct dio_winograd_unit *unit, float *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t panel_width = conv->forward.panel_width, tiles = unit->tiles.end - unit->tiles.begin;
    const struct dio_range columns = {unit->panels.begin * panel_width, dio_min_i64(unit->panels.end * panel_width, conv->k)};
    struct block b;
    bind_scratch(conv, scratch, &b);
    for (int64_t i = 0; i < tiles; i++) {
        transform_patch(step, unit, unit->tiles.begin + i, b.x + i * b.x_row, b.x_step);
        transform_dy(step, columns, unit->tiles.begin + i, b.dy + i * b.dy_row, b.dy_step);
    }
    const struct dio_gemm_run run = {0, 0, tiles};
    for (int p = 0; p < dio_winograd_positions(conv->dw.tile); p++) {
        for (int64_t panel = unit->panels.begin; panel < unit->panels.end; panel++) {
            const int64_t index = panel - unit->panels.begin, first = index * panel_width;
            struct dio_gemm_outer g = {.runs = &run, .n_runs = 1, .x = b.x + p * b.x_step, .x_step = b.x_row, .dy = b.dy + p * b.dy_step + first,
                                       .dy_step = b.dy_row, .channels = unit->channels.end - unit->channels.begin, .overwrite = unit->first};
            dio_pack_panel(&conv->forward, panel, &g.width);
            g.dw = unit->sums + index * unit->panel_floats + p * (g.channels * g.width + unit->pitch);
            g.columns = (int)dio_min_i64(g.width, columns.end - columns.begin - first);
            step->kernels->gemm_outer(&g);
        }
    }
}
