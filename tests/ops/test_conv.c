/* Convolutions and linear layers against the formula in double, with both gradients: every case line of their records, at
 * every level that this CPU has, with poisoned memory; and the same bits for every batch size and thread count. */
#include "support.h"

#include "base/rng.h"
#include "base/threads.h"
#include "ops/op.h"

enum { MAX_LEVELS = DIO_ISA_COUNT };

/* ---- a step at work, as a plan would do it ---- */

struct bench {
    struct test_ctx test;
    struct dio_kernels kernels;
    struct dio_step step;
    char attrs[256];
    struct dio_param_def params[DIO_OP_MAX_PARAMS];
    float *x[2], *y, *dy, *param[2], *dx[2], *dparam[2];
    int64_t x_count[2], y_count, param_count[2];
    void *packed, *saved, *shared, *scratch[8];
    struct dio_team *team;
};

static float *filled(int64_t count, uint64_t seed)
{
    float *block = aligned_alloc(64, (size_t)(count * 4 + 64) / 64 * 64);
    assert_non_null(block);
    struct dio_rng rng = dio_rng_make(seed, DIO_RNG_TEST, 0, 0);
    for (int64_t i = 0; i < count; i++) block[i] = (float)(dio_rng_uniform(&rng) * 2 - 1);
    return block;
}

static void *poisoned(size_t bytes)
{
    char *block = aligned_alloc(64, (bytes + 127) / 64 * 64);
    assert_non_null(block);
    memset(block, 0xff, (bytes + 127) / 64 * 64);
    return block;
}

/* "in=2x3x4[,2x3x4] ATTRIBUTES [# remark]" */
static const char *parse_inputs(const char *line, struct dio_op_shapes *shapes)
{
    const char *at = line + 3;
    shapes->n_inputs = 0;
    for (;;) {
        struct dio_value_type *type = &shapes->inputs[shapes->n_inputs++];
        *type = (struct dio_value_type){.dtype = DIO_F32};
        char *end;
        for (;;) {
            type->shape.dims[type->shape.rank++] = strtoll(at, &end, 10);
            if (*end != 'x') break;
            at = end + 1;
        }
        if (*end != ',') return end;
        at = end + 1;
    }
}

struct phases_arg {
    struct bench *bench;
    const struct dio_op_phase *phase;
};

static void run_piece(void *arg, int64_t piece, int thread)
{
    const struct phases_arg *phases = arg;
    phases->phase->run(&phases->bench->step, piece, phases->bench->scratch[thread]);
}

static void run_phases(struct bench *b, const struct dio_op_phase *phases, int n)
{
    if (b->shared) memset(b->shared, 0xff, b->step.shared_bytes);
    for (int i = 0; i < n; i++) {
        struct phases_arg arg = {b, &phases[i]};
        dio_team_for(b->team, phases[i].pieces(&b->step), run_piece, &arg);
    }
}

static enum dio_linear linear_by = DIO_LINEAR_OWN;

static bool exact; /* of the steps to come */

