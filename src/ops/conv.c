/* Two-dimensional convolution, channels last, with groups, dilation and any padding; bias, a residual input and a clipping
 * activation are applied at the store:
 *
 *   y = activation(conv(x) + bias + residual)
 *
 * weight: [K, C / groups, R, S].  padding: top, left, bottom, right, or pad_mode=same, TensorFlow's rule: as much as makes
 * the output ceil(size / stride), the odd pixel at the bottom and at the right. */
#include <math.h>

#include "base/checked.h"
#include "ops/conv.h"

enum { PAD_EXPLICIT, PAD_SAME };

struct attrs {
    int64_t out, kernel[2], stride[2], padding[4], dilation[2], groups;
    bool bias;
    int pad_mode, activation;
};

static const char *const pad_modes[] = {"explicit", "same", NULL};

#define AT(member) .offset = offsetof(struct attrs, member)
static const struct dio_attr_def attr_defs[] = {
    {.name = "out", .type = DIO_ATTR_INT, AT(out), .initial = NAN, .min = 1, .max = 1 << 24},
    {.name = "kernel", .type = DIO_ATTR_INTS, AT(kernel), .count = 2, .initial = NAN, .min = 1, .max = 255, .onnx = "kernel_shape"},
    {.name = "stride", .type = DIO_ATTR_INTS, AT(stride), .count = 2, .initial = 1, .min = 1, .max = 1024, .onnx = "strides"},
    {.name = "padding", .type = DIO_ATTR_INTS, AT(padding), .count = 4, .initial = 0, .min = 0, .max = 65536, .onnx = "pads"},
    {.name = "pad_mode", .type = DIO_ATTR_ENUM, AT(pad_mode), .initial = PAD_EXPLICIT, .names = pad_modes},
    {.name = "dilation", .type = DIO_ATTR_INTS, AT(dilation), .count = 2, .initial = 1, .min = 1, .max = 65536, .onnx = "dilations"},
    {.name = "groups", .type = DIO_ATTR_INT, AT(groups), .initial = 1, .min = 1, .max = 1 << 24, .onnx = "group"},
    {.name = "bias", .type = DIO_ATTR_BOOL, AT(bias), .initial = 0},
    {.name = "activation", .type = DIO_ATTR_ENUM, AT(activation), .initial = DIO_ACT_NONE, .names = dio_act_names},
    {.name = NULL},
};

/* Output size along an axis and the padding before it; 0 or less where the kernel does not fit. */
static int64_t out_size(const struct attrs *attrs, int axis, int64_t size, int64_t *before)
{
    const int64_t reach = (attrs->kernel[axis] - 1) * attrs->dilation[axis] + 1, stride = attrs->stride[axis];
    if (attrs->pad_mode == PAD_SAME) {
        const int64_t out = dio_ceil_div(size, stride);
        *before = dio_max_i64((out - 1) * stride + reach - size, 0) / 2;
        return out;
    }
    *before = attrs->padding[axis];
    const int64_t room = size + attrs->padding[axis] + attrs->padding[axis + 2] - reach;
    return room < 0 ? 0 : room / stride + 1;
}

static struct dio_conv_shape conv_shape(const struct attrs *attrs, const struct dio_shape *in)
{
    struct dio_conv_shape shape = {.h = in->dims[1], .w = in->dims[2], .c = in->dims[3], .k = attrs->out, .r = attrs->kernel[0],
                                   .s = attrs->kernel[1], .groups = attrs->groups, .bias = attrs->bias,
                                   .act = (enum dio_act)attrs->activation};
    for (int i = 0; i < 2; i++) {
        shape.stride[i] = attrs->stride[i];
        shape.dilation[i] = attrs->dilation[i];
    }
    shape.oh = out_size(attrs, 0, shape.h, &shape.top);
    shape.ow = out_size(attrs, 1, shape.w, &shape.left);
    return shape;
}

