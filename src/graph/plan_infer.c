/* The inference plan.
 *
 * A run takes its images in chunks, so that memory does not grow with the batch.  In a chunk the first steps, whose
 * weights are small beside their activations, run depth first: a thread takes an image (or a few) through all of them
 * with buffers of its own.  The steps behind them, whose weights are large, run one after another over the whole chunk, so
 * that weights are fetched once.  With too few images to share among the threads all steps run one after another, cut
 * inside.  Operators compute each image by itself, so the choice does not show in the bits. */
#include <string.h>

#include "base/clock.h"
#include "graph/passes.h"
#include "graph/plan_internal.h"

enum { CHUNK = 16, MAX_GROUP = 8, USUAL_L2 = 1 << 20 };

/* ---- preparing ---- */

static dio_status rewrite(struct dio_graph *graph, const int *inputs, int n_inputs, const int *outputs, int n_outputs,
                          const struct dio_plan_options *options)
{
    DIO_PASS(dio_pass_cut(graph, inputs, n_inputs, outputs, n_outputs));
    DIO_PASS(dio_pass_remove_idle(graph));
    if (!options->no_fusion) {
        const bool keep_values = options->keep_values || options->precision == DIO_PRECISION_INT8;
        if (!keep_values) DIO_PASS(dio_pass_select_early(graph));
        DIO_PASS(dio_pass_fold_norm(graph));
        DIO_PASS(dio_pass_fuse_add(graph, false));
        DIO_PASS(dio_pass_fuse_activation(graph, false));
        if (!keep_values && !options->exact && options->precision == DIO_PRECISION_F32) DIO_PASS(dio_pass_squeeze(graph));
    }
    if (options->precision == DIO_PRECISION_INT8 && options->ranges) dio_pass_int8(graph, options->ranges);
    if (options->precision == DIO_PRECISION_BF16 || options->precision == DIO_PRECISION_INT8) dio_pass_bf16(graph);
    return DIO_OK;
}

static dio_status add_steps(struct dio_plan *plan, const struct dio_graph *graph, const struct dio_plan_options *options)
{
    const struct dio_step_flags flags = {.mode = DIO_MODE_INFER, .exact = options->exact, .precision = options->precision};
    const struct dio_step_wants wants = {0};
    for (int i = 0; i < graph->n_nodes; i++) {
        if (dio_cancelled(plan->ctx)) return DIO_CANCELLED;
        DIO_PASS(dio_plan_add_step(plan, graph, &graph->nodes[i], &flags, &wants));
    }
    return dio_plan_size_steps(plan, graph);
}

static size_t weight_bytes(const struct dio_plan_step *slot)
{
    size_t bytes = slot->step.packed_bytes;
    for (int i = 0; i < slot->step.n_params; i++) {
        if (!slot->step.packs_param[i]) bytes += (size_t)dio_shape_elements(&slot->step.param_shape[i]) * sizeof(float);
    }
    return bytes;
}

/* How many steps from the first on have weights that are small beside their activations, or that a third-level cache holds
 * with those of the steps around them, whence they come fast enough for one image. */
static void choose_depth(struct dio_plan *plan)
{
    size_t l2 = plan->ctx->cpu.l2 ? plan->ctx->cpu.l2 : USUAL_L2;
    for (; plan->n_deep < plan->n_steps; plan->n_deep++) {
        const struct dio_plan_step *slot = &plan->steps[plan->n_deep];
        size_t activations = plan->values[slot->outputs[0]].image_bytes;
        for (int i = 0; i < slot->step.n_inputs; i++) activations += plan->values[slot->inputs[i]].image_bytes;
        size_t weights = weight_bytes(slot);
        if (weights > l2 * 5 / 2 && weights > activations) break;
    }
    if (plan->n_deep < 2) plan->n_deep = 0;
}

static void see(struct dio_plan_value *value, int moment)
{
    if (moment < value->first) value->first = moment;
    if (moment > value->last) value->last = moment;
}

/* A chain reads what lies before it until its last row is written. */
static void see_chains(struct dio_plan *plan)
{
    for (int i = 0; i < plan->n_steps; i++) {
        const int last = i + plan->steps[i].chain - 1;
        for (int k = i; k < last; k++) {
            for (int j = 0; j < plan->steps[k].step.n_inputs; j++) see(&plan->values[plan->steps[k].inputs[j]], last);
        }
        for (int j = 0; j < plan->steps[last].step.n_outputs; j++) see(&plan->values[plan->steps[last].outputs[j]], i);
    }
}

