#include <string.h>

#include "kernels/bf16.h"

/* The same panels as those of pack.c, of paired channels. */
static struct dio_pack paired(const struct dio_pack *pack)
{
    struct dio_pack pairs = *pack;
    pairs.channels = (pack->channels + 1) / 2;
    return pairs;
}

int64_t dio_pack_bf16_size(const struct dio_pack *pack)
{
    const struct dio_pack pairs = paired(pack);
    return 2 * dio_pack_size(&pairs);
}

int64_t dio_pack_bf16_panel(const struct dio_pack *pack, int64_t p, int *width)
{
    const struct dio_pack pairs = paired(pack);
    return 2 * dio_pack_panel(&pairs, p, width);
}

static uint16_t narrow(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value) return (uint16_t)((bits | 0x400000u) >> 16);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

/* Channels [first, last) of `columns` columns, all taps; first is even.  A column's numbers are read in their order in memory
 * (taps inside channels), so that the strided side of the copy stays in the first-level cache. */
enum { CHUNK = 32, COLUMNS = 16 };

static void pack_chunk(const struct dio_pack *pack, const float *w, int64_t first, int64_t last, int width, int at, int columns,
                       uint16_t *panel)
{
    const int64_t pairs = (pack->channels + 1) / 2;
    for (int64_t t = 0; t < pack->taps; t++) {
        const float *from = w + pack->tap_offset[t];
        for (int64_t c = first; c < last; c++) {
            uint16_t *out = panel + ((t * pairs + c / 2) * width + at) * 2 + c % 2;
            const float *in = from + c * pack->c_stride;
            for (int j = 0; j < columns; j++) out[2 * j] = narrow(in[j * pack->column_stride]);
        }
    }
}

void dio_pack_bf16_panels(const struct dio_pack *pack, const float *w, int64_t first_panel, int64_t panels, uint16_t *packed)
{
    const int64_t pairs = (pack->channels + 1) / 2, chunk = pack->taps > CHUNK / 2 ? 2 : CHUNK / (pack->taps ? pack->taps : 1) / 2 * 2;
    for (int64_t p = first_panel; p < first_panel + panels; p++) {
        int width;
        uint16_t *panel = packed + dio_pack_bf16_panel(pack, p, &width);
        const int64_t first = p * pack->panel_width, left = pack->columns - first;
        const int columns = left < width ? (int)left : width;
        if (columns < width || pack->channels % 2) memset(panel, 0, (size_t)(pack->taps * pairs * width) * 2 * sizeof *panel);
        for (int64_t c = 0; c < pack->channels; c += chunk) {
            const int64_t last = c + chunk < pack->channels ? c + chunk : pack->channels;
            for (int j = 0; j < columns; j += COLUMNS) {
                const int some = columns - j < COLUMNS ? columns - j : COLUMNS;
                pack_chunk(pack, w + (first + j) * pack->column_stride, c, last, width, j, some, panel);
            }
        }
    }
}
