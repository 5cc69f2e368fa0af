#include "image/jpeg_scan.h"

#include <string.h>

#include "image/orient.h"

enum {
    SOF0 = 0xc0,
    SOF1 = 0xc1,
    SOF2 = 0xc2,
    DHT = 0xc4,
    JPG = 0xc8,
    SOF9 = 0xc9,
    SOF10 = 0xca,
    DAC = 0xcc,
    SOF15 = 0xcf,
    RST0 = 0xd0,
    RST7 = 0xd7,
    SOI = 0xd8,
    EOI = 0xd9,
    SOS = 0xda,
    DQT = 0xdb,
    DHP = 0xde,
    APP1 = 0xe1,
    APP2 = 0xe2,
    SOF55 = 0xf7, /* JPEG-LS */
    TEM = 0x01,
    MAX_SIDE = 65500 /* libjpeg-turbo's own */
};

struct walk {
    const struct dio_decode *job;
    struct dio_jpeg_scan *scan;
    bool quantisation[4];
};

static dio_status refuse_kind(struct walk *walk, unsigned marker, size_t at)
{
    const char *kind = marker == SOF55                                           ? "JPEG-LS"
                       : marker == 0xc3 || marker == 0xcb                        ? "lossless JPEG"
                       : marker == DHP || (marker & 7) == 5 || (marker & 7) == 6 ? "hierarchical JPEG"
                       : (marker & 7) == 7                                       ? "hierarchical lossless JPEG"
                                                                                 : "this kind of JPEG";
    struct dio_place place = {.file = walk->job->name, .offset = DIO_AT(at), .hint = "convert to PNG or plain JPEG"};
    return dio_fail(walk->job->ctx, DIO_ERR_INPUT, "I13", &place, "%s is not supported", kind);
}

/* `body` is what follows the length field, `at` its offset. */
static dio_status read_frame(struct walk *walk, unsigned marker, const uint8_t *body, size_t length, size_t at)
{
    struct dio_jpeg_scan *scan = walk->scan;
    if (scan->components) return DIO_REFUSE(walk->job, "I12", at, "second frame header (SOF)");
    if (length < 6) return DIO_REFUSE(walk->job, "I12", at, "SOF: %zu bytes, too short", length);
    if (body[0] == 12) return DIO_REFUSE(walk->job, "I13", at, "12-bit JPEG is not supported");
    if (body[0] != 8) return DIO_REFUSE(walk->job, "I12", at, "SOF: precision of %d bits", body[0]);
    scan->height = (int32_t)dio_be16(body + 1);
    scan->width = (int32_t)dio_be16(body + 3);
    DIO_PASS(dio_picture_check_size(walk->job->ctx, walk->job->name, scan->width, scan->height, at + 1));
    if (scan->width > MAX_SIDE || scan->height > MAX_SIDE) {
        return DIO_REFUSE(walk->job, "I5", at + 1, "%d x %d pixels, too large: the limit for JPEG is %d a side",
                          (int)scan->width, (int)scan->height, (int)MAX_SIDE);
    }
    const unsigned components = body[5];
    if (components != 1 && components != 3 && components != 4) {
        return DIO_REFUSE(walk->job, "I12", at + 5, "SOF: %u components (1, 3 or 4)", components);
    }
    if (length != 6 + 3u * components) {
        return DIO_REFUSE(walk->job, "I12", at, "SOF: %zu bytes for %u components", length, components);
    }
    for (unsigned i = 0; i < components; i++) {
        const uint8_t *p = body + 6 + 3u * i;
        const size_t here = at + 6 + 3u * i;
        struct dio_jpeg_component *component = &scan->component[i];
        *component = (struct dio_jpeg_component){p[0], p[1] >> 4, p[1] & 15, p[2]};
        if (component->across < 1 || component->across > 4 || component->down < 1 || component->down > 4) {
            return DIO_REFUSE(walk->job, "I12", here + 1, "SOF: sampling factor %d x %d", component->across,
                              component->down);
        }
        if (component->table > 3) {
            return DIO_REFUSE(walk->job, "I12", here + 2, "SOF: quantisation table %d", component->table);
        }
        for (unsigned k = 0; k < i; k++) {
            if (scan->component[k].id == p[0]) {
                return DIO_REFUSE(walk->job, "I12", here, "SOF: two components with id %d", p[0]);
            }
        }
    }
    scan->components = (int32_t)components;
    scan->progressive = marker == SOF2 || marker == SOF10;
    scan->arithmetic = marker == SOF9 || marker == SOF10;
    return DIO_OK;
}