/* Values that only deep steps touch are local to a thread; the others outlive the deep part as a whole. */
static void settle_values(struct dio_plan *plan)
{
    for (int i = 0; i < plan->n_steps; i++) {
        const struct dio_plan_step *slot = &plan->steps[i];
        for (int j = 0; j < slot->step.n_inputs + slot->step.n_outputs; j++) {
            bool reads = j < slot->step.n_inputs;
            struct dio_plan_value *value = &plan->values[reads ? slot->inputs[j] : slot->outputs[j - slot->step.n_inputs]];
            see(value, i);
            if (value->home == DIO_HOME_NONE) value->home = DIO_HOME_SHARED;
        }
    }
    see_chains(plan);
    for (int i = 0; i < plan->n_values; i++) {
        struct dio_plan_value *value = &plan->values[i];
        if (value->home == DIO_HOME_SHARED && value->last < plan->n_deep) value->home = DIO_HOME_LOCAL;
        if (value->home == DIO_HOME_SHARED && value->first < plan->n_deep) value->first = 0;
    }
    for (int i = 0; i < plan->n_outputs; i++) {
        struct dio_plan_value *value = &plan->values[plan->outputs[i]];
        if (value->home == DIO_HOME_INPUT || value->home == DIO_HOME_OUTPUT) continue; /* copied when a run ends */
        value->home = DIO_HOME_OUTPUT;
        value->index = i;
    }
    for (int i = 0; i < plan->n_inputs; i++) {
        plan->values[plan->inputs[i]].home = DIO_HOME_INPUT;
        plan->values[plan->inputs[i]].index = i;
    }
}

static dio_status place_values(struct dio_plan *plan)
{
    settle_values(plan);
    dio_plan_share_memory(plan);
    DIO_PASS(dio_plan_place(plan, DIO_HOME_LOCAL, 1, NULL, 0, &plan->slot_bytes));
    DIO_PASS(dio_plan_place(plan, DIO_HOME_SHARED, plan->chunk, NULL, 0, &plan->activations_bytes));

    size_t l2 = plan->ctx->cpu.l2 ? plan->ctx->cpu.l2 : USUAL_L2;
    int64_t threads = plan->threads, fitting = (int64_t)(l2 / 2 / (plan->slot_bytes ? plan->slot_bytes : 1));
    int64_t share = (plan->chunk + threads - 1) / threads;
    plan->group = fitting < 1 ? 1 : fitting > MAX_GROUP ? MAX_GROUP : fitting;
    if (plan->group > share) plan->group = share;
    int64_t by_layers = 2 * threads - 1 < plan->chunk ? 2 * threads - 1 : plan->chunk;
    plan->slot_images = threads * plan->group > by_layers ? threads * plan->group : by_layers;
    return DIO_OK;
}

struct scaling {
    const struct dio_param *param;
    float *out;
};

static void scale_row(void *arg, int64_t k, int thread)
{
    (void)thread;
    const struct scaling *job = arg;
    const float *in = job->param->data;
    const double scale = job->param->row_scale[k];
    const int64_t each = dio_shape_elements(&job->param->shape) / job->param->shape.dims[0];
    for (int64_t i = k * each; i < (k + 1) * each; i++) job->out[i] = (float)(in[i] * scale);
}

static dio_status room_for_scaling(struct dio_ctx *ctx, const struct dio_graph *graph, float **room)
{
    size_t most = 0;
    for (int i = 0; i < graph->n_params; i++) {
        const struct dio_param *param = &graph->params[i];
        const size_t elements = param->row_scale ? (size_t)dio_shape_elements(&param->shape) : 0;
        if (elements > most) most = elements;
    }
    *room = dio_alloc_array(ctx, most, sizeof **room, "weights to fold batch norms into");
    return *room ? DIO_OK : DIO_ERR_ENV;
}

/* What a step reads beside its packed weights becomes the plan's own. */
static unsigned char *copy_params(struct dio_plan_step *slot, const struct dio_graph *graph, unsigned char *at)
{
    for (int p = 0; p < slot->step.n_params; p++) {
        size_t bytes = 0;
        dio_shape_bytes(&slot->step.param_shape[p], graph->params[slot->params[p]].dtype, &bytes);
        if (slot->step.packs_param[p] || !slot->step.param[p]) continue;
        memcpy(at, slot->step.param[p], bytes);
        slot->step.param[p] = at;
        at += dio_buffer_round(bytes);
    }
    return at;
}

