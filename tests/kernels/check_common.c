#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

int64_t number(const struct run *run, const char *name, int64_t initial)
{
    char key[32];
    snprintf(key, sizeof key, " %s=", name);
    const char *at = strstr(run->line, key);
    return at ? strtoll(at + strlen(key), NULL, 10) : initial;
}

float *buffer(struct run *run, int64_t count)
{
    struct fenced *fenced = &run->buffers[run->n_buffers++];
    *fenced = fenced_new((size_t)count, run->after);
    return fenced->data;
}

float draw(struct run *run)
{
    return (float)(dio_rng_uniform(&run->rng) * 2 - 1);
}

void fill_rows(struct run *run, float *x, int64_t rows, int64_t columns, int64_t stride)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) x[i * stride + j] = draw(run);
    }
}

float *filled(struct run *run, int64_t count)
{
    float *x = buffer(run, count);
    fill_rows(run, x, 1, count, count);
    return x;
}

void judge(struct run *run, double got, double expected, double magnitude, int64_t terms, const char *where, int64_t i, int64_t j)
{
    judge_within(run, got, expected, (double)(terms + 3) * 0x1p-24 * magnitude, where, i, j);
}

void judge_within(struct run *run, double got, double expected, double allowed, const char *where, int64_t i, int64_t j)
{
    const double error = fabs(got - expected);
    if (error > run->worst * allowed) run->worst = allowed > 0 ? error / allowed : INFINITY;
    if (error <= allowed || run->problem[0]) return;
    snprintf(run->problem, sizeof run->problem, "%s[%" PRId64 "][%" PRId64 "] is %.9g, expected %.9g +- %.2g", where, i, j, got,
             expected, allowed);
}

void judge_gaps(struct run *run, const float *y, const bool *written, int64_t count)
{
    for (int64_t i = 0; i < count && !run->problem[0]; i++) {
        if (!written[i] && !isnan(y[i])) {
            snprintf(run->problem, sizeof run->problem, "wrote outside its outputs, at float %" PRId64, i);
        }
    }
}

void *must(void *block)
{
    if (!block) {
        perror("malloc");
        exit(1);
    }
    return block;
}
