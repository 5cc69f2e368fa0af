/* Normalisation of each image's groups of channels by their own mean and biased variance over all pixels, in double. */
#include <math.h>

#include "ops/helpers.h"

struct attrs {
    int64_t groups;
    double eps;
};

static const struct dio_attr_def attr_defs[] = {
    {.name = "groups", .type = DIO_ATTR_INT, .offset = offsetof(struct attrs, groups), .initial = NAN, .min = 1, .max = 1 << 20,
     .onnx = "num_groups"},
    {.name = "eps", .type = DIO_ATTR_FLOAT, .offset = offsetof(struct attrs, eps), .initial = 1e-5, .min = 0, .max = 1, .onnx = "epsilon"},
    {.name = NULL},
};

enum { WEIGHT, BIAS };

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    const struct attrs *attrs = shapes->attrs;
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 2, DIO_MAX_RANK));
    int64_t channels = dio_channels(&shapes->inputs[0]);
    if (channels % attrs->groups != 0) {
        return DIO_OP_REFUSE(ctx, place, "%lld channels cannot be cut into %lld groups", (long long)channels,
                             (long long)attrs->groups);
    }
    dio_infer_like_input(shapes);
    dio_infer_param(shapes, "weight", DIO_PARAM_TRAINED, DIO_INIT_ONE, dio_shape_1(channels));
    dio_infer_param(shapes, "bias", DIO_PARAM_TRAINED, DIO_INIT_ZERO, dio_shape_1(channels));
    return DIO_OK;
}

/* One group of one image: `rows` rows of `width` numbers, `channels` apart. */
struct group {
    int64_t rows, channels, width, first; /* first: its first channel */
    const float *x;
    double mean, rstd;
};

static int64_t pieces(const struct dio_step *step) { return step->n * ((const struct attrs *)step->attrs)->groups; }

static int64_t offset_of(const struct dio_step *step, const struct group *g, int64_t piece)
{
    return piece / ((const struct attrs *)step->attrs)->groups * g->rows * g->channels + g->first;
}

static struct group group_of(const struct dio_step *step, int64_t piece)
{
    const struct attrs *attrs = step->attrs;
    struct group g = {.rows = dio_image_rows(&step->in[0]), .channels = dio_channels(&step->in[0])};
    g.width = g.channels / attrs->groups;
    g.first = piece % attrs->groups * g.width;
    g.x = (const float *)step->x[0] + offset_of(step, &g, piece);
    double count = (double)(g.rows * g.width), sum = 0, squares = 0;
    for (int64_t row = 0; row < g.rows; row++) {
        for (int64_t c = 0; c < g.width; c++) sum += g.x[row * g.channels + c];
    }
    g.mean = sum / count;
    for (int64_t row = 0; row < g.rows; row++) {
        for (int64_t c = 0; c < g.width; c++) {
            double distance = g.x[row * g.channels + c] - g.mean;
            squares += distance * distance;
        }
    }
    g.rstd = 1 / sqrt(squares / count + attrs->eps);
    return g;
}

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct group g = group_of(step, piece);
    const float *weight = (const float *)step->param[WEIGHT] + g.first, *bias = (const float *)step->param[BIAS] + g.first;
    float *y = (float *)step->y[0] + offset_of(step, &g, piece);
    for (int64_t i = 0; i < g.rows * g.channels; i += g.channels) {
        for (int64_t c = 0; c < g.width; c++) y[i + c] = (float)((g.x[i + c] - g.mean) * g.rstd) * weight[c] + bias[c];
    }
}

/* ---- backward: sums of each image and channel, [n][2][C] in `shared` ---- */

static void sum_gradients(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct group g = group_of(step, piece);
    const float *dy = step->dy[0] + offset_of(step, &g, piece);
    int64_t image = piece / ((const struct attrs *)step->attrs)->groups;
    double *of_bias = (double *)step->shared + image * 2 * g.channels + g.first, *of_weight = of_bias + g.channels;
    for (int64_t c = 0; c < g.width; c++) of_bias[c] = of_weight[c] = 0;
    for (int64_t i = 0; i < g.rows * g.channels; i += g.channels) {
        for (int64_t c = 0; c < g.width; c++) {
            of_bias[c] += dy[i + c];
            of_weight[c] += dy[i + c] * (g.x[i + c] - g.mean) * g.rstd;
        }
    }
}

static void finish_gradients(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    dio_finish_scale_and_shift(step, step->n, piece);
}

static void input_gradient(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct group g = group_of(step, piece);
    int64_t at = offset_of(step, &g, piece);
    const float *dy = step->dy[0] + at, *weight = (const float *)step->param[WEIGHT] + g.first;
    float *dx = step->dx[0] + at;
    double of_q = 0, of_product = 0, count = (double)(g.rows * g.width);
    for (int64_t i = 0; i < g.rows * g.channels; i += g.channels) {
        for (int64_t c = 0; c < g.width; c++) {
            double q = (double)dy[i + c] * weight[c];
            of_q += q;
            of_product += q * (g.x[i + c] - g.mean) * g.rstd;
        }
    }
    for (int64_t i = 0; i < g.rows * g.channels; i += g.channels) {
        for (int64_t c = 0; c < g.width; c++) {
            double xh = (g.x[i + c] - g.mean) * g.rstd;
            double slope = g.rstd * ((double)dy[i + c] * weight[c] - of_q / count - xh * of_product / count);
            dx[i + c] = (float)(step->add_dx[0] ? dx[i + c] + slope : slope);
        }
    }
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    (void)ctx;
    bool of_params = wants->dparam[WEIGHT] || wants->dparam[BIAS];
    dio_add_forward(step, forward, pieces);
    step->reads_x = of_params || wants->dx[0];
    step->in_place = !step->reads_x;
    if (of_params) {
        step->shared_bytes = (size_t)(step->in[0].shape.dims[0] * dio_channels(&step->in[0])) * 2 * sizeof(double);
        dio_add_backward(step, sum_gradients, pieces);
        dio_add_backward(step, finish_gradients, dio_pieces_channels);
    }
    if (wants->dx[0]) dio_add_backward(step, input_gradient, pieces);
    return DIO_OK;
}

static const char *const cases[] = {
    "in=2x3x5x6 groups=3", "in=3x7x7x32 groups=1", "in=2x4x4x5 groups=5 eps=0.001", "in=2x9x16 groups=4", NULL,
};

const struct dio_op dio_op_group_norm = {
    .name = "group_norm",
    .onnx = "GroupNormalization",
    .attrs_size = sizeof(struct attrs),
    .attrs = attr_defs,
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
