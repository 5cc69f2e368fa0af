#include "ops/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/str.h"
#include "tensor/convert.h"

enum { GUARD = 256, GUARD_BYTE = 0xA5, POISON = 0xFF /* NaNs */ };

float op_number(uint32_t stream, uint64_t i)
{
    uint32_t h = stream * 0x9E3779B1u + (uint32_t)i * 0x85EBCA77u + 0x165667B1u;
    h = (h ^ h >> 15) * 0x2C1B3C6Du;
    h = (h ^ h >> 12) * 0x297A2D39u;
    h ^= h >> 15;
    return (float)(h >> 8) / 8388608.0f - 1.0f;
}

int64_t op_elements(const struct dio_shape *shape, int64_t n)
{
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) count *= i == 0 ? n : shape->dims[i];
    return count;
}

/* ---- guarded memory ---- */

static void *guarded(struct dio_ctx *ctx, size_t bytes)
{
    size_t whole = bytes + 2 * GUARD;
    unsigned char *base = dio_alloc_aligned(ctx, whole + 64, "a test");
    if (!base) return NULL;
    memcpy(base, &bytes, sizeof bytes);
    memset(base + 64, GUARD_BYTE, GUARD - 64);
    memset(base + GUARD, POISON, bytes);
    memset(base + GUARD + bytes, GUARD_BYTE, GUARD);
    return base + GUARD;
}

static bool intact(const void *block)
{
    const unsigned char *base = (const unsigned char *)block - GUARD;
    size_t bytes;
    memcpy(&bytes, base, sizeof bytes);
    for (size_t i = 64; i < GUARD; i++) {
        if (base[i] != GUARD_BYTE) return false;
    }
    for (size_t i = 0; i < GUARD; i++) {
        if (base[GUARD + bytes + i] != GUARD_BYTE) return false;
    }
    return true;
}

static void release(struct dio_ctx *ctx, void *block)
{
    if (block) dio_free(ctx, (unsigned char *)block - GUARD);
}

/* ---- case lines ---- */

static dio_status parse_inputs(struct op_case *c, const char *text, size_t length)
{
    const char *end = text + length;
    struct dio_op_shapes *shapes = &c->shapes;
    while (text < end) {
        struct dio_value_type *type = &shapes->inputs[shapes->n_inputs++];
        *type = (struct dio_value_type){.dtype = DIO_F32};
        if (*text == 'i') {
            type->dtype = DIO_I32;
            text++;
        }
        for (;;) {
            char *after;
            type->shape.dims[type->shape.rank++] = strtoll(text, &after, 10);
            text = after;
            if (text >= end || *text != 'x') break;
            text++;
        }
        if (text < end && *text++ != ',') return DIO_ERR_INTERNAL;
    }
    c->batch = shapes->inputs[0].shape.dims[0];
    return DIO_OK;
}

static dio_status parse_line(struct op_case *c)
{
    const char *end = strchr(c->line, '#');
    if (!end) end = c->line + strlen(c->line);
    const char *at = c->line;
    size_t used = 0;
    while (at < end) {
        size_t length = strcspn(at, " ");
        if (at + length > end) length = (size_t)(end - at);
        if (length > 3 && memcmp(at, "in=", 3) == 0) {
            DIO_PASS(parse_inputs(c, at + 3, length - 3));
        } else if (length > 0 && used + length + 2 < sizeof c->attrs_text) {
            memcpy(c->attrs_text + used, at, length);
            used += length;
            c->attrs_text[used++] = ' ';
        }
        at += length;
        while (at < end && *at == ' ') at++;
    }
    return c->shapes.n_inputs > 0 ? DIO_OK : DIO_ERR_INTERNAL;
}

