#include <math.h>
#include <string.h>

#include "kernels/int8.h"

/* The same panels as those of pack.c, of channels in fours. */
static struct dio_pack in_fours(const struct dio_pack *pack)
{
    struct dio_pack fours = *pack;
    fours.channels = (pack->channels + 3) / 4;
    return fours;
}

int64_t dio_pack_int8_size(const struct dio_pack *pack)
{
    const struct dio_pack fours = in_fours(pack);
    return 4 * dio_pack_size(&fours);
}

int64_t dio_pack_int8_panel(const struct dio_pack *pack, int64_t p, int *width)
{
    const struct dio_pack fours = in_fours(pack);
    return 4 * dio_pack_panel(&fours, p, width);
}

static int8_t quantised(float value)
{
    const float rounded = nearbyintf(value);
    return (int8_t)(rounded > 127 ? 127 : rounded > -127 ? rounded : -127); /* a NaN is -127: a conversion needs a number */
}

/* Channels [first, last) of `columns` columns, all taps; first is a multiple of four. */
enum { CHUNK = 32, COLUMNS = 16 };

struct part {
    int64_t first, last;
    int width, at, columns;
};

static void pack_part(const struct dio_pack *pack, const float *w, const float *inverse, const struct part *p, int8_t *panel, int32_t *sums)
{
    const int64_t fours = (pack->channels + 3) / 4;
    for (int64_t t = 0; t < pack->taps; t++) {
        for (int64_t c = p->first; c < p->last; c++) {
            int8_t *out = panel + ((t * fours + c / 4) * p->width + p->at) * 4 + c % 4;
            const float *in = w + pack->tap_offset[t] + c * pack->c_stride;
            for (int j = 0; j < p->columns; j++) {
                out[4 * j] = quantised(in[j * pack->column_stride] * inverse[j]);
                sums[j] += out[4 * j];
            }
        }
    }
}

void dio_pack_int8_panels(const struct dio_pack *pack, const float *w, const float *inverse, int64_t first_panel, int64_t panels,
                          int8_t *packed, int32_t *sums)
{
    const int64_t fours = (pack->channels + 3) / 4, chunk = pack->taps > CHUNK / 4 ? 4 : CHUNK / (pack->taps ? pack->taps : 1) / 4 * 4;
    for (int64_t p = first_panel; p < first_panel + panels; p++) {
        int width;
        int8_t *panel = packed + dio_pack_int8_panel(pack, p, &width);
        const int64_t first = p * pack->panel_width, left = pack->columns - first;
        const int columns = left < width ? (int)left : width;
        memset(panel, 0, (size_t)(pack->taps * fours * width) * 4);
        const float *inverses = inverse + (p - first_panel) * pack->panel_width;
        int32_t *column_sums = sums + (p - first_panel) * pack->panel_width;
        memset(column_sums, 0, (size_t)columns * sizeof *column_sums);
        for (int64_t c = 0; c < pack->channels; c += chunk) {
            for (int j = 0; j < columns; j += COLUMNS) {
                const struct part part = {c, c + chunk < pack->channels ? c + chunk : pack->channels, width, j,
                                          columns - j < COLUMNS ? columns - j : COLUMNS};
                pack_part(pack, w + (first + j) * pack->column_stride, inverses + j, &part, panel, column_sums + j);
            }
        }
    }
}
