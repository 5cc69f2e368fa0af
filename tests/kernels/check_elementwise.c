/* Slots of elementwise.h. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* Numbers around and on the corners, infinities and NaNs. */
static float *awkward(struct run *run, int64_t n)
{
    static const float special[] = {0.0f, -0.0f, 6.0f, 6.0000005f, INFINITY, -INFINITY, NAN, -1e-45f};
    float *x = buffer(run, n);
    for (int64_t i = 0; i < n; i++) {
        const uint64_t pick = dio_rng_below(&run->rng, 32);
        x[i] = pick < 8 ? special[pick] : 10 * draw(run);
    }
    return x;
}

static void same_number(struct run *run, float got, float expected, int64_t i)
{
    const bool same = got == expected || (isnan(got) && isnan(expected));
    if (same || run->problem[0]) return;
    snprintf(run->problem, sizeof run->problem, "[%" PRId64 "] is %.9g, expected %.9g", i, (double)got, (double)expected);
}

double curve(enum dio_act act, double x)
{
    switch (act) {
    case DIO_ACT_RELU: return fmax(x, 0);
    case DIO_ACT_RELU6: return fmin(fmax(x, 0), 6);
    case DIO_ACT_SILU: return x / (1 + exp(-x));
    case DIO_ACT_GELU: return x * 0.5 * erfc(-x * M_SQRT1_2);
    case DIO_ACT_GELU_TANH: return x / (1 + exp(-sqrt(8 / M_PI) * (x + 0.044715 * x * x * x)));
    case DIO_ACT_SIGMOID: return 1 / (1 + exp(-x));
    case DIO_ACT_HARDSWISH: return x * fmin(fmax(x + 3, 0), 6) / 6;
    case DIO_ACT_HARDSIGMOID: return fmin(fmax(x + 3, 0), 6) / 6;
    default: return x;
    }
}

double curve_slope(enum dio_act act, double x)
{
    const double s = 1 / (1 + exp(-x)), t = tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x));
    switch (act) {
    case DIO_ACT_SILU: return s * (1 + x * (1 - s));
    case DIO_ACT_GELU: return 0.5 * erfc(-x * M_SQRT1_2) + x * exp(-x * x / 2) / sqrt(2 * M_PI);
    case DIO_ACT_GELU_TANH: return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
    case DIO_ACT_SIGMOID: return s * (1 - s);
    case DIO_ACT_HARDSWISH: return x <= -3 ? 0 : x < 3 ? x / 3 + 0.5 : 1;
    case DIO_ACT_HARDSIGMOID: return x > -3 && x < 3 ? 1.0 / 6 : 0;
    default: return 1;
    }
}

/* Every hundredth from -40 to 40, and some beyond. */
static float *spread(struct run *run, int64_t n)
{
    float *x = buffer(run, n);
    for (int64_t i = 0; i < n; i++) x[i] = (float)((double)(i % 8001) / 100 - 40 + 1e-3 * (double)draw(run));
    for (int64_t i = 0; i < 8 && i < n; i++) x[i] = (float)pow(-10, (double)i);
    return x;
}

/* What template/math.inc promises: some units in the last place, and as many more as the exponent of an exponential has; the
 * normal distribution 5e-8, or 2e-5 of itself where it is smaller, down to 6.5 deviations; what
 * became smaller than floats are is below 1e-35. */
static void judge_curve(struct run *run, enum dio_act act, double x, float got, int64_t i)
{
    const double expected = curve(act, x), size = fabs(x);
    double allowed = 0x1p-24 * 8 * fabs(expected) + 1e-35 * (1 + size);
    if (act == DIO_ACT_GELU) allowed += size * (size > 6.5 ? 1e-10 : fmin(5e-8, 2e-5 * erfc(size * M_SQRT1_2)));
    if (act == DIO_ACT_GELU_TANH && x < 0) allowed += 0x1p-24 * 4 * fabs(expected) * (1.6 * size + 0.072 * size * size * size);
    if (fabs((double)got - expected) <= allowed || run->problem[0]) return;
    snprintf(run->problem, sizeof run->problem, "[%" PRId64 "]: of %.9g %.9g, expected %.9g +- %.2g", i, x, (double)got, expected, allowed);
}

