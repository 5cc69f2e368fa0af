/* Forward of self-attention over bf16 numbers: scores and sums over values are products of bf16 summed in f32, the softmax
 * between them is f32; its exponentials, at most 1, are rounded to bf16, their sum is taken before. */
#include <string.h>

#include "ops/attention.h"

static size_t lines_of(int64_t count, size_t size) { return ((size_t)count * size + 63) / 64 * 64; }

/* ---- panels of pairs (kernels/bf16.h) ---- */

/* A pair is two neighbouring channels of a key. */
static void pack_across(const struct dio_attention *h, const uint16_t *rows, uint16_t *packed)
{
    for (int64_t first = 0; first < h->tokens; first += h->across.panel_width) {
        int width;
        uint16_t *panel = packed + dio_pack_bf16_panel(&h->across, first / h->across.panel_width, &width);
        const int64_t columns = dio_min_i64(width, h->tokens - first);
        if (columns < width || h->dim % 2) memset(panel, 0, (size_t)((h->dim + 1) / 2 * width) * 2 * sizeof *panel);
        for (int64_t j = 0; j < columns; j++) {
            const uint16_t *row = rows + (first + j) * h->row;
            uint16_t *out = panel + 2 * j;
            for (int64_t c = 0; c + 1 < h->dim; c += 2, out += 2 * width) memcpy(out, row + c, 2 * sizeof *out);
            if (h->dim % 2) out[0] = row[h->dim - 1];
        }
    }
}

/* A pair is one channel of two neighbouring values. */
static void pack_along(const struct dio_attention *h, const uint16_t *rows, uint16_t *packed)
{
    for (int64_t first = 0; first < h->dim; first += h->along.panel_width) {
        int width;
        uint16_t *panel = packed + dio_pack_bf16_panel(&h->along, first / h->along.panel_width, &width);
        const int64_t columns = dio_min_i64(width, h->dim - first);
        if (columns < width || h->tokens % 2) memset(panel, 0, (size_t)((h->tokens + 1) / 2 * width) * 2 * sizeof *panel);
        for (int64_t t = 0; t < h->tokens; t += 2, panel += 2 * width) {
            const uint16_t *one = rows + t * h->row + first, *two = one + h->row;
            if (t + 1 == h->tokens) {
                for (int64_t j = 0; j < columns; j++) panel[2 * j] = one[j];
                continue;
            }
            for (int64_t j = 0; j < columns; j++) {
                panel[2 * j] = one[j];
                panel[2 * j + 1] = two[j];
            }
        }
    }
}

/* y[i][j] = x[i] . packed column j */
static void times(const struct dio_step *step, const struct dio_pack *pack, const uint16_t *x, int64_t x_stride, int64_t rows,
                  const uint16_t *packed, float *y, int64_t y_stride)
{
    struct dio_gemm_rows_bf16 g = {.rows = rows, .taps = 1, .channels = pack->channels, .x = x, .x_stride = x_stride, .y_stride = y_stride, .y_f32 = true};
    for (int64_t first = 0; first < pack->columns; first += pack->panel_width) {
        g.panel = packed + dio_pack_bf16_panel(pack, first / pack->panel_width, &g.width);
        g.columns = (int)dio_min_i64(g.width, pack->columns - first);
        g.y = y + first;
        step->kernels->gemm_rows_bf16(&g);
    }
}

/* ---- scratch: packed keys, packed values, exponentials; scores, sums over values ---- */

struct scratch {
    uint16_t *keys, *values, *weights;
    float *scores, *sums;
};

static size_t bind_scratch(const struct dio_attention *h, void *memory, struct scratch *s)
{
    const size_t keys = lines_of(dio_pack_bf16_size(&h->across), sizeof *s->keys), values = lines_of(dio_pack_bf16_size(&h->along), sizeof *s->values);
    const size_t weights = lines_of(DIO_ATTENTION_QUERIES * h->stride, sizeof *s->weights), scores = lines_of(DIO_ATTENTION_QUERIES * h->stride, sizeof *s->scores);
    char *at = memory;
    if (at) {
        *s = (struct scratch){(uint16_t *)(void *)at, (uint16_t *)(void *)(at + keys), (uint16_t *)(void *)(at + keys + values),
                              (float *)(void *)(at + keys + values + weights), (float *)(void *)(at + keys + values + weights + scores)};
    }
    return keys + values + weights + scores + lines_of(DIO_ATTENTION_QUERIES * h->dim, sizeof *s->sums);
}

/* y = sums * inverse, as wide as the output is. */
static void put_rows(const struct dio_step *step, int64_t at, int64_t rows, float *sums, const float *inverse)
{
    const struct dio_attention *h = dio_attention_of(step);
    for (int64_t i = 0; i < rows; i++, at += h->width, sums += h->dim) {
        float *y = dio_write_floats(step, at, sums);
        for (int64_t j = 0; j < h->dim; j++) y[j] = sums[j] * inverse[i];
        dio_written_floats(step, at, h->dim, y);
    }
}

static void forward(const struct dio_step *step, int64_t piece, void *memory)
{
    const struct dio_attention *h = dio_attention_of(step);
    const struct dio_attention_piece p = dio_attention_locate(step, piece);
    const uint16_t *queries = (const uint16_t *)step->x[0] + p.x;
    float inverse[DIO_ATTENTION_QUERIES];
    struct scratch s = {0};
    bind_scratch(h, memory, &s);
    pack_across(h, queries + h->width, s.keys);
    pack_along(h, queries + 2 * h->width, s.values);
    for (int64_t first = p.queries.begin; first < p.queries.end; first += DIO_ATTENTION_QUERIES) {
        const int64_t rows = dio_min_i64(DIO_ATTENTION_QUERIES, p.queries.end - first);
        times(step, &h->across, queries + first * h->row, h->row, rows, s.keys, s.scores, h->stride);
        dio_attention_softmax(step, s.scores, rows, inverse);
        for (int64_t i = 0; i < rows; i++) step->kernels->narrow(s.scores + i * h->stride, s.weights + i * h->stride, h->tokens);
        times(step, &h->along, s.weights, h->stride, rows, s.values, s.sums, h->dim);
        put_rows(step, p.y + first * h->width, rows, s.sums, inverse);
    }
}

void dio_attention_bf16_prepare(struct dio_step *step)
{
    step->precision = DIO_PRECISION_BF16;
    step->scratch_bytes = bind_scratch(dio_attention_of(step), NULL, NULL);
    dio_add_forward(step, forward, dio_attention_pieces);
}
