/* What a file is that no codec reads: named, so that people know what to do. */
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "image/codec.h"

struct signature {
    const char *name;
    size_t offset, length;
    const char *bytes;
    bool picture; /* a picture in a format that is not supported; else not a picture */
};

static const struct signature signatures[] = {
    {"TIFF", 0, 4, "II*\0", true},
    {"TIFF", 0, 4, "MM\0*", true},
    {"BigTIFF", 0, 4, "II+\0", true},
    {"BigTIFF", 0, 4, "MM\0+", true},
    {"WebP", 8, 4, "WEBP", true},
    {"DICOM", 128, 4, "DICM", true},
    {"HEIC", 4, 8, "ftypheic", true},
    {"HEIC", 4, 8, "ftypheix", true},
    {"HEIC", 4, 8, "ftyphevc", true},
    {"HEIF", 4, 8, "ftypmif1", true},
    {"HEIF", 4, 8, "ftypmsf1", true},
    {"AVIF", 4, 8, "ftypavif", true},
    {"AVIF", 4, 8, "ftypavis", true},
    {"JPEG XL", 0, 2, "\xff\x0a", true},
    {"JPEG XL", 0, 12, "\0\0\0\x0cJXL \r\n\x87\n", true},
    {"JPEG 2000", 0, 12, "\0\0\0\x0cjP  \r\n\x87\n", true},
    {"JPEG 2000", 0, 4, "\xff\x4f\xff\x51", true},
    {"ICO", 0, 4, "\0\0\1\0", true},
    {"CUR", 0, 4, "\0\0\2\0", true},
    {"Photoshop", 0, 4, "8BPS", true},
    {"OpenEXR", 0, 4, "\x76\x2f\x31\x01", true},
    {"Radiance HDR", 0, 2, "#?", true},
    {"QOI", 0, 4, "qoif", true},
    {"PFM", 0, 3, "PF\n", true},
    {"PFM", 0, 3, "Pf\n", true},
    {"PAM", 0, 3, "P7\n", true},
    {"JNG", 0, 4, "\x8bJNG", true},
    {"MNG", 0, 4, "\x8aMNG", true},
    {"DDS", 0, 4, "DDS ", true},
    {"PDF", 0, 4, "%PDF", false},
    {"PostScript", 0, 4, "%!PS", false},
    {"a zip archive", 0, 4, "PK\3\4", false},
    {"a zip archive", 0, 4, "PK\5\6", false},
    {"a gzip archive", 0, 2, "\x1f\x8b", false},
    {"an xz archive", 0, 6, "\xfd" "7zXZ\0", false},
    {"a zstd archive", 0, 4, "\x28\xb5\x2f\xfd", false},
    {"a bzip2 archive", 0, 3, "BZh", false},
    {"a 7z archive", 0, 6, "7z\xbc\xaf\x27\x1c", false},
    {"a RAR archive", 0, 4, "Rar!", false},
    {"a tar archive", 257, 5, "ustar", false},
    {"a Git LFS pointer, not the file itself", 0, 31, "version https://git-lfs.github.", false},
    {"a NumPy array", 0, 6, "\x93NUMPY", false},
    {"HDF5", 0, 4, "\x89HDF", false},
    {"a video", 4, 4, "ftyp", false},
    {"a video", 0, 4, "\x1a\x45\xdf\xa3", false},
    {"a program", 0, 4, "\x7f" "ELF", false},
};

static bool starts_with(const uint8_t *bytes, size_t size, size_t offset, const char *what, size_t length)
{
    return size >= offset + length && memcmp(bytes + offset, what, length) == 0;
}

/* TGA has no signature; its header has few values that are possible.  Those of a cursor's are others: it counts its pictures
 * where a TGA without a palette has zeros. */
static bool looks_like_tga(const uint8_t *bytes, size_t size)
{
    enum { PALETTE = 1, TYPE = 2, PALETTE_AT = 3, WIDTH = 12, HEIGHT = 14, DEPTH = 16, HEADER = 18, COMPRESSED = 8 };
    if (size < HEADER || bytes[PALETTE] > 1) return false;
    int type = bytes[TYPE] & ~COMPRESSED, depth = bytes[DEPTH];
    bool palette = bytes[PALETTE] == 1, fits = type == 1 ? palette && depth == 8 : type == 2 ? depth >= 15 : type == 3 && depth == 8;
    bool empty = (bytes[WIDTH] | bytes[WIDTH + 1]) == 0 || (bytes[HEIGHT] | bytes[HEIGHT + 1]) == 0;
    for (int i = PALETTE_AT; i < PALETTE_AT + 5 && !palette; i++) fits = fits && bytes[i] == 0;
    return fits && !empty && (depth == 8 || depth == 15 || depth == 16 || depth == 24 || depth == 32);
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i]) return false;
    }
    return true;
}