/* Offsets inside one image are 32 bits wide. */
static bool image_fits(int64_t h, int64_t w, int64_t c)
{
    int64_t elements;
    return dio_mul_i64(h, w, &elements) && dio_mul_i64(elements, c, &elements) && elements <= INT32_MAX;
}

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    const struct attrs *attrs = shapes->attrs;
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 4, 4));
    const struct dio_shape *in = &shapes->inputs[0].shape;
    const struct dio_conv_shape s = conv_shape(attrs, in);
    if (s.c % s.groups != 0 || s.k % s.groups != 0) {
        return DIO_OP_REFUSE(ctx, place, "%lld input and %lld output channels cannot be cut into %lld groups", (long long)s.c,
                             (long long)s.k, (long long)s.groups);
    }
    if (s.oh < 1 || s.ow < 1) {
        return DIO_OP_REFUSE(ctx, place, "a kernel of %lld x %lld does not fit into %lld x %lld pixels", (long long)s.r, (long long)s.s,
                             (long long)s.h, (long long)s.w);
    }
    int64_t weights, macs;
    if (!image_fits(s.h, s.w, s.c) || !image_fits(s.oh, s.ow, s.k) || !dio_mul_i64(s.c / s.groups * s.r * s.s, s.k, &weights)
        || !dio_mul_i64(weights, s.oh * s.ow, &macs)) {
        return DIO_OP_REFUSE(ctx, place, "%lld x %lld x %lld to %lld x %lld x %lld is more than this operator computes with",
                             (long long)s.h, (long long)s.w, (long long)s.c, (long long)s.oh, (long long)s.ow, (long long)s.k);
    }
    shapes->n_outputs = 1;
    shapes->outputs[0] = (struct dio_value_type){.dtype = DIO_F32, .shape = dio_shape_4(in->dims[0], s.oh, s.ow, s.k)};
    if (shapes->n_inputs == 2) {
        DIO_PASS(dio_infer_input(ctx, place, shapes, 1, 4, 4));
        if (!dio_same_image(&shapes->inputs[1], &shapes->outputs[0])) {
            char a[160], b[160];
            dio_shape_format(a, sizeof a, &shapes->inputs[1].shape);
            dio_shape_format(b, sizeof b, &shapes->outputs[0].shape);
            return DIO_OP_REFUSE(ctx, place, "a residual of shape %s cannot be added to %s", a, b);
        }
    }
    dio_infer_param(shapes, "weight", DIO_PARAM_TRAINED, DIO_INIT_KAIMING_NORMAL_OUT, dio_shape_4(s.k, s.c / s.groups, s.r, s.s));
    if (s.bias) {
        dio_infer_param(shapes, "bias", DIO_PARAM_TRAINED, DIO_INIT_LINEAR_UNIFORM, dio_shape_1(s.k));
        shapes->params[1].fan_in = s.c / s.groups * s.r * s.s;
    }
    shapes->macs = macs;
    return DIO_OK;
}

static bool reads_u8(const void *data, const struct dio_shape *input)
{
    const struct dio_conv_shape shape = conv_shape(data, input);
    return dio_conv_reads_u8(&shape);
}

/* A residual would be as large as the map. */
static bool has_gate(const struct dio_step *step)
{
    return step->n_inputs > 1 && dio_image_rows(&step->in[step->n_inputs - 1]) == 1 && dio_image_rows(&step->out[0]) > 1;
}

static bool makes_u8(const void *data, const struct dio_shape *input)
{
    const struct dio_conv_shape shape = conv_shape(data, input);
    return dio_conv_makes_u8(&shape);
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    struct dio_conv_shape shape = conv_shape(step->attrs, &step->in[0].shape);
    shape.gate = has_gate(step);
    shape.backward = dio_wants_any(wants);
    step->plan_data = dio_conv_plan(ctx, step, &shape, wants->dx[0]);
    if (!step->plan_data) return DIO_ERR_ENV;
    dio_conv_prepare(step, wants);
    return DIO_OK;
}

