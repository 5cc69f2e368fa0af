/* Product with a value of the same shape, or with one number a channel ([N, 1, 1, C]: the gate of squeeze-excite). */
#include <string.h>

#include "ops/helpers.h"

static bool is_gate(const struct dio_value_type *a, const struct dio_value_type *b)
{
    if (a->shape.rank != 4 || b->shape.rank != 4) return false;
    return b->shape.dims[1] == 1 && b->shape.dims[2] == 1 && b->shape.dims[3] == a->shape.dims[3];
}

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    for (int i = 0; i < 2; i++) DIO_PASS(dio_infer_input(ctx, place, shapes, i, 2, DIO_MAX_RANK));
    if (!dio_same_image(&shapes->inputs[0], &shapes->inputs[1]) && !is_gate(&shapes->inputs[0], &shapes->inputs[1])) {
        char a[160], b[160];
        dio_shape_format(a, sizeof a, &shapes->inputs[0].shape);
        dio_shape_format(b, sizeof b, &shapes->inputs[1].shape);
        return DIO_OP_REFUSE(ctx, place, "inputs %s and %s do not go together", a, b);
    }
    dio_infer_like_input(shapes);
    return DIO_OK;
}

static void multiply(const float *restrict a, const float *restrict b, float *restrict out, int64_t count, bool add)
{
    if (add) {
        for (int64_t i = 0; i < count; i++) out[i] += a[i] * b[i];
    } else {
        for (int64_t i = 0; i < count; i++) out[i] = a[i] * b[i];
    }
}

/* Elements [at, at + count) of input 0 with those of input 1 from `other` on. */
static void multiply_values(const struct dio_step *step, int64_t at, int64_t other, int64_t count)
{
    float copies[3][DIO_STRETCH];
    for (int64_t i = 0; i < count; i += DIO_STRETCH) {
        const int64_t some = dio_min_i64(DIO_STRETCH, count - i);
        const float *a = dio_read_floats(step, 0, at + i, some, copies[0]), *b = dio_read_floats(step, 1, other + i, some, copies[1]);
        multiply(a, b, dio_write_floats(step, at + i, copies[2]), some, false);
        dio_written_floats(step, at + i, some, copies[2]);
    }
}

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct dio_range range = dio_block(step->n * dio_image_elements(&step->in[0]), DIO_BLOCK, piece);
    multiply_values(step, range.begin, range.begin, range.end - range.begin);
}

static void backward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct dio_range range = dio_block(step->n * dio_image_elements(&step->in[0]), DIO_BLOCK, piece);
    for (int i = 0; i < 2; i++) {
        if (!step->dx[i]) continue;
        multiply(step->dy[0] + range.begin, (const float *)step->x[1 - i] + range.begin, step->dx[i] + range.begin,
                 range.end - range.begin, step->add_dx[i]);
    }
}

/* ---- gate ---- */

static void forward_gate(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    int64_t channels = dio_channels(&step->in[0]), image_rows = dio_image_rows(&step->in[0]);
    struct dio_range rows = dio_block(step->n * image_rows, dio_block_rows(channels), piece);
    for (int64_t row = rows.begin; row < rows.end; row++) {
        multiply_values(step, row * channels, row / image_rows * channels, channels);
    }
}

/* Both gradients in one pass over memory, as those of a batch norm with the gate for its scale, without statistics: a piece
 * is a block of rows of one image, and leaves its part of the gate's gradient in `shared`: [piece][C]. */
static int64_t blocks_of_image(const struct dio_step *step)
{
    return dio_ceil_div(dio_image_rows(&step->in[0]), dio_block_rows(dio_channels(&step->in[0])));
}

static int64_t pieces_gate(const struct dio_step *step) { return step->n * blocks_of_image(step); }

static void backward_gate(const struct dio_step *step, int64_t piece, void *scratch)
{
    const int64_t channels = dio_channels(&step->in[0]), image_rows = dio_image_rows(&step->in[0]);
    const int64_t image = piece / blocks_of_image(step);
    const struct dio_range rows = dio_block(image_rows, dio_block_rows(channels), piece % blocks_of_image(step));
    const int64_t at = (image * image_rows + rows.begin) * channels;
    double *unused = scratch;
    float *zeros = (float *)(unused + channels);
    memset(zeros, 0, (size_t)channels * sizeof *zeros);
    struct dio_norm_rows n = {.rows = rows.end - rows.begin, .channels = channels, .x = (const float *)step->x[0] + at,
                              .dy = step->dy[0] + at, .mean = zeros, .scale = (const float *)step->x[1] + image * channels, .shift = zeros};
    if (step->dx[1]) step->kernels->norm_gradient_sums(&n, unused, (double *)step->shared + piece * channels);
    n.out = step->dx[0] ? step->dx[0] + at : NULL;
    n.add = step->add_dx[0];
    if (n.out) step->kernels->norm_gradient(&n);
}

static void finish_gate(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const int64_t channels = dio_channels(&step->in[0]), image = piece, blocks = blocks_of_image(step);
    const double *sums = (const double *)step->shared + image * blocks * channels;
    float *dg = step->dx[1] + image * channels;
    for (int64_t c = 0; c < channels; c++) {
        double sum = 0;
        for (int64_t block = 0; block < blocks; block++) sum += sums[block * channels + c];
        dg[c] = (float)(step->add_dx[1] ? dg[c] + sum : sum);
    }
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    step->reads_x = dio_wants_any(wants);
    if (dio_same_image(&step->in[0], &step->in[1])) {
        dio_add_forward(step, forward, dio_pieces_elements);
        if (step->reads_x) dio_add_backward(step, backward, dio_pieces_elements);
        return DIO_OK;
    }
    dio_add_forward(step, forward_gate, dio_pieces_rows);
    if (!step->reads_x) return DIO_OK;
    const size_t channels = (size_t)dio_channels(&step->in[0]), pieces = (size_t)(step->in[0].shape.dims[0] * blocks_of_image(step));
    step->scratch_bytes = channels * (sizeof(double) + sizeof(float));
    step->dx_over_dy = DIO_OVER_DY;
    dio_add_backward(step, backward_gate, pieces_gate);
    if (!wants->dx[1]) return DIO_OK;
    step->shared_bytes = pieces * channels * sizeof(double);
    dio_add_backward(step, finish_gate, dio_pieces_images);
    return DIO_OK;
}

static const char *const cases[] = {
    "in=2x7x9x16,2x1x1x16", "in=2x3x4x5,2x3x4x5", "in=3x6,3x6", "in=2x20x20x70,2x1x1x70", "in=1x1x1x1,1x1x1x1", NULL,
};

const struct dio_op dio_op_mul = {
    .name = "mul",
    .onnx = "Mul",
    .min_inputs = 2,
    .max_inputs = 2,
    .narrow = DIO_NARROW,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
