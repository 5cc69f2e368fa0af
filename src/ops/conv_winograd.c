/* 3 x 3 convolutions with stride 1 by Winograd's minimal filtering (kernels/winograd.h): 36 multiplications in place of 144 for
 * a tile of 4 x 4 outputs, 16 in place of 36 for 2 x 2, for results that differ from the direct path's in the last digits.
 *
 * A piece is a block of tiles and a run of panels.  It transforms the tiles' patches, multiplies each position by its weights
 * as one matrix, and transforms the sums back.  Blocks go over the tiles of all pictures of a step, so that the weights,
 * which are larger than the direct path's, are read once for several small maps; a tile's result does not depend on the
 * block it falls into.
 *
 * In inference the transformed weights are packed once.  In training they lie in the memory that a step's phases share, and
 * are made anew by each forward and each backward: they are up to four times as large as the weights, change with each step
 * anyway, and are read from cache right after. */
#include <string.h>

#include "ops/conv.h"

enum {
    TILES_MAX = 48,             /* of a block */
    TILES_MIN = 16,             /* below it, weights are read for too few products */
    BLOCK_BYTES = 1280 << 10,   /* of the transformed patches of a block */
    PIECES = 8,                 /* wanted, where there are as many */
    COLUMNS = 16, CHANNELS = 32 /* of the weights: columns copied at a time; channels of a piece */
};

int64_t dio_winograd_tiles(int64_t oh, int64_t ow, int m) { return dio_ceil_div(oh, m) * dio_ceil_div(ow, m); }

/* ---- choice ---- */

/* Estimates in multiply-adds of one vector, which take about a cycle.  A picture's weights come from memory in the worst
 * case (batch 1): the slower of the two counts.  A training step is taken to have some pictures that share its transform. */
enum { WEIGHT_BYTES_A_CYCLE = 8, POSITION_COST = 6, KERNEL_COST = 40, PICTURES_OF_STEP = 8 };

static double products_cost(const struct dio_conv_shape *s, const struct dio_kernels *kernels, double positions, double rows, bool training)
{
    const double products = rows * positions * (double)s->c * (double)dio_ceil_div(s->k, kernels->vector_width);
    const double weights = positions * (double)s->c * (double)s->k * 4 / WEIGHT_BYTES_A_CYCLE / (training ? PICTURES_OF_STEP : 1);
    return products > weights ? products : weights;
}

static double tile_cost(const struct dio_conv_shape *s, const struct dio_kernels *kernels, int m, bool training)
{
    const double tiles = (double)dio_winograd_tiles(s->oh, s->ow, m), positions = dio_winograd_positions(m);
    const double vectors = (double)(dio_ceil_div(s->c, kernels->vector_width) + dio_ceil_div(s->k, kernels->vector_width));
    const double transform = training ? (double)s->c * (double)s->k * KERNEL_COST / PICTURES_OF_STEP : 0;
    return products_cost(s, kernels, positions, tiles, training) + tiles * vectors * positions * POSITION_COST + transform;
}

int dio_winograd_tile(const struct dio_conv_shape *s, const struct dio_kernels *kernels, bool training)
{
    if (s->r != 3 || s->s != 3 || s->stride[0] != 1 || s->stride[1] != 1 || s->dilation[0] != 1 || s->dilation[1] != 1 || s->groups != 1) return 0;
    if (s->c < 2 * kernels->vector_width || s->k < 2 * kernels->vector_width) return 0;
    double best = 0.9 * products_cost(s, kernels, 9, (double)(s->oh * s->ow), training);
    int tile = 0;
    for (int m = 2; m <= 4; m += 2) {
        const double cost = tile_cost(s, kernels, m, training);
        if (cost >= best) continue;
        best = cost;
        tile = m;
    }
    return tile;
}

/* The same numbers of products and transforms as the forward's. */
int dio_winograd_weights_tile(const struct dio_conv_shape *s, const struct dio_kernels *kernels) { return dio_winograd_tile(s, kernels, true); }

/* ---- geometry ---- */

struct dio_conv_shape dio_winograd_turned(const struct dio_conv_shape *s)
{
    struct dio_conv_shape turned = *s;
    turned.h = s->oh;
    turned.w = s->ow;
    turned.c = s->k;
    turned.oh = s->h;
    turned.ow = s->w;
    turned.k = s->c;
    turned.top = 2 - s->top;
    turned.left = 2 - s->left;
    return turned;
}

