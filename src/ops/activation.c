/* Element-wise activations.  relu and relu6 hand a NaN on, and their gradient is 0 at the corners, as in PyTorch; their
 * backward reads the output, that of the others the input.  Those of enum dio_act are slots of the kernel table; the rest are
 * plain loops over the C library. */
#include <math.h>

#include "ops/helpers.h"
#include "ops/known.h"

enum kind { RELU, RELU6, SILU, GELU, GELU_TANH, QUICK_GELU, HARDSWISH, HARDSIGMOID, SIGMOID, TANH, MISH, SOFTPLUS, ELU };
static const char *const kind_names[] = {"relu", "relu6", "silu", "gelu", "gelu_tanh", "quick_gelu", "hardswish", "hardsigmoid",
                                         "sigmoid", "tanh", "mish", "softplus", "elu", NULL};
/* NONE: there is no slot. */
static const enum dio_act slot_of[] = {[RELU] = DIO_ACT_RELU, [RELU6] = DIO_ACT_RELU6, [SILU] = DIO_ACT_SILU, [GELU] = DIO_ACT_GELU,
                                       [GELU_TANH] = DIO_ACT_GELU_TANH, [HARDSWISH] = DIO_ACT_HARDSWISH,
                                       [HARDSIGMOID] = DIO_ACT_HARDSIGMOID, [SIGMOID] = DIO_ACT_SIGMOID, [ELU] = DIO_ACT_NONE};

struct attrs {
    int kind;
};

static const struct dio_attr_def attr_defs[] = {
    {.name = "kind", .type = DIO_ATTR_ENUM, .offset = offsetof(struct attrs, kind), .initial = NAN, .names = kind_names},
    {.name = NULL},
};

const char *dio_activation_kind(const void *attrs) { return kind_names[((const struct attrs *)attrs)->kind]; }

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 2, DIO_MAX_RANK));
    dio_infer_like_input(shapes);
    return DIO_OK;
}

/* ---- one number ---- */

static float sigmoid(float x) { return 1 / (1 + expf(-x)); }
static float softplus(float x) { return x > 20 ? x : log1pf(expf(x)); }
static float quick_gelu(float x) { return x * sigmoid(1.702f * x); }
static float mish(float x) { return x * tanhf(softplus(x)); }
static float elu(float x) { return x > 0 ? x : expm1f(x); }

static float quick_gelu_slope(float x)
{
    float s = sigmoid(1.702f * x);
    return s * (1 + 1.702f * x * (1 - s));
}

static float tanh_slope(float x)
{
    float t = tanhf(x);
    return 1 - t * t;
}

static float mish_slope(float x)
{
    float t = tanhf(softplus(x));
    return t + x * (1 - t * t) * sigmoid(x);
}

static float softplus_slope(float x) { return x > 20 ? 1 : sigmoid(x); }
static float elu_slope(float x) { return x > 0 ? 1 : expf(x); }

typedef float scalar_fn(float x);
static scalar_fn *const values[] = {[QUICK_GELU] = quick_gelu, [TANH] = tanhf, [MISH] = mish, [SOFTPLUS] = softplus, [ELU] = elu};
static scalar_fn *const slopes[] = {[QUICK_GELU] = quick_gelu_slope, [TANH] = tanh_slope, [MISH] = mish_slope,
                                    [SOFTPLUS] = softplus_slope, [ELU] = elu_slope};

/* ---- pieces ---- */

static int kind_of(const struct dio_step *step) { return ((const struct attrs *)step->attrs)->kind; }

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct dio_range range = dio_block(step->n * dio_image_elements(&step->in[0]), DIO_BLOCK, piece);
    int kind = kind_of(step);
    float copies[2][DIO_STRETCH];
    for (int64_t at = range.begin; at < range.end; at += DIO_STRETCH) {
        const int64_t count = dio_min_i64(DIO_STRETCH, range.end - at);
        const float *x = dio_read_floats(step, 0, at, count, copies[0]);
        float *y = dio_write_floats(step, at, copies[1]);
        if (slot_of[kind] != DIO_ACT_NONE) {
            step->kernels->act_forward(slot_of[kind], x, y, count);
        } else {
            for (int64_t i = 0; i < count; i++) y[i] = values[kind](x[i]);
        }
        dio_written_floats(step, at, count, copies[1]);
    }
}

static void backward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct dio_range range = dio_block(step->n * dio_image_elements(&step->in[0]), DIO_BLOCK, piece);
    int kind = kind_of(step);
    const float *x = kind <= RELU6 ? step->y[0] : step->x[0], *dy = step->dy[0];
    float *dx = step->dx[0];
    if (slot_of[kind] != DIO_ACT_NONE) {
        dio_act_backward_fn *run = step->add_dx[0] ? step->kernels->act_backward_add : step->kernels->act_backward;
        run(slot_of[kind], x + range.begin, dy + range.begin, dx + range.begin, range.end - range.begin);
        return;
    }
    scalar_fn *slope = slopes[kind];
    for (int64_t i = range.begin; i < range.end; i++) dx[i] = (step->add_dx[0] ? dx[i] : 0) + dy[i] * slope(x[i]);
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    dio_add_forward(step, forward, dio_pieces_elements);
    if (wants->dx[0]) {
        step->reads_y = kind_of(step) <= RELU6;
        step->reads_x = !step->reads_y;
        dio_add_backward(step, backward, dio_pieces_elements);
    }
    step->in_place = !step->reads_x;
    step->dx_over_dy = DIO_OVER_DY;
    return DIO_OK;
}

static const char *const cases[] = {
    "in=2x7x9x16 kind=relu", "in=3x5 kind=relu6", "in=1x1x1x1 kind=relu", "in=2x50x40x5 kind=relu # several pieces",
    "in=2x3x4x5 kind=silu", "in=2x50x40x5 kind=gelu # several pieces", "in=2x60 kind=gelu", "in=2x60 kind=gelu_tanh", "in=2x60 kind=quick_gelu", "in=2x60 kind=hardswish",
    "in=2x60 kind=hardsigmoid", "in=2x60 kind=sigmoid", "in=2x60 kind=tanh", "in=2x60 kind=mish",
    "in=2x60 kind=softplus", "in=2x60 kind=elu",
    NULL,
};

const struct dio_op dio_op_activation = {
    .name = "activation",
    .attrs_size = sizeof(struct attrs),
    .attrs = attr_defs,
    .min_inputs = 1,
    .max_inputs = 1,
    .narrow = DIO_NARROW,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
