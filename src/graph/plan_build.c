/* What both plans are made of: steps that were prepared, values with homes, blocks of memory. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/hash.h"
#include "graph/plan_internal.h"

static bool value_bytes(const struct dio_value_type *type, size_t *image_bytes)
{
    struct dio_shape one = type->shape;
    if (one.rank > 0) one.dims[0] = 1;
    return dio_shape_bytes(&one, type->dtype, image_bytes);
}

dio_status dio_plan_new(struct dio_ctx *ctx, const struct dio_graph *graph, int64_t batch, struct dio_plan **result)
{
    *result = NULL;
    if (graph->status != DIO_OK) return graph->status;
    if (batch < 1 || batch > INT32_MAX) return dio_fail(ctx, DIO_ERR_USAGE, NULL, NULL, "batch of %lld images", (long long)batch);
    if (!ctx->kernels) return dio_fail(ctx, DIO_ERR_INTERNAL, NULL, NULL, "a plan needs a kernel table");
    struct dio_plan *plan = dio_alloc_zeroed(ctx, 1, sizeof *plan, "a plan");
    if (!plan) return DIO_ERR_ENV;
    plan->ctx = ctx;
    plan->team = ctx->team;
    plan->threads = dio_team_size(ctx->team);
    plan->batch = plan->chunk = batch;
    dio_arena_init(&plan->arena, ctx);
    plan->n_values = graph->n_values;
    plan->n_graph_params = graph->n_params;
    plan->steps = dio_alloc_zeroed(ctx, (size_t)graph->n_nodes, sizeof *plan->steps, "the steps of a plan");
    plan->values = dio_alloc_zeroed(ctx, (size_t)graph->n_values, sizeof *plan->values, "the values of a plan");
    if (!plan->steps || !plan->values) {
        dio_plan_free(plan);
        return DIO_ERR_ENV;
    }
    for (int i = 0; i < graph->n_values; i++) {
        struct dio_plan_value *value = &plan->values[i];
        *value = (struct dio_plan_value){.root = i, .first = INT32_MAX, .last = -1, .grad_offset = DIO_NO_OFFSET};
        value_bytes(&graph->values[i].type, &value->image_bytes);
    }
    *result = plan;
    return DIO_OK;
}

/* ---- steps ---- */

static uint64_t key_of(const char *name)
{
    struct dio_digest digest = dio_sha256_of(name, strlen(name));
    uint64_t key = 0;
    for (int i = 0; i < 8; i++) key |= (uint64_t)digest.bytes[i] << (8 * i);
    return key;
}

static bool statistics_move(const struct dio_graph *graph, const struct dio_node *node)
{
    for (int i = 0; i < node->n_params; i++) {
        const struct dio_param *param = &graph->params[node->params[i]];
        if (param->role == DIO_PARAM_STATISTIC && param->trainable) return true;
    }
    return false;
}

static dio_status copy_texts(struct dio_plan *plan, const struct dio_node *node, struct dio_plan_step *step)
{
    step->name = dio_arena_strndup(&plan->arena, node->name, strlen(node->name));
    step->fused = node->fused ? dio_arena_strndup(&plan->arena, node->fused, strlen(node->fused)) : "";
    void *attrs = dio_arena_alloc(&plan->arena, node->op->attrs_size ? node->op->attrs_size : 1);
    if (!step->name || !step->fused || !attrs) return DIO_ERR_ENV;
    memcpy(attrs, node->attrs, node->op->attrs_size);
    step->step.attrs = attrs;
    return DIO_OK;
}

