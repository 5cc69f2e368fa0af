/* What is asked of any plan, and how the thread team is handed its phases. */
#include "graph/plan.h"

#include <string.h>

#include "graph/plan_internal.h"

void dio_plan_free(struct dio_plan *plan)
{
    if (!plan) return;
    struct dio_ctx *ctx = plan->ctx;
    for (int i = 0; plan->steps && i < plan->n_steps; i++) dio_step_free_data(ctx, &plan->steps[i].step);
    dio_free(ctx, plan->steps);
    dio_free(ctx, plan->values);
    dio_free(ctx, plan->activations);
    dio_free(ctx, plan->packed);
    dio_free(ctx, plan->params);
    dio_free(ctx, plan->shared);
    dio_free(ctx, plan->scratch);
    dio_free(ctx, plan->grads);
    dio_free(ctx, plan->phases);
    dio_free(ctx, plan->calls);
    dio_free(ctx, plan->slots);
    dio_free(ctx, plan->deep_steps);
    dio_free(ctx, plan->param_grad);
    dio_arena_free(&plan->arena);
    dio_free(ctx, plan);
}

struct dio_plan_memory dio_plan_memory(const struct dio_plan *plan) { return plan->memory; }

int dio_plan_steps(const struct dio_plan *plan) { return plan->n_steps; }

void dio_plan_step(const struct dio_plan *plan, int i, struct dio_plan_step_info *info)
{
    const struct dio_plan_step *slot = &plan->steps[i];
    *info = (struct dio_plan_step_info){
        .name = slot->name, .op = slot->step.op->name,
        .path = slot->step.op->path ? slot->step.op->path(&slot->step) : "", .in = slot->step.in[0], .out = slot->step.out[0], .macs = slot->macs,
        .packed_bytes = slot->step.packed_bytes, .saved_bytes = slot->step.saved_bytes, .fused = slot->fused, .stage = slot->stage,
        .precision = slot->step.precision, .chain = slot->chain, .depth_first = plan->inference && i < plan->n_deep};
}

/* ---- phases ---- */

static void run_piece(void *arg, int64_t piece, int thread)
{
    const struct dio_phase_call *call = arg;
    call->run(call->step, piece, call->plan->scratch + call->plan->scratch_bytes * (size_t)thread);
}

void dio_plan_list(struct dio_plan *plan, const struct dio_step *step, const struct dio_op_phase *phases, int n, size_t *count)
{
    for (int i = 0; i < n; i++) {
        int64_t pieces = phases[i].pieces(step);
        if (pieces <= 0) continue;
        struct dio_phase_call *call = &plan->calls[*count];
        *call = (struct dio_phase_call){plan, step, phases[i].run};
        plan->phases[(*count)++] = (struct dio_phase){run_piece, call, pieces};
    }
}

void dio_plan_pack_step(struct dio_plan *plan, const struct dio_plan_step *slot)
{
    size_t count = 0;
    dio_plan_list(plan, &slot->step, slot->step.pack, slot->step.n_pack, &count);
    dio_team_run(plan->team, plan->phases, count);
}

void dio_plan_pack(struct dio_plan *plan, bool trained_only)
{
    for (int i = 0; i < plan->n_steps; i++) {
        if (!trained_only || plan->steps[i].repack) dio_plan_pack_step(plan, &plan->steps[i]);
    }
}

void dio_plan_time(struct dio_plan *plan, int64_t n, const void *const *in, void *const *out, double *seconds)
{
    memset(seconds, 0, (size_t)plan->n_steps * sizeof *seconds);
    dio_plan_time_infer(plan, n, in, out, seconds);
}