static dio_status fill_inputs(struct op_case *c)
{
    int64_t classes = c->shapes.inputs[0].shape.dims[c->shapes.inputs[0].shape.rank - 1];
    for (int i = 0; i < c->shapes.n_inputs; i++) {
        int64_t count = op_elements(&c->shapes.inputs[i].shape, c->batch);
        c->x[i] = dio_alloc_aligned(c->ctx, (size_t)count * 4, "a test");
        if (!c->x[i]) return DIO_ERR_ENV;
        for (int64_t k = 0; k < count; k++) {
            float number = op_number(STREAM_INPUT + (uint32_t)i, (uint64_t)k);
            if (c->shapes.inputs[i].dtype == DIO_I32) {
                ((int32_t *)c->x[i])[k] = (int32_t)((double)(number + 1) / 2 * (double)classes);
            } else {
                ((float *)c->x[i])[k] = 4 * number;
            }
        }
    }
    return DIO_OK;
}

static dio_status fill_params(struct op_case *c)
{
    for (int i = 0; i < c->shapes.n_params; i++) {
        const struct dio_param_def *def = &c->shapes.params[i];
        int64_t count = dio_shape_elements(&def->shape);
        c->param[i] = dio_alloc_aligned(c->ctx, (size_t)count * 8, "a test");
        if (!c->param[i]) return DIO_ERR_ENV;
        if (def->role == DIO_PARAM_COUNTER) continue;
        for (int64_t k = 0; k < count; k++) {
            float number = op_number(STREAM_PARAM + (uint32_t)i, (uint64_t)k);
            ((float *)c->param[i])[k] = (def->init == DIO_INIT_ONE ? 1 : 0) + number / 2;
        }
    }
    return DIO_OK;
}

dio_status op_case_open(struct dio_ctx *ctx, const struct dio_op *op, const char *line, struct op_case *c)
{
    memset(c, 0, sizeof *c);
    c->ctx = ctx;
    c->op = op;
    c->line = line;
    struct dio_place place = {.part = op->name};
    DIO_PASS(parse_line(c));
    c->attrs = dio_alloc_zeroed(ctx, 1, op->attrs_size ? op->attrs_size : 1, "a test");
    if (!c->attrs) return DIO_ERR_ENV;
    DIO_PASS(dio_attrs_parse(ctx, op, &place, c->attrs_text, c->attrs));
    c->shapes.attrs = c->attrs;
    DIO_PASS(op->infer(ctx, &place, &c->shapes));
    DIO_PASS(fill_inputs(c));
    DIO_PASS(fill_params(c));
    for (int i = 0; i < c->shapes.n_outputs; i++) {
        int64_t count = op_elements(&c->shapes.outputs[i].shape, c->batch);
        c->dy[i] = dio_alloc_aligned(ctx, (size_t)count * sizeof(float), "a test");
        if (!c->dy[i]) return DIO_ERR_ENV;
        for (int64_t k = 0; k < count; k++) c->dy[i][k] = op_number(STREAM_DY + (uint32_t)i, (uint64_t)k);
    }
    return DIO_OK;
}

void op_case_close(struct op_case *c)
{
    for (int i = 0; i < DIO_OP_MAX_INPUTS; i++) dio_free(c->ctx, c->x[i]);
    for (int i = 0; i < DIO_OP_MAX_PARAMS; i++) dio_free(c->ctx, c->param[i]);
    for (int i = 0; i < DIO_OP_MAX_OUTPUTS; i++) dio_free(c->ctx, c->dy[i]);
    dio_free(c->ctx, c->attrs);
}

struct dio_step_wants op_wants_all(const struct op_case *c)
{
    struct dio_step_wants wants = {0};
    for (int i = 0; i < c->shapes.n_inputs; i++) {
        /* A loss has no gradient for its target, probabilities included. */
        wants.dx[i] = c->shapes.inputs[i].dtype == DIO_F32 && !(i > 0 && c->shapes.outputs[0].shape.rank == 0);
    }
    for (int i = 0; i < c->shapes.n_params; i++) wants.dparam[i] = c->shapes.params[i].role == DIO_PARAM_TRAINED;
    return wants;
}

bool op_has_training_mode(const struct op_case *c)
{
    if (c->op->only_in_training) return true;
    for (int i = 0; i < c->shapes.n_params; i++) {
        if (c->shapes.params[i].role == DIO_PARAM_STATISTIC) return true;
    }
    return false;
}

/* ---- a run ---- */

