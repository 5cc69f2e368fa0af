/* What the operators share: checks of infer, cutting into pieces, channels-last geometry. */
#ifndef DIO_OPS_HELPERS_H
#define DIO_OPS_HELPERS_H

#include "ops/op.h"

/* Of enum dio_act, NULL behind the last: the attribute `activation` of what activations fuse into. */
extern const char *const dio_act_names[];

/* Elements of a piece of element-wise work: 64 KB of f32, small enough to share among threads, large enough to matter. */
enum { DIO_BLOCK = 16384, DIO_CHANNEL_BLOCK = 64 };

struct dio_range {
    int64_t begin, end;
};

static inline int64_t dio_ceil_div(int64_t a, int64_t b) { return a / b + (a % b != 0); }

static inline int64_t dio_min_i64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t dio_max_i64(int64_t a, int64_t b) { return a > b ? a : b; }

/* Piece `piece` of `total` things cut into blocks of `block`. */
static inline struct dio_range dio_block(int64_t total, int64_t block, int64_t piece)
{
    return (struct dio_range){piece * block, dio_min_i64(total, (piece + 1) * block)};
}

/* Of one image: product of the dims behind the batch. */
static inline int64_t dio_image_elements(const struct dio_value_type *type)
{
    int64_t count = 1;
    for (int i = 1; i < type->shape.rank; i++) count *= type->shape.dims[i];
    return count;
}

/* The last axis, and how many rows of it one image has. */
static inline int64_t dio_channels(const struct dio_value_type *type) { return type->shape.dims[type->shape.rank - 1]; }
static inline int64_t dio_image_rows(const struct dio_value_type *type)
{
    return dio_image_elements(type) / dio_channels(type);
}

/* Rows of a piece when rows of `channels` numbers are cut into blocks of about DIO_BLOCK numbers. */
static inline int64_t dio_block_rows(int64_t channels) { return dio_max_i64(1, DIO_BLOCK / channels); }

/* Pieces of element-wise work over output 0 and input 0, in elements and in rows. */
int64_t dio_pieces_elements(const struct dio_step *step);       /* of input 0 */
int64_t dio_pieces_output_elements(const struct dio_step *step);
int64_t dio_pieces_rows(const struct dio_step *step);           /* of input 0 */
int64_t dio_pieces_images(const struct dio_step *step);
int64_t dio_pieces_image_channels(const struct dio_step *step); /* image x block of DIO_CHANNEL_BLOCK channels of input 0 */
int64_t dio_pieces_channels(const struct dio_step *step);       /* blocks of DIO_CHANNEL_BLOCK channels of input 0 */
int64_t dio_pieces_one(const struct dio_step *step);

/* Sums over all rows of input 0: first over the rows of a piece, at most DIO_MAX_SUMS pieces cut by shape, then over the
 * pieces in order. */
enum { DIO_MAX_SUMS = 256 };
int64_t dio_pieces_sums(const struct dio_step *step);
struct dio_range dio_sum_rows(const struct dio_step *step, int64_t piece);
/* The gradients of a norm's weight and bias (parameters 0 and 1) from sums of doubles [sums][bias's, weight's][C] in `shared`;
 * a piece is a block of channels. */
void dio_finish_scale_and_shift(const struct dio_step *step, int64_t sums, int64_t piece);

void dio_add_forward(struct dio_step *step, dio_op_fn *run, dio_pieces_fn *pieces);
void dio_add_backward(struct dio_step *step, dio_op_fn *run, dio_pieces_fn *pieces);
bool dio_wants_any(const struct dio_step_wants *wants);

/* "attributes or shapes do not fit" in the catalogue's form: DIO_ERR_INPUT at the node. */
#define DIO_OP_REFUSE(ctx, place, ...) dio_fail(ctx, DIO_ERR_INPUT, "O9", place, __VA_ARGS__)

/* Input i is f32 of a rank between the two, with no empty axis behind the batch. */
dio_status dio_infer_input(struct dio_ctx *ctx, const struct dio_place *place, const struct dio_op_shapes *shapes, int i,
                           int min_rank, int max_rank);
/* Same dims, batch aside. */
bool dio_same_image(const struct dio_value_type *a, const struct dio_value_type *b);
/* One output like input 0. */
void dio_infer_like_input(struct dio_op_shapes *shapes);
void dio_infer_param(struct dio_op_shapes *shapes, const char *name, enum dio_param_role role, enum dio_param_init init,
                     struct dio_shape shape);

/* ---- windows of pooling: padding is top, left, bottom, right ---- */

struct dio_window {
    int64_t kernel[2], stride[2], padding[4];
    bool ceil_mode;
};
/* Output size along axis 0 (height) or 1 (width); 0 or less when the window does not fit. */
/* The real pixels under output o: [begin, end), and how many the padded window has. */
struct dio_range dio_window_range(const struct dio_window *window, int axis, int64_t size, int64_t o, int64_t *padded);
/* Shapes of a pooling op, checked; output 0 is set. */
dio_status dio_infer_pool(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes,
                          const struct dio_window *window);

/* ---- values that may be narrower than f32: a stretch of them as floats ---- */

enum { DIO_STRETCH = 512 }; /* numbers that are converted at a time, on the stack */

static inline struct dio_cells dio_cells_of(const struct dio_value_type *type)
{
    const enum dio_cell cell = type->dtype == DIO_U8 ? DIO_CELL_U8 : type->dtype == DIO_BF16 ? DIO_CELL_BF16 : DIO_CELL_F32;
    return (struct dio_cells){cell, type->scale, type->zero};
}
static inline size_t dio_element_size(const struct dio_value_type *type) { return dio_dtype_size(type->dtype); }

/* Elements [at, at + count) of a value, count <= DIO_STRETCH: where they lie, or widened into `copy`. */
const float *dio_read_floats(const struct dio_step *step, int input, int64_t at, int64_t count, float *copy);
/* Where floats for output 0 go: the value itself, or `copy`, from which dio_written_floats narrows them. */
static inline float *dio_write_floats(const struct dio_step *step, int64_t at, float *copy)
{
    return step->out[0].dtype == DIO_F32 ? (float *)step->y[0] + at : copy;
}
/* count may be larger than a stretch here. */
void dio_written_floats(const struct dio_step *step, int64_t at, int64_t count, const float *copy);

/* dst (+)= src, over a row. */
static inline void dio_put_row(float *restrict dst, const float *restrict src, int64_t count, bool add)
{
    if (add) {
        for (int64_t i = 0; i < count; i++) dst[i] += src[i];
    } else {
        for (int64_t i = 0; i < count; i++) dst[i] = src[i];
    }
}

#endif
