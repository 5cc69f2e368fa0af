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

/* Channels are taken so many at a time that the contiguous side of the copy is some lines long, and the strided side stays
 * in a near cache. */
static int64_t chunk_channels(const struct dio_pack *pack)
{
    return pack->taps < 8 ? 128 / (pack->taps ? pack->taps : 1) : 16;
}

struct chunk {
    int64_t first_c, last_c, first_column;
    int columns, width;
};

/* Columns outside: one column's channels and taps are neighbours in the weights. */
static void pack_chunk(const struct dio_pack *pack, const struct chunk *k, const float *w, float *panel)
{
    if (pack->column_stride > pack->c_stride) {
        for (int j = 0; j < k->columns; j++) {
            for (int64_t c = k->first_c; c < k->last_c; c++) {
                const float *in = w + c * pack->c_stride + (k->first_column + j) * pack->column_stride;
                float *out = panel + c * k->width + j;
                for (int64_t t = 0; t < pack->taps; t++) out[t * pack->channels * k->width] = in[pack->tap_offset[t]];
            }
        }
    } else {
        for (int64_t t = 0; t < pack->taps; t++) {
            for (int64_t c = k->first_c; c < k->last_c; c++) {
                const float *in = w + pack->tap_offset[t] + c * pack->c_stride + k->first_column * pack->column_stride;
                float *out = panel + (t * pack->channels + c) * k->width;
                for (int j = 0; j < k->columns; j++) out[j] = in[j * pack->column_stride];
            }
        }
    }
    if (k->columns == k->width) return;
    for (int64_t t = 0; t < pack->taps; t++) {
        for (int64_t c = k->first_c; c < k->last_c; c++) {
            memset(panel + (t * pack->channels + c) * k->width + k->columns, 0, (size_t)(k->width - k->columns) * sizeof *panel);
        }
    }
}

static struct chunk chunk_of(const struct dio_pack *pack, int64_t p, int width, int64_t c, int64_t step)
{
    const int64_t first = p * pack->panel_width, left = pack->columns - first;
    return (struct chunk){c, c + step < pack->channels ? c + step : pack->channels, first, left < width ? (int)left : width, width};
}

void dio_pack_panels(const struct dio_pack *pack, const float *w, int64_t first_panel, int64_t panels, float *packed)
{
    for (int64_t p = first_panel; p < first_panel + panels; p++) {
        int width;
        float *panel = packed + dio_pack_panel(pack, p, &width);
        const int64_t step = chunk_channels(pack);
        for (int64_t c = 0; c < pack->channels; c += step) {
            const struct chunk chunk = chunk_of(pack, p, width, c, step);
            pack_chunk(pack, &chunk, w, panel);
        }
    }
}
