/* Small pictures for reports: 8-bit samples as a JPEG or PNG in memory. */
#ifndef DIO_IMAGE_THUMBNAIL_H
#define DIO_IMAGE_THUMBNAIL_H

#include "image/picture.h"

struct dio_encoded {
    unsigned char *bytes; /* freed by dio_free */
    size_t size;
    const char *media_type; /* "image/jpeg", "image/png" */
};

/* channels: 1 or 3, rows without gaps.  PNG up to 64 pixels a side, where JPEG would smear; JPEG above. */
dio_status dio_encode_pixels(struct dio_ctx *ctx, const uint8_t *pixels, int32_t width, int32_t height, int32_t channels,
                             struct dio_encoded *encoded);

/* A picture made to fit a square of `side` pixels (never enlarged), 16-bit ones by their high byte. */
dio_status dio_thumbnail(struct dio_ctx *ctx, const struct dio_picture *picture, int32_t side, struct dio_encoded *encoded);

#endif
