/* Operators that read or write bf16, and those that split numbers into halves, at each of their case lines: every mix of types at every level, against their own f32
 * on the same (rounded) numbers; the same bits for any number of threads and any place in a batch. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ops/harness.h"
#include "tensor/convert.h"

static const int team_sizes[] = {1, 2, 3, 7};
enum { TEAMS = 4 };

struct checker {
    struct dio_ctx ctx;
    struct dio_alloc_stats stats;
    struct dio_kernels level[DIO_ISA_COUNT];
    int n_levels, cases, checks, failures;
    struct dio_team *team[TEAMS];
};

static void fail(struct checker *k, const struct op_case *c, const struct op_run *run, const char *what)
{
    k->failures++;
    fprintf(stderr, "%s: \"%s\": level %s, %s to %s: %s\n", c->op->name, c->line, dio_isa_name(run->kernels->level),
            run->bf16_in ? "bf16" : "f32", run->bf16_out ? "bf16" : "f32", what);
}

static void round_numbers(float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++) x[i] = dio_bf16_to_f32(dio_f32_to_bf16(x[i]));
}

/* What bf16 holds exactly: then only sums and the store round. */
static void round_case(struct op_case *c)
{
    for (int i = 0; i < c->shapes.n_inputs; i++) {
        if (c->shapes.inputs[i].dtype == DIO_F32) round_numbers(c->x[i], op_elements(&c->shapes.inputs[i].shape, c->batch));
    }
    for (int i = 0; i < c->shapes.n_params; i++) {
        if (c->shapes.params[i].role == DIO_PARAM_TRAINED) round_numbers(c->param[i], dio_shape_elements(&c->shapes.params[i].shape));
    }
}

static bool run_or_fail(struct checker *k, const struct op_case *c, struct op_run *run, struct op_result *result)
{
    k->checks++;
    const dio_status status = op_run(c, run, result);
    if (status == DIO_OK && !result->damage) return true;
    fail(k, c, run, status == DIO_OK ? result->damage : "refused");
    if (status == DIO_OK) op_result_free(result);
    dio_ctx_clear_error(&k->ctx);
    return false;
}

/* Of an op that rounds inside: attention over bf16 its weights, of which a row's sum is 1, before they meet the values. */
static double rounded_inside(const struct op_case *c, const struct op_run *run)
{
    double largest = 0;
    if (strcmp(c->op->name, "attention") != 0 || !run->bf16_in) return 0;
    for (int64_t i = 0; i < op_elements(&c->shapes.inputs[0].shape, c->batch); i++) largest = fmax(largest, fabs((double)((const float *)c->x[0])[i]));
    return 0x1p-9 * largest;
}

/* As check_ops judges levels, and half a unit of the last place of bf16. */
static bool near(const struct op_result *a, const struct op_result *b, bool narrow, double inside)
{
    double largest = 0;
    for (int64_t i = 0; i < b->y_count[0]; i++) largest = fmax(largest, fabs((double)b->y[0][i]));
    for (int64_t i = 0; i < b->y_count[0]; i++) {
        const double expected = (double)b->y[0][i], got = (double)a->y[0][i];
        const double allowed = 512 * 0x1p-24 * (fabs(expected) + largest) + (narrow ? 0x1p-8 * fabs(expected) : 0) + inside;
        if (!(fabs(got - expected) <= allowed)) return false;
    }
    return true;
}

static bool same(const struct op_result *a, const struct op_result *b)
{
    return memcmp(a->y[0], b->y[0], (size_t)b->y_count[0] * sizeof(float)) == 0;
}

static void check_bits(struct checker *k, const struct op_case *c, const struct op_run *base, const struct op_result *expected)
{
    struct op_result result;
    for (int i = 1; i < TEAMS + 1; i++) {
        struct op_run run = *base;
        run.team = i < TEAMS ? k->team[i] : NULL;
        run.in_place = i == TEAMS;
        if (!run_or_fail(k, c, &run, &result)) continue;
        if (!same(&result, expected)) fail(k, c, &run, run.in_place ? "bits change in place" : "bits change with threads");
        op_result_free(&result);
    }
    struct op_run run = *base;
    run.n = 1;
    run.first = c->batch - 1;
    if (!run_or_fail(k, c, &run, &result)) return;
    const int64_t count = op_elements(&c->shapes.outputs[0].shape, 1);
    if (memcmp(result.y[0], expected->y[0] + run.first * count, (size_t)count * sizeof(float)) != 0) fail(k, c, &run, "bits change with the batch");
    op_result_free(&result);
}

/* Of products of split halves: what each factor's two halves leave, and the product of the low ones, are 3 * 2^-18 of the
 * product; no activation is steeper than 4/3. */