static void check_curve(struct run *run, enum dio_act act, int64_t n)
{
    const float *x = spread(run, n);
    float *y = buffer(run, n);
    run->kernels->act_forward(act, x, y, n);
    for (int64_t i = 0; i < n; i++) judge_curve(run, act, (double)x[i], y[i], i);
    float *odd = buffer(run, 3);
    odd[0] = NAN;
    odd[1] = INFINITY;
    odd[2] = 0;
    run->kernels->act_forward(act, odd, odd, 3);
    if (!isnan(odd[0]) || !(odd[1] >= 1) || odd[2] != (float)curve(act, 0)) snprintf(run->problem, sizeof run->problem, "of NaN, infinity or 0");
}

static void check_curve_backward(struct run *run, enum dio_act act, int64_t n, bool add)
{
    const float *x = spread(run, n), *dy = filled(run, n), *before = filled(run, n);
    float *dx = buffer(run, n);
    if (add) memcpy(dx, before, (size_t)n * sizeof *dx);
    (add ? run->kernels->act_backward_add : run->kernels->act_backward)(act, x, dy, dx, n);
    for (int64_t i = 0; i < n; i++) {
        /* terms of up to 4 + |x| cancel in a slope; exponentials that floats lack become 1e-38 */
        const double size = fabs((double)x[i]), slope = curve_slope(act, (double)x[i]);
        const double start = add ? (double)before[i] : 0, product = (double)dy[i] * slope;
        const double terms = fabs((double)dy[i]) * (fabs(slope) + 4 + (size < 20 ? size : 0)) + 1e-30 * size * size * size;
        judge(run, (double)dx[i], start + product, fabs(start) + terms, 8, "dx", 0, i);
    }
}

void check_act_forward(struct run *run)
{
    const int64_t n = number(run, "n", 1);
    const enum dio_act act = (enum dio_act)number(run, "act", 0);
    if (act > DIO_ACT_LAST_CLIP) {
        check_curve(run, act, n);
        return;
    }
    const float *x = awkward(run, n);
    float *y = buffer(run, n);
    run->kernels->act_forward(act, x, y, n);
    for (int64_t i = 0; i < n; i++) {
        const float clipped = fminf(fmaxf(x[i], 0), act == DIO_ACT_RELU6 ? 6 : INFINITY);
        same_number(run, y[i], act == DIO_ACT_NONE || isnan(x[i]) ? x[i] : clipped, i);
    }
}

static void check_passing(struct run *run, bool add)
{
    const int64_t n = number(run, "n", 1);
    const enum dio_act act = (enum dio_act)number(run, "act", 0);
    if (act > DIO_ACT_LAST_CLIP) {
        check_curve_backward(run, act, n, add);
        return;
    }
    const float *y = awkward(run, n), *dy = filled(run, n), *before = filled(run, n);
    float *dx = buffer(run, n);
    if (add) memcpy(dx, before, (size_t)n * sizeof *dx);
    (add ? run->kernels->act_backward_add : run->kernels->act_backward)(act, y, dy, dx, n);
    for (int64_t i = 0; i < n; i++) {
        const bool stopped = act != DIO_ACT_NONE && (y[i] <= 0 || (act == DIO_ACT_RELU6 && y[i] >= 6));
        same_number(run, dx[i], (add ? before[i] : 0) + (stopped ? 0 : dy[i]), i);
    }
}

void check_act_backward(struct run *run)
{
    check_passing(run, false);
}

void check_act_backward_add(struct run *run)
{
    check_passing(run, true);
}

void check_add_to(struct run *run)
{
    const int64_t n = number(run, "n", 1);
    const float *x = filled(run, n), *before = filled(run, n);
    float *y = buffer(run, n);
    if (n > 0) memcpy(y, before, (size_t)n * sizeof *y);
    run->kernels->add_to(x, y, n);
    for (int64_t i = 0; i < n; i++) same_number(run, y[i], before[i] + x[i], i);
}