struct memory {
    void *packed, *saved, *shared, *scratch[64];
    uint16_t *x[DIO_OP_MAX_INPUTS], *y[DIO_OP_MAX_OUTPUTS]; /* values of bf16 */
};

struct call {
    const struct dio_step *step;
    dio_op_fn *run;
    struct memory *memory;
};

static void run_piece(void *arg, int64_t piece, int thread)
{
    const struct call *call = arg;
    memset(call->memory->scratch[thread], POISON, call->step->scratch_bytes);
    call->run(call->step, piece, call->memory->scratch[thread]);
}

static void run_phases(const struct op_run *run, struct dio_step *step, const struct dio_op_phase *phases, int n, struct memory *memory)
{
    for (int i = 0; i < n; i++) {
        struct call call = {step, phases[i].run, memory};
        dio_team_for(run->team, phases[i].pieces(step), run_piece, &call);
    }
}

static void set_up(const struct op_case *c, const struct op_run *run, struct dio_step *step)
{
    memset(step, 0, sizeof *step);
    step->op = c->op;
    step->attrs = c->attrs;
    step->kernels = run->kernels;
    step->mode = run->mode;
    step->train_stats = run->train_stats;
    step->exact = run->exact;
    step->n_inputs = c->shapes.n_inputs;
    step->n_outputs = c->shapes.n_outputs;
    step->n_params = c->shapes.n_params;
    memcpy(step->in, c->shapes.inputs, sizeof step->in);
    memcpy(step->out, c->shapes.outputs, sizeof step->out);
    step->precision = run->precision;
    for (int i = 0; run->bf16_in && i < step->n_inputs; i++) {
        if (step->in[i].dtype == DIO_F32) step->in[i].dtype = DIO_BF16;
    }
    for (int i = 0; run->bf16_out && i < step->n_outputs; i++) step->out[i].dtype = DIO_BF16;
    for (int i = 0; i < step->n_params; i++) {
        step->param_shape[i] = c->shapes.params[i].shape;
        step->param[i] = c->param[i];
    }
    step->n = run->n ? run->n : c->batch;
    step->seed = 7;
}

static dio_status book_bf16(const struct op_case *c, const struct op_run *run, struct dio_step *step, struct memory *memory,
                            const struct op_result *result)
{
    for (int i = 0; i < step->n_inputs; i++) {
        if (step->in[i].dtype != DIO_BF16) continue;
        const int64_t count = op_elements(&c->shapes.inputs[i].shape, c->batch);
        memory->x[i] = guarded(c->ctx, (size_t)count * sizeof(uint16_t));
        if (!memory->x[i]) return DIO_ERR_ENV;
        dio_convert_from_f32(memory->x[i], DIO_BF16, c->x[i], (size_t)count);
        step->x[i] = memory->x[i] + op_elements(&c->shapes.inputs[i].shape, run->first);
    }
    for (int i = 0; i < step->n_outputs; i++) {
        if (step->out[i].dtype != DIO_BF16) continue;
        step->y[i] = memory->y[i] = guarded(c->ctx, (size_t)result->y_count[i] * sizeof(uint16_t));
        if (!memory->y[i]) return DIO_ERR_ENV;
    }
    return DIO_OK;
}