static dio_status read_quantisation(struct walk *walk, const uint8_t *body, size_t length, size_t at)
{
    size_t used = 0;
    while (used < length) {
        const unsigned precision = body[used] >> 4, index = body[used] & 15;
        if (precision > 1) return DIO_REFUSE(walk->job, "I12", at + used, "DQT: precision %u", precision);
        if (index > 3) return DIO_REFUSE(walk->job, "I12", at + used, "DQT: quantisation table %u", index);
        used += 1 + (precision ? 128u : 64u);
        if (used > length) return DIO_REFUSE(walk->job, "I12", at, "DQT: quantisation table cut short");
        walk->quantisation[index] = true;
    }
    return DIO_OK;
}

static dio_status read_huffman(struct walk *walk, const uint8_t *body, size_t length, size_t at)
{
    size_t used = 0;
    while (used < length) {
        const unsigned class = body[used] >> 4, index = body[used] & 15;
        if (class > 1 || index > 3) {
            return DIO_REFUSE(walk->job, "I12", at + used, "DHT: Huffman table %u of class %u", index, class);
        }
        if (length - used < 17) return DIO_REFUSE(walk->job, "I12", at + used, "DHT: Huffman table cut short");
        unsigned total = 0, free_codes = 1;
        for (unsigned i = 1; i <= 16; i++) {
            const unsigned count = body[used + i];
            free_codes *= 2;
            if (count > free_codes) {
                return DIO_REFUSE(walk->job, "I12", at + used + i,
                                  "DHT: more Huffman codes of %u bits than there can be", i);
            }
            free_codes -= count;
            total += count;
        }
        if (total > 256 || length - used - 17 < total) {
            return DIO_REFUSE(walk->job, "I12", at + used, "DHT: %u Huffman symbols", total);
        }
        used += 17 + total;
    }
    return DIO_OK;
}

static dio_status read_scan_header(struct walk *walk, const uint8_t *body, size_t length, size_t at)
{
    struct dio_jpeg_scan *scan = walk->scan;
    if (!scan->components) return DIO_REFUSE(walk->job, "I12", at, "scan (SOS) before the frame header (SOF)");
    const unsigned count = length ? body[0] : 0;
    if (count < 1 || count > 4 || length != 4 + 2u * count) {
        return DIO_REFUSE(walk->job, "I12", at, "SOS: %u components in %zu bytes", count, length);
    }
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *p = body + 1 + 2u * i;
        const size_t here = at + 1 + 2u * i;
        const struct dio_jpeg_component *component = NULL;
        for (int32_t k = 0; k < scan->components; k++) {
            if (scan->component[k].id == p[0]) component = &scan->component[k];
        }
        if (!component) return DIO_REFUSE(walk->job, "I12", here, "SOS: component %d is not in the frame header", p[0]);
        if (p[1] >> 4 > 3 || (p[1] & 15) > 3) {
            return DIO_REFUSE(walk->job, "I12", here + 1, "SOS: Huffman tables %d and %d", p[1] >> 4, p[1] & 15);
        }
        if (!walk->quantisation[component->table]) {
            return DIO_REFUSE(walk->job, "I12", here, "quantisation table %d is missing (DQT)", component->table);
        }
    }
    if (++scan->scans > walk->job->ctx->limits.max_scans) {
        struct dio_place place = {.file = walk->job->name, .hint = "give a larger --max-scans to read it"};
        return dio_fail(walk->job->ctx, DIO_ERR_INPUT, "I14", &place, "more than %u scans",
                        (unsigned)walk->job->ctx->limits.max_scans);
    }
    return DIO_OK;
}

static void read_application(struct walk *walk, unsigned marker, const uint8_t *body, size_t length)
{
    static const char xmp[] = "http://ns.adobe.com/xap/1.0/";
    struct dio_jpeg_scan *scan = walk->scan;
    if (marker == APP1 && length >= 6 && memcmp(body, "Exif\0\0", 6) == 0) {
        if (!scan->exif) scan->exif = dio_exif_orientation(body + 6, length - 6);
    } else if (marker == APP1 && length >= sizeof xmp && memcmp(body, xmp, sizeof xmp) == 0) {
        if (!scan->xmp) scan->xmp = dio_xmp_orientation(body + sizeof xmp, length - sizeof xmp);
    } else if (marker == APP2 && length >= 12 && memcmp(body, "ICC_PROFILE", 12) == 0) {
        scan->icc = true;
    }
}

