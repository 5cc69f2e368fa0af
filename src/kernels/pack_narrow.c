/* Panels of bf16 and of bytes: those of pack.c, of channels in groups of two and of four. */
#include <math.h>
#include <string.h>

#include "kernels/bf16.h"
#include "kernels/int8.h"

enum { PAIR = 2, FOUR = 4 };

static int64_t groups_of(const struct dio_pack *pack, int group) { return (pack->channels + group - 1) / group; }

static struct dio_pack in_groups(const struct dio_pack *pack, int group)
{
    struct dio_pack groups = *pack;
    groups.channels = groups_of(pack, group);
    return groups;
}

static int64_t size_of(const struct dio_pack *pack, int group)
{
    const struct dio_pack groups = in_groups(pack, group);
    return group * dio_pack_size(&groups);
}

static int64_t panel_of(const struct dio_pack *pack, int group, int64_t p, int *width)
{
    const struct dio_pack groups = in_groups(pack, group);
    return group * dio_pack_panel(&groups, p, width);
}

/* Channels [first, last) of `columns` columns, all taps, of one panel; first begins a group. */
struct part {
    int64_t first, last;
    int64_t column; /* of the matrix */
    int width, at, columns;
    void *panel;
    const float *inverse; /* of these columns; bytes only, as the sums */
    int32_t *sums;
};

struct job {
    const struct dio_pack *pack;
    const float *w;
    const float *inverse; /* from the first panel on */
    int32_t *sums;
    int group;
    size_t element; /* bytes */
    void (*put)(const struct job *job, const struct part *part);
};

/* Where a part's first number of tap t and channel c comes from, and where it goes. */
static const float *from(const struct job *job, const struct part *part, int64_t t, int64_t c)
{
    return job->w + part->column * job->pack->column_stride + job->pack->tap_offset[t] + c * job->pack->c_stride;
}

static int64_t to(const struct job *job, const struct part *part, int64_t t, int64_t c)
{
    return ((t * groups_of(job->pack, job->group) + c / job->group) * part->width + part->at) * job->group + c % job->group;
}

/* A column's numbers are read in their order in memory (taps inside channels), so that the strided side of the copy stays in
 * the first-level cache. */
static void pack_panels(const struct job *job, int64_t first_panel, int64_t panels, void *packed)
{
    enum { CHUNK = 32, COLUMNS = 16 };
    const struct dio_pack *pack = job->pack;
    const int64_t groups = groups_of(pack, job->group), taps = pack->taps > 0 ? pack->taps : 1;
    const int64_t chunk = taps > CHUNK / job->group ? job->group : CHUNK / taps / job->group * job->group;
    for (int64_t p = first_panel; p < first_panel + panels; p++) {
        const int64_t first = p * pack->panel_width, left = pack->columns - first, seen = (p - first_panel) * pack->panel_width;
        struct part part = {0};
        part.panel = (char *)packed + (size_t)panel_of(pack, job->group, p, &part.width) * job->element;
        const int columns = left < part.width ? (int)left : part.width;
        const bool whole = columns == part.width && pack->channels % job->group == 0;
        if (!whole) memset(part.panel, 0, (size_t)(pack->taps * groups * part.width * job->group) * job->element);
        for (part.first = 0; part.first < pack->channels; part.first = part.last) {
            part.last = part.first + chunk < pack->channels ? part.first + chunk : pack->channels;
            for (part.at = 0; part.at < columns; part.at += COLUMNS) {
                part.column = first + part.at;
                part.columns = columns - part.at < COLUMNS ? columns - part.at : COLUMNS;
                if (job->inverse) part.inverse = job->inverse + seen + part.at;
                if (job->sums) part.sums = job->sums + seen + part.at;
                job->put(job, &part);
            }
        }
    }
}

/* ---- bf16 ---- */

static uint16_t narrow(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value) return (uint16_t)((bits | 0x400000u) >> 16);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

static void put_bf16(const struct job *job, const struct part *part)
{
    for (int64_t t = 0; t < job->pack->taps; t++) {
        for (int64_t c = part->first; c < part->last; c++) {
            const float *in = from(job, part, t, c);
            uint16_t *out = (uint16_t *)part->panel + to(job, part, t, c);
            for (int j = 0; j < part->columns; j++) out[PAIR * j] = narrow(in[j * job->pack->column_stride]);
        }
    }
}