/* Does a tag of this name stand among the first bytes, whatever its case? */
static bool has_tag(const uint8_t *bytes, size_t size, const char *tag)
{
    size_t length = strlen(tag);
    for (size_t i = 0; i + length <= size; i++) {
        if (bytes[i] == '<' && strncasecmp((const char *)bytes + i, tag, length) == 0) return true;
    }
    return false;
}

static bool looks_like_text(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((bytes[i] < 32 && !strchr("\t\n\r\f", bytes[i])) || bytes[i] == 0x7f) return false;
    }
    return true;
}

static const char *kind_of_text(const uint8_t *bytes, size_t size)
{
    size_t head = size < 512 ? size : 512;
    size_t start = starts_with(bytes, size, 0, "\xef\xbb\xbf", 3) ? 3 : 0;
    while (start < head && strchr(" \t\r\n", bytes[start])) start++;
    if (start < head && bytes[start] == '<') {
        if (has_tag(bytes, head, "<svg")) return "SVG";
        if (has_tag(bytes, head, "<html") || has_tag(bytes, head, "<!doctype html") || has_tag(bytes, head, "<head")) {
            return "HTML";
        }
        if (has_tag(bytes, head, "<?xml")) return "XML";
    }
    if (start < head && (bytes[start] == '{' || bytes[start] == '[') && looks_like_text(bytes, head)) return "JSON";
    return looks_like_text(bytes, head) ? "text" : NULL;
}

dio_status dio_picture_refuse_foreign(struct dio_ctx *ctx, const char *name, const uint8_t *bytes, size_t size)
{
    struct dio_place place = {.file = name};
    /* The first bytes of a picture, and nothing else. */
    static const char png[] = "\x89PNG\r\n\x1a\n", gif[] = "GIF89a", jpeg[] = "\xff\xd8\xff";
    if ((size < 8 && memcmp(bytes, png, size) == 0) || (size < 6 && memcmp(bytes, gif, size) == 0) ||
        (size < 3 && memcmp(bytes, jpeg, size) == 0)) {
        return dio_fail(ctx, DIO_ERR_INPUT, "I3", &place, "truncated at byte %zu", size);
    }
    if (starts_with(bytes, size, 0, "\x89PNG", 4) || starts_with(bytes, size, 0, "PNG\r\n", 5)) {
        return dio_fail(ctx, DIO_ERR_INPUT, "I1", &place, "damaged PNG signature (copied as text?)");
    }
    if (looks_like_tga(bytes, size)) {
        place.hint = "rename it if it is one";
        return dio_fail(ctx, DIO_ERR_INPUT, "I1", &place, "not a picture (looks like TGA, which is read under the name .tga alone)");
    }
    for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++) {
        const struct signature *s = &signatures[i];
        if (!starts_with(bytes, size, s->offset, s->bytes, s->length)) continue;
        if (!s->picture) return dio_fail(ctx, DIO_ERR_INPUT, "I1", &place, "not a picture (looks like %s)", s->name);
        place.hint = "convert to PNG or JPEG";
        return dio_fail(ctx, DIO_ERR_INPUT, "I21", &place, "%s is not supported", s->name);
    }
    const char *text = kind_of_text(bytes, size);
    if (text && strcmp(text, "SVG") == 0) {
        place.hint = "convert to PNG";
        return dio_fail(ctx, DIO_ERR_INPUT, "I21", &place,
                        "not a picture of pixels (looks like SVG), which is not supported");
    }
    if (text) return dio_fail(ctx, DIO_ERR_INPUT, "I1", &place, "not a picture (looks like %s)", text);
    if (all_zero(bytes, size)) return dio_fail(ctx, DIO_ERR_INPUT, "I1", &place, "not a picture (zero bytes only)");
    return dio_fail(ctx, DIO_ERR_INPUT, "I1", &place, "not a picture (unknown format)");
}