static double split_away(const struct op_case *c)
{
    double x = 0, w = 0;
    const int64_t elements = dio_shape_elements(&c->shapes.params[0].shape), columns = c->shapes.params[0].shape.dims[0];
    for (int64_t i = 0; i < op_elements(&c->shapes.inputs[0].shape, c->batch); i++) x = fmax(x, fabs((double)((const float *)c->x[0])[i]));
    for (int64_t k = 0; k < columns; k++) {
        double sum = 0;
        for (int64_t i = k * (elements / columns); i < (k + 1) * (elements / columns); i++) sum += fabs((double)((const float *)c->param[0])[i]);
        w = fmax(w, sum);
    }
    return 4.0 / 3 * 3 * 0x1p-18 * x * w;
}

/* Numbers as they are: rounded ones would have no low halves. */
static void check_split(struct checker *k, const struct dio_op *op, const char *line)
{
    struct op_case c;
    struct op_result expected, result;
    if (op_case_open(&k->ctx, op, line, &c) != DIO_OK) {
        k->failures++;
        op_case_close(&c);
        return;
    }
    struct op_run run = {.kernels = &k->level[k->n_levels - 1], .mode = DIO_MODE_INFER, .exact = true};
    if (run_or_fail(k, &c, &run, &expected)) {
        for (int level = 0; level < k->n_levels; level++) {
            run = (struct op_run){.kernels = &k->level[level], .mode = DIO_MODE_INFER, .precision = DIO_PRECISION_BF16X3};
            if (!run_or_fail(k, &c, &run, &result)) continue;
            if (!near(&result, &expected, false, split_away(&c))) fail(k, &c, &run, "split halves: far from f32");
            if (level == 0 || level == k->n_levels - 1) check_bits(k, &c, &run, &result);
            op_result_free(&result);
        }
        op_result_free(&expected);
    }
    op_case_close(&c);
}

static void check_case(struct checker *k, const struct dio_op *op, const char *line)
{
    struct op_case c;
    struct op_result expected, result;
    k->cases++;
    if (op_case_open(&k->ctx, op, line, &c) != DIO_OK) {
        k->failures++;
        op_case_close(&c);
        return;
    }
    round_case(&c);
    struct op_run run = {.kernels = &k->level[k->n_levels - 1], .mode = DIO_MODE_INFER};
    if (run_or_fail(k, &c, &run, &expected)) {
        for (int mix = 0; mix < 4 * k->n_levels; mix++) {
            run = (struct op_run){.kernels = &k->level[mix / 4], .mode = DIO_MODE_INFER, .precision = DIO_PRECISION_BF16,
                                  .bf16_in = mix & 1, .bf16_out = mix & 2};
            if (run.bf16_in && !(op->narrow & DIO_BF16_READS)) continue;
            if (run.bf16_out && !(op->narrow & DIO_BF16_WRITES)) continue;
            if (!run_or_fail(k, &c, &run, &result)) continue;
            if (!near(&result, &expected, run.bf16_out, rounded_inside(&c, &run))) fail(k, &c, &run, "far from f32");
            if (mix / 4 == 0 || mix / 4 == k->n_levels - 1) check_bits(k, &c, &run, &result);
            op_result_free(&result);
        }
        op_result_free(&expected);
    }
    op_case_close(&c);
}

int main(void)
{
    static struct checker k;
    dio_ctx_init(&k.ctx, &k.stats);
    for (int isa = 0; isa <= (int)dio_kernels_best(&k.ctx.cpu); isa++) dio_kernels_select(&k.ctx.cpu, (enum dio_isa)isa, &k.level[k.n_levels++]);
    for (int i = 1; i < TEAMS; i++) {
        if (dio_team_start(&k.ctx, team_sizes[i], &k.team[i]) != DIO_OK) return 1;
    }
    for (const struct dio_op *const *op = dio_ops; *op; op++) {
        for (int i = 0; ((*op)->narrow & (DIO_BF16_READS | DIO_BF16_WRITES)) && (*op)->cases[i]; i++) check_case(&k, *op, (*op)->cases[i]);
    }
    for (const struct dio_op *const *op = dio_ops; *op; op++) {
        const bool splits = *op == dio_op_find("conv") || *op == dio_op_find("linear");
        for (int i = 0; splits && (*op)->cases[i]; i++) check_split(&k, *op, (*op)->cases[i]);
    }
    for (int i = 1; i < TEAMS; i++) dio_team_stop(&k.ctx, k.team[i]);
    printf("%d cases, %d checks, %d failed\n", k.cases, k.checks, k.failures);
    return k.failures != 0;
}