static dio_status book(const struct op_case *c, const struct op_run *run, struct dio_step *step, struct memory *memory,
                       struct op_result *result)
{
    step->packed = memory->packed = step->packed_bytes ? guarded(c->ctx, step->packed_bytes) : NULL;
    step->saved = memory->saved = step->saved_bytes ? guarded(c->ctx, step->saved_bytes) : NULL;
    step->shared = memory->shared = step->shared_bytes ? guarded(c->ctx, step->shared_bytes) : NULL;
    if ((step->packed_bytes && !step->packed) || (step->saved_bytes && !step->saved) || (step->shared_bytes && !step->shared)) {
        return DIO_ERR_ENV;
    }
    for (int i = 0; i < dio_team_size(run->team); i++) {
        memory->scratch[i] = guarded(c->ctx, step->scratch_bytes);
        if (!memory->scratch[i]) return DIO_ERR_ENV;
    }
    for (int i = 0; i < step->n_inputs; i++) {
        step->x[i] = (const unsigned char *)c->x[i] + (size_t)op_elements(&c->shapes.inputs[i].shape, run->first) * 4;
    }
    for (int i = 0; i < step->n_outputs; i++) {
        result->y_count[i] = op_elements(&c->shapes.outputs[i].shape, step->n);
        step->y[i] = result->y[i] = guarded(c->ctx, (size_t)result->y_count[i] * sizeof(float));
        if (!result->y[i]) return DIO_ERR_ENV;
        step->dy[i] = c->dy[i] + (c->shapes.outputs[i].shape.rank ? op_elements(&c->shapes.outputs[i].shape, run->first) : 0);
    }
    DIO_PASS(book_bf16(c, run, step, memory, result));
    for (int i = 0; i < step->n_params; i++) {
        result->param_count[i] = dio_shape_elements(&c->shapes.params[i].shape);
        size_t bytes = (size_t)result->param_count[i] * (c->shapes.params[i].role == DIO_PARAM_COUNTER ? 8 : 4);
        step->param[i] = result->param_after[i] = guarded(c->ctx, bytes);
        if (!result->param_after[i]) return DIO_ERR_ENV;
        memcpy(result->param_after[i], c->param[i], bytes);
    }
    if (run->in_place && step->in_place && step->in[step->in_place_input].dtype == step->out[0].dtype) {
        const int from = step->in_place_input;
        memcpy(step->y[0], step->x[from], (size_t)result->y_count[0] * (step->out[0].dtype == DIO_BF16 ? sizeof(uint16_t) : sizeof(float)));
        step->x[from] = step->y[0];
        result->was_in_place = true;
    }
    return DIO_OK;
}

static dio_status book_gradients(const struct op_case *c, const struct op_run *run, struct dio_step *step, struct op_result *result)
{
    for (int i = 0; i < step->n_inputs; i++) {
        if (!run->wants.dx[i]) continue;
        result->dx_count[i] = op_elements(&c->shapes.inputs[i].shape, step->n);
        step->dx[i] = result->dx[i] = guarded(c->ctx, (size_t)result->dx_count[i] * sizeof(float));
        if (!step->dx[i]) return DIO_ERR_ENV;
        step->add_dx[i] = run->add;
        for (int64_t k = 0; run->add && k < result->dx_count[i]; k++) step->dx[i][k] = run->add_to;
        if (run->in_place && !run->add && step->dx_over_dy == DIO_OVER_DY + i) {
            memcpy(step->dx[i], step->dy[0], (size_t)result->dx_count[i] * sizeof(float));
            step->dy[0] = step->dx[i];
        }
    }
    for (int i = 0; i < step->n_params; i++) {
        if (!run->wants.dparam[i]) continue;
        step->dparam[i] = result->dparam[i] = guarded(c->ctx, (size_t)result->param_count[i] * sizeof(float));
        if (!step->dparam[i]) return DIO_ERR_ENV;
        step->add_dparam[i] = run->add;
        for (int64_t k = 0; run->add && k < result->param_count[i]; k++) step->dparam[i][k] = run->add_to;
    }
    return DIO_OK;
}

static const char *look_for_damage(const struct dio_step *step, const struct memory *memory, const struct op_result *result)
{
    const struct { const void *block; const char *name; } fixed[] = {
        {memory->packed, "packed"}, {memory->saved, "saved"}, {memory->shared, "shared"}};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        if (fixed[i].block && !intact(fixed[i].block)) return fixed[i].name;
    }
    for (int i = 0; i < 64; i++) {
        if (memory->scratch[i] && !intact(memory->scratch[i])) return "scratch";
    }
    for (int i = 0; i < step->n_outputs; i++) {
        if (!intact(result->y[i]) || (memory->y[i] && !intact(memory->y[i]))) return "output";
    }
    for (int i = 0; i < step->n_inputs; i++) {
        if (result->dx[i] && !intact(result->dx[i])) return "input gradient";
    }
    for (int i = 0; i < step->n_params; i++) {
        if (!intact(result->param_after[i])) return "parameter";
        if (result->dparam[i] && !intact(result->dparam[i])) return "parameter gradient";
    }
    return NULL;
}

