#include "train/optimizer.h"

#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/threads.h"

#define DIO_ENTRY_schedule(name)
#define DIO_ENTRY(name, kind) DIO_ENTRY_##kind(name)
#define DIO_ENTRY_optimizer(name) extern const struct dio_optimizer dio_optimizer_##name;
#include "train/list.def"
#undef DIO_ENTRY_optimizer
#define DIO_ENTRY_optimizer(name) &dio_optimizer_##name,
const struct dio_optimizer *const dio_optimizers[] = {
#include "train/list.def"
    NULL};

enum { SPAN = 1 << 14 };

const struct dio_optimizer *dio_optimizer_find(const char *name)
{
    for (int i = 0; dio_optimizers[i]; i++) {
        if (strcmp(dio_optimizers[i]->name, name) == 0) return dio_optimizers[i];
    }
    return NULL;
}

static bool learns(const struct dio_param *param)
{
    return param->role == DIO_PARAM_TRAINED && param->trainable;
}

dio_status dio_optimizer_start(struct dio_ctx *ctx, const struct dio_optimizer *optimizer,
                               const struct dio_optimizer_settings *settings, const struct dio_graph *graph,
                               struct dio_optimizer_state *state)
{
    dio_status status = DIO_OK;
    *state = (struct dio_optimizer_state){.optimizer = optimizer, .settings = *settings};
    uint64_t floats = 0;
    for (int i = 0; i < graph->n_params; i++) {
        if (!learns(&graph->params[i])) continue;
        state->count++;
        floats += (uint64_t)dio_shape_elements(&graph->params[i].shape);
    }
    size_t slots = (size_t)optimizer->slots, bytes = 0;
    if (!dio_mul_size(floats, slots * sizeof(float), &bytes)) {
        return dio_fail(ctx, DIO_ERR_ENV, "E3", NULL, "optimizer state is too large");
    }
    state->block_floats = (size_t)floats * slots;
    state->params = dio_alloc_array(ctx, (size_t)state->count, sizeof *state->params, "optimizer");
    state->slots = dio_alloc_array(ctx, (size_t)state->count * slots, sizeof *state->slots, "optimizer");
    state->block = dio_alloc_aligned(ctx, bytes, "optimizer state");
    if (!state->params || !state->slots || !state->block) DIO_TRY(DIO_ERR_ENV);
    memset(state->block, 0, bytes);
    float *next = state->block;
    for (int i = 0, n = 0; i < graph->n_params; i++) {
        if (!learns(&graph->params[i])) continue;
        state->params[n] = i;
        for (size_t s = 0; s < slots; s++) {
            state->slots[(size_t)n * slots + s] = next;
            next += dio_shape_elements(&graph->params[i].shape);
        }
        n++;
    }
    return DIO_OK;
fail:
    dio_optimizer_end(ctx, state);
    return status;
}

void dio_optimizer_end(struct dio_ctx *ctx, struct dio_optimizer_state *state)
{
    dio_free(ctx, state->params);
    dio_free(ctx, state->slots);
    dio_free(ctx, state->block);
    *state = (struct dio_optimizer_state){0};
}

struct job {
    struct dio_optimizer_state *state;
    const struct dio_graph *graph;
    struct dio_plan *plan;
    double lr;
};

bool dio_optimizer_decays(const struct dio_param *param)
{
    return param->shape.rank > 1 && !param->added;
}

static int64_t spans_of(const struct dio_param *param)
{
    return (dio_shape_elements(&param->shape) + SPAN - 1) / SPAN;
}

static void run_span(void *arg, int64_t piece, int thread)
{
    (void)thread;
    const struct job *job = arg;
    const struct dio_optimizer_state *state = job->state;
    int i = 0;
    while (piece >= spans_of(&job->graph->params[state->params[i]])) {
        piece -= spans_of(&job->graph->params[state->params[i]]);
        i++;
    }
    const struct dio_param *param = &job->graph->params[state->params[i]];
    const float *grad = dio_plan_grad(job->plan, state->params[i]);
    if (!grad) return; /* not reached: no step, no decay */
    int64_t elements = dio_shape_elements(&param->shape), begin = piece * SPAN;
    struct dio_optimizer_span span = {
        .param = (float *)param->data + begin,
        .grad = grad + begin,
        .count = elements - begin < SPAN ? elements - begin : SPAN,
        .lr = job->lr,
        .weight_decay = dio_optimizer_decays(param) || state->settings.decay_1d ? state->settings.weight_decay : 0,
        .t = state->t,
    };
    for (int s = 0; s < state->optimizer->slots; s++) {
        span.slot[s] = state->slots[i * state->optimizer->slots + s] + begin;
    }
    state->optimizer->step(&state->settings, &span);
}

void dio_optimizer_apply(struct dio_team *team, struct dio_optimizer_state *state, const struct dio_graph *graph,
                         struct dio_plan *plan, double lr)
{
    struct job job = {state, graph, plan, lr};
    int64_t pieces = 0;
    for (int i = 0; i < state->count; i++) pieces += spans_of(&graph->params[state->params[i]]);
    state->t++;
    dio_team_for(team, pieces, run_span, &job);
    dio_plan_weights_changed(plan);
}
