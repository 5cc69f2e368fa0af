/* y = activation(x W^T + b) over the last axis.  weight: [out, D].
 *
 * A linear layer is a 1 x 1 convolution over its rows and runs as one, unless OpenBLAS was chosen (--linear blas), which
 * then is called one-threaded on blocks of rows and columns whose size follows from one image's shape, the last rows filled up
 * with zeros: a row's bits must not depend on how many others there are. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "ops/conv.h"

struct attrs {
    int64_t out;
    bool bias;
    int activation;
};


static const struct dio_attr_def attr_defs[] = {
    {.name = "out", .type = DIO_ATTR_INT, .offset = offsetof(struct attrs, out), .initial = NAN, .min = 1, .max = 1 << 24},
    {.name = "bias", .type = DIO_ATTR_BOOL, .offset = offsetof(struct attrs, bias), .initial = 1},
    {.name = "activation", .type = DIO_ATTR_ENUM, .offset = offsetof(struct attrs, activation), .initial = DIO_ACT_NONE, .names = dio_act_names},
    {.name = NULL},
};

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    const struct attrs *attrs = shapes->attrs;
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 2, DIO_MAX_RANK));
    const int64_t features = dio_channels(&shapes->inputs[0]), rows = dio_image_rows(&shapes->inputs[0]);
    int64_t weights, elements;
    if (!dio_mul_i64(features, attrs->out, &weights) || !dio_mul_i64(weights, rows, &shapes->macs)
        || !dio_mul_i64(rows, dio_max_i64(attrs->out, features), &elements) || elements > INT32_MAX) {
        return DIO_OP_REFUSE(ctx, place, "%lld rows of %lld to %lld features are more than this operator computes with", (long long)rows,
                             (long long)features, (long long)attrs->out);
    }
    shapes->n_outputs = 1;
    shapes->outputs[0] = shapes->inputs[0];
    shapes->outputs[0].shape.dims[shapes->inputs[0].shape.rank - 1] = attrs->out;
    if (shapes->n_inputs == 2) {
        DIO_PASS(dio_infer_input(ctx, place, shapes, 1, 2, DIO_MAX_RANK));
        if (!dio_same_image(&shapes->inputs[1], &shapes->outputs[0])) {
            return DIO_OP_REFUSE(ctx, place, "the second input does not have the output's shape");
        }
    }
    dio_infer_param(shapes, "weight", DIO_PARAM_TRAINED, DIO_INIT_LINEAR_UNIFORM, dio_shape_2(attrs->out, features));
    shapes->params[0].fan_in = features;
    if (attrs->bias) {
        dio_infer_param(shapes, "bias", DIO_PARAM_TRAINED, DIO_INIT_LINEAR_UNIFORM, dio_shape_1(attrs->out));
        shapes->params[1].fan_in = features;
    }
    return DIO_OK;
}

/* ---- forward through OpenBLAS ---- */

/* A call's rows and columns: few calls share no work, and each of them lays the weights out anew. */
enum { BLAS_ROWS = 16, BLAS_MAX_ROWS = 256, BLAS_COLUMNS = 256 };

static int64_t blas_rows(const struct dio_conv *conv)
{
    return dio_ceil_div(dio_min_i64(conv->oh * conv->ow, BLAS_MAX_ROWS), BLAS_ROWS) * BLAS_ROWS;
}

static int64_t blas_columns(const struct dio_conv *conv) { return dio_ceil_div(conv->k, BLAS_COLUMNS); }

static int64_t blas_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return dio_ceil_div(dio_conv_rows(step), blas_rows(conv)) * blas_columns(conv);
}

/* Bias, residual and activation of one row's columns. */
static void blas_finish(const struct dio_step *step, const float *sums, int64_t row, struct dio_range columns)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t at = row * conv->k + columns.begin, count = columns.end - columns.begin;
    const float *bias = conv->bias ? (const float *)step->packed + conv->k * conv->c + columns.begin : NULL;
    const float *residual = step->n_inputs == 2 ? (const float *)step->x[1] + at : NULL;
    float *y = (float *)step->y[0] + at;
    for (int64_t k = 0; k < count; k++) {
        float value = sums[k];
        if (bias) value += bias[k];
        if (residual) value += residual[k];
        y[k] = value;
    }
    step->kernels->act_forward(conv->act, y, y, count);
}

