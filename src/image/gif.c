/* GIF, first frame: blocks and LZW codes are walked here, since stb_image fills up in silence what is missing; then it
 * decodes a copy of the header whose transparency is switched off, so that colours are the palette's, as Pillow's are.
 */
#include <string.h>

#include "image/codec.h"

enum { HEADER = 13, TRANSPARENT = 1, TABLE = 0x80, MAX_CODES = 4096 };

struct gif {
    int32_t width, height;             /* canvas */
    size_t palette_at, colours;        /* of the frame */
    size_t global_colours;
    size_t control_at;                 /* of the packed byte of the frame's graphic control; 0: none */
    bool transparent;
    unsigned transparent_index;
    size_t frame_at, codes_at, end;    /* image descriptor, minimum code size, end of the frame's data */
    int32_t frame_width, frame_height;
};

static bool probe(const char *name, const uint8_t *bytes, size_t size)
{
    (void)name;
    return size >= 6 && (memcmp(bytes, "GIF87a", 6) == 0 || memcmp(bytes, "GIF89a", 6) == 0);
}

static size_t table_size(unsigned packed)
{
    return packed & TABLE ? (size_t)2 << (packed & 7) : 0;
}

/* Walks data sub-blocks; the offset behind their terminator, or 0 when the file ends first. */
static size_t skip_blocks(const struct dio_decode *job, size_t at)
{
    while (at < job->size) {
        const size_t length = job->bytes[at++];
        if (length == 0) return at;
        if (job->size - at < length) return 0;
        at += length;
    }
    return 0;
}

static dio_status read_frame(struct dio_decode *job, struct gif *gif, size_t at)
{
    const uint8_t *bytes = job->bytes;
    if (job->size - at < 10) return dio_picture_truncated(job);
    const int32_t x = (int32_t)dio_le16(bytes + at + 1), y = (int32_t)dio_le16(bytes + at + 3);
    gif->frame_at = at;
    gif->frame_width = (int32_t)dio_le16(bytes + at + 5);
    gif->frame_height = (int32_t)dio_le16(bytes + at + 7);
    if (gif->frame_width == 0 || gif->frame_height == 0) {
        return DIO_REFUSE(job, "I6", at + 5, "frame of %d x %d pixels", (int)gif->frame_width, (int)gif->frame_height);
    }
    if (x + gif->frame_width > gif->width || y + gif->frame_height > gif->height) {
        return DIO_REFUSE(job, "I18", at + 1, "frame outside the canvas of %d x %d", (int)gif->width, (int)gif->height);
    }
    const size_t local = table_size(bytes[at + 9]);
    at += 10;
    if (local) {
        gif->palette_at = at;
        gif->colours = local;
    } else {
        gif->palette_at = HEADER;
        gif->colours = gif->global_colours;
    }
    if (gif->colours == 0) return DIO_REFUSE(job, "I18", at, "GIF without a palette is not supported");
    if (job->size - at < 3 * local + 1) return dio_picture_truncated(job);
    gif->codes_at = at + 3 * local;
    return DIO_OK;
}

/* Finds the first frame. */
static dio_status read_blocks(struct dio_decode *job, struct gif *gif)
{
    const uint8_t *bytes = job->bytes;
    if (job->size < HEADER) return dio_picture_truncated(job);
    gif->width = (int32_t)dio_le16(bytes + 6);
    gif->height = (int32_t)dio_le16(bytes + 8);
    DIO_PASS(dio_picture_check_size(job->ctx, job->name, gif->width, gif->height, 6));
    gif->global_colours = table_size(bytes[10]);
    size_t at = HEADER;
    if (job->size - at < 3 * gif->global_colours) return dio_picture_truncated(job);
    at += 3 * gif->global_colours;
    while (at < job->size) {
        const unsigned kind = bytes[at];
        if (kind == ',') return read_frame(job, gif, at);
        if (kind == ';') return DIO_REFUSE(job, "I18", at, "GIF without a frame");
        if (kind != '!') return DIO_REFUSE(job, "I18", at, "GIF: unknown block 0x%02x", kind);
        if (job->size - at >= 8 && bytes[at + 1] == 0xf9 && bytes[at + 2] == 4) {
            gif->control_at = at + 3;
            gif->transparent = bytes[at + 3] & TRANSPARENT;
            gif->transparent_index = bytes[at + 6];
        }
        if (job->size - at < 2) return dio_picture_truncated(job);
        at = skip_blocks(job, at + 2);
        if (at == 0) return dio_picture_truncated(job);
    }
    return dio_picture_truncated(job);
}

/* Bits of the sub-blocks, lowest first. */
struct bits {
    const struct dio_decode *job;
    size_t at, left;   /* next byte, bytes left in its block */
    uint32_t hold;
    unsigned held;
    bool file_over, over;
};

