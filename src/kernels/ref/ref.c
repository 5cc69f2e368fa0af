#include "kernels/ref/ref.h"

#include <math.h>

static double clip6(double value) { return value < 0 ? 0 : value > 6 ? 6 : value; }

static double activate(double value, enum dio_act act)
{
    switch (act) {
    case DIO_ACT_RELU: return value < 0 ? 0 : value;
    case DIO_ACT_RELU6: return clip6(value);
    case DIO_ACT_SILU: return value / (1 + exp(-value));
    case DIO_ACT_GELU: return 0.5 * value * erfc(-value * 0.70710678118654752);
    case DIO_ACT_GELU_TANH: return value / (1 + exp(-1.5957691216057308 * (value + 0.044715 * value * value * value)));
    case DIO_ACT_SIGMOID: return 1 / (1 + exp(-value));
    case DIO_ACT_HARDSWISH: return value * clip6(value + 3) / 6;
    case DIO_ACT_HARDSIGMOID: return clip6(value + 3) / 6;
    default: return value;
    }
}

struct sum {
    double value, magnitude;
};

static void add(struct sum *sum, double term)
{
    sum->value += term;
    sum->magnitude += fabs(term);
}

void dio_ref_gemm_rows(const struct dio_gemm_rows *g, double *y, double *magnitude)
{
    for (int64_t i = 0; i < g->rows; i++) {
        const int64_t at = g->y_offset ? g->y_offset[i] : i * g->y_stride;
        const int64_t residual_at = g->y_offset ? g->y_offset[i] : i * g->residual_stride;
        for (int j = 0; j < g->columns; j++) {
            struct sum sum = {0, 0};
            if (g->bias) add(&sum, (double)g->bias[j]);
            if (g->from_y) add(&sum, (double)g->y[at + j]);
            for (int64_t t = 0; t < g->taps; t++) {
                const int64_t row = g->offset ? g->offset[t * g->offset_stride + i] : i * g->x_stride;
                if (row < 0) continue;
                for (int64_t c = 0; c < g->channels; c++) {
                    add(&sum, (double)g->x[row + c] * (double)g->panel[(t * g->channels + c) * g->width + j]);
                }
            }
            if (g->residual) add(&sum, (double)g->residual[residual_at + j]);
            y[i * g->columns + j] = activate(sum.value, g->act);
            magnitude[i * g->columns + j] = sum.magnitude;
        }
    }
}

void dio_ref_gemm_outer(const struct dio_gemm_outer *g, double *dw, double *magnitude)
{
    for (int64_t c = 0; c < g->channels; c++) {
        for (int j = 0; j < g->columns; j++) {
            struct sum sum = {0, 0};
            if (!g->overwrite) add(&sum, (double)g->dw[c * g->width + j]);
            for (int64_t r = 0; r < g->n_runs; r++) {
                for (int64_t p = 0; p < g->runs[r].count; p++) {
                    add(&sum, (double)g->x[g->runs[r].x + p * g->x_step + c] * (double)g->dy[g->runs[r].dy + p * g->dy_step + j]);
                }
            }
            dw[c * g->columns + j] = sum.value;
            magnitude[c * g->columns + j] = sum.magnitude;
        }
    }
}

void dio_ref_depthwise_row(const struct dio_depthwise_row *d, double *y, double *magnitude)
{
    for (int64_t ox = 0; ox < d->out_w; ox++) {
        for (int64_t c = 0; c < d->channels; c++) {
            struct sum sum = {0, 0};
            if (d->bias) add(&sum, (double)d->bias[c]);
            for (int r = 0; r < d->r; r++) {
                for (int s = 0; s < d->s; s++) {
                    const int64_t ix = ox * d->stride - d->pad_left + (int64_t)s * d->dilation;
                    if (!d->rows[r] || ix < 0 || ix >= d->in_w) continue;
                    for (int m = 0; m < d->group; m++) {
                        add(&sum, (double)((const float *)d->rows[r])[ix * d->x_pixel + c / d->group * d->group + m]
                                      * (double)d->filter[((r * d->s + s) * d->group + m) * d->filter_stride + c]);
                    }
                }
            }
            if (d->residual) add(&sum, (double)((const float *)d->residual)[ox * d->y_pixel + c]);
            y[ox * d->channels + c] = activate(sum.value, d->act);
            magnitude[ox * d->channels + c] = sum.magnitude;
        }
    }
}