static void run_all(struct op_run *run, struct dio_step *step, struct memory *memory)
{
    run_phases(run, step, step->pack, step->n_pack, memory);
    for (int i = 0; i < step->n_params; i++) {
        if (step->packs_param[i]) step->param[i] = NULL; /* it said that it reads the packed form alone */
    }
    double start = dio_clock_seconds();
    run_phases(run, step, step->forward, step->n_forward, memory);
    run->seconds_forward = dio_clock_seconds() - start;
    if (!run->backward) return;
    /* What the step did not ask for is not there any more. */
    for (int i = 0; !step->reads_x && i < step->n_inputs; i++) step->x[i] = NULL;
    for (int i = 0; !step->reads_y && i < step->n_outputs; i++) step->y[i] = NULL;
    if (step->shared) memset(step->shared, POISON, step->shared_bytes);
    start = dio_clock_seconds();
    run_phases(run, step, step->backward, step->n_backward, memory);
    run->seconds_backward = dio_clock_seconds() - start;
}

dio_status op_run(const struct op_case *c, struct op_run *run, struct op_result *result)
{
    memset(result, 0, sizeof *result);
    result->ctx = c->ctx;
    struct dio_step step;
    struct memory memory = {0};
    set_up(c, run, &step);
    dio_status status = c->op->prepare(c->ctx, &step, &run->wants);
    if (status == DIO_OK) status = book(c, run, &step, &memory, result);
    if (status == DIO_OK && run->backward) status = book_gradients(c, run, &step, result);
    if (status == DIO_OK) {
        run_all(run, &step, &memory);
        result->damage = look_for_damage(&step, &memory, result);
        for (int i = 0; i < step.n_outputs; i++) {
            if (memory.y[i]) dio_convert_to_f32(result->y[i], memory.y[i], DIO_BF16, (size_t)result->y_count[i]);
        }
    }
    dio_step_free_data(c->ctx, &step);
    release(c->ctx, memory.packed);
    release(c->ctx, memory.saved);
    release(c->ctx, memory.shared);
    for (int i = 0; i < DIO_OP_MAX_INPUTS; i++) release(c->ctx, memory.x[i]);
    for (int i = 0; i < DIO_OP_MAX_OUTPUTS; i++) release(c->ctx, memory.y[i]);
    for (int i = 0; i < 64; i++) release(c->ctx, memory.scratch[i]);
    if (status != DIO_OK) op_result_free(result);
    return status;
}

void op_result_free(struct op_result *result)
{
    for (int i = 0; i < DIO_OP_MAX_OUTPUTS; i++) release(result->ctx, result->y[i]);
    for (int i = 0; i < DIO_OP_MAX_INPUTS; i++) release(result->ctx, result->dx[i]);
    for (int i = 0; i < DIO_OP_MAX_PARAMS; i++) {
        release(result->ctx, result->dparam[i]);
        release(result->ctx, result->param_after[i]);
    }
    memset(result, 0, sizeof *result);
}

static bool same(const float *a, const float *b, int64_t count)
{
    return !a || !b || memcmp(a, b, (size_t)count * sizeof *a) == 0;
}

const char *op_result_differs(const struct op_result *a, const struct op_result *b)
{
    for (int i = 0; i < DIO_OP_MAX_OUTPUTS; i++) {
        if (!same(a->y[i], b->y[i], a->y_count[i])) return "output";
    }
    for (int i = 0; i < DIO_OP_MAX_INPUTS; i++) {
        if (!same(a->dx[i], b->dx[i], a->dx_count[i])) return "input gradient";
    }
    for (int i = 0; i < DIO_OP_MAX_PARAMS; i++) {
        if (!same(a->dparam[i], b->dparam[i], a->param_count[i])) return "parameter gradient";
        if (!same(a->param_after[i], b->param_after[i], a->param_count[i])) return "parameter";
    }
    return NULL;
}