static unsigned read_code(struct bits *bits, unsigned width)
{
    while (bits->held < width) {
        if (bits->left == 0) {
            bits->file_over = bits->at >= bits->job->size;
            bits->left = bits->file_over ? 0 : bits->job->bytes[bits->at++];
            if (bits->left == 0) bits->over = true;
        }
        if (bits->at >= bits->job->size && !bits->over) bits->file_over = bits->over = true;
        if (bits->over) return 0;
        bits->hold |= (uint32_t)bits->job->bytes[bits->at++] << bits->held;
        bits->held += 8;
        bits->left--;
    }
    const unsigned code = bits->hold & ((1u << width) - 1);
    bits->hold >>= width;
    bits->held -= width;
    return code;
}

static dio_status too_few(struct dio_decode *job, const struct bits *bits, uint64_t got, uint64_t wanted)
{
    if (bits->file_over) return dio_picture_truncated(job);
    return DIO_REFUSE(job, "I3", bits->at, "data ends after %llu of %llu pixels", (unsigned long long)got,
                      (unsigned long long)wanted);
}

/* Counts the pixels that the codes make; every code must be in the table, every colour in the palette. */
static dio_status check_codes(struct dio_decode *job, struct gif *gif)
{
    const unsigned minimum = job->bytes[gif->codes_at];
    if (minimum < 2 || minimum > 8) return DIO_REFUSE(job, "I18", gif->codes_at, "LZW code size %u (2 to 8)", minimum);
    const unsigned clear = 1u << minimum, end = clear + 1;
    struct bits bits = {.job = job, .at = gif->codes_at + 1};
    uint32_t lengths[MAX_CODES];
    unsigned next = end + 1, width = minimum + 1, before = MAX_CODES;
    uint64_t pixels = 0;
    const uint64_t wanted = (uint64_t)gif->frame_width * (uint64_t)gif->frame_height;
    for (unsigned i = 0; i < clear; i++) lengths[i] = 1;
    while (pixels < wanted) {
        const unsigned code = read_code(&bits, width);
        if (bits.over || code == end) return too_few(job, &bits, pixels, wanted);
        if (code == clear) {
            next = end + 1;
            width = minimum + 1;
            before = MAX_CODES;
            continue;
        }
        const bool first = before == MAX_CODES;
        if (first ? code > clear : code > next || (code == next && next == MAX_CODES)) {
            return DIO_REFUSE(job, "I18", bits.at, "LZW code %u is not in the table", code);
        }
        if (code < clear && code >= gif->colours) {
            return DIO_REFUSE(job, "I18", bits.at, "palette index %u, the palette has %zu colours", code, gif->colours);
        }
        if (!first && next < MAX_CODES) {
            lengths[next++] = lengths[before] + 1;
            if (next == 1u << width && width < 12) width++;
        }
        pixels += lengths[code];
        before = code;
    }
    gif->end = bits.at + bits.left;
    if (gif->end > job->size) gif->end = job->size;
    return DIO_OK;
}

/* What the frame leaves free gets the transparent colour, or colour 0, as in Pillow. */
static void take_colours(const struct dio_decode *job, const struct gif *gif, const uint8_t *rgba)
{
    const size_t fill = gif->transparent && gif->transparent_index < gif->colours ? gif->transparent_index : 0;
    const uint8_t *colour = job->bytes + gif->palette_at + 3 * fill;
    uint8_t *out = job->picture->data;
    const size_t pixels = (size_t)gif->width * (size_t)gif->height;
    for (size_t i = 0; i < pixels; i++, rgba += 4, out += 3) memcpy(out, rgba[3] ? rgba : colour, 3);
}

static dio_status decode(struct dio_decode *job)
{
    struct gif gif = {0};
    DIO_PASS(read_blocks(job, &gif));
    DIO_PASS(check_codes(job, &gif));
    DIO_PASS(dio_picture_reserve(job->ctx, job->name, gif.width, gif.height, 3, DIO_SAMPLE_U8, job->picture));

    static const uint8_t end_of_file[2] = {0, ';'};
    uint8_t start[HEADER];
    memcpy(start, job->bytes, HEADER);
    start[11] = 0; /* background: stb_image paints what is left free only for other values */
    const size_t frame_data = HEADER + 3 * gif.global_colours;
    /* Header and palette, then the frame: what stands between them (control, comments) does not change colours. */
    const struct dio_stb_part parts[4] = {{start, HEADER},
                                          {job->bytes + HEADER, frame_data - HEADER},
                                          {job->bytes + gif.frame_at, gif.end - gif.frame_at},
                                          {end_of_file, sizeof end_of_file}};
    uint8_t *rgba = dio_stb_load(job, "GIF", parts, 4, gif.width, gif.height, 4);
    if (!rgba) return job->ctx->error.status;
    take_colours(job, &gif, rgba);
    dio_stb_free(rgba);
    job->picture->had_alpha = gif.transparent;
    return DIO_OK;
}

const struct dio_codec dio_codec_gif = {"gif", probe, decode};
