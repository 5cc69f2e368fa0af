/* Gradient of the weights of dense and grouped convolutions: outer products over pixels, summed in registers.
 *
 * A piece owns a part of the gradient, some panels by some channels by some taps, for a share of the pictures' pixels.
 * Its part is as large as the second-level cache allows, so that x and dy are read as rarely as possible; where that makes
 * too few pieces, the pixels are shared as well, each share has sums of its own, and a second phase adds them in order.
 * How many shares there are follows from the number of pictures, so the bits do not depend on threads. */
#include <string.h>

#include "ops/conv.h"

enum {
    PIECES = 16,               /* wanted */
    SUM_BYTES = 1100 << 10,     /* of a piece's part */
    UNIT_PIXELS = 192,         /* between two additions to the sums, at most, and at least */
    UNIT_PIXELS_LEAST = 48,
    UNIT_BYTES = 320 << 10,    /* of x and dy under them */
    PITCH = 16,                /* floats between copied rows of x: their distance is no multiple of a page's size */
    UNITS_OF_SHARE = 8,        /* fewer are not worth a share's sums */
    UNIT_TILES = 64,           /* Winograd: tiles of a unit, channels of x and of dy of a piece, pieces wanted, units of a share */
    TILE_CHANNELS = 128,
    TILE_PIECES = 8,
    TILE_UNITS_OF_SHARE = 2
};

/* ---- plan ---- */

/* Taps of the sums, or positions of Winograd's; and floats between them in a panel `width` wide. */
static int64_t sum_taps(const struct dio_conv *conv, int64_t taps) { return conv->dw.tile ? dio_winograd_positions(conv->dw.tile) : taps; }
static int64_t tap_floats(const struct dio_conv *conv, int64_t channels, int64_t width) { return channels * width + (conv->dw.tile ? PITCH : 0); }

static int64_t sums_of(const struct dio_conv *conv)
{
    return conv->dw.panels * sum_taps(conv, conv->dw.taps) * tap_floats(conv, conv->dw.channels, conv->forward.panel_width);
}

static void plan_pieces(struct dio_conv *conv)
{
    conv->dw.parts = dio_ceil_div(conv->block_c, conv->dw.channels);
    conv->dw.tap_groups = dio_ceil_div(conv->r * conv->s, conv->dw.taps);
    conv->dw.panel_groups = dio_ceil_div(conv->panels, conv->dw.panels);
    conv->dw.pieces = conv->blocks * conv->dw.panel_groups * conv->dw.tap_groups * conv->dw.parts;
    conv->dw.sums = sums_of(conv);
}

/* Large parts: each of them transforms its channels of x and dy. */
static void plan_tiles(struct dio_conv *conv)
{
    const int64_t panels = dio_min_i64(conv->panels, dio_max_i64(1, TILE_CHANNELS / conv->forward.panel_width));
    conv->dw.taps = conv->r * conv->s;
    conv->dw.panels = dio_ceil_div(conv->panels, dio_ceil_div(conv->panels, panels));
    conv->dw.channels = dio_ceil_div(dio_ceil_div(conv->c, dio_ceil_div(conv->c, TILE_CHANNELS)), 4) * 4;
    conv->dw.rows = UNIT_TILES;
    plan_pieces(conv);
}