static void bench_open(struct bench *b, const struct dio_op *op, const char *line, enum dio_isa level, bool backward, int threads)
{
    memset(b, 0, sizeof *b);
    test_begin(&b->test);
    dio_kernels_select(&b->test.ctx.cpu, level, &b->kernels);
    assert_int_equal(dio_kernels_linear(&b->test.ctx, &b->kernels, linear_by), DIO_OK);
    if (threads > 1) assert_int_equal(dio_team_start(&b->test.ctx, threads, &b->team), DIO_OK);
    struct dio_op_shapes shapes = {.attrs = b->attrs};
    char text[256];
    snprintf(text, sizeof text, "%s", parse_inputs(line, &shapes));
    if (strchr(text, '#')) *strchr(text, '#') = 0;
    if (dio_attrs_parse(&b->test.ctx, op, NULL, text, b->attrs) != DIO_OK) fail_msg("%s: %s", line, test_error(&b->test));
    assert_int_equal(op->infer(&b->test.ctx, NULL, &shapes), DIO_OK);

    struct dio_step *s = &b->step;
    *s = (struct dio_step){.op = op, .attrs = b->attrs, .kernels = &b->kernels, .mode = backward ? DIO_MODE_TRAIN : DIO_MODE_INFER,
                           .exact = exact, .n_inputs = shapes.n_inputs, .n_outputs = 1, .n_params = shapes.n_params, .out = {shapes.outputs[0]}};
    struct dio_step_wants wants = {0};
    for (int i = 0; i < s->n_inputs; i++) {
        s->in[i] = shapes.inputs[i];
        wants.dx[i] = backward;
        b->x_count[i] = dio_shape_elements(&s->in[i].shape);
        s->x[i] = b->x[i] = filled(b->x_count[i], 1 + (uint64_t)i);
        b->dx[i] = poisoned((size_t)b->x_count[i] * 4);
        if (backward) s->dx[i] = b->dx[i];
    }
    for (int i = 0; i < s->n_params; i++) {
        b->params[i] = shapes.params[i];
        s->param_shape[i] = shapes.params[i].shape;
        wants.dparam[i] = backward;
        b->param_count[i] = dio_shape_elements(&s->param_shape[i]);
        s->param[i] = b->param[i] = filled(b->param_count[i], 5 + (uint64_t)i);
        b->dparam[i] = poisoned((size_t)b->param_count[i] * 4);
        if (backward) s->dparam[i] = b->dparam[i];
    }
    b->y_count = dio_shape_elements(&s->out[0].shape);
    s->y[0] = b->y = poisoned((size_t)b->y_count * 4);
    s->dy[0] = b->dy = filled(b->y_count, 9);
    s->n = s->in[0].shape.dims[0];
    assert_int_equal(op->prepare(&b->test.ctx, s, &wants), DIO_OK);
    s->packed = b->packed = poisoned(s->packed_bytes);
    s->saved = b->saved = poisoned(s->saved_bytes);
    s->shared = b->shared = poisoned(s->shared_bytes);
    for (int i = 0; i < 8; i++) b->scratch[i] = poisoned(s->scratch_bytes);
    run_phases(b, s->pack, s->n_pack);
}

static void bench_close(struct bench *b)
{
    for (int i = 0; i < 2; i++) {
        free(b->x[i]);
        free(b->dx[i]);
        free(b->param[i]);
        free(b->dparam[i]);
    }
    free(b->y);
    free(b->dy);
    free(b->packed);
    free(b->saved);
    free(b->shared);
    for (int i = 0; i < 8; i++) free(b->scratch[i]);
    dio_step_free_data(&b->test.ctx, &b->step);
    dio_kernels_close(&b->kernels);
    if (b->team) dio_team_stop(&b->test.ctx, b->team);
    test_end(&b->test);
}

/* ---- the formula ---- */

struct geometry {
    int64_t n, h, w, c, oh, ow, k, r, s, group_c, group_k, stride[2], padding[2], dilation[2];
    bool bias;
    int act;
};

static int64_t attribute(const char *line, const char *name, int index, int64_t initial)
{
    char key[32];
    snprintf(key, sizeof key, " %s=", name);
    const char *at = strstr(line, key);
    if (!at) return initial;
    char *end;
    int64_t value = strtoll(at + strlen(key), &end, 10);
    for (int i = 0; i < index && *end == ','; i++) value = strtoll(end + 1, &end, 10);
    return value;
}

static struct geometry geometry_of(const struct bench *b, const char *line)
{
    struct geometry g = {.n = b->step.n, .stride = {1, 1}, .dilation = {1, 1}, .r = 1, .s = 1, .h = 1, .oh = 1};
    const struct dio_shape *in = &b->step.in[0].shape, *out = &b->step.out[0].shape;
    g.c = in->dims[in->rank - 1];
    g.k = out->dims[out->rank - 1];
    g.bias = b->step.n_params == 2;
    g.act = strstr(line, "=relu6") ? 2 : strstr(line, "=relu") ? 1 : 0;
    g.w = g.ow = b->x_count[0] / g.n / g.c;
    g.group_c = g.c;
    g.group_k = g.k;
    if (strcmp(b->step.op->name, "conv") != 0) return g;
    g.h = in->dims[1], g.w = in->dims[2], g.oh = out->dims[1], g.ow = out->dims[2];
    const int64_t groups = attribute(line, "groups", 0, 1), size[2] = {g.h, g.w}, out_size[2] = {g.oh, g.ow};
    g.group_c = g.c / groups;
    g.group_k = g.k / groups;
    g.r = b->step.param_shape[0].dims[2];
    g.s = b->step.param_shape[0].dims[3];
    for (int i = 0; i < 2; i++) {
        g.stride[i] = attribute(line, "stride", i, 1);
        g.dilation[i] = attribute(line, "dilation", i, 1);
        g.padding[i] = attribute(line, "padding", i, 0);
        if (strstr(line, "pad_mode=same")) {
            const int64_t need = (out_size[i] - 1) * g.stride[i] + ((i ? g.s : g.r) - 1) * g.dilation[i] + 1 - size[i];
            g.padding[i] = need > 0 ? need / 2 : 0;
        }
    }
    return g;
}