void dio_ref_depthwise_dx_row(const struct dio_depthwise_row *d, double *y, double *magnitude)
{
    for (int64_t ix = 0; ix < d->in_w; ix++) {
        for (int64_t c = 0; c < d->channels; c++) {
            struct sum sum = {0, 0};
            for (int r = 0; r < d->r; r++) {
                for (int64_t ox = 0; ox < d->out_w; ox++) {
                    for (int s = 0; s < d->s; s++) {
                        if (!d->rows[r] || ox * d->stride - d->pad_left + (int64_t)s * d->dilation != ix) continue;
                        for (int m = 0; m < d->group; m++) {
                            add(&sum, (double)((const float *)d->rows[r])[ox * d->y_pixel + c / d->group * d->group + m]
                                          * (double)d->filter[((r * d->s + s) * d->group + m) * d->filter_stride + c]);
                        }
                    }
                }
            }
            if (d->residual) add(&sum, (double)((const float *)d->residual)[ix * d->x_pixel + c]);
            y[ix * d->channels + c] = sum.value;
            magnitude[ix * d->channels + c] = sum.magnitude;
        }
    }
}

void dio_ref_depthwise_dw_row(const struct dio_depthwise_dw_row *d, double *dw, double *magnitude)
{
    for (int i = 0; i < d->s * d->group; i++) {
        const int s = i / d->group, m = i % d->group;
        for (int64_t c = 0; c < d->channels; c++) {
            struct sum sum = {0, 0};
            add(&sum, (double)d->dw[i * d->filter_stride + c]);
            for (int64_t ox = 0; ox < d->out_w; ox++) {
                const int64_t ix = ox * d->stride - d->pad_left + (int64_t)s * d->dilation;
                if (ix < 0 || ix >= d->in_w) continue;
                add(&sum, (double)d->x[ix * d->x_pixel + c / d->group * d->group + m] * (double)d->dy[ox * d->y_pixel + c]);
            }
            dw[i * d->channels + c] = sum.value;
            magnitude[i * d->channels + c] = sum.magnitude;
        }
    }
}

/* ---- Winograd: the matrices from their points, by multiplying polynomials out ---- */

struct winograd {
    int side, m;
    double bt[6][6], at[6][6], g[6][3];
};

static struct winograd winograd_matrices(int m)
{
    static const double points_2[] = {0, 1, -1}, points_4[] = {0, 0.625, -0.625, 1.5, -1.5};
    struct winograd w = {.side = m + 2, .m = m};
    const double *points = m == 2 ? points_2 : points_4;
    const int finite = m + 1;
    for (int i = 0; i <= finite; i++) { /* row i of B^T: the product of (x - q) over the finite points q but the i-th */
        double *row = w.bt[i];
        int degree = 0;
        row[0] = 1;
        for (int j = 0; j < finite; j++) {
            if (j == i) continue;
            for (int d = ++degree; d > 0; d--) row[d] = row[d - 1] - points[j] * row[d];
            row[0] *= -points[j];
        }
    }
    for (int i = 0; i < finite; i++) { /* row i of G: powers of the i-th point by the product of its distances */
        double product = 1;
        for (int j = 0; j < finite; j++) product *= j == i ? 1 : points[i] - points[j];
        for (int j = 0; j < 3; j++) w.g[i][j] = pow(points[i], j) / product;
    }
    w.g[finite][2] = 1;
    for (int j = 0; j < m; j++) { /* column i of A^T: powers of the i-th point; of infinity the highest alone */
        for (int i = 0; i < finite; i++) w.at[j][i] = pow(points[i], j);
        w.at[j][finite] = j == m - 1;
    }
    return w;
}

