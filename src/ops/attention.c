/* Self-attention of several heads: [N, T, 3 D] (queries, keys, values side by side, each head by head, as one linear layer
 * gives them) to [N, T, D].  For each head softmax(q k^T / sqrt(D / heads)) v.
 *
 * A piece is one head of one picture.  It packs keys and values into panels, then takes a few queries at a time: their
 * scores against all tokens, softmax, their sum over the values.  No T x T matrix is ever there; backward computes the
 * scores again. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "ops/helpers.h"

struct attrs {
    int64_t heads;
};

static const struct dio_attr_def attr_defs[] = {
    {.name = "heads", .type = DIO_ATTR_INT, .offset = offsetof(struct attrs, heads), .initial = NAN, .min = 1, .max = 65536},
    {.name = NULL},
};

enum { QUERIES = 24, BACKWARD_QUERIES = 48 };

/* plan_data: the geometry of a head.  Sizes count floats and are multiples of 16. */
struct head {
    int64_t tokens, width, dim, heads, row; /* width: D; row: 3 D */
    int64_t stride;                         /* between rows of scores */
    struct dio_pack across;                 /* panels of tokens: rows of keys (or values) become columns */
    struct dio_pack along;                  /* panels of a head's channels, as they lie */
    int64_t across_size, along_size;
    float scale;
};

static const int64_t no_offset = 0;

static int64_t round_16(int64_t count) { return dio_ceil_div(count, 16) * 16; }

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    const struct attrs *attrs = shapes->attrs;
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 3, 3));
    const struct dio_shape *in = &shapes->inputs[0].shape;
    const int64_t tokens = in->dims[1], channels = in->dims[2];
    if (channels % (3 * attrs->heads) != 0) {
        return DIO_OP_REFUSE(ctx, place, "%lld channels are not queries, keys and values of %lld heads", (long long)channels,
                             (long long)attrs->heads);
    }
    int64_t elements, products;
    if (!dio_mul_i64(tokens, channels, &elements) || elements > INT32_MAX || !dio_mul_i64(elements / 3 * 2, tokens, &products)
        || tokens > 1 << 20) {
        return DIO_OP_REFUSE(ctx, place, "%lld tokens of %lld channels are more than this operator computes with", (long long)tokens,
                             (long long)channels);
    }
    shapes->n_outputs = 1;
    shapes->outputs[0] = (struct dio_value_type){.dtype = DIO_F32, .shape = dio_shape_3(in->dims[0], tokens, channels / 3)};
    shapes->macs = products;
    return DIO_OK;
}

/* ---- panels ---- */

static void pack_across(const struct head *h, const float *rows, float *packed)
{
    dio_pack_panels(&h->across, rows, 0, dio_ceil_div(h->tokens, h->across.panel_width), packed);
}

/* dio_pack_panels would go number by number. */
static void pack_along(const struct head *h, const float *rows, float *packed)
{
    const int64_t panel_width = h->along.panel_width;
    for (int64_t first = 0; first < h->dim; first += panel_width) {
        int width;
        float *panel = packed + dio_pack_panel(&h->along, first / panel_width, &width);
        const size_t columns = (size_t)dio_min_i64(width, h->dim - first), rest = (size_t)width - columns;
        for (int64_t t = 0; t < h->tokens; t++, panel += width) {
            memcpy(panel, rows + t * h->row + first, columns * sizeof *panel);
            if (rest) memset(panel + columns, 0, rest * sizeof *panel);
        }
    }
}

/* scores[i][t] = x[i] . packed column t; the columns behind the last token become 0. */
static void times_across(const struct dio_step *step, const float *x, int64_t x_stride, int64_t rows, const float *packed, float *scores)
{
    const struct head *h = step->plan_data;
    struct dio_gemm_rows g = {.rows = rows, .taps = 1, .channels = h->dim, .x = x, .x_stride = x_stride, .y_stride = h->stride};
    for (int64_t first = 0; first < h->tokens; first += h->across.panel_width) {
        g.panel = packed + dio_pack_panel(&h->across, first / h->across.panel_width, &g.width);
        g.columns = g.width;
        g.y = scores + first;
        step->kernels->gemm_rows(&g);
    }
}