struct sums {
    double *value, *magnitude;
    int64_t *terms, count;
};

static struct sums sums_new(int64_t count)
{
    struct sums sums = {calloc((size_t)count, sizeof(double)), calloc((size_t)count, sizeof(double)), calloc((size_t)count, sizeof(int64_t)), count};
    assert_true(sums.value && sums.magnitude && sums.terms);
    return sums;
}

static void sums_free(struct sums *sums)
{
    free(sums->value);
    free(sums->magnitude);
    free(sums->terms);
}

static void add(struct sums *sums, int64_t i, double term)
{
    sums->value[i] += term;
    sums->magnitude[i] += fabs(term);
    sums->terms[i]++;
}

/* Every product of the convolution: y[at_y] gets x[at_x] * w[at_w]. */
typedef void product_fn(void *arg, int64_t at_y, int64_t at_x, int64_t at_w);

static void each_product(const struct geometry *g, product_fn *fn, void *arg)
{
    for (int64_t n = 0; n < g->n; n++) {
        for (int64_t oy = 0; oy < g->oh; oy++) {
            for (int64_t ox = 0; ox < g->ow; ox++) {
                for (int64_t k = 0; k < g->k; k++) {
                    for (int64_t c = 0; c < g->group_c; c++) {
                        for (int64_t r = 0; r < g->r; r++) {
                            for (int64_t s = 0; s < g->s; s++) {
                                const int64_t y = oy * g->stride[0] - g->padding[0] + r * g->dilation[0];
                                const int64_t x = ox * g->stride[1] - g->padding[1] + s * g->dilation[1];
                                if (y < 0 || y >= g->h || x < 0 || x >= g->w) continue;
                                fn(arg, ((n * g->oh + oy) * g->ow + ox) * g->k + k,
                                   ((n * g->h + y) * g->w + x) * g->c + k / g->group_k * g->group_c + c,
                                   ((k * g->group_c + c) * g->r + r) * g->s + s);
                            }
                        }
                    }
                }
            }
        }
    }
}

struct expected {
    const struct bench *b;
    const double *dy;
    struct sums y, dx, dw, db;
};

static void forward_product(void *arg, int64_t at_y, int64_t at_x, int64_t at_w)
{
    struct expected *e = arg;
    add(&e->y, at_y, (double)e->b->x[0][at_x] * (double)e->b->param[0][at_w]);
}

static void backward_product(void *arg, int64_t at_y, int64_t at_x, int64_t at_w)
{
    struct expected *e = arg;
    add(&e->dx, at_x, e->dy[at_y] * (double)e->b->param[0][at_w]);
    add(&e->dw, at_w, e->dy[at_y] * (double)e->b->x[0][at_x]);
}

static void close_to(const char *line, const char *what, const float *got, const struct sums *expected, const float *added)
{
    for (int64_t i = 0; i < expected->count; i++) {
        const double value = expected->value[i] + (added ? (double)added[i] : 0);
        const double magnitude = expected->magnitude[i] + (added ? fabs((double)added[i]) : 0);
        const double allowed = (double)(expected->terms[i] + 4) * 0x1p-24 * magnitude;
        if (!(fabs((double)got[i] - value) <= allowed)) {
            fail_msg("%s: %s[%lld] is %.9g, expected %.9g +- %.2g", line, what, (long long)i, (double)got[i], value, allowed);
        }
    }
}

