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
 * in the first-level cache. */
enum { CHUNK_FLOATS = 128, COLUMNS = 16 };

static int64_t chunk_channels(const struct dio_pack *pack)
{
    return pack->taps < CHUNK_FLOATS / 8 ? CHUNK_FLOATS / (pack->taps ? pack->taps : 1) : 8;
}

struct chunk {
    int64_t first_c, last_c, first_column;
    int columns, width;
};

/* Forward weights: a column's channels and taps are one stretch of memory.  Some columns are copied side by side, at
 * distances that do not meet in one cache set, and turned from there. */
static void pack_stretches(const struct dio_pack *pack, const struct chunk *k, const float *w, float *panel)
{
    float stage[COLUMNS][CHUNK_FLOATS + 16];
    const int64_t floats = (k->last_c - k->first_c) * pack->taps;
    for (int first = 0; first < k->columns; first += COLUMNS) {
        const int columns = k->columns - first < COLUMNS ? k->columns - first : COLUMNS;
        for (int j = 0; j < columns; j++) {
            const float *in = w + k->first_c * pack->c_stride + (k->first_column + first + j) * pack->column_stride;
            memcpy(stage[j], in, (size_t)floats * sizeof *in);
        }
        for (int64_t t = 0; t < pack->taps; t++) {
            for (int64_t c = k->first_c; c < k->last_c; c++) {
                const int64_t from = (c - k->first_c) * pack->taps + t;
                float *out = panel + (t * pack->channels + c) * k->width + first;
                for (int j = 0; j < columns; j++) out[j] = stage[j][from];
            }
        }
    }
}

/* Any layout. */
static void pack_elements(const struct dio_pack *pack, const struct chunk *k, const float *w, float *panel)
{
    for (int64_t t = 0; t < pack->taps; t++) {
        for (int64_t c = k->first_c; c < k->last_c; c++) {
            const float *in = w + pack->tap_offset[t] + c * pack->c_stride + k->first_column * pack->column_stride;
            float *out = panel + (t * pack->channels + c) * k->width;
            for (int j = 0; j < k->columns; j++) out[j] = in[j * pack->column_stride];
        }
    }
}

static bool is_stretch(const struct dio_pack *pack, const struct chunk *k)
{
    if (pack->c_stride != pack->taps || (k->last_c - k->first_c) * pack->taps > CHUNK_FLOATS) return false;
    for (int64_t t = 0; t < pack->taps; t++) {
        if (pack->tap_offset[t] != t) return false;
    }
    return true;
}

static void pack_chunk(const struct dio_pack *pack, const struct chunk *k, const float *w, float *panel)
{
    (is_stretch(pack, k) ? pack_stretches : pack_elements)(pack, k, w, panel);
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
