/* Every operator at every one of its case lines, by its record alone: no operator is known by name here.
 *
 *   check_ops [--op NAME] [--bench] [--list]
 *
 * --list prints "op|case|mode" for make_golden.py. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ops/golden_file.h"
#include "ops/harness.h"

enum { MAX_FAILURES = 40 };

struct checker {
    struct dio_ctx ctx;
    struct dio_alloc_stats stats;
    struct dio_kernels level[DIO_ISA_COUNT];
    int n_levels;
    struct dio_team *team[4];
    struct golden golden;
    int cases, checks, failures, compared, differences, wide_differences;
};

static const int team_sizes[] = {1, 2, 3, 7};

static bool report(struct checker *k, const struct op_case *c, bool good, const char *what, const char *detail)
{
    k->checks++;
    if (good) return true;
    if (k->failures++ < MAX_FAILURES) fprintf(stderr, "%s: \"%s\": %s%s%s\n", c->op->name, c->line, what, detail ? ": " : "", detail ? detail : "");
    return false;
}

static struct op_run usual_run(struct checker *k, const struct op_case *c, bool train_stats)
{
    return (struct op_run){.kernels = &k->level[k->n_levels - 1], .mode = DIO_MODE_TRAIN, .train_stats = train_stats,
                           .backward = !c->op->no_grad, .wants = op_wants_all(c)};
}

static bool run_or_report(struct checker *k, const struct op_case *c, struct op_run *run, struct op_result *result)
{
    dio_status status = op_run(c, run, result);
    if (status == DIO_OK) return report(k, c, !result->damage, "wrote outside", result->damage);
    char text[512];
    dio_message_format(&k->ctx.error, text, sizeof text);
    dio_ctx_clear_error(&k->ctx);
    return report(k, c, false, "prepare refused", text);
}

/* The same bits in `run` as in `expected`? */
static void compare(struct checker *k, const struct op_case *c, struct op_run run, const struct op_result *expected, const char *what)
{
    struct op_result result;
    if (!run_or_report(k, c, &run, &result)) return;
    report(k, c, !op_result_differs(expected, &result), what, op_result_differs(expected, &result));
    op_result_free(&result);
}

/* ---- levels ---- */

/* The same with every number's magnitude: for what is linear, the sums |a||b| that rounding goes by. */
static bool magnitudes(struct checker *k, const struct op_case *c, const struct op_run *base, struct op_result *result)
{
    struct op_case positive;
    if (op_case_open(c->ctx, c->op, c->line, &positive) != DIO_OK) return false;
    for (int i = 0; i < c->shapes.n_inputs; i++) {
        int64_t count = op_elements(&c->shapes.inputs[i].shape, c->batch);
        for (int64_t j = 0; c->shapes.inputs[i].dtype == DIO_F32 && j < count; j++) ((float *)positive.x[i])[j] = fabsf(((float *)c->x[i])[j]);
    }
    for (int i = 0; i < c->shapes.n_params; i++) {
        for (int64_t j = 0; c->shapes.params[i].role == DIO_PARAM_TRAINED && j < dio_shape_elements(&c->shapes.params[i].shape); j++) {
            ((float *)positive.param[i])[j] = fabsf(((float *)c->param[i])[j]);
        }
    }
    for (int64_t j = 0; j < op_elements(&c->shapes.outputs[0].shape, c->batch); j++) positive.dy[0][j] = fabsf(c->dy[0][j]);
    struct op_run run = *base;
    bool good = run_or_report(k, &positive, &run, result);
    op_case_close(&positive);
    return good;
}

/* Where an activation stops a sum's magnitudes, the largest number of the tensor stands for them. */
static bool near(const float *a, const float *b, const float *scale, int64_t count)
{
    double largest = 0;
    for (int64_t i = 0; b && i < count; i++) largest = fmax(largest, fabs((double)b[i]));
    for (int64_t i = 0; a && b && i < count; i++) {
        double allowed = 256 * 0x1p-24 * (fabs((double)scale[i]) + largest);
        if (!(fabs((double)a[i] - b[i]) <= allowed) && memcmp(&a[i], &b[i], sizeof *a) != 0) return false;
    }
    return true;
}