void check_column_sums(struct run *run)
{
    const int64_t rows = number(run, "rows", 1), columns = number(run, "columns", 1), stride = columns + number(run, "gap", 0);
    float *x = buffer(run, rows > 0 ? (rows - 1) * stride + columns : 0), *sums = filled(run, columns);
    fill_rows(run, x, rows, columns, stride);
    double *expected = must(malloc((size_t)columns * 2 * sizeof *expected)), *magnitude = expected + columns;
    for (int64_t c = 0; c < columns; c++) {
        expected[c] = (double)sums[c];
        magnitude[c] = fabs((double)sums[c]);
        for (int64_t i = 0; i < rows; i++) {
            expected[c] += (double)x[i * stride + c];
            magnitude[c] += fabs((double)x[i * stride + c]);
        }
    }
    run->kernels->column_sums(x, rows, stride, columns, sums);
    for (int64_t c = 0; c < columns; c++) judge(run, (double)sums[c], expected[c], magnitude[c], rows, "sums", 0, c);
    free(expected);
}

/* ---- batch norms ---- */

static struct dio_norm_rows norm_case(struct run *run)
{
    struct dio_norm_rows n = {.rows = number(run, "rows", 1), .channels = number(run, "channels", 1), .add = number(run, "add", 0) != 0,
                              .act = (enum dio_act)number(run, "act", 0)};
    const int64_t count = n.rows * n.channels;
    n.x = filled(run, count);
    n.dy = filled(run, count);
    n.mean = filled(run, n.channels);
    n.scale = filled(run, n.channels);
    n.shift = filled(run, n.channels);
    n.slope = filled(run, n.channels);
    n.offset = number(run, "constants", 0) ? NULL : filled(run, n.channels);
    if (number(run, "residual", 0)) n.residual = filled(run, count);
    return n;
}

/* The number before the activation, what it is made of, and dy times the activation's slope there. */
static double norm_of(const struct dio_norm_rows *n, int64_t i, double *magnitude)
{
    const int64_t c = i % n->channels;
    const double product = ((double)n->x[i] - (double)n->mean[c]) * (double)n->scale[c], residual = n->residual ? (double)n->residual[i] : 0;
    *magnitude = fabs(product) + fabs((double)n->shift[c]) + fabs(residual);
    return product + (double)n->shift[c] + residual;
}

static double gated_of(const struct dio_norm_rows *n, int64_t i)
{
    double magnitude;
    const double y = norm_of(n, i, &magnitude), dy = (double)n->dy[i], s = 1 / (1 + exp(-y));
    if (n->act == DIO_ACT_RELU) return y <= 0 ? 0 : dy;
    if (n->act == DIO_ACT_RELU6) return y <= 0 || y >= 6 ? 0 : dy;
    return n->act == DIO_ACT_SILU ? dy * s * (1 + y * (1 - s)) : dy;
}

static double activated(enum dio_act act, double x)
{
    if (act == DIO_ACT_RELU) return x < 0 ? 0 : x;
    if (act == DIO_ACT_RELU6) return x < 0 ? 0 : x > 6 ? 6 : x;
    return act == DIO_ACT_SILU ? x / (1 + exp(-x)) : x;
}

/* What an activation that clips put out, as forward would have left it. */
static void keep_output(struct run *run, struct dio_norm_rows *n)
{
    if (!number(run, "kept", 0)) return;
    n->out = buffer(run, n->rows * n->channels);
    run->kernels->norm_apply(n);
    n->kept = n->out;
}

/* Sums in double, so exact to far less than the eps of float that judge() allows. */
void check_norm_sums(struct run *run)
{
    const struct dio_norm_rows n = norm_case(run);
    double *sums = must(malloc((size_t)n.channels * 2 * sizeof *sums));
    run->kernels->norm_sums(&n, sums, sums + n.channels);
    for (int64_t c = 0; c < n.channels; c++) {
        double sum = 0, squares = 0;
        for (int64_t i = c; i < n.rows * n.channels; i += n.channels) {
            sum += (double)n.x[i];
            squares += (double)n.x[i] * (double)n.x[i];
        }
        judge(run, sums[c], sum, (double)n.rows * 0x1p-24, n.rows, "sum", 0, c);
        judge(run, sums[n.channels + c], squares, (double)n.rows * 0x1p-24, n.rows, "squares", 0, c);
    }
    free(sums);
}

