/* Self-attention of several heads: [N, T, 3 D] (queries, keys, values side by side, each head by head, as one linear layer
 * gives them) to [N, T, D].  For each head softmax(q k^T / sqrt(D / heads)) v.
 *
 * A piece is one head of one picture, or a part of its queries.  It packs keys and values into panels, then takes a few
 * queries at a time: their scores against all tokens, softmax, their sum over the values.  No T x T matrix is ever there;
 * backward computes the scores again. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "ops/attention.h"

struct attrs {
    int64_t heads;
};

static const struct dio_attr_def attr_defs[] = {
    {.name = "heads", .type = DIO_ATTR_INT, .offset = offsetof(struct attrs, heads), .initial = NAN, .min = 1, .max = 65536},
    {.name = NULL},
};

enum {
    BACKWARD_QUERIES = 64, /* under way at a time, at most */
    PIECES = 6             /* wanted where heads and pictures are few: each has to pack keys and values */
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

static void pack_across(const struct dio_attention *h, const float *rows, float *packed)
{
    dio_pack_panels(&h->across, rows, 0, dio_ceil_div(h->tokens, h->across.panel_width), packed);
}

/* dio_pack_panels would go number by number. */
static void pack_along(const struct dio_attention *h, const float *rows, float *packed)
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
    const struct dio_attention *h = dio_attention_of(step);
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
    const struct dio_attention *h = dio_attention_of(step);
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

void dio_attention_softmax(const struct dio_step *step, float *scores, int64_t rows, float *inverse)
{
    const struct dio_attention *h = dio_attention_of(step);
    const struct dio_softmax_rows s = {.rows = rows, .columns = h->tokens, .stride = h->stride, .scale = h->scale, .x = scores, .inverse = inverse};
    step->kernels->softmax_rows(&s);
}

/* ---- pieces ---- */

static int64_t heads_of(const struct dio_step *step) { return step->n * dio_attention_of(step)->heads; }

/* Of a head's queries. */
static int64_t parts_of(const struct dio_step *step)
{
    if (step->alone) return 1;
    return dio_min_i64(dio_ceil_div(PIECES, heads_of(step)), dio_ceil_div(dio_attention_of(step)->tokens, DIO_ATTENTION_QUERIES));
}

static struct dio_attention_piece locate_head(const struct dio_step *step, int64_t head)
{
    const struct dio_attention *h = dio_attention_of(step);
    const int64_t first = head / h->heads * h->tokens, at = head % h->heads * h->dim;
    return (struct dio_attention_piece){first * h->row + at, first * h->width + at, {0, h->tokens}};
}

int64_t dio_attention_pieces(const struct dio_step *step) { return heads_of(step) * parts_of(step); }

struct dio_attention_piece dio_attention_locate(const struct dio_step *step, int64_t piece)
{
    const int64_t parts = parts_of(step), blocks = dio_ceil_div(dio_attention_of(step)->tokens, DIO_ATTENTION_QUERIES);
    struct dio_attention_piece p = locate_head(step, piece / parts);
    p.queries.begin = piece % parts * blocks / parts * DIO_ATTENTION_QUERIES;
    p.queries.end = dio_min_i64(p.queries.end, (piece % parts + 1) * blocks / parts * DIO_ATTENTION_QUERIES);
    return p;
}

/* ---- forward ---- */

/* y[i] *= inverse[i] */
static void scale_rows(float *y, int64_t y_stride, int64_t columns, int64_t rows, const float *inverse)
{
    for (int64_t i = 0; i < rows; i++, y += y_stride) {
        for (int64_t j = 0; j < columns; j++) y[j] *= inverse[i];
    }
}