/* y[i] (+)= sum over tokens of scores[i][t] * packed row t. */
static void times_along(const struct dio_step *step, const float *scores, int64_t rows, const float *packed, float *y, int64_t y_stride, bool add)
{
    const struct head *h = step->plan_data;
    struct dio_gemm_rows g = {.rows = rows, .taps = 1, .channels = h->tokens, .x = scores, .x_stride = h->stride, .y_stride = y_stride,
                              .residual_stride = y_stride};
    for (int64_t first = 0; first < h->dim; first += h->along.panel_width) {
        g.panel = packed + dio_pack_panel(&h->along, first / h->along.panel_width, &g.width);
        g.columns = (int)dio_min_i64(g.width, h->dim - first);
        g.y = y + first;
        g.residual = add ? g.y : NULL;
        step->kernels->gemm_rows(&g);
    }
}

static void softmax(const struct dio_step *step, float *scores, int64_t rows)
{
    const struct head *h = step->plan_data;
    const struct dio_softmax_rows s = {.rows = rows, .columns = h->tokens, .stride = h->stride, .scale = h->scale, .x = scores};
    step->kernels->softmax_rows(&s);
}

/* ---- forward ---- */

static int64_t pieces(const struct dio_step *step) { return step->n * ((const struct head *)step->plan_data)->heads; }

/* The queries of piece's head of piece's picture; keys and values follow after `width` floats each. */
static const float *queries_of(const struct dio_step *step, int64_t piece)
{
    const struct head *h = step->plan_data;
    return (const float *)step->x[0] + piece / h->heads * h->tokens * h->row + piece % h->heads * h->dim;
}

static int64_t output_offset(const struct dio_step *step, int64_t piece)
{
    const struct head *h = step->plan_data;
    return piece / h->heads * h->tokens * h->width + piece % h->heads * h->dim;
}

/* scratch: packed keys, packed values, scores. */
static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    const struct head *h = step->plan_data;
    float *keys = scratch, *values = keys + h->across_size, *scores = values + h->along_size;
    const float *queries = queries_of(step, piece);
    float *y = (float *)step->y[0] + output_offset(step, piece);
    pack_across(h, queries + h->width, keys);
    pack_along(h, queries + 2 * h->width, values);
    for (int64_t first = 0; first < h->tokens; first += QUERIES) {
        const int64_t rows = dio_min_i64(QUERIES, h->tokens - first);
        times_across(step, queries + first * h->row, h->row, rows, keys, scores);
        softmax(step, scores, rows);
        times_along(step, scores, rows, values, y + first * h->width, h->width, false);
    }
}

/* ---- backward ---- */

/* packed[t] += sum over rows i of scores[i][t] * x[i]; packed as pack_along has it. */
static void add_outer(const struct dio_step *step, const float *scores, const float *x, int64_t x_stride, int64_t rows, float *packed)
{
    const struct head *h = step->plan_data;
    const struct dio_gemm_run run = {0, 0, (int32_t)rows};
    struct dio_gemm_outer g = {.runs = &run, .n_runs = 1, .x = scores, .x_step = h->stride, .dy_step = x_stride, .channels = h->tokens};
    for (int64_t first = 0; first < h->dim; first += h->along.panel_width) {
        g.dw = packed + dio_pack_panel(&h->along, first / h->along.panel_width, &g.width);
        g.columns = (int)dio_min_i64(g.width, h->dim - first);
        g.dy = x + first;
        step->kernels->gemm_outer(&g);
    }
}

/* The opposite of pack_along. */
static void unpack(const struct head *h, const float *packed, float *rows, bool add)
{
    for (int64_t first = 0; first < h->dim; first += h->along.panel_width) {
        int width;
        const float *panel = packed + dio_pack_panel(&h->along, first / h->along.panel_width, &width);
        for (int64_t t = 0; t < h->tokens; t++) {
            dio_put_row(rows + t * h->row + first, panel + t * width, dio_min_i64(width, h->dim - first), add);
        }
    }
}