/* Four numbers are added in float. */
void check_norm_gradient_sums(struct run *run)
{
    enum { TERMS = 4, SLOPE = 12 };
    struct dio_norm_rows n = norm_case(run);
    const int64_t count = n.rows * n.channels, gated = number(run, "gated", 0);
    const float *before = filled(run, count);
    double *sums = must(malloc((size_t)n.channels * 2 * sizeof *sums));
    keep_output(run, &n);
    n.add_gated = gated == 2;
    if (gated) n.gated = buffer(run, count);
    if (n.add_gated) memcpy(n.gated, before, (size_t)count * sizeof *before);
    run->kernels->norm_gradient_sums(&n, sums, sums + n.channels);
    for (int64_t c = 0; c < n.channels; c++) {
        double sum = 0, products = 0, of_sum = 0, of_products = 0;
        for (int64_t i = c; i < count; i += n.channels) {
            const double g = gated_of(&n, i), away = (double)n.x[i] - (double)n.mean[c], start = n.add_gated ? (double)before[i] : 0;
            sum += g;
            products += g * away;
            of_sum += fabs((double)n.dy[i]);
            of_products += fabs((double)n.dy[i] * away);
            if (gated) judge(run, (double)n.gated[i], start + g, fabs(start) + fabs((double)n.dy[i]), SLOPE, "gated", i / n.channels, c);
        }
        judge(run, sums[c], sum, of_sum, TERMS + SLOPE, "sum", 0, c);
        judge(run, sums[n.channels + c], products, of_products, TERMS + SLOPE, "products", 0, c);
    }
    free(sums);
}

void check_norm_apply(struct run *run)
{
    struct dio_norm_rows n = norm_case(run);
    n.out = buffer(run, n.rows * n.channels);
    run->kernels->norm_apply(&n);
    for (int64_t i = 0; i < n.rows * n.channels; i++) {
        double magnitude;
        const double y = norm_of(&n, i, &magnitude);
        judge(run, (double)n.out[i], activated(n.act, y), magnitude, 4, "out", i / n.channels, i % n.channels);
    }
}

void check_norm_gradient(struct run *run)
{
    enum { SLOPE = 12 };
    struct dio_norm_rows n = norm_case(run);
    const int64_t count = n.rows * n.channels;
    const float *before = filled(run, count);
    keep_output(run, &n);
    n.out = buffer(run, count);
    if (n.add) memcpy(n.out, before, (size_t)count * sizeof *n.out);
    run->kernels->norm_gradient(&n);
    for (int64_t i = 0; i < count; i++) {
        const int64_t c = i % n.channels;
        const double scale = (double)n.scale[c], g = gated_of(&n, i), start = n.add ? (double)before[i] : 0;
        const double offset = n.offset ? (double)n.offset[c] : 0;
        const double slope = n.offset ? ((double)n.x[i] - (double)n.mean[c]) * (double)n.slope[c] : 0;
        judge(run, (double)n.out[i], start + scale * (g - offset - slope),
              fabs(start) + fabs(scale) * (fabs((double)n.dy[i]) + fabs(offset) + fabs(slope)), n.act > DIO_ACT_LAST_CLIP ? SLOPE : 4, "out",
              i / n.channels, c);
    }
}

/* Against the stream drawn number by number. */
void check_dropout(struct run *run)
{
    const int64_t n = number(run, "n", 1), percent = number(run, "percent", 50);
    const bool add = number(run, "add", 0) != 0;
    struct dio_rng rng = dio_rng_make(0x1234567890abcdef, DIO_RNG_DROPOUT, 77, 0xfedcba9876543210);
    struct dio_dropout d = {.threshold = (uint64_t)percent * (UINT64_C(1) << 32) / 100, .factor = 1.25f, .add = add};
    dio_rng_counter(&rng, d.counter, d.key);
    const float *x = awkward(run, n), *before = filled(run, n);
    float *y = buffer(run, n);
    if (add) memcpy(y, before, (size_t)n * sizeof *y);
    run->kernels->dropout(&d, x, y, n);
    for (int64_t i = 0; i < n; i++) {
        const float value = dio_rng_u32(&rng) < d.threshold ? 0.0f : x[i] * d.factor;
        same_number(run, y[i], add ? before[i] + value : value, i);
    }
}
