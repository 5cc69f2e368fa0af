/* BMP: the header is read and checked here, run lengths are unpacked here; stb_image unpacks the pixels behind a plain
 * header that we write.  (Its own reading of headers takes the palette's length from the pixels' offset, and leaves
 * colours undefined.) */
#include <stdlib.h>
#include <string.h>

#include "image/codec.h"

enum {
    FILE_HEADER = 14,
    OS2_HEADER = 12,
    PLAIN_HEADER = 40,
    RGB = 0,
    RLE8 = 1,
    RLE4 = 2,
    BITFIELDS = 3,
    ALPHA_BITFIELDS = 6
};

struct bmp {
    int32_t width, height;
    bool top_down;
    uint32_t bits, compression;
    uint32_t mask[3], alpha;
    size_t palette_at, colours;
    unsigned entry;              /* bytes of a palette entry */
    size_t pixels_at, row_bytes; /* rows are padded to this */
};

static bool probe(const char *name, const uint8_t *bytes, size_t size)
{
    (void)name;
    return size >= 2 && bytes[0] == 'B' && bytes[1] == 'M' && (size < 18 || dio_le32(bytes + 14) < 65536);
}

static bool mask_sound(uint32_t mask)
{
    if (mask == 0) return false;
    const uint32_t ones = mask >> __builtin_ctz(mask);
    return (ones & (ones + 1)) == 0 && ones <= 0xff;
}

static dio_status read_masks(struct dio_decode *job, struct bmp *bmp, size_t header)
{
    const uint8_t *bytes = job->bytes;
    if (bmp->compression != BITFIELDS && bmp->compression != ALPHA_BITFIELDS) {
        const bool five = bmp->bits == 16;
        bmp->mask[0] = five ? 0x7c00 : 0xff0000;
        bmp->mask[1] = five ? 0x3e0 : 0xff00;
        bmp->mask[2] = five ? 0x1f : 0xff;
        return DIO_OK;
    }
    if (job->size < FILE_HEADER + PLAIN_HEADER + 12) return dio_picture_truncated(job);
    for (int i = 0; i < 3; i++) bmp->mask[i] = dio_le32(bytes + FILE_HEADER + PLAIN_HEADER + 4 * i);
    if (header >= 56) bmp->alpha = dio_le32(bytes + FILE_HEADER + PLAIN_HEADER + 12);
    for (int i = 0; i < 3; i++) {
        if (!mask_sound(bmp->mask[i])) {
            return DIO_REFUSE(job, "I17", FILE_HEADER + PLAIN_HEADER + 4 * i, "BMP: colour mask 0x%08x",
                              (unsigned)bmp->mask[i]);
        }
    }
    return DIO_OK;
}

static dio_status check_compression(struct dio_decode *job, const struct bmp *bmp)
{
    const uint32_t bits = bmp->bits;
    if (bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32) {
        return DIO_REFUSE(job, "I17", 28, "BMP: %u bits a pixel", (unsigned)bits);
    }
    const bool fits =
        bmp->compression == RGB || (bmp->compression == RLE8 && bits == 8) || (bmp->compression == RLE4 && bits == 4) ||
        ((bmp->compression == BITFIELDS || bmp->compression == ALPHA_BITFIELDS) && (bits == 16 || bits == 32));
    if (fits) return DIO_OK;
    return DIO_REFUSE(job, "I17", 30, "BMP: compression %u with %u bits is not supported", (unsigned)bmp->compression,
                      (unsigned)bits);
}

