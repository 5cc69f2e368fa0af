/* EXIF orientation: read from what a file says, and applied. */
#ifndef DIO_IMAGE_ORIENT_H
#define DIO_IMAGE_ORIENT_H

#include "image/picture.h"

/* The orientation in a TIFF block (as in APP1 after "Exif\0\0", or PNG's eXIf), 1..8, and 1 for one that is senseless; 0
 * when there is none.  Any bytes are fine. */
int32_t dio_exif_orientation(const uint8_t *bytes, size_t size);

/* tiff:Orientation in an XMP packet, which Pillow asks where EXIF has none; 0 when there is none. */
int32_t dio_xmp_orientation(const uint8_t *bytes, size_t size);

/* Where a sample of the turned picture comes from: index = start + y * row + x * column, in pixels of a stored picture
 * of width x height. */
struct dio_turn {
    ptrdiff_t start, row, column;
    int32_t width, height; /* of the turned picture */
};
struct dio_turn dio_turn_of(int32_t orientation, int32_t width, int32_t height);

/* Where a part of a stored picture of width x height lies in the turned one. */
struct dio_region dio_turn_region(int32_t orientation, int32_t width, int32_t height, const struct dio_region *region);
/* The orientation that undoes another. */
int32_t dio_turn_back(int32_t orientation);

/* Turns the picture in place (1: nothing). */
dio_status dio_picture_orient(struct dio_ctx *ctx, struct dio_picture *picture, int32_t orientation);

#endif