dio_status dio_plan_add_step(struct dio_plan *plan, const struct dio_graph *graph, const struct dio_node *node,
                             const struct dio_step_flags *flags, const struct dio_step_wants *wants)
{
    struct dio_plan_step *slot = &plan->steps[plan->n_steps];
    struct dio_step *step = &slot->step;
    DIO_PASS(copy_texts(plan, node, slot));
    slot->stage = node->stage;
    slot->macs = node->macs;
    slot->seed_key = key_of(node->name);
    step->op = node->op;
    step->kernels = plan->ctx->kernels;
    step->mode = flags->mode;
    step->precision = flags->precision;
    step->train_stats = (flags->train_stats && statistics_move(graph, node)) || (flags->drop && node->op->only_in_training);
    step->exact = flags->exact;
    step->n = plan->chunk;
    step->n_inputs = node->n_inputs;
    step->n_outputs = node->n_outputs;
    step->n_params = node->n_params;
    for (int i = 0; i < node->n_inputs; i++) {
        slot->inputs[i] = node->inputs[i];
        step->in[i] = graph->values[node->inputs[i]].type;
        if (step->in[i].shape.rank > 0) step->in[i].shape.dims[0] = plan->chunk;
    }
    for (int i = 0; i < node->n_outputs; i++) {
        slot->outputs[i] = node->outputs[i];
        step->out[i] = graph->values[node->outputs[i]].type;
        if (step->out[i].shape.rank > 0) step->out[i].shape.dims[0] = plan->chunk;
    }
    for (int i = 0; i < node->n_params; i++) {
        const struct dio_param *param = &graph->params[node->params[i]];
        slot->params[i] = node->params[i];
        step->param_shape[i] = param->shape;
        step->param[i] = param->data;
        if (!param->data && param->role != DIO_PARAM_COUNTER) {
            return dio_fail(plan->ctx, DIO_ERR_INTERNAL, NULL, NULL, "parameter %s has no data", param->name);
        }
    }
    plan->n_steps++; /* from here on dio_plan_free frees what prepare allocates */
    return step->op->prepare(plan->ctx, step, wants);
}

/* ---- sizes ---- */

static dio_status too_large(struct dio_plan *plan)
{
    return dio_fail(plan->ctx, DIO_ERR_ENV, "E3", NULL, "out of memory: the plan's size does not fit; lower --batch-size");
}

dio_status dio_plan_size_steps(struct dio_plan *plan, const struct dio_graph *graph)
{
    int phases = 0;
    for (int i = 0; i < plan->n_steps; i++) {
        struct dio_plan_step *slot = &plan->steps[i];
        const struct dio_step *step = &slot->step;
        slot->packed_offset = plan->packed_bytes;
        if (step->packed_bytes > SIZE_MAX / 4 || plan->packed_bytes > SIZE_MAX / 4) return too_large(plan);
        plan->packed_bytes += dio_buffer_round(step->packed_bytes);
        if (step->shared_bytes > plan->shared_bytes) plan->shared_bytes = step->shared_bytes;
        if (step->scratch_bytes > plan->scratch_bytes) plan->scratch_bytes = step->scratch_bytes;
        phases += step->n_forward > step->n_backward ? step->n_forward : step->n_backward;
        if (phases < 2) phases = 2;
        for (int p = 0; plan->inference && p < step->n_params; p++) {
            size_t bytes = 0;
            dio_shape_bytes(&step->param_shape[p], graph->params[slot->params[p]].dtype, &bytes);
            if (step->packs_param[p] || !step->param[p]) continue;
            plan->params_bytes += dio_buffer_round(bytes);
        }
    }
    plan->shared_bytes = dio_buffer_round(plan->shared_bytes);
    plan->scratch_bytes = dio_buffer_round(plan->scratch_bytes);
    plan->max_phases = phases + 1;
    plan->phases = dio_alloc_zeroed(plan->ctx, (size_t)plan->max_phases, sizeof *plan->phases, "the phases of a plan");
    plan->calls = dio_alloc_zeroed(plan->ctx, (size_t)plan->max_phases, sizeof *plan->calls, "the phases of a plan");
    return plan->phases && plan->calls ? DIO_OK : DIO_ERR_ENV;
}

/* ---- sharing of memory ---- */

/* Other inputs of the step must not lie in the memory that is written. */
static bool only_reader_in_step(const struct dio_plan *plan, const struct dio_plan_step *step, int input)
{
    int root = plan->values[step->inputs[input]].root;
    for (int i = 0; i < step->step.n_inputs; i++) {
        if (i != input && plan->values[step->inputs[i]].root == root) return false;
    }
    return true;
}

void dio_plan_share_memory(struct dio_plan *plan)
{
    for (int i = 0; i < plan->n_steps; i++) {
        struct dio_plan_step *step = &plan->steps[i];
        if (!step->step.in_place || step->in_chain) continue;
        int input = step->step.in_place_input;
        struct dio_plan_value *to = &plan->values[step->outputs[0]];
        struct dio_plan_value *from = &plan->values[plan->values[step->inputs[input]].root];
        bool own = from->home == to->home && (to->home == DIO_HOME_SHARED || to->home == DIO_HOME_LOCAL);
        if (!own || from->last != i || from->image_bytes != to->image_bytes) continue;
        if (!only_reader_in_step(plan, step, input)) continue;
        to->root = plan->values[step->inputs[input]].root;
        if (to->last > from->last) from->last = to->last;
    }
}