static dio_status read_header(struct dio_decode *job, struct bmp *bmp)
{
    const uint8_t *bytes = job->bytes;
    if (job->size < FILE_HEADER + 4) return dio_picture_truncated(job);
    const size_t header = dio_le32(bytes + 14);
    const bool os2 = header == OS2_HEADER;
    if (!os2 && header != 40 && header != 52 && header != 56 && header != 64 && header != 108 && header != 124) {
        return DIO_REFUSE(job, "I17", 14, "BMP: header of %zu bytes", header);
    }
    if (job->size < FILE_HEADER + header) return dio_picture_truncated(job);
    const int64_t width = os2 ? (int64_t)dio_le16(bytes + 18) : (int32_t)dio_le32(bytes + 18);
    const int64_t height = os2 ? (int64_t)dio_le16(bytes + 20) : (int32_t)dio_le32(bytes + 22);
    bmp->top_down = height < 0 && height != INT32_MIN;
    DIO_PASS(dio_picture_check_size(job->ctx, job->name, width, bmp->top_down ? -height : height, 18));
    bmp->width = (int32_t)width;
    bmp->height = (int32_t)(bmp->top_down ? -height : height);
    bmp->bits = dio_le16(bytes + (os2 ? 24 : 28));
    bmp->compression = os2 ? RGB : dio_le32(bytes + 30);
    DIO_PASS(check_compression(job, bmp));
    bmp->pixels_at = dio_le32(bytes + 10);
    bmp->row_bytes = ((size_t)bmp->width * bmp->bits + 31) / 32 * 4;
    if (bmp->bits >= 16) return read_masks(job, bmp, header);

    bmp->palette_at = FILE_HEADER + header;
    bmp->entry = os2 ? 3 : 4;
    const size_t declared = os2 ? 0 : dio_le32(bytes + 46), most = (size_t)1 << bmp->bits;
    if (declared > 65536) return DIO_REFUSE(job, "I17", 46, "BMP: palette of %zu colours", declared);
    bmp->colours = declared && declared < most ? declared : most;
    if (bmp->pixels_at < bmp->palette_at) {
        return DIO_REFUSE(job, "I17", 10, "BMP: pixels at offset %zu, within the header", bmp->pixels_at);
    }
    /* A palette that runs into the pixels is as long as there is room. */
    if (bmp->colours > (bmp->pixels_at - bmp->palette_at) / bmp->entry) {
        bmp->colours = (bmp->pixels_at - bmp->palette_at) / bmp->entry;
    }
    if (bmp->palette_at + bmp->colours * bmp->entry > job->size) return dio_picture_truncated(job);
    if (bmp->colours == 0) return DIO_REFUSE(job, "I17", 46, "BMP: no palette");
    return DIO_OK;
}

/* Unpacks run lengths to one byte a pixel, stored row 0 first, rows without padding.  Pixels that are jumped over stay
 * 0. */
static dio_status unpack_runs(struct dio_decode *job, const struct bmp *bmp, uint8_t *out)
{
    const uint8_t *bytes = job->bytes;
    const size_t width = (size_t)bmp->width, height = (size_t)bmp->height, size = job->size;
    const bool nibbles = bmp->compression == RLE4;
    size_t at = bmp->pixels_at, x = 0, y = 0;
    memset(out, 0, width * height);
    while (true) {
        if (size - at < 2) return dio_picture_truncated(job);
        const size_t start = at;
        const unsigned count = bytes[at], value = bytes[at + 1];
        at += 2;
        if (count == 0 && value == 1) return DIO_OK; /* end of the picture */
        if (count == 0 && value == 0) {              /* end of the row */
            x = 0;
            y++;
            continue;
        }
        if (count == 0 && value == 2) { /* jump */
            if (size - at < 2) return dio_picture_truncated(job);
            x += bytes[at];
            y += bytes[at + 1];
            at += 2;
            if (x > width || y >= height) return DIO_REFUSE(job, "I17", start, "RLE data leaves the picture");
            continue;
        }
        const size_t pixels = count ? count : value;
        if (y >= height || pixels > width - x) return DIO_REFUSE(job, "I17", start, "RLE data leaves the row");
        if (count) {
            for (size_t i = 0; i < pixels; i++) {
                out[y * width + x++] = (uint8_t)(!nibbles ? value : i & 1 ? value & 15 : value >> 4);
            }
            continue;
        }
        const size_t literal = nibbles ? (pixels + 1) / 2 : pixels, padded = (literal + 1) & ~(size_t)1;
        if (size - at < literal) return dio_picture_truncated(job);
        for (size_t i = 0; i < pixels; i++) {
            out[y * width + x++] =
                !nibbles ? bytes[at + i] : (uint8_t)(i & 1 ? bytes[at + i / 2] & 15 : bytes[at + i / 2] >> 4);
        }
        at = size - at < padded ? size : at + padded;
    }
}