/* scratch: a block of inputs and one of outputs. */
static void blas_forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t block = blas_rows(conv);
    const struct dio_range rows = dio_block(dio_conv_rows(step), block, piece / blas_columns(conv));
    const struct dio_range columns = dio_block(conv->k, BLAS_COLUMNS, piece % blas_columns(conv));
    const int64_t count = rows.end - rows.begin, width = columns.end - columns.begin;
    const float *x = (const float *)step->x[0] + rows.begin * conv->c, *w = (const float *)step->packed + columns.begin * conv->c;
    float *copy = scratch, *out = copy + block * conv->c;
    if (count < block) {
        memcpy(copy, x, (size_t)(count * conv->c) * sizeof *copy);
        memset(copy + count * conv->c, 0, (size_t)((block - count) * conv->c) * sizeof *copy);
        x = copy;
    }
    const struct dio_blas *blas = &step->kernels->blas;
    blas->sgemm(blas->handle, false, true, block, width, conv->c, x, conv->c, w, conv->c, 0.0f, out, width);
    for (int64_t i = 0; i < count; i++) blas_finish(step, out + i * width, rows.begin + i, columns);
}

static void blas_pack(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)piece;
    (void)scratch;
    const struct dio_conv *conv = dio_conv_of(step);
    float *packed = step->packed;
    memcpy(packed, step->param[0], (size_t)(conv->k * conv->c) * sizeof *packed);
    if (conv->bias) memcpy(packed + conv->k * conv->c, step->param[1], (size_t)conv->k * sizeof *packed);
}

static void blas_prepare(struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    step->packed_bytes = (size_t)((conv->c + 1) * conv->k) * sizeof(float);
    step->scratch_bytes = (size_t)(blas_rows(conv) * (conv->c + BLAS_COLUMNS)) * sizeof(float);
    step->pack[step->n_pack++] = (struct dio_op_phase){blas_pack, dio_pieces_one};
    step->packs_param[0] = true;
    step->packs_param[1] = conv->bias;
    step->in_place = step->n_inputs == 2;
    step->in_place_input = 1;
    dio_add_forward(step, blas_forward, blas_pieces);
}

/* ---- both ---- */

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    const struct attrs *attrs = step->attrs;
    const int64_t rows = dio_image_rows(&step->in[0]);
    const bool backward = dio_wants_any(wants);
    const struct dio_conv_shape shape = {.h = 1, .w = rows, .c = dio_channels(&step->in[0]), .oh = 1, .ow = rows, .k = attrs->out,
                                         .r = 1, .s = 1, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .bias = attrs->bias,
                                         .act = (enum dio_act)attrs->activation, .backward = backward};
    step->plan_data = dio_conv_plan(ctx, step, &shape, wants->dx[0]);
    if (!step->plan_data) return DIO_ERR_ENV;
    if (step->precision == DIO_PRECISION_F32 && step->kernels->linear == DIO_LINEAR_BLAS && step->kernels->blas.sgemm && !backward) {
        blas_prepare(step);
    } else {
        dio_conv_prepare(step, wants);
    }
    return DIO_OK;
}

static const char *path_name(const struct dio_step *step)
{
    return step->forward[0].run == blas_forward ? "OpenBLAS" : "own";
}

static bool reads_u8(const void *attrs, const struct dio_shape *input)
{
    (void)attrs;
    return input->dims[input->rank - 1] <= DIO_INT8_MAX_TERMS;
}

static const char *const cases[] = {
    "in=3x16 out=10", "in=1x1 out=1", "in=5x33 out=70 activation=relu", "in=2x7x20 out=65 bias=0", "in=4x2x3x5 out=6 activation=relu6",
    "in=2x130 out=1000", "in=3x9,3x12 out=12 activation=relu # residual",
    "in=2x7x20 out=65 activation=gelu", "in=3x9,3x70 out=70 activation=silu # residual", "in=2x5x16 out=64 activation=gelu_tanh",
    "in=5x33 out=10 activation=sigmoid", NULL,
};

const struct dio_op dio_op_linear = {
    .name = "linear",
    .onnx = "Gemm",
    .attrs_size = sizeof(struct attrs),
    .attrs = attr_defs,
    .min_inputs = 1,
    .max_inputs = 2,
    .narrow = DIO_NARROW,
    .reads_u8 = reads_u8,
    .fuses = DIO_FUSE_SCALE | DIO_FUSE_ADD | DIO_FUSE_ACTIVATION,
    .infer = infer,
    .prepare = prepare,
    .path = path_name,
    .cases = cases,
};