/* One step after another, so that beside the plan's own weights there is one scaled tensor, and few pages of a file. */
static dio_status take_weights(struct dio_plan *plan, const struct dio_graph *graph)
{
    float *room;
    DIO_PASS(room_for_scaling(plan->ctx, graph, &room));
    unsigned char *at = plan->params;
    for (int i = 0; i < plan->n_steps; i++) {
        struct dio_plan_step *slot = &plan->steps[i];
        const struct dio_param *weight = slot->step.n_params > 0 ? &graph->params[slot->params[0]] : NULL;
        if (weight && weight->row_scale) {
            struct scaling job = {weight, room};
            dio_team_for(plan->team, weight->shape.dims[0], scale_row, &job);
            slot->step.param[0] = room;
        }
        dio_plan_pack_step(plan, slot);
        at = copy_params(slot, graph, at);
        for (int p = 0; p < slot->step.n_params; p++) {
            const struct dio_param *param = &graph->params[slot->params[p]];
            size_t bytes;
            if (param->mapped && dio_shape_bytes(&param->shape, param->dtype, &bytes)) dio_drop_pages(param->data, bytes);
        }
    }
    dio_free(plan->ctx, room);
    return DIO_OK;
}

static dio_status copy_deep_steps(struct dio_plan *plan)
{
    size_t count = (size_t)plan->threads * (size_t)plan->n_deep;
    plan->deep_steps = dio_alloc_array(plan->ctx, count, sizeof *plan->deep_steps, "the steps of a plan");
    if (!plan->deep_steps) return DIO_ERR_ENV;
    for (int thread = 0; thread < plan->threads; thread++) {
        for (int i = 0; i < plan->n_deep; i++) {
            struct dio_step *copy = &plan->deep_steps[thread * plan->n_deep + i];
            *copy = plan->steps[i].step;
            copy->data_blocks = NULL;
            copy->alone = true;
            if (copy->shared) copy->shared = plan->shared + plan->shared_bytes * (size_t)thread;
        }
    }
    return DIO_OK;
}

static void forget_packed(struct dio_plan *plan)
{
    for (int i = 0; i < plan->n_steps; i++) {
        struct dio_step *step = &plan->steps[i].step;
        for (int p = 0; p < step->n_params; p++) {
            if (step->packs_param[p]) step->param[p] = NULL;
        }
    }
}

static dio_status build(struct dio_plan *plan, const struct dio_graph *graph, const struct dio_plan_options *options)
{
    plan->inference = true;
    if (plan->chunk > CHUNK) plan->chunk = CHUNK;
    plan->n_inputs = graph->n_inputs;
    plan->n_outputs = graph->n_outputs;
    memcpy(plan->inputs, graph->inputs, sizeof plan->inputs);
    memcpy(plan->outputs, graph->outputs, sizeof plan->outputs);
    DIO_PASS(add_steps(plan, graph, options));
    choose_depth(plan);
    dio_plan_choose_chains(plan);
    DIO_PASS(place_values(plan));
    DIO_PASS(dio_plan_allocate(plan, options->memory_limit));
    DIO_PASS(take_weights(plan, graph));
    forget_packed(plan);
    return copy_deep_steps(plan);
}

dio_status dio_plan_infer(struct dio_ctx *ctx, const struct dio_graph *graph, const int *inputs, int n_inputs,
                          const int *outputs, int n_outputs, const struct dio_plan_options *options,
                          struct dio_plan **plan)
{
    *plan = NULL;
    struct dio_graph *own;
    DIO_PASS(dio_graph_clone(graph, &own));
    own->ctx = ctx;
    if (options->precision == DIO_PRECISION_BF16 && ctx->kernels && ctx->kernels->slot_isa[DIO_SLOT_gemm_rows_bf16] < DIO_ISA_bf16) {
        dio_say(ctx, DIO_LEVEL_NOTE, NULL, NULL, "bf16: level %s has no bf16 products; numbers are widened to f32, which is no faster",
                dio_isa_name(ctx->kernels->level));
    }
    if (options->precision == DIO_PRECISION_BF16X3 && ctx->kernels && ctx->kernels->slot_isa[DIO_SLOT_gemm_rows_bf16] < DIO_ISA_amx) {
        dio_say(ctx, DIO_LEVEL_NOTE, NULL, NULL, "bf16x3: level %s has no AMX tiles; three products of halves take longer than one of f32",
                dio_isa_name(ctx->kernels->level));
    }
    dio_status status = rewrite(own, inputs, n_inputs, outputs, n_outputs, options);
    if (status == DIO_OK) status = dio_plan_new(ctx, own, options->batch, plan);
    if (status == DIO_OK) status = build(*plan, own, options);
    dio_graph_free(own);
    if (status != DIO_OK) {
        dio_plan_free(*plan);
        *plan = NULL;
    }
    return status;
}