static const char *const cases[] = {
    "in=2x7x9x16 out=24 kernel=3 padding=1 bias=1",
    "in=1x14x14x64 out=80 kernel=3 stride=2 padding=1 activation=relu # a panel and a quarter",
    "in=2x9x8x6 out=5 kernel=3 stride=2 pad_mode=same # odd padding at the bottom and the right",
    "in=2x12x11x3 out=16 kernel=7 stride=2 padding=3 bias=1 activation=relu6 # a first layer",
    "in=3x8x8x1 out=4 kernel=5 padding=2 # grey pictures",
    "in=2x8x8x4 out=12 kernel=4 stride=4 bias=1 # patches",
    "in=3x5x6x32 out=70 kernel=1 bias=1",
    "in=2x7x7x20 out=40 kernel=1 stride=2",
    "in=2x5x7x12,2x5x7x33 out=33 kernel=1 bias=1 activation=relu # residual",
    "in=2x6x6x8,2x6x6x8 out=8 kernel=3 padding=1 activation=relu6 # residual",
    "in=1x9x10x32 out=32 kernel=3 padding=1 groups=8",
    "in=2x6x7x12 out=18 kernel=3 stride=2 padding=1 groups=3 bias=1",
    "in=1x8x8x64 out=64 kernel=3 padding=1 groups=2 stride=2",
    "in=2x7x7x4 out=8 kernel=3 padding=2 dilation=2 groups=2 stride=2",
    "in=1x1x1x3 out=2 kernel=1",
    "in=1x1x5x7 out=9 kernel=1,3 padding=0,1,0,1",
    "in=2x6x5x6 out=4 kernel=3,2 stride=2,1 padding=1,0,0,2 dilation=1,2",
    "in=1x4x4x2 out=3 kernel=3 padding=5 stride=3 # windows of nothing but padding",
    "in=1x3x3x5 out=6 kernel=2 stride=5",
    "in=2x7x9x16 out=16 kernel=3 padding=1 groups=16 bias=1 activation=relu6 # depthwise",
    "in=1x9x8x37 out=37 kernel=5 stride=2 padding=2 groups=37",
    "in=2x8x9x12 out=12 kernel=3 stride=2 pad_mode=same groups=12",
    "in=1x15x13x20,1x15x13x20 out=20 kernel=7 padding=3 groups=20 bias=1 activation=relu",
    "in=1x9x9x8 out=8 kernel=3 padding=2 dilation=2 groups=8",
    "in=2x5x5x6 out=12 kernel=3 padding=1 groups=6 bias=1 # two filters a channel",
    "in=2x9x8x32,2x9x8x32 out=32 kernel=3 padding=1 groups=8 bias=1 activation=relu # groups of four, as in ResNeXt",
    "in=1x9x10x32 out=32 kernel=3 padding=1 groups=4 stride=2 # groups of eight",
    "in=2x7x9x16 out=24 kernel=3 padding=1 bias=1 activation=silu",
    "in=2x5x7x12,2x5x7x33 out=33 kernel=1 bias=1 activation=hardswish # residual",
    "in=2x7x9x20 out=20 kernel=5 padding=2 groups=20 bias=1 activation=silu # depthwise",
    "in=1x9x8x37 out=37 kernel=3 stride=2 padding=1 groups=37 activation=hardsigmoid",
    "in=1x8x7x16 out=16 kernel=5,1 padding=2,0 groups=8 stride=2,1 dilation=1,2",
    "in=3x9x7x40 out=35 kernel=3 padding=1 bias=1 activation=relu # tiles of 4 x 4 in inference",
    "in=2x13x6x32,2x13x6x68 out=68 kernel=3 padding=1 activation=relu6 # tiles, residual",
    "in=2x2x3x64 out=32 kernel=3 padding=1 # tiles of 2 x 2",
    "in=4x7x7x48,4x7x7x33 out=33 kernel=3 padding=1 bias=1 # residual",
    "in=1x12x11x37 out=32 kernel=3 padding=0,2,1,0 bias=1 # tiles over odd padding",
    NULL,
};

const struct dio_op dio_op_conv = {
    .name = "conv",
    .onnx = "Conv",
    .attrs_size = sizeof(struct attrs),
    .attrs = attr_defs,
    .min_inputs = 1,
    .max_inputs = 2,
    .narrow = DIO_NARROW,
    .reads_u8 = reads_u8,
    .makes_u8 = makes_u8,
    .fuses = DIO_FUSE_SCALE | DIO_FUSE_ADD | DIO_FUSE_ACTIVATION | DIO_FUSE_LINE_MEANS | DIO_FUSE_GATE,
    .infer = infer,
    .prepare = prepare,
    .path = dio_conv_path_name,
    .cases = cases,
};
