#include "kernels/resize.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"

size_t dio_resize_across_scratch(int32_t count, int32_t width, int32_t channels)
{
    /* The hungriest pack keeps 104 bytes for 8 outputs and 2 taps, outputs rounded up to 32. */
    size_t outputs = 0, bytes = 0;
    if (!dio_mul_size((size_t)count, (size_t)channels, &outputs) ||
        !dio_mul_size(outputs / 8 + 8, ((size_t)width + 5) / 2, &bytes) || !dio_mul_size(bytes, 128, &bytes)) {
        return SIZE_MAX;
    }
    return bytes;
}

static float by_formula(float v, float mean, float std, float inverse)
{
    const float r = 1.0f / 255.0f, q = v * r;
    const float scaled = fmaf(fmaf(-q, 255.0f, v), r, q), d = scaled - mean, t = d * inverse;
    return fmaf(fmaf(-t, std, d), inverse, t);
}

void dio_normalise_init(struct dio_normalise *n, int32_t channels, float (*table)[256], const double *mean,
                        const double *std)
{
    *n = (struct dio_normalise){.channels = channels, .table = table, .by_formula = channels == 1 || channels == 3};
    for (int i = 0; n->by_formula && i < DIO_NORMALISE_LANES; i++) {
        const int32_t c = i % channels;
        n->mean[i] = (float)mean[c];
        n->std[i] = (float)std[c];
        n->inverse[i] = 1.0f / n->std[i];
    }
    for (int32_t c = 0; n->by_formula && c < channels; c++) {
        for (int v = 0; v < 256; v++) {
            const float number = by_formula((float)v, n->mean[c], n->std[c], n->inverse[c]);
            if (memcmp(&number, &table[c][v], sizeof number) != 0) n->by_formula = false;
        }
    }
}