void dio_conv_weights_plan(struct dio_conv *conv)
{
    if (conv->dw.tile) {
        plan_tiles(conv);
        return;
    }
    const int64_t taps = conv->r * conv->s, most = SUM_BYTES / (int64_t)sizeof(float);
    conv->dw.taps = taps;
    conv->dw.panels = conv->panels;
    conv->dw.channels = conv->block_c;
    /* Halving the panels has x read twice, halving the channels dy: the smaller of the two. */
    while (sums_of(conv) > most && (conv->dw.panels > 1 || (conv->dw.channels > 12 && conv->path != DIO_CONV_FEW))) {
        const bool panels = conv->dw.panels > 1 && (conv->c <= conv->k || conv->dw.channels <= 96);
        if (panels || conv->dw.channels <= 12 || conv->path == DIO_CONV_FEW) conv->dw.panels = dio_ceil_div(conv->dw.panels, 2);
        else conv->dw.channels = dio_ceil_div(dio_ceil_div(conv->dw.channels, 2), 12) * 12;
    }
    if (sums_of(conv) > most && conv->path != DIO_CONV_FEW) conv->dw.taps = 1;
    const int64_t pixel_bytes = (conv->dw.channels + conv->dw.panels * conv->forward.panel_width) * (int64_t)sizeof(float);
    conv->dw.rows = dio_min_i64(UNIT_PIXELS, dio_max_i64(UNIT_PIXELS_LEAST, UNIT_BYTES / pixel_bytes));
    conv->dw.lines = dio_max_i64(1, conv->dw.rows / conv->ow);
    plan_pieces(conv);
    const bool plain = taps == 1 && conv->top == 0 && conv->left == 0 && (conv->oh - 1) * conv->stride[0] < conv->h
                       && (conv->ow - 1) * conv->stride[1] < conv->w; /* each output has its one pixel */
    const bool power_of_two = (conv->k & (conv->k - 1)) == 0;
    conv->dw.dense = power_of_two && conv->k > conv->forward.panel_width && conv->dw.channels * conv->dw.taps >= 64;
    conv->dw.dense_x = plain && conv->c >= 128 && conv->dw.channels >= 64 && conv->path != DIO_CONV_FEW;
}

static int64_t units_of(const struct dio_conv *conv, int64_t images)
{
    if (conv->dw.tile) return dio_ceil_div(images * dio_winograd_tiles(conv->oh, conv->ow, conv->dw.tile), conv->dw.rows);
    if (conv->path == DIO_CONV_POINTWISE) return dio_ceil_div(images * conv->oh * conv->ow, conv->dw.rows);
    return images * dio_ceil_div(conv->oh, conv->dw.lines);
}

static int64_t shares_of(const struct dio_conv *conv, int64_t images)
{
    const int64_t pieces = conv->dw.tile ? TILE_PIECES : PIECES, least = conv->dw.tile ? TILE_UNITS_OF_SHARE : UNITS_OF_SHARE;
    if (conv->dw.pieces >= pieces / 2) return 1;
    return dio_max_i64(1, dio_min_i64(dio_ceil_div(pieces, conv->dw.pieces), units_of(conv, images) / least));
}

size_t dio_conv_weights_shared(const struct dio_conv *conv, int64_t images)
{
    const int64_t shares = shares_of(conv, images);
    return shares > 1 ? (size_t)(shares * conv->dw.pieces * conv->dw.sums) * sizeof(float) : 0;
}

int64_t dio_conv_weights_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return step->dparam[0] ? shares_of(conv, step->n) * conv->dw.pieces : 0;
}

/* ---- a piece ---- */

struct piece {
    int64_t block;
    struct dio_range panels, taps, channels;
};

static struct piece locate(const struct dio_conv *conv, int64_t index)
{
    const int64_t part = index % conv->dw.parts, rest = index / conv->dw.parts;
    return (struct piece){rest / conv->dw.tap_groups / conv->dw.panel_groups,
                          dio_block(conv->panels, conv->dw.panels, rest / conv->dw.tap_groups % conv->dw.panel_groups),
                          dio_block(conv->r * conv->s, conv->dw.taps, rest % conv->dw.tap_groups),
                          dio_block(conv->block_c, conv->dw.channels, part)};
}

/* A panel's sums are [tap][channel][width]. */
static int64_t panel_floats(const struct dio_conv *conv, const struct piece *p, int64_t width)
{
    return sum_taps(conv, p->taps.end - p->taps.begin) * tap_floats(conv, p->channels.end - p->channels.begin, width);
}

static float *panel_sums(const struct dio_conv *conv, const struct piece *p, float *sums, int64_t panel)
{
    return sums + (panel - p->panels.begin) * panel_floats(conv, p, conv->forward.panel_width);
}