static double activated(double value, int act)
{
    if (act && value < 0) return 0;
    return act == 2 && value > 6 ? 6 : value;
}

static void check_case(const struct dio_op *op, const char *line, enum dio_isa level, bool backward)
{
    struct bench b;
    bench_open(&b, op, line, level, backward, 1);
    const struct geometry g = geometry_of(&b, line);
    struct expected e = {&b, NULL, sums_new(b.y_count), sums_new(b.x_count[0]), sums_new(b.param_count[0]), sums_new(g.k)};
    each_product(&g, forward_product, &e);
    for (int64_t i = 0; i < b.y_count; i++) {
        if (g.bias) add(&e.y, i, (double)b.param[1][i % g.k]);
        if (b.step.n_inputs == 2) add(&e.y, i, (double)b.x[1][i]);
        e.y.value[i] = activated(e.y.value[i], g.act);
    }
    run_phases(&b, b.step.forward, b.step.n_forward);
    close_to(line, "y", b.y, &e.y, NULL);

    double *dy = calloc((size_t)b.y_count, sizeof *dy);
    assert_non_null(dy);
    for (int64_t i = 0; i < b.y_count; i++) {
        const bool passed = g.act == 0 || (b.y[i] > 0 && (g.act == 1 || b.y[i] < 6));
        dy[i] = passed ? (double)b.dy[i] : 0;
        add(&e.db, i % g.k, dy[i]);
    }
    e.dy = dy;
    each_product(&g, backward_product, &e);
    for (int add_to = 0; backward && add_to < 2; add_to++) {
        float *before[4] = {0}; /* x, residual, weight, bias */
        for (int i = 0; i < 2; i++) {
            b.step.add_dx[i] = b.step.add_dparam[i] = add_to != 0;
            if (!add_to) continue;
            if (b.x_count[i]) memcpy(b.dx[i], before[i] = filled(b.x_count[i], 20 + (uint64_t)i), (size_t)b.x_count[i] * 4);
            if (b.param_count[i]) memcpy(b.dparam[i], before[2 + i] = filled(b.param_count[i], 30 + (uint64_t)i), (size_t)b.param_count[i] * 4);
        }
        run_phases(&b, b.step.backward, b.step.n_backward);
        close_to(line, "dx", b.dx[0], &e.dx, before[0]);
        close_to(line, "dw", b.dparam[0], &e.dw, before[2]);
        if (g.bias) close_to(line, "db", b.dparam[1], &e.db, before[3]);
        for (int64_t i = 0; b.step.n_inputs == 2 && i < b.y_count; i++) {
            assert_float_equal(b.dx[1][i], (float)dy[i] + (before[1] ? before[1][i] : 0), 0);
        }
        for (int i = 0; i < 4; i++) free(before[i]);
    }
    free(dy);
    sums_free(&e.y);
    sums_free(&e.dx);
    sums_free(&e.dw);
    sums_free(&e.db);
    bench_close(&b);
}

/* ---- how far from double: term by term, and by Winograd's tiles ---- */

/* Prints both; the largest error stays within what networks are held to, 1e-5 of the largest number. */
static void tell_error(const char *what, const float *got, const struct sums *expected)
{
    double squares = 0, errors = 0, largest = 0, worst = 0;
    for (int64_t i = 0; i < expected->count; i++) {
        const double error = fabs((double)got[i] - expected->value[i]);
        squares += expected->value[i] * expected->value[i];
        errors += error * error;
        largest = fmax(largest, fabs(expected->value[i]));
        worst = fmax(worst, error);
    }
    print_message("  %-6s %-3s rms error %.1e of the rms, largest %.1e of the largest\n", exact ? "direct" : "tiles", what, sqrt(errors / squares), worst / largest);
    if (!(worst <= 1e-5 * largest)) fail_msg("%s: the largest error is %.2g of the largest number", what, worst / largest);
}