/* Offset of the first marker at or after `at` that is neither a stuffed zero nor a restart; the size when there is
 * none. */
static size_t end_of_entropy(const uint8_t *bytes, size_t size, size_t at)
{
    while (at < size) {
        const uint8_t *ff = memchr(bytes + at, 0xff, size - at);
        if (!ff || (size_t)(ff - bytes) + 1 >= size) return size;
        at = (size_t)(ff - bytes);
        const unsigned next = bytes[at + 1];
        if (next != 0xff && next != 0 && !(next >= RST0 && next <= RST7)) return at;
        at += next == 0xff ? 1 : 2;
    }
    return size;
}

static dio_status read_segment(struct walk *walk, unsigned marker, const uint8_t *body, size_t length, size_t at)
{
    switch (marker) {
    case DQT: return read_quantisation(walk, body, length, at);
    case DHT: return read_huffman(walk, body, length, at);
    case SOS: return read_scan_header(walk, body, length, at);
    case SOF0:
    case SOF1:
    case SOF2:
    case SOF9:
    case SOF10: return read_frame(walk, marker, body, length, at);
    case JPG:
    case DHP:
    case SOF55: return refuse_kind(walk, marker, at);
    default:
        if (marker > SOF2 && marker <= SOF15 && marker != DAC) return refuse_kind(walk, marker, at);
        read_application(walk, marker, body, length);
        return DIO_OK;
    }
}

/* A scan of so many blocks has at least so many bits: one code for DC, and in sequential files one more for the end of
 * the block.  Keeps a small file from asking for a large picture. */
static bool enough_data(const struct dio_jpeg_scan *scan)
{
    if (scan->arithmetic) return true;
    int32_t across = 1, down = 1;
    for (int32_t i = 0; i < scan->components; i++) {
        if (scan->component[i].across > across) across = scan->component[i].across;
        if (scan->component[i].down > down) down = scan->component[i].down;
    }
    uint64_t blocks = 0;
    for (int32_t i = 0; i < scan->components; i++) {
        const uint64_t w =
            ((uint64_t)scan->width * scan->component[i].across + (uint64_t)across * 8 - 1) / ((uint64_t)across * 8);
        const uint64_t h =
            ((uint64_t)scan->height * scan->component[i].down + (uint64_t)down * 8 - 1) / ((uint64_t)down * 8);
        blocks += w * h;
    }
    return scan->entropy_bytes * 8 >= blocks * (scan->progressive ? 1 : 2);
}

dio_status dio_jpeg_scan(const struct dio_decode *job, struct dio_jpeg_scan *scan)
{
    *scan = (struct dio_jpeg_scan){0};
    struct walk walk = {.job = job, .scan = scan};
    const uint8_t *bytes = job->bytes;
    size_t at = 2;
    while (at < job->size) {
        /* Bytes that belong to no segment are skipped, as every reader does. */
        const uint8_t *ff = memchr(bytes + at, 0xff, job->size - at);
        if (!ff) break;
        at = (size_t)(ff - bytes);
        while (at < job->size && bytes[at] == 0xff) at++;
        if (at >= job->size) break;
        const unsigned marker = bytes[at++];
        if (marker == 0 || marker == TEM || (marker >= RST0 && marker <= RST7)) continue;
        if (marker == SOI) return DIO_REFUSE(job, "I12", at - 2, "second SOI marker");
        if (marker == EOI) {
            scan->has_end = true;
            break;
        }
        const bool cut = job->size - at < 2 || dio_be16(bytes + at) > job->size - at;
        if (cut && scan->scans && job->options.allow_damaged) break;
        if (cut) return dio_picture_truncated(job);
        const size_t length = dio_be16(bytes + at);
        if (length < 2) return DIO_REFUSE(job, "I12", at, "segment length %zu (marker 0x%02x)", length, marker);
        DIO_PASS(read_segment(&walk, marker, bytes + at + 2, length - 2, at + 2));
        at += length;
        if (marker == SOS) {
            const size_t end = end_of_entropy(bytes, job->size, at);
            scan->entropy_bytes += end - at;
            at = end;
        }
    }
    if (!scan->has_end && !scan->scans) return dio_picture_truncated(job);
    if (!scan->components) return DIO_REFUSE(job, "I12", at, "no frame header (SOF)");
    if (!scan->scans) return DIO_REFUSE(job, "I12", at, "no scan (SOS)");
    if (!enough_data(scan) && !job->options.allow_damaged) return dio_picture_truncated(job);
    return DIO_OK;
}
