/* The training plan: forward step by step, backward over the reversed list.
 *
 * Moments count forward steps 0..S-1 and backward ones S..2S-1, step i's backward standing at 2S-1-i; values, what is
 * saved, and the values' gradients share one block by the moments at which they live.  What no trainable parameter feeds
 * gets no gradient and keeps nothing. */
#include <string.h>

#include "base/clock.h"
#include "graph/passes.h"
#include "graph/plan_internal.h"

struct builder {
    struct dio_plan *plan;
    struct dio_graph *graph;   /* a clone, cut to what is needed */
    bool *learns;              /* per value: a trainable parameter stands before it */
    bool *to_loss;             /* per node: the loss depends on it */
};

/* ---- what needs a gradient ---- */

static bool param_learns(const struct dio_param *param) { return param->role == DIO_PARAM_TRAINED && param->trainable; }

static void mark_learning(struct builder *b)
{
    const struct dio_graph *graph = b->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct dio_node *node = &graph->nodes[i];
        bool learns = false;
        for (int j = 0; j < node->n_params; j++) learns |= param_learns(&graph->params[node->params[j]]);
        for (int j = 0; j < node->n_inputs; j++) learns |= b->learns[node->inputs[j]];
        for (int j = 0; j < node->n_outputs; j++) b->learns[node->outputs[j]] = learns;
    }
    int last = graph->values[b->plan->loss].producer;
    if (last >= 0) b->to_loss[last] = true;
    for (int i = graph->n_nodes - 1; i >= 0; i--) {
        for (int j = 0; b->to_loss[i] && j < graph->nodes[i].n_inputs; j++) {
            int producer = graph->values[graph->nodes[i].inputs[j]].producer;
            if (producer >= 0) b->to_loss[producer] = true;
        }
    }
}

static dio_status add_steps(struct builder *b, const struct dio_train_plan_options *options)
{
    struct dio_plan *plan = b->plan;
    const struct dio_step_flags flags = {.mode = DIO_MODE_TRAIN, .train_stats = options->train_stats, .drop = options->drop,
                                         .exact = options->plan.exact};
    for (int i = 0; i < b->graph->n_nodes; i++) {
        if (dio_cancelled(plan->ctx)) return DIO_CANCELLED;
        const struct dio_node *node = &b->graph->nodes[i];
        struct dio_step_wants wants = {0};
        bool any = false;
        for (int j = 0; b->to_loss[i] && j < node->n_inputs; j++) any |= wants.dx[j] = b->learns[node->inputs[j]];
        for (int j = 0; b->to_loss[i] && j < node->n_params; j++) {
            any |= wants.dparam[j] = param_learns(&b->graph->params[node->params[j]]);
        }
        if (any && node->op->no_grad) {
            return dio_fail(plan->ctx, DIO_ERR_USAGE, NULL, NULL, "node %s (%s) cannot be trained through: it has no backward",
                            node->name, node->op->name);
        }
        DIO_PASS(dio_plan_add_step(plan, b->graph, node, &flags, &wants));
        struct dio_plan_step *slot = &plan->steps[i];
        slot->backward = any;
        for (int j = 0; j < node->n_params; j++) slot->repack |= param_learns(&b->graph->params[node->params[j]]);
    }
    return dio_plan_size_steps(plan, b->graph);
}

/* ---- moments ---- */

static int backward_moment(const struct dio_plan *plan, int step) { return 2 * plan->n_steps - 1 - step; }

static void see(struct dio_plan_value *value, int moment)
{
    if (moment < value->first) value->first = moment;
    if (moment > value->last) value->last = moment;
}

static void settle_values(struct dio_plan *plan)
{
    for (int i = 0; i < plan->n_steps; i++) {
        const struct dio_plan_step *slot = &plan->steps[i];
        for (int j = 0; j < slot->step.n_inputs; j++) {
            struct dio_plan_value *value = &plan->values[slot->inputs[j]];
            see(value, i);
            if (slot->backward && slot->step.reads_x) see(value, backward_moment(plan, i));
        }
        for (int j = 0; j < slot->step.n_outputs; j++) {
            struct dio_plan_value *value = &plan->values[slot->outputs[j]];
            value->home = DIO_HOME_SHARED;
            see(value, i);
            if (slot->backward && slot->step.reads_y) see(value, backward_moment(plan, i));
        }
    }
    for (int i = 0; i < plan->n_watch; i++) see(&plan->values[plan->watch[i]], 2 * plan->n_steps);
    see(&plan->values[plan->loss], 2 * plan->n_steps);
    for (int i = 0; i < plan->n_inputs; i++) {
        plan->values[plan->inputs[i]].home = DIO_HOME_INPUT;
        plan->values[plan->inputs[i]].index = i;
    }
}

