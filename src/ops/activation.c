/* Element-wise activations.  relu and relu6 hand a NaN on, and their gradient is 0 at the corners, as in PyTorch; their
 * backward reads the output, that of the others the input. */
#include <math.h>

#include "ops/helpers.h"
#include "ops/known.h"

enum kind { RELU, RELU6, SILU, GELU, GELU_TANH, QUICK_GELU, HARDSWISH, HARDSIGMOID, SIGMOID, TANH, MISH, SOFTPLUS, ELU };
static const char *const kind_names[] = {"relu", "relu6", "silu", "gelu", "gelu_tanh", "quick_gelu", "hardswish", "hardsigmoid",
                                         "sigmoid", "tanh", "mish", "softplus", "elu", NULL};

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

static const float HALF_ROOT = 0.70710678118654752f;   /* 1 / sqrt(2) */
static const float ROOT_2_PI = 0.79788456080286536f;   /* sqrt(2 / pi) */
static const float DENSITY_0 = 0.39894228040143268f;   /* 1 / sqrt(2 pi) */
static const float CUBIC = 0.044715f;

static float sigmoid(float x) { return 1 / (1 + expf(-x)); }
static float softplus(float x) { return x > 20 ? x : log1pf(expf(x)); }
static float relu6(float x) { return x < 0 ? 0 : x > 6 ? 6 : x; }
static float silu(float x) { return x * sigmoid(x); }
static float gelu(float x) { return 0.5f * x * erfcf(-x * HALF_ROOT); }
static float gelu_tanh(float x) { return 0.5f * x * (1 + tanhf(ROOT_2_PI * (x + CUBIC * x * x * x))); }
static float quick_gelu(float x) { return x * sigmoid(1.702f * x); }
static float hardsigmoid(float x) { return relu6(x + 3) / 6; }
static float hardswish(float x) { return x * relu6(x + 3) / 6; }
static float mish(float x) { return x * tanhf(softplus(x)); }
static float elu(float x) { return x > 0 ? x : expm1f(x); }

static float silu_slope(float x)
{
    float s = sigmoid(x);
    return s * (1 + x * (1 - s));
}

static float gelu_slope(float x)
{
    return 0.5f * erfcf(-x * HALF_ROOT) + x * DENSITY_0 * expf(-0.5f * x * x);
}

static float gelu_tanh_slope(float x)
{
    float t = tanhf(ROOT_2_PI * (x + CUBIC * x * x * x));
    return 0.5f * (1 + t) + 0.5f * x * (1 - t * t) * ROOT_2_PI * (1 + 3 * CUBIC * x * x);
}

static float quick_gelu_slope(float x)
{
    float s = sigmoid(1.702f * x);
    return s * (1 + 1.702f * x * (1 - s));
}

static float hardsigmoid_slope(float x) { return x > -3 && x < 3 ? 1.0f / 6 : 0; }
static float hardswish_slope(float x) { return x <= -3 ? 0 : x < 3 ? x / 3 + 0.5f : 1; }

static float sigmoid_slope(float x)
{
    float s = sigmoid(x);
    return s * (1 - s);
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
static scalar_fn *const values[] = {NULL, NULL, silu, gelu, gelu_tanh, quick_gelu, hardswish, hardsigmoid,
                                    sigmoid, tanhf, mish, softplus, elu};
static scalar_fn *const slopes[] = {NULL, NULL, silu_slope, gelu_slope, gelu_tanh_slope, quick_gelu_slope, hardswish_slope,
                                    hardsigmoid_slope, sigmoid_slope, tanh_slope, mish_slope, softplus_slope, elu_slope};

/* ---- pieces ---- */

static enum dio_act clip_of(int kind) { return kind == RELU ? DIO_ACT_RELU : DIO_ACT_RELU6; }

static int kind_of(const struct dio_step *step) { return ((const struct attrs *)step->attrs)->kind; }

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct dio_range range = dio_block(step->n * dio_image_elements(&step->in[0]), DIO_BLOCK, piece);
    const float *x = step->x[0];
    float *y = step->y[0];
    int kind = kind_of(step);
    if (kind <= RELU6) {
        step->kernels->act_forward(clip_of(kind), x + range.begin, y + range.begin, range.end - range.begin);
    } else {
        for (int64_t i = range.begin; i < range.end; i++) y[i] = values[kind](x[i]);
    }
}

static void backward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct dio_range range = dio_block(step->n * dio_image_elements(&step->in[0]), DIO_BLOCK, piece);
    const float *x = step->x[0], *y = step->y[0], *dy = step->dy[0];
    float *dx = step->dx[0];
    int kind = kind_of(step);
    if (kind <= RELU6) {
        dio_act_backward_fn *run = step->add_dx[0] ? step->kernels->act_backward_add : step->kernels->act_backward;
        run(clip_of(kind), y + range.begin, dy + range.begin, dx + range.begin, range.end - range.begin);
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
    return DIO_OK;
}

static const char *const cases[] = {
    "in=2x7x9x16 kind=relu", "in=3x5 kind=relu6", "in=1x1x1x1 kind=relu", "in=2x50x40x5 kind=relu # several pieces",
    "in=2x3x4x5 kind=silu", "in=2x60 kind=gelu", "in=2x60 kind=gelu_tanh", "in=2x60 kind=quick_gelu", "in=2x60 kind=hardswish",
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
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
