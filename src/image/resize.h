/* Pillow's antialiased resize, to the bit. */
#ifndef DIO_IMAGE_RESIZE_H
#define DIO_IMAGE_RESIZE_H

#include "image/picture.h"
#include "image/recipe.h"

/* A rectangle of samples that belongs to somebody else. */
struct dio_pixels {
    const void *data;
    size_t stride; /* bytes from row to row */
    int32_t width, height, channels;
    enum dio_sample sample;
    int32_t left, top; /* `data` is at this pixel; what lies left of it or above is not to be asked for */
};

/* The part of a picture's pixels; the rectangle must lie inside the picture, and may be larger than what the picture
 * holds. */
struct dio_pixels dio_pixels_of(const struct dio_picture *picture, int32_t x, int32_t y, int32_t width, int32_t height);

/* Memory that grows and is used again; all zero at first. */
struct dio_resize_key { /* what the weights of an axis are for */
    int32_t in, out, from, count;
    enum dio_interpolation interpolation;
    bool fixed;
};
struct dio_resize_scratch {
    void *blocks[4];
    size_t sizes[4];
    struct dio_resize_key keys[2]; /* across, down */
};
void dio_resize_scratch_free(struct dio_ctx *ctx, struct dio_resize_scratch *scratch);

/* The part of a picture of width x height that dio_resize reads for a region of the result (for nearest, a little more). */
struct dio_region dio_resize_needs(int32_t width, int32_t height, int32_t out_width, int32_t out_height,
                                   enum dio_interpolation interpolation, const struct dio_region *region);

/* Resizes `in` as a whole to out_width x out_height and writes the part `region` of the result to `out` (rows of
 * region.width * channels samples of the input's type, out_stride bytes apart).  Only what the region needs is
 * computed.  8-bit: Pillow's bytes.  16-bit: Pillow's arithmetic for mode I;16 (sums in double, rounded), each channel
 * alone.  Sizes must be positive and the region inside; fails only for want of memory. */
dio_status dio_resize(struct dio_ctx *ctx, const struct dio_pixels *in, int32_t out_width, int32_t out_height,
                      enum dio_interpolation interpolation, enum dio_pillow pillow, const struct dio_region *region,
                      void *out, size_t out_stride, struct dio_resize_scratch *scratch);

#endif