int64_t dio_pack_bf16_size(const struct dio_pack *pack) { return size_of(pack, PAIR); }
int64_t dio_pack_bf16_panel(const struct dio_pack *pack, int64_t p, int *width) { return panel_of(pack, PAIR, p, width); }

void dio_pack_bf16_panels(const struct dio_pack *pack, const float *w, int64_t first_panel, int64_t panels, uint16_t *packed)
{
    const struct job job = {.pack = pack, .w = w, .group = PAIR, .element = sizeof *packed, .put = put_bf16};
    pack_panels(&job, first_panel, panels, packed);
}

/* ---- bytes ---- */

static int8_t quantised(float value)
{
    const float rounded = nearbyintf(value);
    return (int8_t)(rounded > 127 ? 127 : rounded > -127 ? rounded : -127); /* a NaN is -127: a conversion needs a number */
}

static void put_int8(const struct job *job, const struct part *part)
{
    if (part->first == 0) memset(part->sums, 0, (size_t)part->columns * sizeof *part->sums);
    for (int64_t t = 0; t < job->pack->taps; t++) {
        for (int64_t c = part->first; c < part->last; c++) {
            const float *in = from(job, part, t, c);
            int8_t *out = (int8_t *)part->panel + to(job, part, t, c);
            for (int j = 0; j < part->columns; j++) {
                out[FOUR * j] = quantised(in[j * job->pack->column_stride] * part->inverse[j]);
                part->sums[j] += out[FOUR * j];
            }
        }
    }
}

int64_t dio_pack_int8_size(const struct dio_pack *pack) { return size_of(pack, FOUR); }
int64_t dio_pack_int8_panel(const struct dio_pack *pack, int64_t p, int *width) { return panel_of(pack, FOUR, p, width); }

void dio_pack_int8_panels(const struct dio_pack *pack, const float *w, const float *inverse, int64_t first_panel, int64_t panels,
                          int8_t *packed, int32_t *sums)
{
    const struct job job = {.pack = pack, .w = w, .inverse = inverse, .sums = sums, .group = FOUR, .element = sizeof *packed, .put = put_int8};
    pack_panels(&job, first_panel, panels, packed);
}

/* ---- depthwise, bytes ---- */

/* Which channel byte `at` of block b belongs to; -1: of none. */
static int64_t channel_of(int64_t channels, int block, int64_t b, int at)
{
    int count;
    const int64_t first = dio_depthwise_int8_first(channels, block, b, &count);
    if (count == block / 2) at %= count;
    return at < count ? first + at : -1;
}

/* Weaving puts byte `at` of a block into vector at % 16 / 4, as its lane: */
static int place_of(int block, int at) { return at % 16 / 4 * (block / 4) + at / 16 * 4 + at % 4; }

int64_t dio_pack_depthwise_int8_size(int64_t channels, int block, int r, int s)
{
    return dio_depthwise_int8_blocks(channels, block) * ((r + FOUR - 1) / FOUR) * s * FOUR * block;
}

void dio_pack_depthwise_int8(const float *w, const float *inverse, int64_t channels, int block, int r, int s, int8_t *filter, int32_t *sums)
{
    const int64_t groups = (r + FOUR - 1) / FOUR;
    memset(filter, 0, (size_t)dio_pack_depthwise_int8_size(channels, block, r, s));
    for (int64_t b = 0; b < dio_depthwise_int8_blocks(channels, block); b++) {
        for (int at = 0; at < block; at++) {
            const int64_t c = channel_of(channels, block, b, at);
            if (c < 0) continue;
            sums[c] = 0;
            for (int tap = 0; tap < r * s; tap++) {
                const int row = tap / s, column = tap % s;
                const int8_t value = quantised(w[c * r * s + tap] * inverse[c]);
                filter[(((b * groups + row / FOUR) * s + column) * block + place_of(block, at)) * FOUR + row % FOUR] = value;
                sums[c] += value;
            }
        }
    }
}

void dio_pack_depthwise_channels(const float *x, int64_t channels, int block, float *out)
{
    for (int64_t b = 0; b < dio_depthwise_int8_blocks(channels, block); b++) {
        for (int at = 0; at < block; at++) {
            const int64_t c = channel_of(channels, block, b, at);
            out[b * block + place_of(block, at)] = c < 0 ? 0 : x[c];
        }
    }
}