struct panel {
    int width, columns;
};

static struct panel panel_of(const struct dio_conv *conv, int64_t index)
{
    struct panel panel;
    dio_pack_panel(&conv->forward, index, &panel.width);
    panel.columns = (int)dio_min_i64(panel.width, conv->block_k - index * conv->forward.panel_width);
    return panel;
}

/* ---- memory of a piece: its sums, a copy of dy's columns, runs of a tap, a copy of x's lines ---- */

struct scratch {
    float *sums, *dy, *x;
    struct dio_gemm_run *runs;
};

static size_t piece_scratch(const struct dio_conv *conv) { return (size_t)(conv->dw.sums + 15) / 16 * 16; }

static int64_t unit_pixels(const struct dio_conv *conv) { return conv->path == DIO_CONV_POINTWISE ? conv->dw.rows : conv->dw.lines * conv->ow; }

static size_t bind_scratch(const struct dio_conv *conv, void *memory, struct scratch *s)
{
    const int64_t pixels = unit_pixels(conv);
    const size_t sums = (size_t)conv->dw.sums, dy = conv->dw.dense ? (size_t)(pixels * conv->dw.panels * conv->forward.panel_width) : 0;
    const size_t runs = ((size_t)conv->dw.lines * sizeof(struct dio_gemm_run) / sizeof(float) + 15) / 16 * 16;
    const size_t x = conv->path == DIO_CONV_FEW ? (size_t)dio_conv_copy_floats(conv, conv->dw.lines)
                     : conv->dw.dense_x         ? (size_t)(pixels * (conv->dw.channels + PITCH))
                                                : 0;
    float *base = memory;
    if (base) *s = (struct scratch){base, base + sums, base + sums + dy + runs, (struct dio_gemm_run *)(void *)(base + sums + dy)};
    return (sums + dy + runs + x) * sizeof(float);
}

size_t dio_conv_weights_scratch(const struct dio_conv *conv)
{
    if (conv->dw.tile) return piece_scratch(conv) * sizeof(float) + dio_winograd_unit_scratch(conv);
    return bind_scratch(conv, NULL, NULL);
}

/* ---- adding a unit ---- */

static float *dense_dy(const struct dio_conv *conv, const struct piece *p, int64_t panel, int64_t rows, const struct scratch *s)
{
    return s->dy + (panel - p->panels.begin) * rows * conv->forward.panel_width;
}

/* Panels whose rows are a power of two apart are copied each for itself: such rows meet in a few sets of the near cache.  Rows
 * are read whole, as they follow one another. */
static void copy_dy(const struct dio_conv *conv, const struct piece *p, const float *dy, int64_t rows, const struct scratch *s)
{
    for (int64_t i = 0; conv->dw.dense && i < rows; i++) {
        for (int64_t index = p->panels.begin; index < p->panels.end; index++) {
            const struct panel panel = panel_of(conv, index);
            float *copy = dense_dy(conv, p, index, rows, s) + i * panel.width;
            memcpy(copy, dy + i * conv->k + index * conv->forward.panel_width, (size_t)panel.columns * sizeof *copy);
            for (int j = panel.columns; j < panel.width; j++) copy[j] = 0.0f;
        }
    }
}

/* Where a call finds a panel's columns of `rows` rows of dy that start at `dy`. */
static void bind_dy(const struct dio_conv *conv, const struct piece *p, int64_t index, const float *dy, int64_t rows, const struct scratch *s,
                    struct dio_gemm_outer *g)
{
    const struct panel panel = panel_of(conv, index);
    g->width = panel.width;
    g->columns = conv->dw.dense ? panel.width : panel.columns;
    g->dy = conv->dw.dense ? dense_dy(conv, p, index, rows, s) : dy + index * conv->forward.panel_width;
    g->dy_step = conv->dw.dense ? panel.width : conv->k;
}

