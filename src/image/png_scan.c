#include "image/png_scan.h"

#include <stdio.h>
#include <string.h>

#include <zlib.h>

#include "image/orient.h"

#define TYPE(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

enum {
    SIGNATURE = 8,
    OVERHEAD = 12,            /* length, type, checksum */
    DEFLATE_RATIO = 1032      /* the most that deflate can do */
};

struct chunk {
    uint32_t type;
    size_t at, length; /* offset of the chunk; bytes of its body */
    const uint8_t *body;
    char name[8];
};

struct walk {
    const struct dio_decode *job;
    struct dio_png_scan *scan;
    bool header, data, data_over;
};

#define REFUSE(walk_, row_, part_, offset_, ...)                                                                       \
    dio_fail((walk_)->job->ctx, DIO_ERR_INPUT, row_,                                                                   \
             &(struct dio_place){.file = (walk_)->job->name, .part = part_, .offset = DIO_AT(offset_)}, __VA_ARGS__)

static bool checksum_right(const struct chunk *chunk)
{
    const uint8_t *from = chunk->body - 4;
    const uLong sum = crc32_z(0, from, chunk->length + 4);
    return sum == dio_be32(chunk->body + chunk->length);
}

static bool depth_fits(unsigned depth, unsigned colour)
{
    switch (colour) {
    case DIO_PNG_GREY: return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
    case DIO_PNG_PALETTE: return depth == 1 || depth == 2 || depth == 4 || depth == 8;
    default: return depth == 8 || depth == 16;
    }
}

static dio_status read_header(struct walk *walk, const struct chunk *chunk)
{
    struct dio_png_scan *scan = walk->scan;
    const uint8_t *body = chunk->body;
    const size_t at = chunk->at + 8;
    if (walk->header) return REFUSE(walk, "I8", "IHDR", chunk->at, "second header");
    if (chunk->length != 13) return REFUSE(walk, "I8", "IHDR", chunk->at, "%zu bytes, not 13", chunk->length);
    walk->header = true;
    scan->depth = body[8];
    scan->colour = body[9];
    scan->interlaced = body[12] == 1;
    DIO_PASS(dio_picture_check_size(walk->job->ctx, walk->job->name, dio_be32(body), dio_be32(body + 4), at));
    scan->width = (int32_t)dio_be32(body);
    scan->height = (int32_t)dio_be32(body + 4);
    if (scan->colour > 6 || scan->colour == 1 || scan->colour == 5) {
        return REFUSE(walk, "I8", "IHDR", at + 9, "colour type %u", scan->colour);
    }
    if (!depth_fits(scan->depth, scan->colour)) {
        return REFUSE(walk, "I8", "IHDR", at + 8, "bit depth %u with colour type %u", scan->depth, scan->colour);
    }
    if (body[10]) return REFUSE(walk, "I8", "IHDR", at + 10, "compression method %d", body[10]);
    if (body[11]) return REFUSE(walk, "I8", "IHDR", at + 11, "filter method %d", body[11]);
    if (body[12] > 1) return REFUSE(walk, "I8", "IHDR", at + 12, "interlace method %d", body[12]);
    return DIO_OK;
}

static dio_status read_palette(struct walk *walk, const struct chunk *chunk)
{
    struct dio_png_scan *scan = walk->scan;
    if (scan->colour != DIO_PNG_PALETTE || walk->data) return DIO_OK; /* a suggestion, or too late */
    if (scan->palette_colours) return REFUSE(walk, "I9", "PLTE", chunk->at, "second palette");
    if (chunk->length == 0 || chunk->length % 3 || chunk->length > 768) {
        return REFUSE(walk, "I9", "PLTE", chunk->at, "palette of %zu bytes", chunk->length);
    }
    scan->palette_at = chunk->at;
    scan->palette_colours = chunk->length / 3;
    return DIO_OK;
}

static dio_status read_data(struct walk *walk, const struct chunk *chunk, bool cut)
{
    struct dio_png_scan *scan = walk->scan;
    if (walk->data_over) return REFUSE(walk, "I8", "IDAT", chunk->at, "chunks not in a row");
    if (!walk->data) {
        if (scan->colour == DIO_PNG_PALETTE && !scan->palette_colours) {
            return REFUSE(walk, "I9", NULL, chunk->at, "palette (PLTE) missing");
        }
        scan->data_at = chunk->at;
    }
    walk->data = true;
    scan->cut = cut;
    scan->data_end = cut ? walk->job->size : chunk->at + OVERHEAD + chunk->length;
    return DIO_OK;
}

/* iTXt: keyword, 0, compressed?, method, language, 0, translated keyword, 0, text. */
static int32_t orientation_of_text(const struct chunk *chunk)
{
    static const char keyword[] = "XML:com.adobe.xmp";
    const size_t start = sizeof keyword + 2;
    if (chunk->length < start || memcmp(chunk->body, keyword, sizeof keyword) != 0 || chunk->body[sizeof keyword]) {
        return 0;
    }
    return dio_xmp_orientation(chunk->body + start, chunk->length - start);
}

