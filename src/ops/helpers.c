#include "ops/helpers.h"

#include "base/checked.h"

const char *const dio_act_names[] = {"none", "relu", "relu6", "silu", "gelu", "gelu_tanh", "sigmoid", "hardswish", "hardsigmoid", NULL};

int64_t dio_pieces_elements(const struct dio_step *step)
{
    return dio_ceil_div(step->n * dio_image_elements(&step->in[0]), DIO_BLOCK);
}

int64_t dio_pieces_output_elements(const struct dio_step *step)
{
    return dio_ceil_div(step->n * dio_image_elements(&step->out[0]), DIO_BLOCK);
}

int64_t dio_pieces_rows(const struct dio_step *step)
{
    return dio_ceil_div(step->n * dio_image_rows(&step->in[0]), dio_block_rows(dio_channels(&step->in[0])));
}

int64_t dio_pieces_images(const struct dio_step *step)
{
    return step->n;
}

int64_t dio_pieces_image_channels(const struct dio_step *step)
{
    return step->n * dio_ceil_div(dio_channels(&step->in[0]), DIO_CHANNEL_BLOCK);
}

int64_t dio_pieces_channels(const struct dio_step *step)
{
    return dio_ceil_div(dio_channels(&step->in[0]), DIO_CHANNEL_BLOCK);
}

static int64_t all_rows(const struct dio_step *step) { return step->n * dio_image_rows(&step->in[0]); }

static int64_t rows_of_a_sum(const struct dio_step *step)
{
    return dio_max_i64(dio_block_rows(dio_channels(&step->in[0])), dio_ceil_div(all_rows(step), DIO_MAX_SUMS));
}

int64_t dio_pieces_sums(const struct dio_step *step)
{
    return dio_ceil_div(all_rows(step), rows_of_a_sum(step));
}

struct dio_range dio_sum_rows(const struct dio_step *step, int64_t piece)
{
    return dio_block(all_rows(step), rows_of_a_sum(step), piece);
}

static void put(float *gradient, double value, bool add) { *gradient = (float)(add ? *gradient + value : value); }

void dio_finish_scale_and_shift(const struct dio_step *step, int64_t sums, int64_t piece)
{
    int64_t channels = dio_channels(&step->in[0]);
    struct dio_range range = dio_block(channels, DIO_CHANNEL_BLOCK, piece);
    for (int64_t c = range.begin; c < range.end; c++) {
        double of_bias = 0, of_weight = 0;
        for (int64_t i = 0; i < sums; i++) {
            of_bias += ((const double *)step->shared)[i * 2 * channels + c];
            of_weight += ((const double *)step->shared)[(i * 2 + 1) * channels + c];
        }
        if (step->dparam[0]) put(&step->dparam[0][c], of_weight, step->add_dparam[0]);
        if (step->dparam[1]) put(&step->dparam[1][c], of_bias, step->add_dparam[1]);
    }
}

int64_t dio_pieces_one(const struct dio_step *step)
{
    (void)step;
    return 1;
}

void dio_add_forward(struct dio_step *step, dio_op_fn *run, dio_pieces_fn *pieces)
{
    step->forward[step->n_forward++] = (struct dio_op_phase){run, pieces};
}

void dio_add_backward(struct dio_step *step, dio_op_fn *run, dio_pieces_fn *pieces)
{
    step->backward[step->n_backward++] = (struct dio_op_phase){run, pieces};
}

bool dio_wants_any(const struct dio_step_wants *wants)
{
    bool any = false;
    for (int i = 0; i < DIO_OP_MAX_INPUTS; i++) any |= wants->dx[i];
    for (int i = 0; i < DIO_OP_MAX_PARAMS; i++) any |= wants->dparam[i];
    return any;
}

/* ---- narrow values ---- */

const float *dio_read_floats(const struct dio_step *step, int input, int64_t at, int64_t count, float *copy)
{
    const struct dio_value_type *type = &step->in[input];
    switch (type->dtype) {
    case DIO_BF16: step->kernels->widen((const uint16_t *)step->x[input] + at, copy, count); return copy;
    case DIO_U8: step->kernels->from_u8((const uint8_t *)step->x[input] + at, type->scale, type->zero, copy, count); return copy;
    default: return (const float *)step->x[input] + at;
    }
}