/* The pixels of some output lines that tap (r, s) meets inside the picture; dy starts with these lines. */
static int64_t runs_of(const struct dio_conv *conv, int64_t r, int64_t s, struct dio_range lines, int64_t dy_step, struct dio_gemm_run *runs)
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

/* Few channels: a line of the kernel is one tap of S * C channels over the padded copy. */
static void add_few(const struct dio_step *step, struct dio_range lines, int64_t line, struct dio_gemm_outer *g, const struct scratch *s)
{
    const struct dio_conv *conv = dio_conv_of(step);
    g->x = s->x;
    g->channels = conv->s * conv->c;
    g->n_runs = lines.end - lines.begin;
    for (int64_t r = 0; r < conv->r; r++, g->dw += g->channels * g->width) {
        for (int64_t y = 0; y < g->n_runs; y++) {
            s->runs[y] = (struct dio_gemm_run){(int32_t)((y * conv->stride[0] + r * conv->dilation[0]) * line),
                                               (int32_t)(y * conv->ow * g->dy_step), (int32_t)conv->ow};
        }
        step->kernels->gemm_outer(g);
    }
}

/* One picture's output lines. */
static void add_lines(const struct dio_step *step, const struct piece *p, int64_t image, struct dio_range lines, float *sums,
                      const struct scratch *s)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t channels = p->channels.end - p->channels.begin, pixels = (lines.end - lines.begin) * conv->ow;
    const float *dy = dio_conv_dy(step) + (image * conv->oh + lines.begin) * conv->ow * conv->k + p->block * conv->block_k;
    const float *x = (const float *)step->x[0] + image * conv->h * conv->w * conv->c;
    const bool few = conv->path == DIO_CONV_FEW;
    const int64_t line = few ? dio_conv_copy_lines(conv, x, lines.begin, lines.end - lines.begin, s->x) : 0;
    copy_dy(conv, p, dy, pixels, s);
    for (int64_t index = p->panels.begin; index < p->panels.end; index++) {
        struct dio_gemm_outer g = {.runs = s->runs, .x_step = conv->stride[1] * conv->c, .channels = channels,
                                   .dw = panel_sums(conv, p, sums, index), .x = x + p->block * conv->block_c + p->channels.begin};
        bind_dy(conv, p, index, dy, pixels, s, &g);
        if (few) {
            add_few(step, lines, line, &g, s);
            continue;
        }
        for (int64_t t = p->taps.begin; t < p->taps.end; t++, g.dw += channels * g.width) {
            g.n_runs = runs_of(conv, t / conv->s, t % conv->s, lines, g.dy_step, s->runs);
            if (g.n_runs > 0) step->kernels->gemm_outer(&g);
        }
    }
}

/* Outputs whose one pixel lies at x[i * step]: rows of a matrix. */
static void add_rows(const struct dio_step *step, const struct piece *p, const float *x, int64_t x_step, const float *dy, int64_t rows,
                     float *sums, const struct scratch *s)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const struct dio_gemm_run run = {0, 0, (int32_t)rows};
    const int64_t channels = p->channels.end - p->channels.begin;
    copy_dy(conv, p, dy, rows, s);
    for (int64_t index = p->panels.begin; index < p->panels.end; index++) {
        struct dio_gemm_outer g = {.runs = &run, .n_runs = 1, .x = x, .x_step = x_step, .channels = channels, .dw = panel_sums(conv, p, sums, index)};
        bind_dy(conv, p, index, dy, rows, s, &g);
        step->kernels->gemm_outer(&g);
    }
}

static void copy_pixels(const float *x, int64_t x_step, int64_t pixels, int64_t channels, float *copy)
{
    for (int64_t i = 0; i < pixels; i++) memcpy(copy + i * (channels + PITCH), x + i * x_step, (size_t)channels * sizeof *copy);
}