static void errors_of(const char *line)
{
    struct dio_cpu cpu;
    dio_cpu_detect(&cpu);
    const enum dio_isa best = dio_kernels_best(&cpu), level = best < DIO_ISA_avx512 ? best : DIO_ISA_avx512;
    print_message("%s\n", line);
    struct expected e = {0};
    double *dy = NULL;
    for (int i = 0; i < 2; i++) {
        exact = i > 0;
        struct bench b;
        bench_open(&b, dio_op_find("conv"), line, level, true, 1);
        const struct geometry g = geometry_of(&b, line);
        if (!exact) {
            dy = calloc((size_t)b.y_count, sizeof *dy);
            assert_non_null(dy);
            for (int64_t j = 0; j < b.y_count; j++) dy[j] = (double)b.dy[j];
            e = (struct expected){&b, dy, sums_new(b.y_count), sums_new(b.x_count[0]), sums_new(b.param_count[0]), sums_new(g.k)};
            each_product(&g, forward_product, &e);
            each_product(&g, backward_product, &e);
        }
        run_phases(&b, b.step.forward, b.step.n_forward);
        run_phases(&b, b.step.backward, b.step.n_backward);
        tell_error("y", b.y, &e.y);
        tell_error("dx", b.dx[0], &e.dx);
        tell_error("dw", b.dparam[0], &e.dw);
        bench_close(&b);
    }
    exact = false;
    free(dy);
    sums_free(&e.y);
    sums_free(&e.dx);
    sums_free(&e.dw);
    sums_free(&e.db);
}

static void test_conv_errors(void **state)
{
    (void)state;
    errors_of("in=2x28x28x64 out=64 kernel=3 padding=1");
    errors_of("in=8x7x7x96 out=128 kernel=3 padding=1");
    errors_of("in=16x14x14x32 out=32 kernel=3 padding=1");
}

/* Activations that do not clip have no exact gradient to ask for: check_ops compares them with PyTorch. */
static bool is_curved(const char *line)
{
    const char *activation = strstr(line, "activation=");
    return activation && strncmp(activation, "activation=relu", 15) != 0;
}

static void each_level(const char *name)
{
    struct dio_cpu cpu;
    dio_cpu_detect(&cpu);
    const struct dio_op *op = dio_op_find(name);
    for (int level = 0; level <= (int)dio_kernels_best(&cpu) && level <= (int)DIO_ISA_avx512; level++) {
        for (int i = 0; op->cases[i]; i++) {
            if (!is_curved(op->cases[i])) check_case(op, op->cases[i], (enum dio_isa)level, true);
        }
    }
}

static void test_conv_formula(void **state)
{
    (void)state;
    each_level("conv");
}

static void test_linear_formula(void **state)
{
    (void)state;
    each_level("linear");
}

/* Each picture alone, and each pair, against the batch. */
static void same_bits_for_batches(const char *op, const char *line)
{
    struct bench b;
    bench_open(&b, dio_op_find(op), line, DIO_ISA_avx512, false, 1);
    run_phases(&b, b.step.forward, b.step.n_forward);
    const int64_t images = b.step.n, y_image = b.y_count / images, x_image = b.x_count[0] / images;
    float *whole = b.y;
    b.y = poisoned((size_t)b.y_count * 4);
    b.step.y[0] = b.y;
    for (int64_t n = 1; n <= 2; n++) {
        for (int64_t first = 0; first + n <= images; first++) {
            b.step.n = n;
            b.step.x[0] = b.x[0] + first * x_image;
            run_phases(&b, b.step.forward, b.step.n_forward);
            assert_memory_equal(b.y, whole + first * y_image, (size_t)(n * y_image) * 4);
        }
    }
    free(whole);
    bench_close(&b);
}

/* Forward through OpenBLAS where there is one: the formula, and a row's bits at any number of rows. */
static void test_linear_blas(void **state)
{
    (void)state;
    struct bench b;
    struct test_ctx test;
    test_begin(&test);
    dio_kernels_select(&test.ctx.cpu, DIO_ISA_avx512, &b.kernels);
    const bool present = dio_kernels_linear(&test.ctx, &b.kernels, DIO_LINEAR_BLAS) == DIO_OK;
    dio_kernels_close(&b.kernels);
    dio_ctx_clear_error(&test.ctx);
    test_end(&test);
    if (!present) {
        print_message("skipped: no OpenBLAS on this machine\n");
        return;
    }
    linear_by = DIO_LINEAR_BLAS;
    const struct dio_op *op = dio_op_find("linear");
    for (int i = 0; op->cases[i]; i++) {
        if (!is_curved(op->cases[i])) check_case(op, op->cases[i], DIO_ISA_avx512, false);
    }
    same_bits_for_batches("linear", "in=37x200 out=130");
    same_bits_for_batches("linear", "in=21x512 out=5 bias=0");
    check_case(op, "in=3x300x20 out=520 activation=relu", DIO_ISA_avx512, false); /* several blocks of rows and of columns */
    same_bits_for_batches("linear", "in=5x37x40 out=300");
    linear_by = DIO_LINEAR_OWN;
}