void dio_winograd_plan(struct dio_winograd *tiles, const struct dio_conv_shape *shape, bool turned, const struct dio_kernels *kernels, int m)
{
    const struct dio_conv_shape other = dio_winograd_turned(shape), *s = turned ? &other : shape;
    *tiles = (struct dio_winograd){.m = m, .flipped = turned, .h = s->h, .w = s->w, .c = s->c, .oh = s->oh, .ow = s->ow, .k = s->k,
                                   .top = s->top, .left = s->left, .weights_c = turned ? 9 * shape->c : 9,
                                   .weights_k = turned ? 9 : 9 * shape->c, .panel_width = kernels->panel_width,
                                   .vector_width = kernels->vector_width};
    tiles->panels = dio_ceil_div(s->k, kernels->panel_width);
    tiles->position_floats = s->c * kernels->panel_width + 16;
    tiles->floats = tiles->panels * dio_winograd_positions(m) * tiles->position_floats;
}

static int panel_width(const struct dio_winograd *t, int64_t panel)
{
    const int64_t left = t->k - panel * t->panel_width;
    return (int)dio_min_i64(t->panel_width, dio_ceil_div(left, t->vector_width) * t->vector_width);
}

static int64_t panel_at(const struct dio_winograd *t, int64_t panel) { return panel * dio_winograd_positions(t->m) * t->position_floats; }

struct dio_winograd_place dio_winograd_locate(int64_t oh, int64_t ow, int m, int64_t tile)
{
    const int64_t columns = dio_ceil_div(ow, m), of_image = dio_winograd_tiles(oh, ow, m);
    return (struct dio_winograd_place){tile / of_image, tile % of_image / columns * m, tile % columns * m};
}

void dio_winograd_pixels(const float *map, const int64_t shape[3], int64_t y, int64_t x, int side, const float *zeros, const float **pixels)
{
    for (int64_t i = y; i < y + side; i++) {
        for (int64_t j = x; j < x + side; j++) {
            const bool inside = i >= 0 && i < shape[0] && j >= 0 && j < shape[1];
            *pixels++ = inside ? map + (i * shape[1] + j) * shape[2] : zeros;
        }
    }
}

/* ---- a product: what is read, what is written ---- */

struct product {
    const struct dio_winograd *tiles;
    const struct dio_kernels *kernels;
    int64_t images;
    const float *x, *zeros, *u, *bias, *residual;
    float *y;
    enum dio_act act;
};

static float *shared_weights(const struct dio_step *step, const struct dio_winograd *tiles)
{
    return (float *)(void *)((char *)step->shared + tiles->at_shared);
}

static float *forward_weights(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return step->mode == DIO_MODE_TRAIN ? shared_weights(step, &conv->tiles) : (float *)step->packed + conv->at_forward;
}

static struct product forward_product(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const float *packed = step->packed; /* starts with zeros */
    return (struct product){.tiles = &conv->tiles, .kernels = step->kernels, .images = step->n, .x = step->x[0], .zeros = packed,
                            .u = forward_weights(step), .bias = conv->bias ? packed + conv->at_bias : NULL,
                            .residual = step->n_inputs == 2 ? step->x[1] : NULL, .y = step->y[0], .act = conv->act};
}

static struct product dx_product(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return (struct product){.tiles = &conv->dx_tiles, .kernels = step->kernels, .images = step->n, .x = dio_conv_dy(step),
                            .zeros = step->packed, .u = shared_weights(step, &conv->dx_tiles), .y = step->dx[0],
                            .residual = step->add_dx[0] ? step->dx[0] : NULL};
}

/* ---- cutting ---- */

struct cut {
    int64_t tiles, blocks; /* of the step's pictures */
    int64_t panel_group, panel_groups;
};

static int64_t block_tiles(const struct dio_winograd *t)
{
    const int64_t fitting = BLOCK_BYTES / (dio_winograd_positions(t->m) * t->c * (int64_t)sizeof(float));
    return dio_max_i64(TILES_MIN, dio_min_i64(TILES_MAX, fitting));
}

static struct cut cut_of(const struct dio_winograd *t, int64_t images)
{
    struct cut cut = {.tiles = images * dio_winograd_tiles(t->oh, t->ow, t->m)};
    cut.blocks = dio_ceil_div(cut.tiles, block_tiles(t));
    cut.blocks = dio_max_i64(cut.blocks, dio_min_i64(PIECES, cut.tiles / TILES_MIN));
    cut.panel_groups = dio_min_i64(t->panels, dio_ceil_div(PIECES, cut.blocks));
    cut.panel_group = dio_ceil_div(t->panels, cut.panel_groups);
    cut.panel_groups = dio_ceil_div(t->panels, cut.panel_group);
    return cut;
}

static int64_t pieces_of(const struct dio_winograd *t, int64_t images)
{
    const struct cut cut = cut_of(t, images);
    return cut.blocks * cut.panel_groups;
}

/* ---- run ---- */