/* The gradient of a value lives from its last reader's backward to its producer's. */
static struct dio_lifetime gradient_life(const struct dio_plan *plan, const struct builder *b, int value)
{
    struct dio_lifetime life = {0};
    int producer = b->graph->values[value].producer, reader = -1;
    if (producer < 0 || !plan->steps[producer].backward || value == plan->loss) return life;
    for (int i = producer + 1; i < plan->n_steps; i++) {
        for (int j = 0; plan->steps[i].backward && j < plan->steps[i].step.n_inputs; j++) {
            if (plan->steps[i].inputs[j] == value) reader = i;
        }
    }
    if (reader < 0) return life;
    life.first = backward_moment(plan, reader);
    life.last = backward_moment(plan, producer);
    life.bytes = plan->values[value].image_bytes * (size_t)plan->batch;
    return life;
}

static struct dio_lifetime saved_life(const struct dio_plan *plan, int i)
{
    const struct dio_plan_step *slot = &plan->steps[i];
    return (struct dio_lifetime){.bytes = slot->step.saved_bytes, .first = i, .last = slot->backward ? backward_moment(plan, i) : i};
}

/* The gradient of an input takes over the memory of the output's where the step can work in place and comes first to it. */
static void share_gradients(struct dio_plan *plan, struct dio_lifetime *gradients)
{
    for (int i = plan->n_steps - 1; i >= 0; i--) {
        const struct dio_plan_step *slot = &plan->steps[i];
        if (!slot->backward || !slot->step.dx_over_dy) continue;
        const int value = slot->inputs[slot->step.dx_over_dy - DIO_OVER_DY], root = plan->values[slot->outputs[0]].grad_root;
        struct dio_lifetime *from = &gradients[root], *to = &gradients[value];
        if (!from->bytes || to->bytes != from->bytes || from->last != backward_moment(plan, i) || to->first != from->last) continue;
        int times = 0;
        for (int j = 0; j < slot->step.n_inputs; j++) times += slot->inputs[j] == value;
        if (times != 1) continue;
        plan->values[value].grad_root = root;
        from->last = to->last;
        to->bytes = 0;
    }
}

static void count_saved(struct dio_plan *plan, const struct dio_lifetime *extra)
{
    for (int i = 0; i < plan->n_values; i++) {
        const struct dio_plan_value *value = &plan->values[i];
        bool kept = value->home == DIO_HOME_SHARED && value->root == i && value->last >= plan->n_steps;
        if (kept) plan->memory.saved += value->image_bytes * (size_t)plan->batch;
    }
    for (int i = 0; i < plan->n_steps; i++) {
        if (extra[i].bytes && extra[i].last >= plan->n_steps) plan->memory.saved += extra[i].bytes;
    }
}

/* What is saved comes first in `extra`, then the values' gradients. */
static dio_status place_values(struct builder *b)
{
    struct dio_plan *plan = b->plan;
    settle_values(plan);
    dio_plan_share_memory(plan);
    int n_extra = plan->n_steps + plan->n_values;
    struct dio_lifetime *extra = dio_alloc_zeroed(plan->ctx, (size_t)n_extra, sizeof *extra, "a memory plan");
    if (!extra) return DIO_ERR_ENV;
    for (int i = 0; i < plan->n_steps; i++) extra[i] = saved_life(plan, i);
    for (int i = 0; i < plan->n_values; i++) {
        extra[plan->n_steps + i] = gradient_life(plan, b, i);
        plan->values[i].grad_root = i;
    }
    share_gradients(plan, extra + plan->n_steps);
    count_saved(plan, extra);
    dio_status status = dio_plan_place(plan, DIO_HOME_SHARED, plan->batch, extra, n_extra, &plan->activations_bytes);
    for (int i = 0; i < plan->n_steps; i++) plan->steps[i].saved_offset = extra[i].offset;
    for (int i = 0; i < plan->n_values; i++) {
        const struct dio_lifetime *life = &extra[plan->n_steps + plan->values[i].grad_root];
        if (life->bytes) plan->values[i].grad_offset = life->offset;
    }
    dio_free(plan->ctx, extra);
    return status;
}

static dio_status place_param_gradients(struct builder *b)
{
    struct dio_plan *plan = b->plan;
    plan->param_grad = dio_alloc_array(plan->ctx, (size_t)plan->n_graph_params, sizeof *plan->param_grad, "gradients");
    if (!plan->param_grad) return DIO_ERR_ENV;
    for (int i = 0; i < plan->n_graph_params; i++) plan->param_grad[i] = DIO_NO_OFFSET;
    for (int i = 0; i < plan->n_steps; i++) {
        const struct dio_plan_step *slot = &plan->steps[i];
        for (int j = 0; slot->backward && j < slot->step.n_params; j++) {
            const struct dio_param *param = &b->graph->params[slot->params[j]];
            size_t bytes;
            if (!param_learns(param) || !dio_shape_bytes(&param->shape, DIO_F32, &bytes)) continue;
            plan->param_grad[slot->params[j]] = plan->grads_bytes;
            plan->grads_bytes += dio_buffer_round(bytes);
        }
    }
    return DIO_OK;
}