dio_status dio_plan_place(struct dio_plan *plan, enum dio_home home, int64_t images, struct dio_lifetime *extra, int n_extra,
                          size_t *total)
{
    struct dio_lifetime *items = dio_alloc_zeroed(plan->ctx, (size_t)(plan->n_values + n_extra), sizeof *items, "a memory plan");
    if (!items) return DIO_ERR_ENV;
    bool fits = true;
    for (int i = 0; i < plan->n_values; i++) {
        const struct dio_plan_value *value = &plan->values[i];
        if (value->home != home || value->root != i) continue;
        items[i].first = value->first;
        items[i].last = value->last;
        fits &= dio_mul_size(value->image_bytes, (size_t)images, &items[i].bytes) && items[i].bytes < SIZE_MAX / 1024;
    }
    if (n_extra) memcpy(items + plan->n_values, extra, (size_t)n_extra * sizeof *extra);
    dio_status status = fits ? dio_lifetimes_place(plan->ctx, items, plan->n_values + n_extra, total) : too_large(plan);
    for (int i = 0; i < plan->n_values; i++) {
        if (plan->values[i].home == home) plan->values[i].offset = items[plan->values[i].root].offset;
    }
    if (n_extra) memcpy(extra, items + plan->n_values, (size_t)n_extra * sizeof *extra);
    dio_free(plan->ctx, items);
    return status;
}

/* ---- blocks ---- */

static void put_amount(char *out, size_t size, uint64_t bytes)
{
    if (bytes >= (uint64_t)1 << 30) {
        snprintf(out, size, "%.1f GB", (double)bytes / (1 << 30));
    } else {
        snprintf(out, size, "%.0f MB", (double)bytes / (1 << 20) + 0.5);
    }
}

static unsigned char *block(struct dio_plan *plan, size_t bytes, const char *what, dio_status *status)
{
    if (*status != DIO_OK) return NULL;
    unsigned char *memory = dio_alloc_aligned(plan->ctx, bytes ? bytes : 1, what);
    if (!memory) *status = DIO_ERR_ENV;
    return memory;
}

dio_status dio_plan_allocate(struct dio_plan *plan, uint64_t limit)
{
    struct dio_plan_memory *memory = &plan->memory;
    size_t slots = plan->slot_bytes * (size_t)plan->slot_images, threads = (size_t)plan->threads;
    const size_t shares = plan->inference ? threads : 1; /* in training one step runs at a time */
    memory->activations = plan->activations_bytes + slots;
    memory->gradients = plan->grads_bytes;
    memory->packed = plan->packed_bytes + plan->params_bytes;
    memory->scratch = plan->scratch_bytes * threads + plan->shared_bytes * shares;
    memory->total = memory->activations + memory->gradients + memory->packed + memory->scratch;
    if (limit && memory->total > limit) {
        char needed[32], activations[32], allowed[32];
        put_amount(needed, sizeof needed, memory->total);
        put_amount(activations, sizeof activations, memory->activations);
        put_amount(allowed, sizeof allowed, limit);
        struct dio_place place = {.hint = "lower --batch-size"};
        return dio_fail(plan->ctx, DIO_ERR_ENV, "E3", &place, "out of memory: %s for a batch of %lld (%s of them activations), limit %s",
                        needed, (long long)plan->batch, activations, allowed);
    }
    dio_status status = DIO_OK;
    plan->activations = block(plan, plan->activations_bytes, "activations", &status);
    plan->slots = block(plan, slots, "activations", &status);
    plan->packed = block(plan, plan->packed_bytes, "packed weights", &status);
    plan->params = block(plan, plan->params_bytes, "weights of a plan", &status);
    plan->grads = block(plan, plan->grads_bytes, "gradients", &status);
    plan->scratch = block(plan, plan->scratch_bytes * threads, "scratch memory", &status);
    plan->shared = block(plan, plan->shared_bytes * shares, "scratch memory", &status);
    for (int i = 0; status == DIO_OK && i < plan->n_steps; i++) {
        struct dio_plan_step *slot = &plan->steps[i];
        slot->step.packed = slot->step.packed_bytes ? plan->packed + slot->packed_offset : NULL;
        slot->step.shared = slot->step.shared_bytes ? plan->shared : NULL;
    }
    return status;
}