void dio_written_floats(const struct dio_step *step, int64_t at, int64_t count, const float *copy)
{
    const struct dio_value_type *type = &step->out[0];
    if (type->dtype == DIO_BF16) step->kernels->narrow(copy, (uint16_t *)step->y[0] + at, count);
    if (type->dtype == DIO_U8) step->kernels->to_u8(copy, type->scale, type->zero, (uint8_t *)step->y[0] + at, count);
}

/* ---- infer ---- */

dio_status dio_infer_input(struct dio_ctx *ctx, const struct dio_place *place, const struct dio_op_shapes *shapes, int i,
                           int min_rank, int max_rank)
{
    const struct dio_value_type *type = &shapes->inputs[i];
    char text[160];
    dio_shape_format(text, sizeof text, &type->shape);
    if (type->dtype != DIO_F32) {
        return DIO_OP_REFUSE(ctx, place, "input %d is %s, expected F32", i, dio_dtype_name(type->dtype));
    }
    if (type->shape.rank < min_rank || type->shape.rank > max_rank) {
        if (min_rank == max_rank) return DIO_OP_REFUSE(ctx, place, "input %d is %s, expected %d axes", i, text, min_rank);
        return DIO_OP_REFUSE(ctx, place, "input %d is %s, expected %d to %d axes", i, text, min_rank, max_rank);
    }
    for (int axis = 1; axis < type->shape.rank; axis++) {
        if (type->shape.dims[axis] < 1) return DIO_OP_REFUSE(ctx, place, "input %d is %s: an axis is empty", i, text);
    }
    return DIO_OK;
}

bool dio_same_image(const struct dio_value_type *a, const struct dio_value_type *b)
{
    if (a->dtype != b->dtype || a->shape.rank != b->shape.rank) return false;
    for (int i = 1; i < a->shape.rank; i++) {
        if (a->shape.dims[i] != b->shape.dims[i]) return false;
    }
    return true;
}

void dio_infer_like_input(struct dio_op_shapes *shapes)
{
    shapes->n_outputs = 1;
    shapes->outputs[0] = shapes->inputs[0];
}

void dio_infer_param(struct dio_op_shapes *shapes, const char *name, enum dio_param_role role, enum dio_param_init init,
                     struct dio_shape shape)
{
    shapes->params[shapes->n_params++] = (struct dio_param_def){.name = name, .role = role, .init = init, .shape = shape};
}

/* ---- windows ---- */

static int64_t window_out(const struct dio_window *window, int axis, int64_t size)
{
    int64_t kernel = window->kernel[axis], stride = window->stride[axis], before = window->padding[axis];
    int64_t room = size + before + window->padding[axis + 2] - kernel;
    if (room < 0) return 0;
    int64_t out = room / stride + 1;
    /* Rounded up, but a window has to start on a pixel or on the padding before it. */
    if (window->ceil_mode && room % stride != 0 && out * stride < size + before) out++;
    return out;
}

struct dio_range dio_window_range(const struct dio_window *window, int axis, int64_t size, int64_t o, int64_t *padded)
{
    int64_t start = o * window->stride[axis] - window->padding[axis];
    int64_t end = start + window->kernel[axis];
    if (padded) *padded = dio_min_i64(end, size + window->padding[axis + 2]) - start;
    return (struct dio_range){dio_max_i64(start, 0), dio_min_i64(end, size)};
}

dio_status dio_infer_pool(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes,
                          const struct dio_window *window)
{
    DIO_PASS(dio_infer_input(ctx, place, shapes, 0, 4, 4));
    const struct dio_shape *in = &shapes->inputs[0].shape;
    char text[160];
    dio_shape_format(text, sizeof text, in);
    for (int side = 0; side < 4; side++) {
        if (window->padding[side] >= window->kernel[side % 2]) {
            return DIO_OP_REFUSE(ctx, place, "padding %lld is not smaller than the kernel %lld",
                                 (long long)window->padding[side], (long long)window->kernel[side % 2]);
        }
    }
    dio_infer_like_input(shapes);
    for (int axis = 0; axis < 2; axis++) {
        int64_t out = window_out(window, axis, in->dims[1 + axis]);
        if (out < 1) {
            return DIO_OP_REFUSE(ctx, place, "input %s is smaller than the kernel %lldx%lld", text,
                                 (long long)window->kernel[0], (long long)window->kernel[1]);
        }
        shapes->outputs[0].shape.dims[1 + axis] = out;
    }
    return DIO_OK;
}
