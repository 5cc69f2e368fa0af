/* Gradient of the weights of dense and grouped convolutions: outer products over pixels, summed in registers.
 *
 * A piece owns a part of the gradient, some panels by some channels by some taps, for a share of the pictures' pixels.
 * Its part, with two units of x and dy, is as large as the second-level cache allows; where that makes
 * too few pieces, the pixels are shared as well, each share has sums of its own, and a second phase adds them in order.
 * How many shares there are follows from the number of pictures, so the bits do not depend on threads. */
#include <string.h>

#include "ops/conv.h"

enum {
    PIECES = 16,               /* wanted */
    SUM_BYTES = 200 << 10,      /* of a piece's part: beside two units in the second-level cache */
    TAPS_SUM_BYTES = 1100 << 10, /* where several taps share a pixel, cutting channels costs more */
    UNIT_PIXELS = 256,         /* between two additions to the sums, at most, and at least */
    UNIT_PIXELS_LEAST = 48,
    UNIT_BYTES = 300 << 10,    /* of x and dy under them */
    NARROW_PIXELS = 96,        /* of a unit, where a panel is a line wide: one of x and one of dy for each in the near cache */
    PITCH = 16,                /* floats behind Winograd's sums and behind copied pixels: distances are no multiples of a page's size */
    UNITS_OF_SHARE = 4,        /* fewer are not worth a share's sums */
    UNIT_TILES = 64,           /* Winograd: tiles of a unit, channels of x and of dy of a piece, pieces wanted, units of a share */
    TILE_CHANNELS = 128,
    TILE_PIECES = 8,
    TILE_UNITS_OF_SHARE = 2
};

/* ---- plan ---- */

/* Taps of the sums, or positions of Winograd's; and floats between them in a panel `width` wide. */
static int64_t sum_taps(const struct dio_conv *conv, int64_t taps) { return conv->dw.tile ? dio_winograd_positions(conv->dw.tile) : taps; }
static int64_t tap_floats(const struct dio_conv *conv, int64_t channels, int64_t width) { return channels * width + (conv->dw.tile ? PITCH : 0); }

/* A panel's sums are [tap][channel][width], and [width] of the bias behind them. */
static int64_t panel_sums_floats(const struct dio_conv *conv, int64_t taps, int64_t channels, int64_t width)
{
    return sum_taps(conv, taps) * tap_floats(conv, channels, width) + (conv->dw.bias ? width : 0);
}

static int64_t sums_of(const struct dio_conv *conv)
{
    return conv->dw.panels * panel_sums_floats(conv, conv->dw.taps, conv->dw.channels, conv->forward.panel_width);
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
    conv->dw.bias = conv->bias;
    const int64_t taps = conv->r * conv->s, most = (taps > 1 ? TAPS_SUM_BYTES : SUM_BYTES) / (int64_t)sizeof(float);
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
    conv->dw.narrow = conv->forward.panel_width <= DIO_LINE;
    conv->dw.rows = dio_min_i64(conv->dw.narrow ? NARROW_PIXELS : UNIT_PIXELS, dio_max_i64(UNIT_PIXELS_LEAST, UNIT_BYTES / pixel_bytes));
    conv->dw.lines = dio_max_i64(1, conv->dw.rows / conv->ow);
    if (conv->path == DIO_CONV_FEW) conv->dw.lines = dio_min_i64(conv->dw.lines, conv->oh);
    plan_pieces(conv);
}