/* With p the softmax and s what went into it: dv = p^T dy, dp = dy v^T, ds = p (dp - sum(p dp)), dq = ds k, dk = ds^T q. */
static void backward(const struct dio_step *step, int64_t piece, void *scratch)
{
    const struct head *h = step->plan_data;
    float *keys_across = scratch, *values_across = keys_across + h->across_size, *keys_along = values_across + h->across_size;
    float *dk = keys_along + h->along_size, *dv = dk + h->along_size, *scores = dv + h->along_size;
    float *slopes = scores + BACKWARD_QUERIES * h->stride;
    const float *queries = queries_of(step, piece), *dy = step->dy[0] + output_offset(step, piece);
    float *dx = step->dx[0] + (queries - (const float *)step->x[0]);
    pack_across(h, queries + h->width, keys_across);
    pack_across(h, queries + 2 * h->width, values_across);
    pack_along(h, queries + h->width, keys_along);
    memset(dk, 0, (size_t)(2 * h->along_size) * sizeof *dk);
    for (int64_t first = 0; first < h->tokens; first += BACKWARD_QUERIES) {
        const int64_t rows = dio_min_i64(BACKWARD_QUERIES, h->tokens - first);
        const float *q = queries + first * h->row, *g = dy + first * h->width;
        times_across(step, q, h->row, rows, keys_across, scores);
        softmax(step, scores, rows);
        add_outer(step, scores, g, h->width, rows, dv);
        times_across(step, g, h->width, rows, values_across, slopes);
        const struct dio_softmax_rows s = {.rows = rows, .columns = h->tokens, .stride = h->stride, .scale = h->scale, .x = slopes, .y = scores};
        step->kernels->softmax_dx_rows(&s);
        add_outer(step, slopes, q, h->row, rows, dk);
        times_along(step, slopes, rows, keys_along, dx + first * h->row, h->row, step->add_dx[0]);
    }
    unpack(h, dk, dx + h->width, step->add_dx[0]);
    unpack(h, dv, dx + 2 * h->width, step->add_dx[0]);
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    struct head *h = dio_step_data(ctx, step, sizeof *h);
    if (!h) return DIO_ERR_ENV;
    const int panel_width = step->kernels->panel_width, vector_width = step->kernels->vector_width;
    h->heads = ((const struct attrs *)step->attrs)->heads;
    h->tokens = step->in[0].shape.dims[1];
    h->row = step->in[0].shape.dims[2];
    h->width = h->row / 3;
    h->dim = h->width / h->heads;
    h->scale = (float)(1 / sqrt((double)h->dim));
    h->stride = round_16(h->tokens);
    if (h->stride % 1024 == 0) h->stride += 16; /* rows at that distance would meet in one set of the near cache */
    h->across = (struct dio_pack){.taps = 1, .channels = h->dim, .columns = h->tokens, .tap_offset = &no_offset, .c_stride = 1,
                                  .column_stride = h->row, .panel_width = panel_width, .vector_width = vector_width};
    h->along = (struct dio_pack){.taps = 1, .channels = h->tokens, .columns = h->dim, .tap_offset = &no_offset, .c_stride = h->row,
                                 .column_stride = 1, .panel_width = panel_width, .vector_width = vector_width};
    h->across_size = round_16(dio_pack_size(&h->across));
    h->along_size = round_16(dio_pack_size(&h->along));
    step->plan_data = h;
    step->scratch_bytes = (size_t)(h->across_size + h->along_size + QUERIES * h->stride) * sizeof(float);
    dio_add_forward(step, forward, pieces);
    if (!wants->dx[0]) return DIO_OK;
    step->reads_x = true;
    step->scratch_bytes = (size_t)(2 * h->across_size + 3 * h->along_size + 2 * BACKWARD_QUERIES * h->stride) * sizeof(float);
    dio_add_backward(step, backward, pieces);
    return DIO_OK;
}

static const char *const cases[] = {
    "in=2x5x24 heads=2", "in=1x1x3 heads=1", "in=2x70x96 heads=1", "in=1x197x384 heads=2", "in=2x65x60 heads=4 # odd widths",
    "in=1x50x384 heads=8", "in=1x17x240 heads=1", NULL,
};

const struct dio_op dio_op_attention = {
    .name = "attention",
    .attrs_size = sizeof(struct attrs),
    .attrs = attr_defs,
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