/* scratch: packed keys, packed values, scores, and sums where the output is narrower. */
static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    const struct dio_attention *h = dio_attention_of(step);
    const bool narrow = step->out[0].dtype != DIO_F32;
    const struct dio_attention_piece p = dio_attention_locate(step, piece);
    float *keys = scratch, *values = keys + h->across_size, *scores = values + h->along_size;
    float *sums = scores + DIO_ATTENTION_QUERIES * h->stride, inverse[DIO_ATTENTION_QUERIES];
    const float *queries = (const float *)step->x[0] + p.x;
    pack_across(h, queries + h->width, keys);
    pack_along(h, queries + 2 * h->width, values);
    for (int64_t first = p.queries.begin; first < p.queries.end; first += DIO_ATTENTION_QUERIES) {
        const int64_t rows = dio_min_i64(DIO_ATTENTION_QUERIES, p.queries.end - first), y_stride = narrow ? h->dim : h->width;
        float *y = narrow ? sums : (float *)step->y[0] + p.y + first * h->width;
        times_across(step, queries + first * h->row, h->row, rows, keys, scores);
        dio_attention_softmax(step, scores, rows, inverse);
        times_along(step, scores, rows, values, y, y_stride, false);
        scale_rows(y, y_stride, h->dim, rows, inverse);
        for (int64_t i = 0; narrow && i < rows; i++) dio_written_floats(step, p.y + (first + i) * h->width, h->dim, sums + i * h->dim);
    }
}

/* ---- backward ---- */

/* packed[t] += sum over rows i of scores[i][t] * x[i]; packed as pack_along has it. */
static void add_outer(const struct dio_step *step, const float *scores, const float *x, int64_t x_stride, int64_t rows, float *packed)
{
    const struct dio_attention *h = dio_attention_of(step);
    const struct dio_gemm_run run = {0, 0, rows};
    struct dio_gemm_outer g = {.runs = &run, .n_runs = 1, .x = scores, .x_step = h->stride, .dy_step = x_stride, .channels = h->tokens};
    for (int64_t first = 0; first < h->dim; first += h->along.panel_width) {
        g.dw = packed + dio_pack_panel(&h->along, first / h->along.panel_width, &g.width);
        g.columns = (int)dio_min_i64(g.width, h->dim - first);
        g.dy = x + first;
        step->kernels->gemm_outer(&g);
    }
}

/* The opposite of pack_along. */
static void unpack(const struct dio_attention *h, const float *packed, float *rows, bool add)
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
    const struct dio_attention *h = dio_attention_of(step);
    float *keys_across = scratch, *values_across = keys_across + h->across_size, *keys_along = values_across + h->across_size;
    float *dk = keys_along + h->along_size, *dv = dk + h->along_size, *scores = dv + h->along_size;
    float *slopes = scores + BACKWARD_QUERIES * h->stride;
    const struct dio_attention_piece p = locate_head(step, piece);
    const float *queries = (const float *)step->x[0] + p.x, *dy = step->dy[0] + p.y;
    float *dx = step->dx[0] + p.x;
    pack_across(h, queries + h->width, keys_across);
    pack_across(h, queries + 2 * h->width, values_across);
    pack_along(h, queries + h->width, keys_along);
    memset(dk, 0, (size_t)(2 * h->along_size) * sizeof *dk);
    const int64_t blocks = dio_ceil_div(h->tokens, BACKWARD_QUERIES), block = dio_ceil_div(h->tokens, blocks);
    for (int64_t first = 0; first < h->tokens; first += block) {
        const int64_t rows = dio_min_i64(block, h->tokens - first);
        const float *q = queries + first * h->row, *g = dy + first * h->width;
        times_across(step, q, h->row, rows, keys_across, scores);
        dio_attention_softmax(step, scores, rows, NULL);
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
    struct dio_attention *h = dio_step_data(ctx, step, sizeof *h);
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
    if (step->in[0].dtype == DIO_BF16) {
        dio_attention_bf16_prepare(step);
        return DIO_OK;
    }
    step->precision = DIO_PRECISION_F32;
    step->scratch_bytes = (size_t)(h->across_size + h->along_size + DIO_ATTENTION_QUERIES * (h->stride + h->dim)) * sizeof(float);
    dio_add_forward(step, forward, dio_attention_pieces);
    if (!wants->dx[0]) return DIO_OK;
    step->reads_x = true;
    step->scratch_bytes = (size_t)(2 * h->across_size + 3 * h->along_size + 2 * BACKWARD_QUERIES * h->stride) * sizeof(float);
    dio_add_backward(step, backward, heads_of);
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
    .narrow = DIO_BF16_READS | DIO_BF16_WRITES | DIO_U8_WRITES,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