static const char *far_from(const struct op_result *a, const struct op_result *b, const struct op_result *scale)
{
    for (int i = 0; i < DIO_OP_MAX_OUTPUTS; i++) {
        if (!near(a->y[i], b->y[i], scale->y[i], a->y_count[i])) return "output";
    }
    for (int i = 0; i < DIO_OP_MAX_INPUTS; i++) {
        if (!near(a->dx[i], b->dx[i], scale->dx[i], a->dx_count[i])) return "input gradient";
    }
    for (int i = 0; i < DIO_OP_MAX_PARAMS; i++) {
        if (!near(a->dparam[i], b->dparam[i], scale->dparam[i], a->param_count[i])) return "parameter gradient";
    }
    return NULL;
}

/* Every level computes what the portable one does, to rounding. */
static void check_levels(struct checker *k, const struct op_case *c, const struct op_run *base)
{
    struct op_run run = *base;
    struct op_result portable, scale, other;
    run.kernels = &k->level[0];
    if (!run_or_report(k, c, &run, &portable)) return;
    if (magnitudes(k, c, &run, &scale)) {
        for (int i = 1; i < k->n_levels; i++) {
            char what[64];
            run.kernels = &k->level[i];
            if (!run_or_report(k, c, &run, &other)) break;
            snprintf(what, sizeof what, "level %s is not near the portable one", dio_isa_name(k->level[i].level));
            const char *far = far_from(&other, &portable, &scale);
            report(k, c, !far, what, far);
            op_result_free(&other);
        }
        op_result_free(&scale);
    }
    op_result_free(&portable);
}

/* ---- bits ---- */

static void check_bits(struct checker *k, const struct op_case *c, const struct op_run *base, const struct op_result *expected)
{
    for (int i = 1; i < 4; i++) {
        struct op_run run = *base;
        char what[64];
        run.team = k->team[i];
        snprintf(what, sizeof what, "bits change with %d threads", team_sizes[i]);
        compare(k, c, run, expected, what);
    }
    struct op_run over = *base;
    over.in_place = true;
    compare(k, c, over, expected, "bits change in place");
    struct op_run none = *base;
    none.backward = false;
    none.in_place = true;
    memset(&none.wants, 0, sizeof none.wants);
    compare(k, c, none, expected, "bits change when nothing is wanted, in place");
}

/* Each gradient alone, and added to zeros: the same bits.  Added to a number: that much more. */
static void check_gradients(struct checker *k, const struct op_case *c, const struct op_run *base, const struct op_result *expected)
{
    for (int i = 0; i < c->shapes.n_inputs + c->shapes.n_params; i++) {
        int param = i - c->shapes.n_inputs;
        struct op_run run = *base;
        memset(&run.wants, 0, sizeof run.wants);
        if (param < 0) {
            run.wants.dx[i] = base->wants.dx[i];
        } else {
            run.wants.dparam[param] = base->wants.dparam[param];
        }
        compare(k, c, run, expected, "bits change when one gradient alone is wanted");
    }
    struct op_run run = *base;
    struct op_result sum;
    run.add = true;
    run.add_to = 4;
    if (!run_or_report(k, c, &run, &sum)) return;
    bool good = true;
    for (int i = 0; i < c->shapes.n_inputs + c->shapes.n_params; i++) {
        int param = i - c->shapes.n_inputs;
        const float *written = param < 0 ? expected->dx[i] : expected->dparam[param];
        const float *added = param < 0 ? sum.dx[i] : sum.dparam[param];
        int64_t count = param < 0 ? expected->dx_count[i] : expected->param_count[param];
        float largest = 4;
        for (int64_t j = 0; written && j < count; j++) largest = fmaxf(largest, fabsf(written[j]));
        /* at most 256 partial sums are added at that magnitude */
        for (int64_t j = 0; written && j < count; j++) good &= fabs((double)added[j] - written[j] - 4) <= 256 * 0x1p-24 * (double)largest;
    }
    report(k, c, good, "gradients are not added to what is there", NULL);
    op_result_free(&sum);
}

/* Any image alone gives the bits that it has in the batch. */
static void check_images(struct checker *k, const struct op_case *c)
{
    if (c->shapes.outputs[0].shape.rank == 0 || c->batch < 2) return;
    struct op_run run = usual_run(k, c, false);
    struct op_result whole, one;
    run.mode = DIO_MODE_INFER;
    run.backward = false;
    memset(&run.wants, 0, sizeof run.wants);
    if (!run_or_report(k, c, &run, &whole)) return;
    run.n = 1;
    run.first = c->batch - 1;
    if (run_or_report(k, c, &run, &one)) {
        int64_t count = op_elements(&c->shapes.outputs[0].shape, 1);
        report(k, c, memcmp(one.y[0], whole.y[0] + run.first * count, (size_t)count * sizeof(float)) == 0,
               "bits of an image change with its place in the batch", NULL);
        op_result_free(&one);
    }
    op_result_free(&whole);
}

