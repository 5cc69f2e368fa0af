#include "kernels/kernels.h"
#include "kernels/template/resize_plain.inc"

void dio_resize_across_plain(const struct dio_resize_across *job)
{
    for (int32_t y = 0; y < job->rows; y++) plain_row(job, y);
}

void dio_resize_down_plain(const struct dio_resize_down *job)
{
    for (int32_t y = 0; y < job->axis->count; y++) plain_down(job, y, 0, job->samples);
}

void dio_normalise_u8_plain(const struct dio_normalise *n, const uint8_t *in, int64_t samples, float *out)
{
    if (n->channels != 3) {
        plain_numbers(n, in, 0, samples, out);
        return;
    }
    const float *r = n->table[0], *g = n->table[1], *b = n->table[2];
    for (int64_t i = 0; i < samples; i += 3) {
        out[i] = r[in[i]];
        out[i + 1] = g[in[i + 1]];
        out[i + 2] = b[in[i + 2]];
    }
}

void dio_fill_resize_portable(struct dio_kernels *kernels);
void dio_fill_resize_portable(struct dio_kernels *kernels)
{
    kernels->resize_across = dio_resize_across_plain;
    kernels->resize_down = dio_resize_down_plain;
    kernels->normalise_u8 = dio_normalise_u8_plain;
}