struct block {
    float *v, *s;              /* [position][tile][row] */
    int64_t v_row, v_step, s_row, s_step;
};

static size_t bind_scratch(const struct dio_winograd *t, float *scratch, struct block *b)
{
    const int64_t tiles = block_tiles(t), positions = dio_winograd_positions(t->m);
    b->v_row = dio_winograd_row(t->c);
    b->v_step = dio_winograd_position(tiles, b->v_row);
    b->s_row = t->panel_width;
    b->s_step = dio_winograd_position(tiles, b->s_row);
    b->v = scratch;
    b->s = scratch ? scratch + positions * b->v_step : NULL;
    return (size_t)(positions * (b->v_step + b->s_step)) * sizeof(float);
}

size_t dio_winograd_scratch(const struct dio_winograd *t)
{
    struct block b;
    return bind_scratch(t, NULL, &b);
}

static void transform_patch(const struct product *p, int64_t tile, float *v, int64_t v_step)
{
    const struct dio_winograd *t = p->tiles;
    const struct dio_winograd_place at = dio_winograd_locate(t->oh, t->ow, t->m, tile);
    const float *pixels[DIO_WINOGRAD_POSITIONS];
    const int64_t shape[] = {t->h, t->w, t->c};
    dio_winograd_pixels(p->x + at.image * t->h * t->w * t->c, shape, at.y - t->top, at.x - t->left, t->m + 2, p->zeros, pixels);
    const struct dio_winograd_input w = {t->m, t->c, pixels, v, v_step};
    p->kernels->winograd_input(&w);
}

static void transform_sums(const struct product *p, int64_t tile, int64_t first, int64_t channels, const float *s, int64_t s_step)
{
    const struct dio_winograd *t = p->tiles;
    const struct dio_winograd_place place = dio_winograd_locate(t->oh, t->ow, t->m, tile);
    const bool curved = p->act > DIO_ACT_LAST_CLIP;
    const int64_t at = ((place.image * t->oh + place.y) * t->ow + place.x) * t->k + first;
    const struct dio_winograd_output w = {
        .m = t->m, .rows = (int)dio_min_i64(t->m, t->oh - place.y), .columns = (int)dio_min_i64(t->m, t->ow - place.x),
        .channels = channels, .s = s, .s_step = s_step, .bias = p->bias ? p->bias + first : NULL,
        .residual = p->residual ? p->residual + at : NULL, .y = p->y + at, .y_line = t->ow * t->k, .y_pixel = t->k, .act = curved ? DIO_ACT_NONE : p->act};
    p->kernels->winograd_output(&w);
    for (int i = 0; curved && i < w.rows * w.columns; i++) {
        float *y = w.y + i / w.columns * w.y_line + i % w.columns * w.y_pixel;
        p->kernels->act_forward(p->act, y, y, channels);
    }
}

static void run_piece(const struct product *p, int64_t piece, void *scratch)
{
    const struct dio_winograd *t = p->tiles;
    const struct cut cut = cut_of(t, p->images);
    const int64_t index = piece / cut.panel_groups, begin = cut.tiles * index / cut.blocks, tiles = cut.tiles * (index + 1) / cut.blocks - begin;
    const struct dio_range panels = dio_block(t->panels, cut.panel_group, piece % cut.panel_groups);
    const int positions = dio_winograd_positions(t->m);
    struct block b;
    bind_scratch(t, scratch, &b);
    for (int64_t i = 0; i < tiles; i++) transform_patch(p, begin + i, b.v + i * b.v_row, b.v_step);
    for (int64_t panel = panels.begin; panel < panels.end; panel++) {
        struct dio_gemm_rows g = {.rows = tiles, .taps = 1, .channels = t->c, .x_stride = b.v_row, .y_stride = b.s_row};
        g.columns = g.width = panel_width(t, panel);
        for (int position = 0; position < positions; position++) {
            g.x = b.v + position * b.v_step;
            g.panel = p->u + panel_at(t, panel) + position * t->position_floats;
            g.y = b.s + position * b.s_step;
            p->kernels->gemm_rows(&g);
        }
        const int64_t first = panel * t->panel_width, channels = dio_min_i64(g.width, t->k - first);
        for (int64_t i = 0; i < tiles; i++) transform_sums(p, begin + i, first, channels, b.s + i * b.s_row, b.s_step);
    }
}

static int64_t forward_pieces(const struct dio_step *step) { return pieces_of(&dio_conv_of(step)->tiles, step->n); }

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    const struct product p = forward_product(step);
    run_piece(&p, piece, scratch);
}

int64_t dio_winograd_dx_pieces(const struct dio_step *step) { return pieces_of(&dio_conv_of(step)->dx_tiles, step->n); }