/* ---- differences ---- */

/* The loss is the sum of dy * y, so its gradients are what backward gives.  Only outputs that change count: the others
 * cancel exactly.  Three bounds on the slope's error: rounding of the outputs; a corner between the two points, which moves
 * a central difference by half the second difference over the width, no more; and the third derivative, of which the
 * slope at twice the width tells. */
struct slope {
    double value, rounding, corner;
};

static bool slope_at(struct checker *k, const struct op_case *c, const struct op_run *base, const struct op_result *middle,
                     float *number, double h, struct slope *slope)
{
    struct op_run run = *base;
    struct op_result above, below;
    run.backward = false;
    float old = *number;
    *number = (float)(old + h);
    double high = *number;
    if (!run_or_report(k, c, &run, &above)) return false;
    *number = (float)(old - h);
    double low = *number;
    bool good = run_or_report(k, c, &run, &below);
    *number = old;
    *slope = (struct slope){0};
    double hidden = 0;
    for (int i = 0; good && i < c->shapes.n_outputs; i++) {
        for (int64_t j = 0; j < above.y_count[i]; j++) {
            double up = above.y[i][j], down = below.y[i][j], at = middle->y[i][j], dy = c->dy[i][j];
            if (up == down && up == at) {
                hidden = fmax(hidden, fabs(dy * at)); /* one output may have changed by less than it can show */
                continue;
            }
            slope->value += dy * (up - down);
            slope->rounding += fabs(dy) * fmax(fabs(at), fmax(fabs(up), fabs(down)));
            slope->corner += fabs(dy) * fabs(up - 2 * at + down);
        }
    }
    slope->value /= high - low;
    slope->corner /= high - low;
    slope->rounding = (16 * slope->rounding + hidden) * 0x1p-24 / (high - low); /* the output's own rounding and that of some terms in it */
    op_result_free(&above);
    if (good) op_result_free(&below);
    return good;
}

static void check_number(struct checker *k, const struct op_case *c, const struct op_run *base, const struct op_result *middle,
                         float *number, double gradient, const char *what)
{
    struct slope wide, narrow;
    if (!slope_at(k, c, base, middle, number, 1.0 / 64, &wide)) return;
    if (!slope_at(k, c, base, middle, number, 1.0 / 128, &narrow)) return;
    double allowed = narrow.rounding + narrow.corner + fabs(wide.value - narrow.value) + 1e-6 * fabs(gradient);
    k->differences++;
    k->wide_differences += allowed > 0.05 * fabs(gradient) + 1e-3;
    if (fabs(narrow.value - gradient) <= allowed) return;
    char detail[200];
    snprintf(detail, sizeof detail, "%s: gradient %.7g, differences %.7g and %.7g, allowed %.2g", what, gradient, wide.value, narrow.value,
             allowed);
    report(k, c, false, "gradient", detail);
}

static void check_tensor(struct checker *k, const struct op_case *c, const struct op_run *base,
                         const struct op_result *middle, float *numbers, int64_t count, const float *gradient, const char *what)
{
    if (!gradient) return;
    for (uint64_t draw = 0; draw < 12; draw++) {
        int64_t i = (int64_t)(((double)op_number(STREAM_PERTURB, draw) + 1) / 2 * (double)count);
        check_number(k, c, base, middle, &numbers[i < count ? i : 0], gradient[i < count ? i : 0], what);
        if ((int64_t)draw + 1 >= count) break;
    }
}

static void check_differences(struct checker *k, const struct op_case *c, const struct op_run *base, const struct op_result *result)
{
    if (c->op->no_grad) return;
    for (int i = 0; i < c->shapes.n_inputs; i++) {
        check_tensor(k, c, base, result, c->x[i], result->dx_count[i], result->dx[i], "input");
    }
    for (int i = 0; i < c->shapes.n_params; i++) {
        check_tensor(k, c, base, result, c->param[i], result->param_count[i], result->dparam[i], c->shapes.params[i].name);
    }
}

/* ---- golden sums ---- */