/* ---- running ---- */

/* Where a thread finds image `image` (of the chunk) of a value. */
static void *deep_address(const struct dio_plan *plan, int index, int64_t image, int thread)
{
    const struct dio_plan_value *value = &plan->values[index];
    size_t bytes = value->image_bytes;
    switch (value->home) {
    case DIO_HOME_LOCAL:
        return plan->slots + (plan->slot_bytes * (size_t)thread + value->offset) * (size_t)plan->group;
    case DIO_HOME_SHARED: return plan->activations + value->offset + (size_t)image * bytes;
    case DIO_HOME_INPUT: return (unsigned char *)plan->in[value->index] + (size_t)(plan->chunk_begin + image) * bytes;
    case DIO_HOME_OUTPUT: return (unsigned char *)plan->out[value->index] + (size_t)(plan->chunk_begin + image) * bytes;
    case DIO_HOME_NONE: break;
    }
    return NULL;
}

/* The same when the whole chunk goes through a step together. */
static void *wide_address(const struct dio_plan *plan, int index)
{
    const struct dio_plan_value *value = &plan->values[index];
    if (value->home == DIO_HOME_LOCAL) return plan->slots + value->offset * (size_t)plan->slot_images;
    return deep_address(plan, index, 0, 0);
}

static void run_deep_piece(void *arg, int64_t piece, int thread)
{
    const struct dio_plan *plan = arg;
    int64_t begin = piece * plan->piece_images, left = plan->chunk_images - begin;
    void *scratch = plan->scratch + plan->scratch_bytes * (size_t)thread;
    struct dio_step *steps = &plan->deep_steps[thread * plan->n_deep];
    for (int i = 0; i < plan->n_deep; i++) {
        const struct dio_plan_step *slot = &plan->steps[i];
        struct dio_step *step = &steps[i];
        step->n = left < plan->piece_images ? left : plan->piece_images;
        for (int j = 0; j < step->n_inputs; j++) step->x[j] = deep_address(plan, slot->inputs[j], begin, thread);
        for (int j = 0; j < step->n_outputs; j++) step->y[j] = deep_address(plan, slot->outputs[j], begin, thread);
    }
    for (int i = 0; i < plan->n_deep; i += plan->steps[i].chain) {
        const struct dio_step *step = &steps[i];
        if (plan->steps[i].chain > 1) {
            const struct dio_step *chain[DIO_CHAIN_MAX];
            for (int k = 0; k < plan->steps[i].chain; k++) chain[k] = &steps[i + k];
            for (int64_t image = 0; image < step->n; image++) dio_chain_run_image(plan, chain, plan->steps[i].chain, image, scratch);
            continue;
        }
        for (int phase = 0; phase < step->n_forward; phase++) {
            int64_t pieces = step->forward[phase].pieces(step);
            for (int64_t p = 0; p < pieces; p++) step->forward[phase].run(step, p, scratch);
        }
    }
}

static void bind_wide(struct dio_plan *plan, int i)
{
    struct dio_plan_step *slot = &plan->steps[i];
    slot->step.n = plan->chunk_images;
    for (int j = 0; j < slot->step.n_inputs; j++) slot->step.x[j] = wide_address(plan, slot->inputs[j]);
    for (int j = 0; j < slot->step.n_outputs; j++) slot->step.y[j] = wide_address(plan, slot->outputs[j]);
}

static void run_chain_piece(void *arg, int64_t piece, int thread)
{
    const struct dio_phase_call *call = arg;
    const struct dio_plan *plan = call->plan;
    const struct dio_plan_step *first = (const struct dio_plan_step *)(const void *)((const char *)call->step - offsetof(struct dio_plan_step, step));
    const struct dio_step *steps[DIO_CHAIN_MAX];
    for (int k = 0; k < first->chain; k++) steps[k] = &first[k].step;
    dio_chain_run(plan, steps, first->chain, piece, plan->scratch + plan->scratch_bytes * (size_t)thread);
}

