/* PNM: P1 to P6.  Samples are stretched to the whole range as Pillow does, round half to even. */
#include <math.h>
#include <string.h>

#include "image/codec.h"

struct pnm {
    int kind; /* 1 to 6 */
    int32_t width, height;
    unsigned largest;
    size_t at; /* reading position */
};

#define REFUSE(job_, row_, offset_, ...)                                                                                \
    dio_fail((job_)->ctx, DIO_ERR_INPUT, row_, &(struct dio_place){.file = (job_)->name, .offset = DIO_AT(offset_)}, __VA_ARGS__)

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
    return size >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' && (blank(bytes[2]) || bytes[2] == '#' || digit(bytes[2]));
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
static dio_status read_number(struct dio_decode *job, struct pnm *pnm, const char *what, uint32_t limit, uint32_t *value)
{
    skip_blanks(job, pnm);
    if (pnm->at >= job->size) return dio_picture_truncated(job);
    if (!digit(job->bytes[pnm->at])) return REFUSE(job, "I20", pnm->at, "PNM: no number where the %s should be", what);
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
    if (digit(job->bytes[2])) return REFUSE(job, "I20", 2, "PNM header: no white space after P%d", pnm->kind);
    size_t at = pnm->at;
    DIO_PASS(read_number(job, pnm, "width", INT32_MAX, &width));
    DIO_PASS(read_number(job, pnm, "height", INT32_MAX, &height));
    DIO_PASS(dio_picture_check_size(job->ctx, job->name, width, height, at));
    pnm->width = (int32_t)width;
    pnm->height = (int32_t)height;
    if (pnm->kind != 1 && pnm->kind != 4) {
        at = pnm->at;
        DIO_PASS(read_number(job, pnm, "maxval", 65535, &pnm->largest));
        if (pnm->largest < 1 || pnm->largest > 65535) return REFUSE(job, "I20", at, "maxval %s (1 to 65535)", pnm->largest ? "above 65535" : "0");
    }
    if (pnm->kind >= 4) {
        if (pnm->at >= job->size) return dio_picture_truncated(job);
        if (!blank(job->bytes[pnm->at])) return REFUSE(job, "I20", pnm->at, "PNM header: no white space before the samples");
        pnm->at++;
    }
    return DIO_OK;
}

static dio_status too_large(struct dio_decode *job, size_t at, unsigned value, unsigned largest)
{
    return REFUSE(job, "I20", at, "sample %u above maxval %u", value, largest);
}

/* Writes one sample of a row of `stored` channels as 1 or 3 channels. */
static void put_u8(uint8_t *out, size_t i, bool grey, uint8_t value)
{
    if (grey) memset(out + 3 * i, value, 3);
    else out[i] = value;
}

/* Samples `from`.. of text files and of 1-bit ones are read one by one; *done counts them, for damaged files. */
static dio_status read_text(struct dio_decode *job, struct pnm *pnm, size_t samples, const uint16_t *stretch, bool deep, bool grey, size_t *done)
{
    for (*done = 0; *done < samples; ++*done) {
        uint32_t value = 0;
        if (pnm->kind == 1) {
            skip_blanks(job, pnm);
            if (pnm->at >= job->size) return dio_picture_truncated(job);
            const unsigned byte = job->bytes[pnm->at];
            if (byte != '0' && byte != '1') return REFUSE(job, "I20", pnm->at, "PNM: sample is not 0 or 1");
            value = byte == '0';
            pnm->at++;
        } else {
            const size_t at = pnm->at;
            DIO_PASS(read_number(job, pnm, "next sample", 65535, &value));
            if (value > pnm->largest) return too_large(job, at, value, pnm->largest);
        }
        if (deep) ((uint16_t *)job->picture->data)[*done] = (uint16_t)rint((double)value / pnm->largest * 65535.0);
        else put_u8(job->picture->data, *done, grey, (uint8_t)stretch[value]);
    }
    return DIO_OK;
}

static dio_status read_binary(struct dio_decode *job, struct pnm *pnm, size_t samples, const uint16_t *stretch, bool deep, bool grey, size_t *done)
{
    const uint8_t *in = job->bytes + pnm->at;
    for (*done = 0; *done < samples; ++*done) {
        const size_t i = *done;
        const unsigned value = deep ? dio_be16(in + 2 * i) : in[i];
        if (value > pnm->largest) return too_large(job, pnm->at + (deep ? 2 * i : i), value, pnm->largest);
        if (!deep) put_u8(job->picture->data, i, grey, (uint8_t)stretch[value]);
        else ((uint16_t *)job->picture->data)[i] = pnm->largest == 65535 ? (uint16_t)value : (uint16_t)rint((double)value / pnm->largest * 65535.0);
    }
    return DIO_OK;
}

static void read_bits(struct dio_decode *job, const struct pnm *pnm, size_t rows)
{
    const size_t row_bytes = ((size_t)pnm->width + 7) / 8, width = (size_t)pnm->width;
    for (size_t y = 0; y < rows; y++) {
        const uint8_t *in = job->bytes + pnm->at + y * row_bytes;
        for (size_t x = 0; x < width; x++) put_u8(job->picture->data, y * width + x, true, in[x / 8] >> (7 - x % 8) & 1 ? 0 : 255);
    }
}

static dio_status decode(struct dio_decode *job)
{
    struct pnm pnm = {0};
    DIO_PASS(read_header(job, &pnm));
    const bool grey = pnm.kind != 3 && pnm.kind != 6, deep = pnm.largest > 255, binary = pnm.kind >= 4;
    const size_t pixels = (size_t)pnm.width * (size_t)pnm.height, samples = pixels * (grey ? 1 : 3), left = job->size - pnm.at;

    /* How many samples can there be?  Text needs a digit and, but for bitmaps, a blank for each. */
    const size_t row_bytes = ((size_t)pnm.width + 7) / 8;
    size_t room = pnm.kind == 4 ? left / row_bytes * (size_t)pnm.width : pnm.kind == 1 ? left : binary ? left / (deep ? 2 : 1) : (left + 1) / 2;
    if (room > samples) room = samples;
    const bool cut = room < samples;
    if (cut && !job->options.allow_damaged) return dio_picture_truncated(job);
    DIO_PASS(dio_picture_reserve(job->ctx, job->name, pnm.width, pnm.height, deep && grey ? 1 : 3, deep ? DIO_SAMPLE_U16 : DIO_SAMPLE_U8, job->picture));
    if (cut) memset(job->picture->data, 128, dio_picture_bytes(job->picture));

    uint16_t stretch[256];
    for (unsigned v = 0; v < 256; v++) stretch[v] = (uint16_t)(v <= pnm.largest ? rint((double)v / pnm.largest * 255.0) : 0);
    size_t done = room;
    if (pnm.kind == 4) read_bits(job, &pnm, room / (size_t)pnm.width);
    else DIO_PASS((binary ? read_binary : read_text)(job, &pnm, room, stretch, deep, grey, &done));
    if (cut) dio_picture_note_damage(job->picture, "truncated at byte %zu; the rest is grey", job->size);
    return DIO_OK;
}

const struct dio_codec dio_codec_pnm = {"pnm", probe, decode};
