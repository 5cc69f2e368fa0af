/* What the files of self-attention share.  attention.c: the operator, forward and backward in f32.  attention_bf16.c: forward
 * whose products are of bf16. */
#ifndef DIO_OPS_ATTENTION_H
#define DIO_OPS_ATTENTION_H

#include "ops/helpers.h"

/* plan_data: the geometry of a head.  Sizes count numbers and are multiples of 16. */
struct dio_attention {
    int64_t tokens, width, dim, heads, row; /* width: D; row: 3 D */
    int64_t stride;                         /* between rows of scores */
    struct dio_pack across;                 /* panels of tokens: rows of keys (or values) become columns */
    struct dio_pack along;                  /* panels of a head's channels, as they lie */
    int64_t across_size, along_size;
    float scale;
};

enum { DIO_ATTENTION_QUERIES = 24 }; /* under way at a time */

static inline const struct dio_attention *dio_attention_of(const struct dio_step *step) { return step->plan_data; }

/* A piece is some queries of one head of one picture; keys and values lie behind queries by `width` numbers each. */
struct dio_attention_piece {
    int64_t x, y;            /* where the head's numbers begin in input and output */
    struct dio_range queries;
};
int64_t dio_attention_pieces(const struct dio_step *step);
struct dio_attention_piece dio_attention_locate(const struct dio_step *step, int64_t piece);

/* x becomes exponentials, inverse[i] one over row i's sum of them; inverse NULL: x becomes the softmax. */
void dio_attention_softmax(const struct dio_step *step, float *scores, int64_t rows, float *inverse);

/* The phase and scratch of a step whose plan_data is set and whose input is bf16. */
void dio_attention_bf16_prepare(struct dio_step *step);

#endif