static int64_t units_of(const struct dio_conv *conv, int64_t images)
{
    if (conv->dw.tile) return dio_ceil_div(images * dio_winograd_tiles(conv->oh, conv->ow, conv->dw.tile), conv->dw.rows);
    if (conv->path == DIO_CONV_POINTWISE) return dio_ceil_div(images * conv->oh * conv->ow, conv->dw.rows);
    if (conv->path != DIO_CONV_FEW) return dio_ceil_div(images * conv->oh, conv->dw.lines);
    return images * dio_ceil_div(conv->oh, conv->dw.lines); /* of one picture each */
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

/* The bias' bits do not depend on what else is wanted. */
static bool is_wanted(const struct dio_step *step) { return step->dparam[0] || (dio_conv_of(step)->dw.bias && step->dparam[1]); }

int64_t dio_conv_weights_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return is_wanted(step) ? shares_of(conv, step->n) * conv->dw.pieces : 0;
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

static int64_t panel_floats(const struct dio_conv *conv, const struct piece *p, int64_t width)
{
    return panel_sums_floats(conv, p->taps.end - p->taps.begin, p->channels.end - p->channels.begin, width);
}

static bool has_bias(const struct piece *p) { return p->taps.begin == 0 && p->channels.begin == 0; }

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

/* ---- memory of a piece: its sums, runs of a tap, copies of dy's columns and of x's lines or pixels ---- */

struct scratch {
    float *sums, *dy, *x;
    struct dio_gemm_run *runs;
};

static size_t piece_scratch(const struct dio_conv *conv) { return (size_t)(conv->dw.sums + 15) / 16 * 16; }

/* Where each pixel of dy is one line, and so is the part of x that a tile reads, lines at equal distances meet in a few sets of the near
 * cache, and are read too often for the next cache to deliver them: dy's columns, and pixels that a single tap reads, are copied
 * side by side. */
static bool copies_pixels(const struct dio_conv *conv) { return conv->dw.narrow && conv->r * conv->s == 1; }

static size_t bind_scratch(const struct dio_conv *conv, void *memory, struct scratch *s)
{
    const size_t pixels = (size_t)(conv->path == DIO_CONV_POINTWISE ? conv->dw.rows : conv->dw.lines * conv->ow);
    const size_t sums = (size_t)conv->dw.sums, dy = conv->dw.narrow ? pixels * (size_t)conv->forward.panel_width : 0;
    const size_t runs = ((size_t)conv->dw.lines * sizeof(struct dio_gemm_run) / sizeof(float) + 15) / 16 * 16;
    const size_t x = conv->path == DIO_CONV_FEW ? (size_t)dio_conv_copy_floats(conv, conv->dw.lines)
                     : copies_pixels(conv)      ? pixels * (size_t)(conv->dw.channels + PITCH)
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

static int64_t line_pixels(const struct dio_conv *conv) { return conv->path == DIO_CONV_POINTWISE ? 1 : conv->ow; }

static struct dio_range part_of(int64_t total, int64_t parts, int64_t i) { return (struct dio_range){total * i / parts, total * (i + 1) / parts}; }

/* A unit: output lines of all pictures, counted from the first picture's first; rows of the matrix where a batch is one. */
static struct dio_range unit_lines(const struct dio_step *step, int64_t unit)
{
    const struct dio_conv *conv = dio_conv_of(step);
    if (conv->path != DIO_CONV_FEW) return part_of(step->n * conv->oh * conv->ow / line_pixels(conv), units_of(conv, step->n), unit);
    const int64_t of_image = dio_ceil_div(conv->oh, conv->dw.lines), first = unit / of_image * conv->oh;
    const struct dio_range lines = dio_block(conv->oh, conv->dw.lines, unit % of_image);
    return (struct dio_range){first + lines.begin, first + lines.end};
}

/* The first picture's first pixel, in the piece's channels; an output line's first, in its columns. */
static const float *piece_x(const struct dio_step *step, const struct piece *p)
{
    return (const float *)step->x[0] + p->block * dio_conv_of(step)->block_c + p->channels.begin;
}

static const float *piece_dy(const struct dio_step *step, const struct piece *p, int64_t line)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return dio_conv_dy(step) + line * line_pixels(conv) * conv->k + p->block * conv->block_k + p->panels.begin * conv->forward.panel_width;
}

/* The pixels of some output lines that tap (r, s) meets inside the pictures; dy starts with these lines. */
static int64_t runs_of(const struct dio_conv *conv, int64_t r, int64_t s, struct dio_range lines, int64_t dy_step, struct dio_gemm_run *runs)
{
    if (conv->path == DIO_CONV_POINTWISE) {
        runs[0] = (struct dio_gemm_run){lines.begin * conv->c, 0, lines.end - lines.begin};
        return 1;
    }
    const int64_t at_y = r * conv->dilation[0] - conv->top, at_x = s * conv->dilation[1] - conv->left;
    const struct dio_range inside = dio_conv_inside(conv->ow, conv->stride[1], at_x, conv->w);
    int64_t n = 0;
    for (int64_t y = lines.begin; y < lines.end && inside.begin < inside.end; y++) {
        const int64_t iy = y % conv->oh * conv->stride[0] + at_y;
        if (iy < 0 || iy >= conv->h) continue;
        const int64_t row = (y / conv->oh * conv->h + iy) * conv->w;
        runs[n++] = (struct dio_gemm_run){(row + inside.begin * conv->stride[1] + at_x) * conv->c,
                                          ((y - lines.begin) * conv->ow + inside.begin) * dy_step, inside.end - inside.begin};
    }
    return n;
}

/* Where a tap finds x for an output line's first pixel, be it inside the picture or not. */
static const float *tap_x(const struct dio_conv *conv, const float *x, int64_t line, int64_t tap)
{
    if (conv->path == DIO_CONV_POINTWISE) return x + line * conv->c;
    const int64_t iy = line % conv->oh * conv->stride[0] + tap / conv->s * conv->dilation[0] - conv->top;
    return x + ((line / conv->oh * conv->h + iy) * conv->w + tap % conv->s * conv->dilation[1] - conv->left) * conv->c;
}

/* Memory is far: while a unit is added, the next one is brought near.  Each panel's calls take their part of the lines of its
 * rows, those of x with the taps that meet different pixels, those of dy with the first. */
static void bind_ahead(const struct dio_step *step, const struct piece *p, int64_t panel, int64_t tap, struct dio_range next,
                       struct dio_gemm_outer *g)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t panels = p->panels.end - p->panels.begin, columns = dio_min_i64(panels * conv->forward.panel_width, conv->block_k);
    const struct dio_range x = part_of(dio_ceil_div(p->channels.end - p->channels.begin, DIO_LINE), panels, panel - p->panels.begin);
    const struct dio_range dy = part_of(dio_ceil_div(columns, DIO_LINE), panels, panel - p->panels.begin);
    const bool meets = tap / conv->s < conv->stride[0] && tap % conv->s < conv->stride[1] && conv->path != DIO_CONV_FEW;
    g->ahead[0] = g->ahead[1] = (struct dio_gemm_ahead){0};
    if (meets) {
        g->ahead[0] = (struct dio_gemm_ahead){tap_x(conv, piece_x(step, p), next.begin, tap) + x.begin * DIO_LINE, x.end - x.begin, conv->stride[1] * conv->c,
                                              conv->stride[0] * conv->w * conv->c};
    }
    if (tap == p->taps.begin) {
        g->ahead[1] = (struct dio_gemm_ahead){piece_dy(step, p, next.begin) + dy.begin * DIO_LINE, dy.end - dy.begin, conv->k, conv->ow * conv->k};
    }
}