/* ---- addresses: fixed for the plan's life, but for the inputs ---- */

static void *address(const struct dio_plan *plan, int value)
{
    const struct dio_plan_value *v = &plan->values[value];
    return v->home == DIO_HOME_SHARED ? plan->activations + v->offset : NULL;
}

static float *gradient_address(const struct dio_plan *plan, int value)
{
    size_t offset = plan->values[value].grad_offset;
    return offset == DIO_NO_OFFSET ? NULL : (float *)(void *)(plan->activations + offset);
}

static void bind(struct dio_plan *plan)
{
    for (int i = 0; i < plan->n_steps; i++) {
        struct dio_plan_step *slot = &plan->steps[i];
        struct dio_step *step = &slot->step;
        for (int j = 0; j < step->n_inputs; j++) step->x[j] = address(plan, slot->inputs[j]);
        for (int j = 0; j < step->n_outputs; j++) step->y[j] = address(plan, slot->outputs[j]);
        step->saved = step->saved_bytes ? plan->activations + slot->saved_offset : NULL;
        if (!slot->backward) continue;
        for (int j = 0; j < step->n_outputs; j++) {
            step->dy[j] = slot->outputs[j] == plan->loss ? &plan->loss_gradient : gradient_address(plan, slot->outputs[j]);
        }
        for (int j = 0; j < step->n_inputs; j++) step->dx[j] = gradient_address(plan, slot->inputs[j]);
        for (int j = 0; j < step->n_params; j++) step->dparam[j] = dio_plan_grad(plan, slot->params[j]);
    }
}

/* Backward goes from the last step to the first: who comes first to a value's gradient writes, the others add. */
static dio_status mark_adding(struct dio_plan *plan)
{
    bool *written = dio_alloc_zeroed(plan->ctx, (size_t)plan->n_values, sizeof *written, "a plan");
    if (!written) return DIO_ERR_ENV;
    for (int i = plan->n_steps - 1; i >= 0; i--) {
        struct dio_plan_step *slot = &plan->steps[i];
        for (int j = 0; slot->backward && j < slot->step.n_inputs; j++) {
            if (!slot->step.dx[j]) continue;
            slot->step.add_dx[j] = written[slot->inputs[j]];
            written[slot->inputs[j]] = true;
        }
    }
    dio_free(plan->ctx, written);
    return DIO_OK;
}

static dio_status build(struct builder *b, const struct dio_train_plan_options *options)
{
    struct dio_plan *plan = b->plan;
    plan->n_inputs = b->graph->n_inputs;
    memcpy(plan->inputs, b->graph->inputs, sizeof plan->inputs);
    if (dio_shape_elements(&b->graph->values[plan->loss].type.shape) != 1 || b->graph->values[plan->loss].producer < 0) {
        return dio_fail(plan->ctx, DIO_ERR_INTERNAL, NULL, NULL, "value %s is no loss", b->graph->values[plan->loss].name);
    }
    b->learns = dio_alloc_zeroed(plan->ctx, (size_t)b->graph->n_values, sizeof *b->learns, "a plan");
    b->to_loss = dio_alloc_zeroed(plan->ctx, (size_t)b->graph->n_nodes, sizeof *b->to_loss, "a plan");
    if (!b->learns || !b->to_loss) return DIO_ERR_ENV;
    mark_learning(b);
    DIO_PASS(add_steps(b, options));
    DIO_PASS(place_values(b));
    DIO_PASS(place_param_gradients(b));
    DIO_PASS(dio_plan_allocate(plan, options->plan.memory_limit));
    bind(plan);
    DIO_PASS(mark_adding(plan));
    dio_plan_pack(plan, false);
    return DIO_OK;
}