static void read_ancillary(struct walk *walk, const struct chunk *chunk)
{
    struct dio_png_scan *scan = walk->scan;
    switch (chunk->type) {
    case TYPE('e', 'X', 'I', 'f'):
        if (checksum_right(chunk)) scan->exif = dio_exif_orientation(chunk->body, chunk->length);
        break;
    case TYPE('i', 'T', 'X', 't'):
        if (!scan->xmp && checksum_right(chunk)) scan->xmp = orientation_of_text(chunk);
        break;
    case TYPE('i', 'C', 'C', 'P'): scan->icc = true; break;
    case TYPE('g', 'A', 'M', 'A'): scan->gamma = true; break;
    default: break;
    }
}

static dio_status read_chunk(struct walk *walk, const struct chunk *chunk)
{
    const bool critical = !(chunk->type & 0x20000000u), transparency = chunk->type == TYPE('t', 'R', 'N', 'S');
    const bool end = chunk->type == TYPE('I', 'E', 'N', 'D');
    if (!walk->header && chunk->type != TYPE('I', 'H', 'D', 'R')) {
        return REFUSE(walk, "I8", NULL, chunk->at, "IHDR missing");
    }
    if (chunk->type != TYPE('I', 'D', 'A', 'T') && walk->data) walk->data_over = true;
    if (((critical && !end) || transparency) && !checksum_right(chunk)) {
        return REFUSE(walk, "I7", chunk->name, chunk->at, "checksum (CRC) differs");
    }
    switch (chunk->type) {
    case TYPE('I', 'H', 'D', 'R'): return read_header(walk, chunk);
    case TYPE('P', 'L', 'T', 'E'): return read_palette(walk, chunk);
    case TYPE('I', 'D', 'A', 'T'): return read_data(walk, chunk, false);
    case TYPE('I', 'E', 'N', 'D'): return DIO_OK;
    default: break;
    }
    if (critical) return REFUSE(walk, "I8", NULL, chunk->at, "unknown critical chunk %s", chunk->name);
    if (transparency) walk->scan->transparent = true;
    else read_ancillary(walk, chunk);
    return DIO_OK;
}

/* Not enough bytes for what the header promises, whatever deflate does. */
static bool data_can_suffice(const struct dio_png_scan *scan)
{
    static const unsigned samples[7] = {1, 0, 3, 1, 2, 0, 4};
    const uint64_t bits = (uint64_t)scan->width * samples[scan->colour] * scan->depth;
    const uint64_t raw = (uint64_t)scan->height * ((bits + 7) / 8);
    return (uint64_t)(scan->data_end - scan->data_at) * DEFLATE_RATIO >= raw;
}

static dio_status walk_chunks(struct walk *walk)
{
    const struct dio_decode *job = walk->job;
    size_t at = SIGNATURE;
    while (job->size - at >= 8) {
        struct chunk chunk = {.type = dio_be32(job->bytes + at + 4),
                              .at = at,
                              .length = dio_be32(job->bytes + at),
                              .body = job->bytes + at + 8};
        memcpy(chunk.name, job->bytes + at + 4, 4);
        for (int i = 0; i < 4; i++) {
            const unsigned lower = (unsigned char)chunk.name[i] | 0x20u;
            if (lower >= 'a' && lower <= 'z') continue;
            if (walk->data) return DIO_OK; /* junk in place of IEND */
            return REFUSE(walk, "I8", NULL, at + 4, "damaged chunk type");
        }
        const bool is_data = chunk.type == TYPE('I', 'D', 'A', 'T');
        if (chunk.length > 0x7fffffff) {
            if (walk->data && !is_data) return DIO_OK;
            return REFUSE(walk, "I8", NULL, at, "chunk %s: length %zu, above 2^31-1", chunk.name, chunk.length);
        }
        if (job->size - at < OVERHEAD + chunk.length) {
            if (is_data && walk->header && job->options.allow_damaged) return read_data(walk, &chunk, true);
            if (walk->data && !is_data) return DIO_OK; /* all pixels are there */
            return dio_picture_truncated(job);
        }
        DIO_PASS(read_chunk(walk, &chunk));
        if (chunk.type == TYPE('I', 'E', 'N', 'D')) {
            return walk->data ? DIO_OK : REFUSE(walk, "I8", NULL, at, "no picture data (IDAT)");
        }
        at += OVERHEAD + chunk.length;
    }
    return walk->data ? DIO_OK : dio_picture_truncated(job);
}

dio_status dio_png_scan(const struct dio_decode *job, struct dio_png_scan *scan)
{
    *scan = (struct dio_png_scan){0};
    struct walk walk = {.job = job, .scan = scan};
    DIO_PASS(walk_chunks(&walk));
    if (!data_can_suffice(scan) && !job->options.allow_damaged) {
        return REFUSE(&walk, "I3", "IDAT", scan->data_at, "too little data for %d x %d pixels", (int)scan->width,
                      (int)scan->height);
    }
    return DIO_OK;
}