/* Few channels: a line of the kernel is one tap of S * C channels over a padded copy of one picture's lines. */
static void add_few(const struct dio_step *step, struct dio_range lines, int64_t line, struct dio_gemm_outer *g, const struct scratch *s)
{
    const struct dio_conv *conv = dio_conv_of(step);
    g->x = s->x;
    g->channels = conv->s * conv->c;
    g->n_runs = lines.end - lines.begin;
    for (int64_t r = 0; r < conv->r; r++, g->dw += g->channels * g->width) {
        for (int64_t y = 0; y < g->n_runs; y++) {
            s->runs[y] = (struct dio_gemm_run){(y * conv->stride[0] + r * conv->dilation[0]) * line, y * conv->ow * g->dy_step, conv->ow};
        }
        step->kernels->gemm_outer(g);
        g->ahead[1].lines = 0;
    }
}

static int64_t copy_few(const struct dio_step *step, const struct piece *p, struct dio_range lines, float *copy)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const float *image = piece_x(step, p) + lines.begin / conv->oh * conv->h * conv->w * conv->c;
    return dio_conv_copy_lines(conv, image, lines.begin % conv->oh, lines.end - lines.begin, copy);
}

/* The pixels of some runs side by side; the runs then say where. */
static void copy_pixels(const struct dio_conv *conv, const float *x, int64_t channels, struct dio_gemm_run *runs, int64_t n_runs, float *copy)
{
    float *at = copy;
    for (int64_t r = 0; r < n_runs; r++) {
        const float *from = x + runs[r].x;
        runs[r].x = at - copy;
        for (int64_t i = 0; i < runs[r].count; i++, at += channels + PITCH, from += conv->stride[1] * conv->c) {
            memcpy(at, from, (size_t)channels * sizeof *at);
        }
    }
}

/* A panel's columns of dy side by side, `step` floats apart. */
static void copy_columns(const struct dio_conv *conv, struct dio_range lines, const float *dy, int64_t columns, int64_t step, float *copy)
{
    const int64_t pixels = (lines.end - lines.begin) * line_pixels(conv);
    for (int64_t i = 0; i < pixels; i++, copy += step, dy += conv->k) {
        if (columns == DIO_LINE) memcpy(copy, dy, DIO_LINE * sizeof *copy);
        else memcpy(copy, dy, (size_t)columns * sizeof *copy);
    }
}

