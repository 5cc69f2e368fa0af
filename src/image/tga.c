/* TGA, which has no signature: taken only for names that say so.  Runs and palette indices are walked before stb_image.
 */
#include <string.h>
#include <strings.h>

#include "image/codec.h"
#include "image/orient.h"

enum { HEADER = 18, PALETTE = 1, COLOUR = 2, GREY = 3, RUNS = 8, RIGHT_TO_LEFT = 0x10, TOP_DOWN = 0x20 };

struct tga {
    unsigned kind, bits;
    bool runs;
    int32_t width, height;
    size_t colours, data_at;
    size_t pixel; /* bytes */
};

static bool probe(const char *name, const uint8_t *bytes, size_t size)
{
    static const char *const extensions[] = {".tga", ".icb", ".vda", ".vst"};
    (void)bytes;
    const char *dot = name && size > 0 ? strrchr(name, '.') : NULL;
    for (size_t i = 0; dot && i < sizeof extensions / sizeof extensions[0]; i++) {
        if (strcasecmp(dot, extensions[i]) == 0) return true;
    }
    return false;
}

static bool depth_fits(unsigned kind, unsigned bits)
{
    if (kind == PALETTE || kind == GREY) return bits == 8 || (kind == GREY && bits == 16);
    return bits == 15 || bits == 16 || bits == 24 || bits == 32;
}

static dio_status read_header(struct dio_decode *job, struct tga *tga)
{
    const uint8_t *bytes = job->bytes;
    if (job->size < HEADER) return dio_picture_truncated(job);
    tga->runs = bytes[2] & RUNS;
    tga->kind = bytes[2] & ~(unsigned)RUNS;
    if (tga->kind < PALETTE || tga->kind > GREY || bytes[1] > 1) {
        return DIO_REFUSE(job, "I19", 2, "not a TGA: picture type %d", bytes[2]);
    }
    if ((tga->kind == PALETTE) != (bytes[1] == 1)) {
        return DIO_REFUSE(job, "I19", 1, "TGA: type %d with palette flag %d", bytes[2], bytes[1]);
    }
    tga->width = (int32_t)dio_le16(bytes + 12);
    tga->height = (int32_t)dio_le16(bytes + 14);
    DIO_PASS(dio_picture_check_size(job->ctx, job->name, tga->width, tga->height, 12));
    tga->bits = bytes[16];
    if (!depth_fits(tga->kind, tga->bits)) {
        return DIO_REFUSE(job, "I19", 16, "TGA: %u bits a pixel with type %d", tga->bits, bytes[2]);
    }
    tga->pixel = (tga->bits + 7) / 8;
    tga->data_at = HEADER + (size_t)bytes[0];
    if (tga->kind == PALETTE) {
        tga->colours = dio_le16(bytes + 5);
        const unsigned entry = bytes[7];
        if (dio_le16(bytes + 3) != 0) {
            return DIO_REFUSE(job, "I19", 3, "TGA: palette that starts at %u is not supported",
                              (unsigned)dio_le16(bytes + 3));
        }
        if (tga->colours == 0) return DIO_REFUSE(job, "I19", 5, "TGA: palette without colours");
        if (entry != 15 && entry != 16 && entry != 24 && entry != 32) {
            return DIO_REFUSE(job, "I19", 7, "TGA: palette of %u bits", entry);
        }
        tga->data_at += tga->colours * ((entry + 7) / 8);
    }
    return tga->data_at <= job->size ? DIO_OK : dio_picture_truncated(job);
}

static dio_status check_indices(struct dio_decode *job, const struct tga *tga, size_t at, size_t count)
{
    for (size_t i = 0; tga->kind == PALETTE && i < count; i++) {
        if (job->bytes[at + i] >= tga->colours) {
            return DIO_REFUSE(job, "I19", at + i, "palette index %d, the palette has %zu colours", job->bytes[at + i],
                              tga->colours);
        }
    }
    return DIO_OK;
}

static dio_status check_data(struct dio_decode *job, const struct tga *tga)
{
    const size_t pixels = (size_t)tga->width * (size_t)tga->height, size = job->size;
    size_t at = tga->data_at;
    if (!tga->runs) {
        if ((size - at) / tga->pixel < pixels) return dio_picture_truncated(job);
        return check_indices(job, tga, at, pixels);
    }
    for (size_t done = 0; done < pixels;) {
        if (at >= size) return dio_picture_truncated(job);
        const size_t count = (size_t)(job->bytes[at] & 127) + 1, stored = job->bytes[at] & 128 ? 1 : count;
        if (count > pixels - done) {
            return DIO_REFUSE(job, "I19", at, "TGA: run of %zu pixels where %zu are left", count, pixels - done);
        }
        at++;
        if ((size - at) / tga->pixel < stored) return dio_picture_truncated(job);
        DIO_PASS(check_indices(job, tga, at, stored));
        at += stored * tga->pixel;
        done += count;
    }
    return DIO_OK;
}

static dio_status decode(struct dio_decode *job)
{
    struct tga tga = {0};
    DIO_PASS(read_header(job, &tga));
    DIO_PASS(check_data(job, &tga));
    const struct dio_stb_part part = {job->bytes, job->size};
    DIO_PASS(dio_stb_decode(job, "TGA", &part, 1, tga.width, tga.height));
    job->picture->was_grey = tga.kind == GREY;
    job->picture->had_alpha = tga.bits == 32 || (tga.kind == GREY && tga.bits == 16);
    return job->bytes[17] & RIGHT_TO_LEFT ? dio_picture_orient(job->ctx, job->picture, 2) : DIO_OK;
}

const struct dio_codec dio_codec_tga = {"tga", probe, decode};
