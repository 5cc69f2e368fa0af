/* Forward of 3 x 3 convolutions with stride 1 by Winograd's minimal filtering (kernels/winograd.h), in inference only: 36
 * multiplications in place of 144 for a tile of 4 x 4 outputs, 16 in place of 36 for 2 x 2, for results that differ from
 * the direct path's in the last digits.
 *
 * A piece is a block of tiles and a run of panels.  It transforms the tiles' patches, multiplies each position by its weights
 * as one matrix, and transforms the sums back.  Blocks go over the tiles of all pictures of a step, so that the weights,
 * which are larger than the direct path's, are read once for several small maps; a tile's result does not depend on the
 * block it falls into. */
#include <string.h>

#include "ops/conv.h"

enum {
    TILES_MAX = 48,             /* of a block */
    TILES_MIN = 16,             /* below it, weights are read for too few products */
    BLOCK_BYTES = 1280 << 10,   /* of the transformed patches of a block */
    PIECES = 8                  /* wanted, where there are as many */
};

/* ---- choice ---- */

static int64_t tiles_of(int64_t oh, int64_t ow, int m) { return dio_ceil_div(oh, m) * dio_ceil_div(ow, m); }

/* Estimates in multiply-adds of one vector, which take about a cycle.  A picture's weights come from memory in the worst
 * case (batch 1): the slower of the two counts. */
enum { WEIGHT_BYTES_A_CYCLE = 8, POSITION_COST = 6, ROW_COST = 5 };

static double products_cost(const struct dio_conv_shape *s, const struct dio_kernels *kernels, double positions, double rows)
{
    const double products = rows * positions * (double)s->c * (double)dio_ceil_div(s->k, kernels->vector_width);
    const double weights = positions * (double)s->c * (double)s->k * 4 / WEIGHT_BYTES_A_CYCLE;
    return products > weights ? products : weights;
}

static double tile_cost(const struct dio_conv_shape *s, const struct dio_kernels *kernels, int m)
{
    const double tiles = (double)tiles_of(s->oh, s->ow, m), positions = dio_winograd_positions(m);
    const double vectors = (double)(dio_ceil_div(s->c, kernels->vector_width) + dio_ceil_div(s->k, kernels->vector_width));
    return products_cost(s, kernels, positions, tiles) + tiles * vectors * positions * POSITION_COST;
}

int dio_winograd_tile(const struct dio_conv_shape *s, const struct dio_kernels *kernels)
{
    if (s->r != 3 || s->s != 3 || s->stride[0] != 1 || s->stride[1] != 1 || s->dilation[0] != 1 || s->dilation[1] != 1 || s->groups != 1) return 0;
    if (s->c < 2 * kernels->vector_width || s->k < 2 * kernels->vector_width) return 0;
    double best = 0.9 * products_cost(s, kernels, 9, (double)(s->oh * s->ow));
    int tile = 0;
    for (int m = 2; m <= 4; m += 2) {
        const double cost = tile_cost(s, kernels, m);
        if (cost >= best) continue;
        best = cost;
        tile = m;
    }
    return tile;
}

/* ---- cutting ---- */

/* Floats between neighbouring rows of a matrix, and between positions: no multiples of a page's size, or lines that are used
 * together would meet in one set of the near cache. */
static int64_t row_floats(int64_t count) { return (count + 15) / 16 * 16 + 16; }
static int64_t position_floats(int64_t rows, int64_t row) { return (rows * row + 255) / 256 * 256 + 48; }

struct cut {
    int64_t tiles, blocks; /* of the step's pictures */
    int64_t panel_group, panel_groups;
};

static int64_t block_tiles(const struct dio_conv *conv)
{
    const int64_t fitting = BLOCK_BYTES / (dio_winograd_positions(conv->tile) * conv->c * (int64_t)sizeof(float));
    return dio_max_i64(TILES_MIN, dio_min_i64(TILES_MAX, fitting));
}

static struct cut cut_of(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    struct cut cut = {.tiles = step->n * tiles_of(conv->oh, conv->ow, conv->tile)};
    cut.blocks = dio_ceil_div(cut.tiles, block_tiles(conv));
    cut.blocks = dio_max_i64(cut.blocks, dio_min_i64(PIECES, cut.tiles / TILES_MIN));
    cut.panel_groups = dio_min_i64(conv->panels, dio_ceil_div(PIECES, cut.blocks));
    cut.panel_group = dio_ceil_div(conv->panels, cut.panel_groups);
    cut.panel_groups = dio_ceil_div(conv->panels, cut.panel_group);
    return cut;
}

static int64_t pieces(const struct dio_step *step)
{
    const struct cut cut = cut_of(step);
    return cut.blocks * cut.panel_groups;
}

/* ---- run ---- */

struct block {
    float *v, *s;              /* [position][tile][row] */
    int64_t v_row, v_step, s_row, s_step;
};

static size_t bind_scratch(const struct dio_conv *conv, float *scratch, struct block *b)
{
    const int64_t tiles = block_tiles(conv), positions = dio_winograd_positions(conv->tile);
    b->v_row = row_floats(conv->c);
    b->v_step = position_floats(tiles, b->v_row);
    b->s_row = conv->forward.panel_width;
    b->s_step = position_floats(tiles, b->s_row);
    b->v = scratch;
    b->s = scratch ? scratch + positions * b->v_step : NULL;
    return (size_t)(positions * (b->v_step + b->s_step)) * sizeof(float);
}

