#include "image/orient.h"

#include <string.h>

#include "image/codec.h"

int32_t dio_exif_orientation(const uint8_t *bytes, size_t size)
{
    if (size >= 6 && memcmp(bytes, "Exif\0\0", 6) == 0) {
        bytes += 6;
        size -= 6;
    }
    if (size < 8) return 0;
    bool big = memcmp(bytes, "MM\0*", 4) == 0;
    if (!big && memcmp(bytes, "II*\0", 4) != 0) return 0;
    uint32_t directory = big ? dio_be32(bytes + 4) : dio_le32(bytes + 4);
    if (directory > size - 2) return 0;
    uint32_t count = big ? dio_be16(bytes + directory) : dio_le16(bytes + directory);
    int32_t found = 0;
    for (size_t i = 0, at = (size_t)directory + 2; i < count && at + 12 <= size; i++, at += 12) {
        const uint8_t *entry = bytes + at;
        uint32_t tag = big ? dio_be16(entry) : dio_le16(entry), type = big ? dio_be16(entry + 2) : dio_le16(entry + 2);
        uint32_t values = big ? dio_be32(entry + 4) : dio_le32(entry + 4);
        uint32_t value = big ? dio_be16(entry + 8) : dio_le16(entry + 8);
        if (tag == 0x0112) found = type == 3 && values == 1 && value >= 1 && value <= 8 ? (int32_t)value : 1;
    }
    return found;
}

int32_t dio_xmp_orientation(const uint8_t *bytes, size_t size)
{
    static const char tag[] = "tiff:Orientation";
    const size_t length = sizeof tag - 1;
    const uint8_t *end = bytes + size;
    for (const uint8_t *p = bytes; (p = memchr(p, 't', (size_t)(end - p))) != NULL; p++) {
        if ((size_t)(end - p) < length + 3) return 0;
        if (memcmp(p, tag, length) != 0) continue;
        const uint8_t *value = p + length;
        if (value[0] == '=' && value[1] == '"') value += 2;
        else if (value[0] == '>') value += 1;
        else continue;
        if (*value < '0' || *value > '9') continue;
        return *value >= '1' && *value <= '8' ? *value - '0' : 0;
    }
    return 0;
}

struct dio_turn dio_turn_of(int32_t orientation, int32_t width, int32_t height)
{
    const ptrdiff_t w = width, h = height, last = w * h - 1;
    switch (orientation) {
    case 2: return (struct dio_turn){w - 1, w, -1, width, height};
    case 3: return (struct dio_turn){last, -w, -1, width, height};
    case 4: return (struct dio_turn){w * (h - 1), -w, 1, width, height};
    case 5: return (struct dio_turn){0, 1, w, height, width};
    case 6: return (struct dio_turn){w * (h - 1), 1, -w, height, width};
    case 7: return (struct dio_turn){last, -1, -w, height, width};
    case 8: return (struct dio_turn){w - 1, -1, w, height, width};
    default: return (struct dio_turn){0, w, 1, width, height};
    }
}

struct dio_region dio_turn_region(int32_t orientation, int32_t width, int32_t height, const struct dio_region *region)
{
    const bool aside = orientation >= 5 && orientation <= 8; /* rows become columns */
    const bool right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const int32_t x = right ? width - region->x - region->width : region->x;
    const int32_t y = bottom ? height - region->y - region->height : region->y;
    if (aside) return (struct dio_region){y, x, region->height, region->width};
    return (struct dio_region){x, y, region->width, region->height};
}

int32_t dio_turn_back(int32_t orientation)
{
    return orientation == 6 ? 8 : orientation == 8 ? 6 : orientation;
}

static void turn(const uint8_t *in, const struct dio_turn *map, size_t pixel, uint8_t *out)
{
    const ptrdiff_t bytes = (ptrdiff_t)pixel;
    for (int32_t y = 0; y < map->height; y++) {
        const ptrdiff_t row = map->start + y * map->row;
        if (pixel == 3) { /* nearly always; a constant size is what makes the copy cheap */
            for (int32_t x = 0; x < map->width; x++, out += 3) memcpy(out, in + (row + x * map->column) * 3, 3);
        } else {
            for (int32_t x = 0; x < map->width; x++, out += bytes) {
                memcpy(out, in + (row + x * map->column) * bytes, pixel);
            }
        }
    }
}

dio_status dio_picture_orient(struct dio_ctx *ctx, struct dio_picture *picture, int32_t orientation)
{
    if (orientation < 2 || orientation > 8) return DIO_OK;
    const size_t bytes = dio_picture_bytes(picture);
    uint8_t *out = dio_picture_spare(ctx, picture, bytes);
    if (!out) return DIO_ERR_ENV;
    const struct dio_region held = picture->held;
    const struct dio_turn map = dio_turn_of(orientation, held.width, held.height);
    turn(picture->data, &map, (size_t)picture->channels * (picture->sample == DIO_SAMPLE_U16 ? 2u : 1u), out);
    void *block = picture->data;
    const size_t capacity = picture->capacity;
    picture->data = picture->spare;
    picture->capacity = picture->spare_capacity;
    picture->spare = block;
    picture->spare_capacity = capacity;
    const struct dio_turn whole = dio_turn_of(orientation, picture->width, picture->height);
    picture->held = dio_turn_region(orientation, picture->width, picture->height, &held);
    picture->width = whole.width;
    picture->height = whole.height;
    const struct dio_turn full = dio_turn_of(orientation, picture->full_width, picture->full_height);
    picture->full_width = full.width;
    picture->full_height = full.height;
    return DIO_OK;
}