static void check_golden_tensor(struct checker *k, const struct op_case *c, const char *mode, const char *name, const float *numbers,
                                int64_t count)
{
    const struct golden_sums *sums = numbers ? golden_find(&k->golden, c->op->name, c->line, mode, name) : NULL;
    if (!sums) return;
    k->compared++;
    char detail[256];
    if (!golden_agrees(sums, numbers, count, detail, sizeof detail)) {
        char what[300];
        snprintf(what, sizeof what, "%s %s: %s", mode, name, detail);
        report(k, c, false, "differs from PyTorch", what);
    }
}

static void check_golden(struct checker *k, const struct op_case *c, const char *mode, const struct op_result *result)
{
    char name[64];
    check_golden_tensor(k, c, mode, "y", result->y[0], result->y_count[0]);
    for (int i = 0; i < c->shapes.n_inputs; i++) {
        snprintf(name, sizeof name, "dx%d", i);
        check_golden_tensor(k, c, mode, name, result->dx[i], result->dx_count[i]);
    }
    for (int i = 0; i < c->shapes.n_params; i++) {
        snprintf(name, sizeof name, "d_%s", c->shapes.params[i].name);
        check_golden_tensor(k, c, mode, name, result->dparam[i], result->param_count[i]);
        if (c->shapes.params[i].role != DIO_PARAM_STATISTIC) continue;
        check_golden_tensor(k, c, mode, c->shapes.params[i].name, result->param_after[i], result->param_count[i]);
    }
}

/* ---- a case ---- */

/* Without the algorithms that change the last digits, the same to rounding. */
static void check_exact(struct checker *k, const struct op_case *c, const struct op_run *base, const struct op_result *expected)
{
    struct op_run run = *base;
    struct op_result exact, scale;
    run.exact = true;
    if (!run_or_report(k, c, &run, &exact)) return;
    if (magnitudes(k, c, &run, &scale)) {
        const char *far = far_from(expected, &exact, &scale);
        report(k, c, !far, "the fast path is not near the exact one", far);
        op_result_free(&scale);
    }
    op_result_free(&exact);
}

static void check_inference(struct checker *k, const struct op_case *c)
{
    struct op_run run = usual_run(k, c, false);
    struct op_result result;
    run.mode = DIO_MODE_INFER;
    run.backward = false;
    memset(&run.wants, 0, sizeof run.wants);
    if (!run_or_report(k, c, &run, &result)) return;
    check_golden_tensor(k, c, "eval", "y", result.y[0], result.y_count[0]);
    check_bits(k, c, &run, &result);
    check_levels(k, c, &run);
    check_exact(k, c, &run, &result);
    op_result_free(&result);
}

static void check_mode(struct checker *k, const struct op_case *c, bool train_stats)
{
    struct op_run run = usual_run(k, c, train_stats);
    struct op_result result;
    if (!run_or_report(k, c, &run, &result)) return;
    check_golden(k, c, train_stats ? "train" : "eval", &result);
    check_bits(k, c, &run, &result);
    if (run.backward) {
        check_gradients(k, c, &run, &result);
        check_differences(k, c, &run, &result);
    }
    check_levels(k, c, &run);
    check_exact(k, c, &run, &result);
    op_result_free(&result);
}

/* Every allocation of open and prepare fails in turn; nothing may be left, and the refusal has to say so. */
static void check_allocations(struct checker *k, const struct op_case *c)
{
    struct dio_kernels *kernels = &k->level[k->n_levels - 1];
    for (int64_t n = 1; n < 100000; n++) {
        struct dio_alloc_stats stats = {.fail_at = n};
        struct dio_ctx ctx;
        dio_ctx_init(&ctx, &stats);
        struct op_case again;
        struct op_result result;
        dio_status status = op_case_open(&ctx, c->op, c->line, &again);
        if (status == DIO_OK) {
            struct op_run run = {.kernels = kernels, .mode = DIO_MODE_TRAIN, .backward = !c->op->no_grad, .wants = op_wants_all(&again)};
            status = op_run(&again, &run, &result);
            if (status == DIO_OK) op_result_free(&result);
        }
        op_case_close(&again);
        bool clean = atomic_load(&stats.live_blocks) == 0;
        bool told = status == DIO_OK || (status == DIO_ERR_ENV && ctx.error.status == DIO_ERR_ENV);
        if (!report(k, c, clean && told, "a failed allocation is not passed on, or leaves memory", NULL) || status == DIO_OK) return;
    }
}

