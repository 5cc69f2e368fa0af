/* PNM: P1 to P6.  Samples are stretched to the whole range as Pillow does, round half to even. */
#include <math.h>
#include <string.h>

#include "image/codec.h"

struct pnm {
    int kind; /* 1 to 6 */
    int32_t width, height;
    unsigned largest;
    bool grey, deep, cut;
    uint8_t stretch[256]; /* 8-bit samples over the whole range */
    size_t at;            /* reading position */
};

static bool blank(unsigned byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static bool digit(unsigned byte)
{
    return byte >= '0' && byte <= '9';
}

static bool probe(const char *name, const uint8_t *bytes, size_t size)
{
    (void)name;
    return size >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
           (blank(bytes[2]) || bytes[2] == '#' || digit(bytes[2]));
}

static void skip_blanks(const struct dio_decode *job, struct pnm *pnm)
{
    while (pnm->at < job->size) {
        if (job->bytes[pnm->at] == '#') {
            while (pnm->at < job->size && job->bytes[pnm->at] != '\n' && job->bytes[pnm->at] != '\r') pnm->at++;
        } else if (!blank(job->bytes[pnm->at])) {
            return;
        } else {
            pnm->at++;
        }
    }
}

/* A decimal number; what is above `limit` comes out as limit + 1. */
static dio_status read_number(struct dio_decode *job, struct pnm *pnm, const char *what, uint32_t limit,
                              uint32_t *value)
{
    skip_blanks(job, pnm);
    if (pnm->at >= job->size) return dio_picture_truncated(job);
    if (!digit(job->bytes[pnm->at])) {
        return DIO_REFUSE(job, "I20", pnm->at, "PNM: no number where the %s should be", what);
    }
    uint64_t number = 0;
    for (; pnm->at < job->size && digit(job->bytes[pnm->at]); pnm->at++) {
        number = number * 10 + job->bytes[pnm->at] - '0';
        if (number > limit) number = (uint64_t)limit + 1;
    }
    *value = (uint32_t)number;
    return DIO_OK;
}

static dio_status read_header(struct dio_decode *job, struct pnm *pnm)
{
    uint32_t width = 0, height = 0;
    pnm->kind = job->bytes[1] - '0';
    pnm->at = 2;
    pnm->largest = 1;
    if (digit(job->bytes[2])) return DIO_REFUSE(job, "I20", 2, "PNM header: no white space after P%d", pnm->kind);
    size_t at = pnm->at;
    DIO_PASS(read_number(job, pnm, "width", INT32_MAX, &width));
    DIO_PASS(read_number(job, pnm, "height", INT32_MAX, &height));
    DIO_PASS(dio_picture_check_size(job->ctx, job->name, width, height, at));
    pnm->width = (int32_t)width;
    pnm->height = (int32_t)height;
    if (pnm->kind != 1 && pnm->kind != 4) {
        at = pnm->at;
        DIO_PASS(read_number(job, pnm, "maxval", 65535, &pnm->largest));
        if (pnm->largest < 1 || pnm->largest > 65535) {
            return DIO_REFUSE(job, "I20", at, "maxval %s (1 to 65535)", pnm->largest ? "above 65535" : "0");
        }
    }
    if (pnm->kind >= 4) {
        if (pnm->at >= job->size) return dio_picture_truncated(job);
        if (!blank(job->bytes[pnm->at])) {
            return DIO_REFUSE(job, "I20", pnm->at, "PNM header: no white space before the samples");
        }
        pnm->at++;
    }
    return DIO_OK;
}

static dio_status too_large(struct dio_decode *job, size_t at, unsigned value, unsigned largest)
{
    return DIO_REFUSE(job, "I20", at, "sample %u above maxval %u", value, largest);
}

/* Sample i: grey goes to all three channels, 16-bit samples stay as they are. */
static void put(const struct dio_decode *job, const struct pnm *pnm, size_t i, uint32_t value)
{
    uint8_t *out = job->picture->data;
    if (pnm->deep) ((uint16_t *)job->picture->data)[i] = (uint16_t)rint((double)value / pnm->largest * 65535.0);
    else if (pnm->grey) memset(out + 3 * i, pnm->stretch[value], 3);
    else out[i] = pnm->stretch[value];
}

static dio_status read_text(struct dio_decode *job, struct pnm *pnm, size_t samples)
{
    for (size_t i = 0; i < samples; i++) {
        uint32_t value = 0;
        skip_blanks(job, pnm);
        const size_t at = pnm->at;
        if (at >= job->size && job->options.allow_damaged) {
            pnm->cut = true;
            return DIO_OK;
        }
        if (at >= job->size) return dio_picture_truncated(job);
        if (pnm->kind == 1) {
            const unsigned byte = job->bytes[pnm->at++];
            if (byte != '0' && byte != '1') return DIO_REFUSE(job, "I20", at, "PNM: sample is not 0 or 1");
            value = byte == '0';
        } else {
            DIO_PASS(read_number(job, pnm, "next sample", 65535, &value));
            if (value > pnm->largest) return too_large(job, at, value, pnm->largest);
        }
        put(job, pnm, i, value);
    }
    return DIO_OK;
}

static dio_status read_binary(struct dio_decode *job, struct pnm *pnm, size_t samples)
{
    const uint8_t *in = job->bytes + pnm->at;
    for (size_t i = 0; i < samples; i++) {
        const unsigned value = pnm->deep ? dio_be16(in + 2 * i) : in[i];
        if (value > pnm->largest) return too_large(job, pnm->at + (pnm->deep ? 2 * i : i), value, pnm->largest);
        put(job, pnm, i, value);
    }
    return DIO_OK;
}

static void read_bits(const struct dio_decode *job, const struct pnm *pnm, size_t rows)
{
    const size_t row_bytes = ((size_t)pnm->width + 7) / 8, width = (size_t)pnm->width;
    for (size_t y = 0; y < rows; y++) {
        const uint8_t *in = job->bytes + pnm->at + y * row_bytes;
        for (size_t x = 0; x < width; x++) put(job, pnm, y * width + x, !(in[x / 8] >> (7 - x % 8) & 1));
    }
}

/* How many samples can there be at most?  Text needs a digit and, but for bitmaps, a blank for each. */
static size_t room_for(const struct dio_decode *job, const struct pnm *pnm)
{
    const size_t left = job->size - pnm->at;
    switch (pnm->kind) {
    case 1: return left;
    case 4: return left / (((size_t)pnm->width + 7) / 8) * (size_t)pnm->width;
    case 5:
    case 6: return left / (pnm->deep ? 2 : 1);
    default: return (left + 1) / 2;
    }
}

static dio_status decode(struct dio_decode *job)
{
    struct pnm pnm = {0};
    DIO_PASS(read_header(job, &pnm));
    pnm.grey = pnm.kind != 3 && pnm.kind != 6;
    pnm.deep = pnm.largest > 255;
    size_t samples = (size_t)pnm.width * (size_t)pnm.height * (pnm.grey ? 1 : 3);
    const size_t room = room_for(job, &pnm);
    pnm.cut = room < samples;
    if (pnm.cut && !job->options.allow_damaged) return dio_picture_truncated(job);
    if (pnm.cut) samples = room;
    DIO_PASS(dio_picture_reserve(job->ctx, job->name, pnm.width, pnm.height, pnm.deep && pnm.grey ? 1 : 3,
                                 pnm.deep ? DIO_SAMPLE_U16 : DIO_SAMPLE_U8, job->picture));
    if (job->options.allow_damaged) memset(job->picture->data, 128, dio_picture_bytes(job->picture));
    for (unsigned v = 0; v < 256 && v <= pnm.largest; v++) {
        pnm.stretch[v] = (uint8_t)rint((double)v / pnm.largest * 255.0);
    }
    if (pnm.kind == 4) read_bits(job, &pnm, samples / (size_t)pnm.width);
    else DIO_PASS((pnm.kind > 4 ? read_binary : read_text)(job, &pnm, samples));
    job->picture->was_grey = pnm.grey;
    if (pnm.cut) dio_picture_note_damage(job->picture, "truncated at byte %zu; the rest is grey", job->size);
    return DIO_OK;
}

const struct dio_codec dio_codec_pnm = {"pnm", probe, decode};