static void run_chunk(struct dio_plan *plan)
{
    size_t count = 0;
    int64_t n = plan->chunk_images, threads = plan->threads;
    int first_wide = 0;
    if (plan->n_deep && (n == threads || n >= 2 * threads)) {
        int64_t share = n / threads;
        plan->piece_images = share < plan->group ? share : plan->group;
        plan->phases[count++] = (struct dio_phase){run_deep_piece, plan, (n + plan->piece_images - 1) / plan->piece_images};
        first_wide = plan->n_deep;
    }
    for (int i = first_wide; i < plan->n_steps; i++) bind_wide(plan, i);
    for (int i = first_wide; i < plan->n_steps; i += plan->steps[i].chain) {
        const struct dio_plan_step *slot = &plan->steps[i];
        if (slot->chain == 1) {
            dio_plan_list(plan, &slot->step, slot->step.forward, slot->step.n_forward, &count);
            continue;
        }
        plan->calls[count] = (struct dio_phase_call){plan, &slot->step, NULL};
        plan->phases[count] = (struct dio_phase){run_chain_piece, &plan->calls[count], dio_chain_pieces(&plan->steps[i + slot->chain - 1].step)};
        count++;
    }
    dio_team_run(plan->team, plan->phases, count);
}

/* Outputs that are inputs, or were asked for twice. */
static void copy_outputs(const struct dio_plan *plan, int64_t n)
{
    for (int i = 0; i < plan->n_outputs; i++) {
        const struct dio_plan_value *value = &plan->values[plan->outputs[i]];
        if (value->home == DIO_HOME_OUTPUT && value->index == i) continue;
        const void *from = value->home == DIO_HOME_OUTPUT ? plan->out[value->index] : plan->in[value->index];
        memcpy(plan->out[i], from, (size_t)n * value->image_bytes);
    }
}

void dio_plan_run(struct dio_plan *plan, int64_t n, const void *const *in, void *const *out)
{
    plan->in = in;
    plan->out = out;
    for (plan->chunk_begin = 0; plan->chunk_begin < n; plan->chunk_begin += plan->chunk) {
        plan->chunk_images = n - plan->chunk_begin < plan->chunk ? n - plan->chunk_begin : plan->chunk;
        run_chunk(plan);
    }
    copy_outputs(plan, n);
}

static void widen_range(struct dio_value_range *range, const float *numbers, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (numbers[i] < range->low) range->low = numbers[i];
        if (numbers[i] > range->high) range->high = numbers[i];
    }
}

void dio_plan_observe(struct dio_plan *plan, int64_t n, const void *const *in, void *const *out, struct dio_value_range *ranges)
{
    plan->in = in;
    plan->out = out;
    const int64_t most = plan->slot_images < plan->chunk ? plan->slot_images : plan->chunk;
    for (int i = 0; i < plan->n_inputs; i++) {
        widen_range(&ranges[plan->inputs[i]], in[i], n * (int64_t)(plan->values[plan->inputs[i]].image_bytes / sizeof(float)));
    }
    for (plan->chunk_begin = 0; plan->chunk_begin < n; plan->chunk_begin += most) {
        plan->chunk_images = n - plan->chunk_begin < most ? n - plan->chunk_begin : most;
        for (int i = 0; i < plan->n_steps; i++) {
            const struct dio_plan_step *slot = &plan->steps[i];
            size_t count = 0;
            bind_wide(plan, i);
            dio_plan_list(plan, &slot->step, slot->step.forward, slot->step.n_forward, &count);
            dio_team_run(plan->team, plan->phases, count);
            for (int j = 0; j < slot->step.n_outputs; j++) {
                const int64_t each = (int64_t)(plan->values[slot->outputs[j]].image_bytes / sizeof(float));
                if (slot->step.out[j].dtype == DIO_F32) widen_range(&ranges[slot->outputs[j]], slot->step.y[j], plan->chunk_images * each);
            }
        }
    }
}

void dio_plan_time_infer(struct dio_plan *plan, int64_t n, const void *const *in, void *const *out, double *seconds)
{
    plan->in = in;
    plan->out = out;
    int64_t most = plan->slot_images < plan->chunk ? plan->slot_images : plan->chunk;
    for (plan->chunk_begin = 0; plan->chunk_begin < n; plan->chunk_begin += most) {
        plan->chunk_images = n - plan->chunk_begin < most ? n - plan->chunk_begin : most;
        for (int i = 0; i < plan->n_steps; i++) {
            size_t count = 0;
            bind_wide(plan, i);
            dio_plan_list(plan, &plan->steps[i].step, plan->steps[i].step.forward, plan->steps[i].step.n_forward, &count);
            double start = dio_clock_seconds();
            dio_team_run(plan->team, plan->phases, count);
            seconds[i] += dio_clock_seconds() - start;
        }
    }
}