dio_status dio_plan_train(struct dio_ctx *ctx, struct dio_graph *graph, const int *inputs, int n_inputs, int loss,
                          const int *watch, int n_watch, const struct dio_train_plan_options *options,
                          struct dio_plan **plan)
{
    *plan = NULL;
    if (n_watch + 1 > DIO_GRAPH_MAX_ENDS) return dio_fail(ctx, DIO_ERR_INTERNAL, NULL, NULL, "too many values to watch");
    int ends[DIO_GRAPH_MAX_ENDS] = {loss};
    for (int i = 0; i < n_watch; i++) ends[1 + i] = watch[i];
    struct builder b = {0};
    DIO_PASS(dio_graph_clone(graph, &b.graph));
    b.graph->ctx = ctx;
    dio_status status = dio_pass_cut(b.graph, inputs, n_inputs, ends, n_watch + 1);
    if (status == DIO_OK) status = dio_pass_select_early(b.graph);
    if (status == DIO_OK && !options->plan.no_fusion) status = dio_pass_fuse_add(b.graph, true);
    if (status == DIO_OK && !options->plan.no_fusion) status = dio_pass_fuse_activation(b.graph, true);
    if (status == DIO_OK) status = dio_plan_new(ctx, b.graph, options->plan.batch, plan);
    if (status == DIO_OK) {
        b.plan = *plan;
        b.plan->loss = loss;
        b.plan->n_watch = n_watch;
        for (int i = 0; i < n_watch; i++) b.plan->watch[i] = watch[i];
        status = build(&b, options);
    }
    dio_free(ctx, b.learns);
    dio_free(ctx, b.to_loss);
    dio_graph_free(b.graph);
    if (status != DIO_OK) {
        dio_plan_free(*plan);
        *plan = NULL;
    }
    return status;
}

/* ---- running ---- */

static void bind_run(struct dio_plan *plan, int64_t n, const void *const *in, uint64_t seed, uint64_t step_index)
{
    plan->n = n;
    plan->in = in;
    for (int i = 0; i < plan->n_steps; i++) {
        struct dio_plan_step *slot = &plan->steps[i];
        slot->step.n = n;
        slot->step.seed = seed ^ slot->seed_key;
        slot->step.step_index = step_index;
        for (int j = 0; j < slot->step.n_inputs; j++) {
            const struct dio_plan_value *value = &plan->values[slot->inputs[j]];
            if (value->home == DIO_HOME_INPUT) slot->step.x[j] = in[value->index];
        }
    }
}

float dio_plan_forward(struct dio_plan *plan, int64_t n, const void *const *in, uint64_t seed, uint64_t step_index)
{
    bind_run(plan, n, in, seed, step_index);
    size_t count = 0;
    for (int i = 0; i < plan->n_steps; i++) {
        dio_plan_list(plan, &plan->steps[i].step, plan->steps[i].step.forward, plan->steps[i].step.n_forward, &count);
    }
    dio_team_run(plan->team, plan->phases, count);
    return *(const float *)address(plan, plan->loss);
}

void dio_plan_backward(struct dio_plan *plan, bool add, float loss_scale)
{
    plan->loss_gradient = loss_scale;
    size_t count = 0;
    for (int i = plan->n_steps - 1; i >= 0; i--) {
        struct dio_plan_step *slot = &plan->steps[i];
        if (!slot->backward) continue;
        for (int j = 0; j < slot->step.n_params; j++) slot->step.add_dparam[j] = add;
        dio_plan_list(plan, &slot->step, slot->step.backward, slot->step.n_backward, &count);
    }
    dio_team_run(plan->team, plan->phases, count);
}

float *dio_plan_grad(struct dio_plan *plan, int param)
{
    if (plan->inference || param < 0 || param >= plan->n_graph_params || plan->param_grad[param] == DIO_NO_OFFSET) return NULL;
    return (float *)(void *)(plan->grads + plan->param_grad[param]);
}

const void *dio_plan_watched(const struct dio_plan *plan, int i)
{
    int value = plan->watch[i];
    if (plan->values[value].home == DIO_HOME_INPUT) return plan->in ? plan->in[plan->values[value].index] : NULL;
    return address(plan, value);
}

void dio_plan_weights_changed(struct dio_plan *plan) { dio_plan_pack(plan, true); }

static double time_phases(struct dio_plan *plan, const struct dio_step *step, const struct dio_op_phase *phases, int n)
{
    size_t count = 0;
    dio_plan_list(plan, step, phases, n, &count);
    const double start = dio_clock_seconds();
    dio_team_run(plan->team, plan->phases, count);
    return dio_clock_seconds() - start;
}

void dio_plan_time_train(struct dio_plan *plan, int64_t n, const void *const *in, double *forward, double *backward)
{
    bind_run(plan, n, in, 0, 0);
    for (int i = 0; i < plan->n_steps; i++) {
        const struct dio_step *step = &plan->steps[i].step;
        forward[i] = time_phases(plan, step, step->forward, step->n_forward);
    }
    plan->loss_gradient = 1;
    for (int i = plan->n_steps - 1; i >= 0; i--) {
        struct dio_step *step = &plan->steps[i].step;
        for (int j = 0; j < step->n_params; j++) step->add_dparam[j] = false;
        backward[i] = plan->steps[i].backward ? time_phases(plan, step, step->backward, step->n_backward) : 0;
    }
}
