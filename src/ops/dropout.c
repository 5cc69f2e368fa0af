/* Dropout: active only in a training plan that asks for it (train_stats of the step); otherwise it copies.
 *
 * Which elements fall is a function of (the step's seed, step_index, image, element), so backward draws them again
 * instead of keeping them. */
#include "base/rng.h"
#include "ops/helpers.h"

struct attrs {
    double p;
};

static const struct dio_attr_def attr_defs[] = {
    {.name = "p", .type = DIO_ATTR_FLOAT, .offset = offsetof(struct attrs, p), .initial = 0.5, .min = 0, .max = 1, .onnx = "ratio"},
    {.name = NULL},
};

static bool only_in_training(const void *attrs) { return ((const struct attrs *)attrs)->p > 0; }

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 2, DIO_MAX_RANK));
    dio_infer_like_input(shapes);
    return DIO_OK;
}

/* One image: dst (+)= src, with dropped elements 0 and the others divided by the share that stays. */
static void drop(const struct dio_step *step, int64_t image, const float *src, float *dst, bool add)
{
    const struct attrs *attrs = step->attrs;
    int64_t count = dio_image_elements(&step->in[0]);
    src += image * count;
    dst += image * count;
    if (!step->train_stats || attrs->p == 0) {
        if (src != dst) dio_put_row(dst, src, count, add);
        return;
    }
    const uint64_t index = (step->step_index >> 32 << 32) | (uint64_t)image;
    const struct dio_rng rng = dio_rng_make(step->seed, DIO_RNG_DROPOUT, (uint32_t)step->step_index, index);
    struct dio_dropout dropout = {
        .threshold = (uint64_t)(attrs->p * 4294967296.0), /* of 2^32 draws, so many fall */
        .factor = attrs->p < 1 ? (float)(1 / (1 - attrs->p)) : 0,
        .add = add,
    };
    dio_rng_counter(&rng, dropout.counter, dropout.key);
    step->kernels->dropout(&dropout, src, dst, count);
}

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    drop(step, piece, step->x[0], step->y[0], false);
}

static void backward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    drop(step, piece, step->dy[0], step->dx[0], step->add_dx[0]);
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    step->in_place = true;
    dio_add_forward(step, forward, dio_pieces_images);
    if (wants->dx[0]) dio_add_backward(step, backward, dio_pieces_images);
    return DIO_OK;
}

static const char *const cases[] = {"in=3x40", "in=2x5x5x8 p=0.2", "in=2x9 p=0", "in=2x9 p=1", NULL};

const struct dio_op dio_op_dropout = {
    .name = "dropout",
    .onnx = "Dropout",
    .attrs_size = sizeof(struct attrs),
    .attrs = attr_defs,
    .min_inputs = 1,
    .max_inputs = 1,
    .only_in_training = only_in_training,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