static void check_case(struct checker *k, const struct dio_op *op, const char *line)
{
    struct op_case c;
    k->cases++;
    if (op_case_open(&k->ctx, op, line, &c) != DIO_OK) {
        char text[512];
        dio_message_format(&k->ctx.error, text, sizeof text);
        dio_ctx_clear_error(&k->ctx);
        report(k, &c, false, "cannot be opened", text);
        op_case_close(&c);
        return;
    }
    check_inference(k, &c);
    check_mode(k, &c, false);
    if (op_has_training_mode(&c)) check_mode(k, &c, true);
    check_images(k, &c);
    check_allocations(k, &c);
    op_case_close(&c);
}

static void bench_case(struct checker *k, const struct dio_op *op, const char *line)
{
    struct op_case c;
    struct op_result result;
    double forward = INFINITY, backward = INFINITY;
    if (op_case_open(&k->ctx, op, line, &c) == DIO_OK) {
        struct op_run run = usual_run(k, &c, true);
        for (int i = 0; i < 5 && op_run(&c, &run, &result) == DIO_OK; i++) {
            forward = fmin(forward, run.seconds_forward);
            backward = fmin(backward, run.seconds_backward);
            op_result_free(&result);
        }
        printf("%-22s %-60s forward %9.3f us, backward %9.3f us, %7.1f GMAC/s\n", op->name, line, forward * 1e6, backward * 1e6,
               (double)c.shapes.macs * (double)c.batch / forward * 1e-9);
    }
    op_case_close(&c);
}

static void list_case(struct checker *k, const struct dio_op *op, const char *line)
{
    struct op_case c;
    if (op_case_open(&k->ctx, op, line, &c) == DIO_OK) {
        printf("%s|%s|eval\n", op->name, line);
        if (op_has_training_mode(&c)) printf("%s|%s|train\n", op->name, line);
    }
    op_case_close(&c);
}

static bool start(struct checker *k)
{
    dio_ctx_init(&k->ctx, &k->stats);
    for (int isa = 0; isa <= (int)dio_kernels_best(&k->ctx.cpu); isa++) {
        struct dio_kernels *table = &k->level[k->n_levels];
        dio_kernels_select(&k->ctx.cpu, (enum dio_isa)isa, table);
        k->n_levels++;
    }
    for (int i = 1; i < 4; i++) {
        if (dio_team_start(&k->ctx, team_sizes[i], &k->team[i]) != DIO_OK) return false;
    }
    return true;
}

/* An op has a backward, or says that it has none; names are unique; each has cases. */
static void check_record(struct checker *k, const struct dio_op *op)
{
    struct op_case none = {.op = op, .line = "record"};
    report(k, &none, dio_op_find(op->name) == op, "name is there twice", NULL);
    report(k, &none, op->cases && op->cases[0], "has no cases", NULL);
    report(k, &none, op->infer && op->prepare, "lacks infer or prepare", NULL);
}

int main(int argc, char **argv)
{
    static struct checker k;
    const char *only = NULL;
    bool bench = false, list = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0) bench = true;
        if (strcmp(argv[i], "--list") == 0) list = true;
        if (strcmp(argv[i], "--op") == 0 && i + 1 < argc) only = argv[++i];
    }
    if (!start(&k)) return 1;
    if (!bench && !list && !golden_open(&k.golden, "ops/golden/cases.txt")) k.failures++;
    for (const struct dio_op *const *op = dio_ops; *op; op++) {
        if (only && strcmp((*op)->name, only) != 0) continue;
        if (!bench && !list) check_record(&k, *op);
        for (const char *const *line = (*op)->cases; line && *line; line++) {
            (list ? list_case : bench ? bench_case : check_case)(&k, *op, *line);
        }
    }
    golden_close(&k.golden);
    for (int i = 1; i < 4; i++) dio_team_stop(&k.ctx, k.team[i]);
    if (bench || list) return 0;
    if (atomic_load(&k.stats.live_blocks) != 0) {
        fprintf(stderr, "%lld blocks are left allocated\n", (long long)atomic_load(&k.stats.live_blocks));
        k.failures++;
    }
    if (k.wide_differences * 5 > k.differences) {
        fprintf(stderr, "%d of %d differences say little\n", k.wide_differences, k.differences);
        k.failures++;
    }
    printf("%d cases at %d levels: %d checks, %d tensors against PyTorch, %d differences (%d of them within 5 %% only), %d failures\n", k.cases, k.n_levels,
           k.checks, k.compared, k.differences, k.wide_differences, k.failures);
    return k.failures != 0;
}