static void add_unit(const struct dio_step *step, const struct piece *p, int64_t unit, float *sums, const struct scratch *s)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t channels = p->channels.end - p->channels.begin, first = p->block * conv->block_c + p->channels.begin;
    const float *x = (const float *)step->x[0] + first, *dy = dio_conv_dy(step) + p->block * conv->block_k;
    if (conv->path == DIO_CONV_POINTWISE) {
        const struct dio_range rows = dio_block(dio_conv_rows(step), conv->dw.rows, unit);
        const int64_t count = rows.end - rows.begin;
        if (conv->dw.dense_x) copy_pixels(x + rows.begin * conv->c, conv->c, count, channels, s->x);
        add_rows(step, p, conv->dw.dense_x ? s->x : x + rows.begin * conv->c, conv->dw.dense_x ? channels + PITCH : conv->c,
                 dy + rows.begin * conv->k, count, sums, s);
        return;
    }
    const int64_t of_image = dio_ceil_div(conv->oh, conv->dw.lines), image = unit / of_image;
    const struct dio_range lines = dio_block(conv->oh, conv->dw.lines, unit % of_image);
    if (!conv->dw.dense_x) {
        add_lines(step, p, image, lines, sums, s);
        return;
    }
    for (int64_t y = lines.begin; y < lines.end; y++) {
        copy_pixels(x + (image * conv->h + y * conv->stride[0]) * conv->w * conv->c, conv->stride[1] * conv->c, conv->ow, channels,
                    s->x + (y - lines.begin) * conv->ow * (channels + PITCH));
    }
    add_rows(step, p, s->x, channels + PITCH, dy + (image * conv->oh + lines.begin) * conv->ow * conv->k, (lines.end - lines.begin) * conv->ow, sums, s);
}

/* Units [begin, end) of a piece by Winograd's tiles; the first of them finds no sums. */
static void add_tiles(const struct dio_step *step, const struct piece *p, struct dio_range units, float *sums, float *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t tiles = step->n * dio_winograd_tiles(conv->oh, conv->ow, conv->dw.tile);
    for (int64_t unit = units.begin; unit < units.end; unit++) {
        const struct dio_winograd_unit u = {.tiles = dio_block(tiles, conv->dw.rows, unit), .channels = p->channels, .panels = p->panels, .sums = sums,
                                            .panel_floats = panel_floats(conv, p, conv->forward.panel_width),
                                            .pitch = PITCH, .first = unit == units.begin};
        dio_winograd_add_unit(step, &u, scratch);
    }
}

/* ---- writing the gradient ---- */

enum { STAGE_COLUMNS = 16, STAGE_FLOATS = 256 };

/* Some output channels of a panel for some taps: turned on a stage, because the gradient's lines lie far apart in the sums.
 * In joined groups, what lies off the diagonal belongs to no weight. */
struct columns {
    int64_t panel;
    int first, count;
    struct dio_range taps; /* at most STAGE_FLOATS */
};

static void write_columns(const struct dio_step *step, const struct piece *p, const struct columns *k, const float *sums)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int width = panel_of(conv, k->panel).width;
    const int64_t all = conv->r * conv->s, taps = k->taps.end - k->taps.begin, channels = p->channels.end - p->channels.begin;
    const int64_t chunk = STAGE_FLOATS / taps;
    float stage[STAGE_COLUMNS][STAGE_FLOATS + 16];
    for (int64_t begin = p->channels.begin; begin < p->channels.end; begin += chunk) {
        const int64_t end = dio_min_i64(p->channels.end, begin + chunk);
        for (int64_t c = begin; c < end; c++) {
            for (int64_t t = 0; t < taps; t++) {
                const float *row = sums + (k->taps.begin - p->taps.begin + t) * tap_floats(conv, channels, width)
                                   + (c - p->channels.begin) * width + k->first;
                for (int j = 0; j < k->count; j++) stage[j][(c - begin) * taps + t] = row[j];
            }
        }
        for (int j = 0; j < k->count; j++) {
            const int64_t column = k->panel * conv->forward.panel_width + k->first + j, group = column / conv->group_k * conv->group_c;
            const int64_t low = dio_max_i64(begin, group), high = dio_min_i64(end, group + conv->group_c);
            float *dw = step->dparam[0] + ((p->block * conv->block_k + column) * conv->group_c + low - group) * all + k->taps.begin;
            const float *from = stage[j] + (low - begin) * taps;
            if (taps == all && high > low) {
                dio_put_row(dw, from, (high - low) * taps, step->add_dparam[0]);
                continue;
            }
            for (int64_t c = low; c < high; c++, dw += all, from += taps) dio_put_row(dw, from, taps, step->add_dparam[0]);
        }
    }
}