/* ---- the same bits ---- */

static const char *const shapes[] = {
    "in=5x14x14x48 out=96 kernel=3 padding=1 bias=1", "in=5x14x14x64 out=160 kernel=1", "in=5x28x28x3 out=20 kernel=7 stride=2 padding=3",
    "in=5x13x11x40 out=40 kernel=5 padding=2 groups=40", "in=5x15x15x32 out=32 kernel=3 stride=2 padding=1 groups=8", NULL,
};

static void test_same_bits_for_threads(void **state)
{
    (void)state;
    const struct dio_op *op = dio_op_find("conv");
    for (int i = 0; shapes[i]; i++) {
        struct bench one, three;
        bench_open(&one, op, shapes[i], DIO_ISA_avx512, true, 1);
        bench_open(&three, op, shapes[i], DIO_ISA_avx512, true, 3);
        struct bench *both[] = {&one, &three};
        for (int j = 0; j < 2; j++) {
            run_phases(both[j], both[j]->step.forward, both[j]->step.n_forward);
            run_phases(both[j], both[j]->step.backward, both[j]->step.n_backward);
        }
        assert_memory_equal(one.y, three.y, (size_t)one.y_count * 4);
        assert_memory_equal(one.dx[0], three.dx[0], (size_t)one.x_count[0] * 4);
        assert_memory_equal(one.dparam[0], three.dparam[0], (size_t)one.param_count[0] * 4);
        bench_close(&one);
        bench_close(&three);
    }
}

static void test_same_bits_for_batches(void **state)
{
    (void)state;
    for (int i = 0; shapes[i]; i++) same_bits_for_batches("conv", shapes[i]);
    same_bits_for_batches("linear", "in=37x200 out=130");
    same_bits_for_batches("linear", "in=5x7x64 out=33 bias=0");
}

/* A head's weights are read once for a batch, not once for each of its rows. */
static void test_batches_share_weights(void **state)
{
    (void)state;
    struct bench one, many;
    bench_open(&one, dio_op_find("linear"), "in=1x512 out=1000", DIO_ISA_avx512, false, 1);
    bench_open(&many, dio_op_find("linear"), "in=16x512 out=1000", DIO_ISA_avx512, false, 1);
    assert_int_equal(many.step.forward[0].pieces(&many.step), one.step.forward[0].pieces(&one.step));
    bench_close(&one);
    bench_close(&many);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const bad[] = {"in=1x4x4x6 out=4 kernel=3 groups=4", "in=1x2x2x3 out=4 kernel=5", "in=1x40000x40000x3 out=4 kernel=3",
                                      "in=1x4x4x3,1x4x4x5 out=4 kernel=1", "in=1x4 out=4 kernel=1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct test_ctx test;
        test_begin(&test);
        char attrs[256];
        struct dio_op_shapes shapes_of = {.attrs = attrs};
        const char *text = parse_inputs(bad[i], &shapes_of);
        const struct dio_op *op = dio_op_find("conv");
        assert_int_equal(dio_attrs_parse(&test.ctx, op, NULL, text, attrs), DIO_OK);
        assert_int_equal(op->infer(&test.ctx, &(struct dio_place){.part = "node c"}, &shapes_of), DIO_ERR_INPUT);
        assert_true(test.ctx.error.text[0]);
        dio_ctx_clear_error(&test.ctx);
        test_end(&test);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_formula), cmocka_unit_test(test_conv_errors),          cmocka_unit_test(test_linear_formula),
        cmocka_unit_test(test_linear_blas),
        cmocka_unit_test(test_same_bits_for_threads), cmocka_unit_test(test_same_bits_for_batches),
        cmocka_unit_test(test_batches_share_weights), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