void dio_ref_winograd_input(const struct dio_winograd_input *in, double *v, double *magnitude)
{
    const struct winograd w = winograd_matrices(in->m);
    for (int p = 0; p < w.side * w.side; p++) {
        for (int64_t c = 0; c < in->channels; c++) {
            struct sum sum = {0, 0};
            for (int i = 0; i < w.side; i++) {
                for (int j = 0; j < w.side; j++) {
                    add(&sum, w.bt[p / w.side][i] * w.bt[p % w.side][j] * (double)in->x[i * w.side + j][c]);
                }
            }
            v[p * in->channels + c] = sum.value;
            magnitude[p * in->channels + c] = sum.magnitude;
        }
    }
}

void dio_ref_winograd_output(const struct dio_winograd_output *out, double *y, double *magnitude)
{
    const struct winograd w = winograd_matrices(out->m);
    for (int p = 0; p < out->rows * out->columns; p++) {
        const int row = p / out->columns, column = p % out->columns;
        for (int64_t k = 0; k < out->channels; k++, y++, magnitude++) {
            struct sum sum = {0, 0};
            for (int i = 0; i < w.side; i++) {
                for (int j = 0; j < w.side; j++) {
                    add(&sum, w.at[row][i] * w.at[column][j] * (double)out->s[(i * w.side + j) * out->s_step + k]);
                }
            }
            if (out->bias) add(&sum, (double)out->bias[k]);
            if (out->residual) add(&sum, (double)out->residual[row * out->y_line + column * out->y_pixel + k]);
            *y = activate(sum.value, out->act);
            *magnitude = sum.magnitude;
        }
    }
}

void dio_ref_winograd_spread(const struct dio_winograd_spread *in, double *v, double *magnitude)
{
    const struct winograd w = winograd_matrices(in->m);
    for (int p = 0; p < w.side * w.side; p++) {
        for (int64_t k = 0; k < in->channels; k++) {
            struct sum sum = {0, 0};
            for (int i = 0; i < in->m * in->m; i++) {
                add(&sum, w.at[i / in->m][p / w.side] * w.at[i % in->m][p % w.side] * (double)in->dy[i][k]);
            }
            v[p * in->channels + k] = sum.value;
            magnitude[p * in->channels + k] = sum.magnitude;
        }
    }
}

void dio_ref_winograd_gather(const struct dio_winograd_gather *in, double *dw, double *magnitude)
{
    const struct winograd w = winograd_matrices(in->m);
    for (int t = 0; t < 9; t++) {
        for (int64_t i = 0; i < in->count; i++) {
            struct sum sum = {0, 0};
            for (int p = 0; p < w.side * w.side; p++) {
                add(&sum, w.g[p / w.side][t / 3] * w.g[p % w.side][t % 3] * (double)in->u[p * in->step + i]);
            }
            dw[t * in->count + i] = sum.value;
            magnitude[t * in->count + i] = sum.magnitude;
        }
    }
}

void dio_ref_winograd_weights(const struct dio_winograd_weights *in, double *u, double *magnitude)
{
    const struct winograd w = winograd_matrices(in->m);
    for (int p = 0; p < w.side * w.side; p++) {
        for (int i = 0; i < in->count; i++) {
            struct sum sum = {0, 0};
            for (int t = 0; t < 9; t++) {
                const double number = (double)in->w[i * in->w_step + (in->flipped ? 8 - t : t)];
                add(&sum, w.g[p / w.side][t / 3] * w.g[p % w.side][t % 3] * number);
            }
            u[p * in->count + i] = sum.value;
            magnitude[p * in->count + i] = sum.magnitude;
        }
    }
}