static void write_panel(const struct dio_step *step, const struct piece *p, int64_t panel, float *sums)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int columns = panel_of(conv, panel).columns, width = panel_of(conv, panel).width;
    if (conv->dw.tile) {
        const int64_t channels = p->channels.end - p->channels.begin;
        const struct dio_winograd_gather w = {conv->dw.tile, channels * width, sums, tap_floats(conv, channels, width)};
        step->kernels->winograd_gather(&w);
    }
    struct columns k = {.panel = panel};
    for (k.first = 0; k.first < columns; k.first += STAGE_COLUMNS) {
        k.count = columns - k.first < STAGE_COLUMNS ? columns - k.first : STAGE_COLUMNS;
        for (k.taps.begin = p->taps.begin; k.taps.begin < p->taps.end; k.taps.begin = k.taps.end) {
            k.taps.end = dio_min_i64(p->taps.end, k.taps.begin + STAGE_FLOATS);
            write_columns(step, p, &k, sums);
        }
    }
}

/* ---- phases ---- */

static float *share_sums(const struct dio_step *step, int64_t share, int64_t piece)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return (float *)(void *)((char *)step->shared + conv->dw.at_shared) + (share * conv->dw.pieces + piece) * conv->dw.sums;
}

void dio_conv_weights_backward(const struct dio_step *step, int64_t index, void *memory)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t shares = shares_of(conv, step->n), share = index / conv->dw.pieces, units = units_of(conv, step->n);
    const struct piece p = locate(conv, index % conv->dw.pieces);
    const struct dio_range mine = {units * share / shares, units * (share + 1) / shares};
    float *sums = shares > 1 ? share_sums(step, share, index % conv->dw.pieces) : memory;
    if (conv->dw.tile) {
        add_tiles(step, &p, mine, sums, (float *)memory + piece_scratch(conv));
    } else {
        struct scratch s;
        bind_scratch(conv, memory, &s);
        memset(sums, 0, (size_t)conv->dw.sums * sizeof *sums);
        for (int64_t unit = mine.begin; unit < mine.end; unit++) add_unit(step, &p, unit, sums, &s);
    }
    for (int64_t panel = p.panels.begin; shares == 1 && panel < p.panels.end; panel++) {
        write_panel(step, &p, panel, panel_sums(conv, &p, sums, panel));
    }
}

/* A panel of a piece; pieces have as many, the last ones fewer. */
int64_t dio_conv_weights_sum_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return step->dparam[0] && shares_of(conv, step->n) > 1 ? conv->dw.pieces * conv->dw.panels : 0;
}

void dio_conv_weights_sum(const struct dio_step *step, int64_t index, void *scratch)
{
    (void)scratch;
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t shares = shares_of(conv, step->n), piece = index / conv->dw.panels;
    const struct piece p = locate(conv, piece);
    const int64_t panel = p.panels.begin + index % conv->dw.panels;
    if (panel >= p.panels.end) return;
    float *sums = panel_sums(conv, &p, share_sums(step, 0, piece), panel);
    const int64_t count = panel_floats(conv, &p, panel_of(conv, panel).width);
    for (int64_t share = 1; share < shares; share++) {
        step->kernels->add_to(panel_sums(conv, &p, share_sums(step, share, piece), panel), sums, count);
    }
    write_panel(step, &p, panel, sums);
}
