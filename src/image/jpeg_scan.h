/* A walk over a JPEG's markers before the library sees the file: what libjpeg would say vaguely, or late, or not at
 * all. */
#ifndef DIO_IMAGE_JPEG_SCAN_H
#define DIO_IMAGE_JPEG_SCAN_H

#include "image/codec.h"

struct dio_jpeg_component {
    uint8_t id, across, down, table; /* sampling factors, quantisation table */
};

struct dio_jpeg_scan {
    int32_t width, height, components;
    struct dio_jpeg_component component[4];
    bool progressive, arithmetic;
    bool has_end;         /* an EOI marker was there */
    uint32_t scans;
    size_t entropy_bytes; /* coded data in all scans */
    int32_t exif, xmp;    /* orientation said there; 0: nothing */
    bool icc;
};

static inline int32_t dio_jpeg_orientation(const struct dio_jpeg_scan *scan)
{
    return scan->exif ? scan->exif : scan->xmp ? scan->xmp : 1;
}

/* Rows I3, I5, I6, I12, I13, I14. */
dio_status dio_jpeg_scan(const struct dio_decode *job, struct dio_jpeg_scan *scan);

#endif
