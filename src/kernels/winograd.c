#include "kernels/winograd.h"

enum { KERNELS = 16 }; /* transformed side by side */

/* G of the points in winograd.h: the row of a finite point p is (1, p, p^2) / product over the other points q of (p - q).
 * in: 3 lines at distance `step`, out: m + 2 lines at distance `out_step`, counted in lines of KERNELS numbers. */
static void transform(int m, double (*in)[KERNELS], int step, double (*out)[KERNELS], int out_step)
{
    static const double p = 0.625, q = 1.5;
    const double at_0 = m == 2 ? -1 : 1 / (p * p * q * q);
    const double at_p = m == 2 ? 0.5 : 1 / (2 * p * p * (p * p - q * q)), at_q = 1 / (2 * q * q * (q * q - p * p));
    const double first = m == 2 ? 1 : p;
    for (int i = 0; i < KERNELS; i++) {
        const double a = in[0][i], b = in[step][i], c = in[2 * step][i];
        out[0][i] = a * at_0;
        out[out_step][i] = (a + first * b + first * first * c) * at_p;
        out[2 * out_step][i] = (a - first * b + first * first * c) * at_p;
        out[(m + 1) * out_step][i] = c;
        if (m == 2) continue;
        out[3 * out_step][i] = (a + q * b + q * q * c) * at_q;
        out[4 * out_step][i] = (a - q * b + q * q * c) * at_q;
    }
}

void dio_winograd_weights(int m, const float *w, int64_t w_step, int count, float *u, int64_t u_step)
{
    const int side = m + 2;
    for (int first = 0; first < count; first += KERNELS) {
        const int kernels = count - first < KERNELS ? count - first : KERNELS;
        double in[9][KERNELS] = {{0}}, half[6 * 3][KERNELS], out[6][KERNELS];
        for (int i = 0; i < kernels; i++) {
            for (int t = 0; t < 9; t++) in[t][i] = (double)w[(first + i) * w_step + t];
        }
        for (int j = 0; j < 3; j++) transform(m, in + j, 3, half + j, 3);
        for (int i = 0; i < side; i++) {
            transform(m, half + 3 * i, 1, out, 1);
            for (int j = 0; j < side; j++) {
                float *to = u + (i * side + j) * u_step + first;
                for (int k = 0; k < kernels; k++) to[k] = (float)out[j][k];
            }
        }
    }
}