void dio_winograd_dx(const struct dio_step *step, int64_t piece, void *scratch)
{
    const struct product p = dx_product(step);
    run_piece(&p, piece, scratch);
}

/* ---- weights ---- */

/* A piece is some channels of a panel. */
static int64_t weights_pieces(const struct dio_winograd *t) { return t->panels * dio_ceil_div(t->c, CHANNELS); }

/* The forward's columns lie far apart in memory: some of them are copied side by side first. */
static void transform_columns(const struct dio_winograd *t, const struct dio_kernels *kernels, const float *w, int64_t channels, int columns,
                              int width, float *u)
{
    float stage[COLUMNS][CHANNELS * 9 + 16];
    struct dio_winograd_weights call = {.m = t->m, .w_step = CHANNELS * 9 + 16, .u_step = t->position_floats};
    for (int first = 0; first < columns; first += COLUMNS) {
        call.count = columns - first < COLUMNS ? columns - first : COLUMNS;
        for (int i = 0; i < call.count; i++) memcpy(stage[i], w + (first + i) * t->weights_k, (size_t)channels * 9 * sizeof *w);
        for (int64_t c = 0; c < channels; c++) {
            call.w = stage[0] + c * 9;
            call.u = u + c * width + first;
            kernels->winograd_weights(&call);
        }
    }
}

static void transform_weights(const struct dio_step *step, const struct dio_winograd *t, int64_t piece, float *u)
{
    const int64_t panel = piece % t->panels, first = panel * t->panel_width;
    const struct dio_range range = dio_block(t->c, CHANNELS, piece / t->panels);
    const int64_t channels = range.end - range.begin;
    const int width = panel_width(t, panel), columns = (int)dio_min_i64(width, t->k - first), positions = dio_winograd_positions(t->m);
    const float *w = (const float *)step->param[0] + first * t->weights_k + range.begin * t->weights_c;
    float *rows = u + panel_at(t, panel) + range.begin * width;
    for (int p = 0; p < positions && columns < width; p++) memset(rows + p * t->position_floats, 0, (size_t)(channels * width) * sizeof *rows);
    if (!t->flipped) {
        transform_columns(t, step->kernels, w, channels, columns, width, rows);
        return;
    }
    for (int64_t c = 0; c < channels; c++) {
        const struct dio_winograd_weights call = {.m = t->m, .flipped = true, .count = columns, .w = w + c * t->weights_c, .w_step = t->weights_k,
                                                  .u = rows + c * width, .u_step = t->position_floats};
        step->kernels->winograd_weights(&call);
    }
}

static int64_t forward_weights_pieces(const struct dio_step *step) { return weights_pieces(&dio_conv_of(step)->tiles); }

static void make_forward_weights(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    transform_weights(step, &dio_conv_of(step)->tiles, piece, forward_weights(step));
}

static int64_t dx_weights_pieces(const struct dio_step *step) { return step->dx[0] ? weights_pieces(&dio_conv_of(step)->dx_tiles) : 0; }

static void make_dx_weights(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct dio_winograd *tiles = &dio_conv_of(step)->dx_tiles;
    transform_weights(step, tiles, piece, shared_weights(step, tiles));
}

/* ---- preparation ---- */

static void need_scratch(struct dio_step *step, const struct dio_winograd *tiles)
{
    const size_t bytes = dio_winograd_scratch(tiles);
    if (bytes > step->scratch_bytes) step->scratch_bytes = bytes;
}

void dio_winograd_prepare(struct dio_step *step)
{
    struct dio_conv *conv = (struct dio_conv *)(uintptr_t)step->plan_data; /* still being prepared */
    need_scratch(step, &conv->tiles);
    step->rows.run = NULL;
    if (step->mode == DIO_MODE_TRAIN) {
        const size_t bytes = (size_t)conv->tiles.floats * sizeof(float);
        if (bytes > step->shared_bytes) step->shared_bytes = bytes;
        step->packs_param[0] = false;
        dio_add_forward(step, make_forward_weights, forward_weights_pieces);
    } else {
        step->pack[step->n_pack++] = (struct dio_op_phase){make_forward_weights, forward_weights_pieces};
    }
    dio_add_forward(step, forward, forward_pieces);
}

void dio_winograd_prepare_backward(struct dio_step *step)
{
    struct dio_conv *conv = (struct dio_conv *)(uintptr_t)step->plan_data;
    need_scratch(step, &conv->dx_tiles);
    conv->dx_tiles.at_shared = step->shared_bytes;
    step->shared_bytes += (size_t)conv->dx_tiles.floats * sizeof(float);
    step->packs_param[0] = false;
    dio_add_backward(step, make_dx_weights, dx_weights_pieces);
}
