#include <string.h>

#include "kernels/gemm.h"

static int width_of(const struct dio_pack *pack, int64_t p)
{
    const int64_t left = pack->columns - p * pack->panel_width;
    if (left >= pack->panel_width) return pack->panel_width;
    return (int)((left + pack->vector_width - 1) / pack->vector_width * pack->vector_width);
}

int64_t dio_pack_panel(const struct dio_pack *pack, int64_t p, int *width)
{
    *width = width_of(pack, p);
    return p * pack->panel_width * pack->taps * pack->channels;
}

int64_t dio_pack_size(const struct dio_pack *pack)
{
    const int64_t last = (pack->columns - 1) / pack->panel_width;
    return (last * pack->panel_width + width_of(pack, last)) * pack->taps * pack->channels;
}

void dio_pack_panels(const struct dio_pack *pack, const float *w, int64_t first_panel, int64_t panels, float *packed)
{
    for (int64_t p = first_panel; p < first_panel + panels; p++) {
        int width;
        float *out = packed + dio_pack_panel(pack, p, &width);
        const int64_t first = p * pack->panel_width;
        const int64_t columns = pack->columns - first < width ? pack->columns - first : width;
        for (int64_t t = 0; t < pack->taps; t++) {
            for (int64_t c = 0; c < pack->channels; c++, out += width) {
                const float *in = w + pack->tap_offset[t] + c * pack->c_stride + first * pack->column_stride;
                for (int64_t j = 0; j < columns; j++) out[j] = in[j * pack->column_stride];
                memset(out + columns, 0, (size_t)(width - columns) * sizeof *out);
            }
        }
    }
}

void dio_unpack_panels(const struct dio_pack *pack, const float *packed, int64_t first_panel, int64_t panels, float *w,
                       bool add)
{
    for (int64_t p = first_panel; p < first_panel + panels; p++) {
        int width;
        const float *in = packed + dio_pack_panel(pack, p, &width);
        const int64_t first = p * pack->panel_width;
        const int64_t columns = pack->columns - first < width ? pack->columns - first : width;
        for (int64_t t = 0; t < pack->taps; t++) {
            for (int64_t c = 0; c < pack->channels; c++, in += width) {
                float *out = w + pack->tap_offset[t] + c * pack->c_stride + first * pack->column_stride;
                for (int64_t j = 0; j < columns; j++) {
                    float *at = out + j * pack->column_stride;
                    *at = add ? *at + in[j] : in[j];
                }
            }
        }
    }
}