static dio_status check_indices(struct dio_decode *job, const struct bmp *bmp, const uint8_t *rows, size_t row_bytes,
                                uint32_t bits)
{
    if (bmp->colours >= (size_t)1 << bits) return DIO_OK;
    for (int32_t y = 0; y < bmp->height; y++) {
        for (int32_t x = 0; x < bmp->width; x++) {
            const size_t bit = (size_t)x * bits;
            const unsigned shift = 8 - bits - (unsigned)(bit & 7), mask = (1u << bits) - 1;
            const unsigned index = (rows[(size_t)y * row_bytes + bit / 8] >> shift) & mask;
            if (index >= bmp->colours) {
                return DIO_REFUSE(job, "I17", bmp->pixels_at, "palette index %u, the palette has %zu colours", index,
                                  bmp->colours);
            }
        }
    }
    return DIO_OK;
}

static void put32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) out[i] = (uint8_t)(value >> (8 * i));
}

/* A header as stb_image wants it: 40 bytes, then masks or a palette of four-byte entries, then the pixels. */
static size_t write_header(const struct dio_decode *job, const struct bmp *bmp, uint32_t bits, uint8_t *out)
{
    const bool masks = bits == 16 || bits == 32;
    const size_t extra = masks ? 12 : bits < 16 ? 4 * bmp->colours : 0, length = FILE_HEADER + PLAIN_HEADER + extra;
    memset(out, 0, length);
    memcpy(out, "BM", 2);
    put32(out + 10, (uint32_t)length);
    put32(out + 14, PLAIN_HEADER);
    put32(out + 18, (uint32_t)bmp->width);
    put32(out + 22, (uint32_t)(bmp->top_down ? -bmp->height : bmp->height));
    out[26] = 1;
    out[28] = (uint8_t)bits;
    out[30] = masks ? BITFIELDS : RGB;
    uint8_t *rest = out + FILE_HEADER + PLAIN_HEADER;
    if (masks) {
        for (int i = 0; i < 3; i++) put32(rest + 4 * i, bmp->mask[i]);
    } else if (bits < 16) {
        for (size_t i = 0; i < bmp->colours; i++) {
            memcpy(rest + 4 * i, job->bytes + bmp->palette_at + i * bmp->entry, 3);
        }
    }
    return length;
}

/* Run lengths as rows of one byte a pixel, padded to four bytes as stb_image reads them. */
static dio_status decode_runs(struct dio_decode *job, const struct bmp *bmp, uint8_t *header)
{
    const size_t width = (size_t)bmp->width, height = (size_t)bmp->height, padded = (width + 3) & ~(size_t)3;
    uint8_t *rows = dio_picture_spare(job->ctx, job->picture, padded * height);
    if (!rows) return DIO_ERR_ENV;
    DIO_PASS(unpack_runs(job, bmp, rows));
    DIO_PASS(check_indices(job, bmp, rows, width, 8));
    for (size_t y = height; y-- > 0;) memmove(rows + y * padded, rows + y * width, width);
    const struct dio_stb_part parts[2] = {{header, write_header(job, bmp, 8, header)}, {rows, padded * height}};
    return dio_stb_decode(job, "BMP", parts, 2, bmp->width, bmp->height);
}

static dio_status decode(struct dio_decode *job)
{
    struct bmp bmp = {0};
    DIO_PASS(read_header(job, &bmp));
    uint8_t header[FILE_HEADER + PLAIN_HEADER + 4 * 256];
    if (bmp.pixels_at > job->size) {
        return DIO_REFUSE(job, "I17", 10, "BMP: pixels at offset %zu, beyond the end of the file", bmp.pixels_at);
    }
    if (bmp.compression == RLE8 || bmp.compression == RLE4) return decode_runs(job, &bmp, header);

    /* The padding of the last row may be missing. */
    const size_t last = ((size_t)bmp.width * bmp.bits + 7) / 8;
    if (job->size - bmp.pixels_at < bmp.row_bytes * ((size_t)bmp.height - 1) + last) return dio_picture_truncated(job);
    const uint8_t *rows = job->bytes + bmp.pixels_at;
    if (bmp.bits < 16) DIO_PASS(check_indices(job, &bmp, rows, bmp.row_bytes, bmp.bits));
    job->picture->had_alpha = bmp.alpha != 0;
    const struct dio_stb_part parts[2] = {{header, write_header(job, &bmp, bmp.bits, header)},
                                          {rows, job->size - bmp.pixels_at}};
    return dio_stb_decode(job, "BMP", parts, 2, bmp.width, bmp.height);
}

const struct dio_codec dio_codec_bmp = {"bmp", probe, decode};