struct place {
    int64_t image, y, x; /* of a tile's first output */
};

static struct place place_of(const struct dio_conv *conv, int64_t tile)
{
    const int64_t columns = dio_ceil_div(conv->ow, conv->tile), of_image = tiles_of(conv->oh, conv->ow, conv->tile);
    return (struct place){tile / of_image, tile % of_image / columns * conv->tile, tile % columns * conv->tile};
}

static void transform_patch(const struct dio_step *step, int64_t tile, float *v, int64_t v_step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct place at = place_of(conv, tile);
    const float *x = (const float *)step->x[0] + at.image * conv->h * conv->w * conv->c, *pixels[DIO_WINOGRAD_POSITIONS];
    const int side = conv->tile + 2;
    for (int i = 0; i < side; i++) {
        const int64_t y = at.y - conv->top + i;
        for (int j = 0; j < side; j++) {
            const int64_t column = at.x - conv->left + j;
            const bool inside = y >= 0 && y < conv->h && column >= 0 && column < conv->w;
            pixels[i * side + j] = inside ? x + (y * conv->w + column) * conv->c : step->packed; /* which starts with zeros */
        }
    }
    const struct dio_winograd_input w = {conv->tile, conv->c, pixels, v, v_step};
    step->kernels->winograd_input(&w);
}

static void transform_sums(const struct dio_step *step, int64_t tile, int64_t first, int64_t channels, const float *s, int64_t s_step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct place p = place_of(conv, tile);
    const int64_t at = ((p.image * conv->oh + p.y) * conv->ow + p.x) * conv->k + first;
    const struct dio_winograd_output w = {
        .m = conv->tile, .rows = (int)dio_min_i64(conv->tile, conv->oh - p.y), .columns = (int)dio_min_i64(conv->tile, conv->ow - p.x),
        .channels = channels, .s = s, .s_step = s_step, .bias = conv->bias ? (const float *)step->packed + conv->at_bias + first : NULL,
        .residual = step->n_inputs == 2 ? (const float *)step->x[1] + at : NULL, .y = (float *)step->y[0] + at,
        .y_line = conv->ow * conv->k, .y_pixel = conv->k, .act = conv->act};
    step->kernels->winograd_output(&w);
}

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct cut cut = cut_of(step);
    const int64_t index = piece / cut.panel_groups, begin = cut.tiles * index / cut.blocks, tiles = cut.tiles * (index + 1) / cut.blocks - begin;
    const struct dio_range panels = dio_block(conv->panels, cut.panel_group, piece % cut.panel_groups);
    const int positions = dio_winograd_positions(conv->tile);
    struct block b;
    bind_scratch(conv, scratch, &b);
    for (int64_t t = 0; t < tiles; t++) transform_patch(step, begin + t, b.v + t * b.v_row, b.v_step);
    for (int64_t panel = panels.begin; panel < panels.end; panel++) {
        struct dio_gemm_rows g = {.rows = tiles, .taps = 1, .channels = conv->c, .x_stride = b.v_row, .y_stride = b.s_row};
        const float *weights = (const float *)step->packed + conv->at_forward + dio_pack_panel(&conv->forward, panel, &g.width);
        g.columns = g.width;
        for (int p = 0; p < positions; p++) {
            g.x = b.v + p * b.v_step;
            g.panel = weights + p * conv->c * g.width;
            g.y = b.s + p * b.s_step;
            step->kernels->gemm_rows(&g);
        }
        const int64_t first = panel * conv->forward.panel_width, channels = dio_min_i64(g.width, conv->k - first);
        for (int64_t t = 0; t < tiles; t++) transform_sums(step, begin + t, first, channels, b.s + t * b.s_row, b.s_step);
    }
}

/* ---- packing ---- */

/* A piece is a panel, or what stands before the panels: zeros and the bias. */
static int64_t pack_pieces(const struct dio_step *step) { return dio_conv_of(step)->panels + 1; }

static void pack(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct dio_conv *conv = dio_conv_of(step);
    float *packed = step->packed;
    if (piece == conv->panels) {
        memset(packed, 0, (size_t)conv->at_bias * sizeof *packed);
        if (conv->bias) memcpy(packed + conv->at_bias, step->param[1], (size_t)conv->k * sizeof *packed);
        return;
    }
    int width;
    float *panel = packed + conv->at_forward + dio_pack_panel(&conv->forward, piece, &width);
    const int64_t first = piece * conv->forward.panel_width;
    const int columns = (int)dio_min_i64(width, conv->k - first);
    if (columns < width) memset(panel, 0, (size_t)(dio_winograd_positions(conv->tile) * conv->c * width) * sizeof *panel);
    for (int64_t c = 0; c < conv->c; c++) {
        const float *w = (const float *)step->param[0] + (first * conv->c + c) * 9;
        dio_winograd_weights(conv->tile, w, conv->c * 9, columns, panel + c * width, conv->c * width);
    }
}

void dio_winograd_prepare(struct dio_step *step)
{
    struct block b;
    step->scratch_bytes = bind_scratch(dio_conv_of(step), NULL, &b);
    step->pack[step->n_pack++] = (struct dio_op_phase){pack, pack_pieces};
    dio_add_forward(step, forward, pieces);
}