static void add_unit(const struct dio_step *step, const struct piece *p, struct dio_range lines, struct dio_range next, bool first, float *sums,
                     const struct scratch *s)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const bool few = conv->path == DIO_CONV_FEW, copied = copies_pixels(conv);
    const int64_t channels = p->channels.end - p->channels.begin, line = few ? copy_few(step, p, lines, s->x) : 0, width = conv->forward.panel_width;
    struct dio_gemm_outer g = {.runs = s->runs, .x = copied ? s->x : piece_x(step, p), .x_step = copied ? channels + PITCH : conv->stride[1] * conv->c,
                               .channels = channels, .dy_step = conv->dw.narrow ? width : conv->k, .overwrite = first};
    if (copied) {
        g.n_runs = runs_of(conv, 0, 0, lines, g.dy_step, s->runs);
        copy_pixels(conv, piece_x(step, p), channels, s->runs, g.n_runs, s->x);
    }
    for (int64_t index = p->panels.begin; index < p->panels.end; index++) {
        const struct panel panel = panel_of(conv, index);
        g.width = panel.width;
        g.columns = panel.columns;
        g.dw = panel_sums(conv, p, sums, index);
        g.dy = piece_dy(step, p, lines.begin) + (index - p->panels.begin) * width;
        if (conv->dw.narrow) {
            copy_columns(conv, lines, g.dy, panel.columns, width, s->dy);
            g.dy = s->dy;
        }
        if (few) {
            bind_ahead(step, p, index, p->taps.begin, next, &g);
            add_few(step, lines, line, &g, s);
            continue;
        }
        for (int64_t t = p->taps.begin; t < p->taps.end; t++, g.dw += channels * g.width) {
            if (!copied) g.n_runs = runs_of(conv, t / conv->s, t % conv->s, lines, g.dy_step, s->runs);
            bind_ahead(step, p, index, t, next, &g);
            if (g.n_runs > 0 || first) step->kernels->gemm_outer(&g);
        }
    }
}

/* The bias' gradient, with the part of the first tap and channels, while dy is near; zeros in the others. */
static void add_bias(const struct dio_step *step, const struct piece *p, struct dio_range lines, bool first, float *sums)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t rows = (lines.end - lines.begin) * line_pixels(conv);
    for (int64_t index = p->panels.begin; index < p->panels.end; index++) {
        const struct panel panel = panel_of(conv, index);
        float *bias = panel_sums(conv, p, sums, index) + panel_floats(conv, p, panel.width) - panel.width;
        const float *dy = piece_dy(step, p, lines.begin) + (index - p->panels.begin) * conv->forward.panel_width;
        if (first) memset(bias, 0, (size_t)panel.width * sizeof *bias);
        if (has_bias(p)) step->kernels->column_sums(dy, rows, conv->k, panel.columns, bias);
    }
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
    if (conv->dw.bias && step->dparam[1] && has_bias(p)) {
        dio_put_row(step->dparam[1] + p->block * conv->block_k + panel * conv->forward.panel_width, sums + panel_floats(conv, p, width) - width, columns,
                    step->add_dparam[1]);
    }
    struct columns k = {.panel = panel};
    for (k.first = 0; step->dparam[0] && k.first < columns; k.first += STAGE_COLUMNS) {
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
        struct scratch s = {0};
        bind_scratch(conv, memory, &s);
        for (int64_t unit = mine.begin; unit < mine.end; unit++) {
            const struct dio_range lines = unit_lines(step, unit), next = unit_lines(step, dio_min_i64(unit + 1, mine.end - 1));
            if (conv->dw.bias) add_bias(step, &p, lines, unit == mine.begin, sums);
            if (step->dparam[0]) add_unit(step, &p, lines, next, unit == mine.begin, sums, &s);
        }
    }
    for (int64_t panel = p.panels.begin; shares == 1 && panel < p.panels.end; panel++) {
        write_panel(step, &p, panel, panel_sums(conv, &p, sums, panel));
    }
}

/* A panel of a piece; pieces have as many, the last ones fewer. */
int64_t dio_conv_weights_sum_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return is_wanted(step) && shares_of(conv, step->n) > 1 ? conv->dw.pieces * conv->dw.panels : 0;
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
    const int64_t width = panel_of(conv, panel).width, count = panel_floats(conv, &p, width);
    const int64_t first = step->dparam[0] ? 0 : count - width; /* the bias alone */
    for (int64_t share = 1; share < shares; share++) {
        step->kernels->add_to(panel_sums(conv, &p, share_sums(step, share, piece), panel) + first, sums + first, count - first);
    }
    write_panel(step, &p, panel, sums);
}
