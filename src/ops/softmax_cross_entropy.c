/* Softmax and cross entropy, mean over the batch: PyTorch's CrossEntropyLoss.
 *
 * Targets of a row: t_k = (1 - e) w_y [k = y] + (e / K) w_k for a class index y, w_k (q_k (1 - e) + e / K) for
 * probabilities q; e is the smoothing, w the class weights.  loss = sum of t_k (lse - z_k) / divisor, where the divisor is
 * the sum of w_y for indices and the number of rows for probabilities.  Rows whose index is below 0 are left out; an index
 * of K or more makes the loss NaN.  All in double. */
#include <math.h>

#include "ops/helpers.h"

struct attrs {
    double smoothing;
    bool class_weights;
};

static const struct dio_attr_def attr_defs[] = {
    {.name = "smoothing", .type = DIO_ATTR_FLOAT, .offset = offsetof(struct attrs, smoothing), .initial = 0, .min = 0, .max = 1},
    {.name = "class_weights", .type = DIO_ATTR_BOOL, .offset = offsetof(struct attrs, class_weights), .initial = 0},
    {.name = NULL},
};

enum { LOGITS, TARGET };

static dio_status infer(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes)
{
    const struct attrs *attrs = shapes->attrs;
    DIO_PASS(dio_infer_input(ctx, place, shapes, LOGITS, 2, 2));
    const struct dio_value_type *target = &shapes->inputs[TARGET];
    bool indices = target->dtype == DIO_I32 && target->shape.rank == 1;
    if (!indices && !dio_same_image(target, &shapes->inputs[LOGITS])) {
        char text[160];
        dio_shape_format(text, sizeof text, &target->shape);
        return DIO_OP_REFUSE(ctx, place, "target is %s %s, expected I32 of one axis or F32 like the logits",
                             dio_dtype_name(target->dtype), text);
    }
    shapes->n_outputs = 1;
    shapes->outputs[0] = (struct dio_value_type){.dtype = DIO_F32};
    if (attrs->class_weights) {
        dio_infer_param(shapes, "class_weight", DIO_PARAM_CONSTANT, DIO_INIT_ONE, dio_shape_1(dio_channels(&shapes->inputs[LOGITS])));
    }
    return DIO_OK;
}

/* ---- a row ---- */

struct row {
    double lse;      /* log of the sum of exp(z) */
    double loss;     /* not yet divided */
    double divisor;  /* what the row adds to the divisor */
};

struct target {
    const float *probabilities; /* NULL: index */
    const float *weights;       /* NULL: all 1 */
    int32_t index;
    int64_t classes;
    double smoothing;
};

static struct target target_of(const struct dio_step *step, int64_t row)
{
    const struct attrs *attrs = step->attrs;
    struct target target = {.classes = dio_channels(&step->in[LOGITS]), .smoothing = attrs->smoothing,
                            .weights = attrs->class_weights ? step->param[0] : NULL};
    if (step->in[TARGET].dtype == DIO_I32) {
        target.index = ((const int32_t *)step->x[TARGET])[row];
    } else {
        target.probabilities = (const float *)step->x[TARGET] + row * target.classes;
    }
    return target;
}

static double weight_at(const struct target *target, int64_t k) { return target->weights ? target->weights[k] : 1; }

static double share_at(const struct target *target, int64_t k)
{
    double hard = target->probabilities ? target->probabilities[k] : k == target->index;
    return weight_at(target, k) * ((1 - target->smoothing) * hard + target->smoothing / (double)target->classes);
}

static struct row row_loss(const struct target *target, const float *z)
{
    struct row row = {0};
    double max = z[0], sum = 0;
    for (int64_t k = 1; k < target->classes; k++) max = z[k] > max || z[k] != z[k] ? z[k] : max;
    for (int64_t k = 0; k < target->classes; k++) sum += exp(z[k] - max);
    row.lse = max + log(sum);
    if (!target->probabilities && target->index < 0) return row;
    row.divisor = 1;
    if (!target->probabilities) {
        if (target->index >= target->classes) {
            row.loss = NAN;
            return row;
        }
        row.divisor = weight_at(target, target->index);
    }
    for (int64_t k = 0; k < target->classes; k++) {
        double share = share_at(target, k);
        if (share != 0) row.loss += share * (row.lse - z[k]);
    }
    return row;
}

/* ---- pieces ---- */

static int64_t pieces(const struct dio_step *step)
{
    return dio_ceil_div(step->n, dio_max_i64(1, DIO_BLOCK / 16 / dio_channels(&step->in[LOGITS])));
}

static struct dio_range rows_of(const struct dio_step *step, int64_t piece)
{
    return dio_block(step->n, dio_max_i64(1, DIO_BLOCK / 16 / dio_channels(&step->in[LOGITS])), piece);
}

static void forward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct dio_range range = rows_of(step, piece);
    struct row *rows = step->saved;
    for (int64_t i = range.begin; i < range.end; i++) {
        struct target target = target_of(step, i);
        rows[i] = row_loss(&target, (const float *)step->x[LOGITS] + i * target.classes);
    }
}

static double divisor_of(const struct dio_step *step)
{
    const struct row *rows = step->saved;
    double sum = 0;
    for (int64_t i = 0; i < step->n; i++) sum += rows[i].divisor;
    return sum;
}

static void finish(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)piece, (void)scratch;
    const struct row *rows = step->saved;
    double sum = 0;
    for (int64_t i = 0; i < step->n; i++) sum += rows[i].loss;
    *(float *)step->y[0] = (float)(sum / divisor_of(step));
}

static void backward(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    struct dio_range range = rows_of(step, piece);
    const struct row *rows = step->saved;
    double factor = step->dy[0][0] / divisor_of(step);
    for (int64_t i = range.begin; i < range.end; i++) {
        struct target target = target_of(step, i);
        const float *z = (const float *)step->x[LOGITS] + i * target.classes;
        float *dz = step->dx[LOGITS] + i * target.classes;
        bool left_out = !target.probabilities && target.index < 0;
        double all = 0;
        for (int64_t k = 0; k < target.classes; k++) all += share_at(&target, k);
        for (int64_t k = 0; k < target.classes; k++) {
            double slope = left_out ? 0 : factor * (exp(z[k] - rows[i].lse) * all - share_at(&target, k));
            dz[k] = (float)(step->add_dx[LOGITS] ? dz[k] + slope : slope);
        }
    }
}

static dio_status prepare(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants)
{
    if (wants->dx[TARGET]) return dio_fail(ctx, DIO_ERR_USAGE, NULL, NULL, "softmax_cross_entropy has no gradient for its target");
    step->saved_bytes = (size_t)step->in[LOGITS].shape.dims[0] * sizeof(struct row);
    dio_add_forward(step, forward, pieces);
    dio_add_forward(step, finish, dio_pieces_one);
    if (wants->dx[LOGITS]) {
        step->reads_x = true;
        dio_add_backward(step, backward, pieces);
    }
    return DIO_OK;
}

static const char *const cases[] = {
    "in=4x5,i4", "in=1x1,i1", "in=3x7,3x7 smoothing=0.1 class_weights=1", "in=6x3,i6 smoothing=0.1 class_weights=1",
    "in=40x1000,i40 # several pieces", "in=5x4,i5 smoothing=0.3", NULL,
};

const struct dio_op dio_op_softmax_cross_entropy = {
    .name = "softmax_cross_entropy",
    .attrs_size = sizeof(struct attrs),
    .attrs = attr_defs,
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = infer,
    .prepare = prepare,
    .cases = cases,
};
