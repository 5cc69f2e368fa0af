/* A walk over a PNG's chunks before libpng sees the file: sizes, checksums, order, palette, orientation. */
#ifndef DIO_IMAGE_PNG_SCAN_H
#define DIO_IMAGE_PNG_SCAN_H

#include "image/codec.h"

enum dio_png_colour {
    DIO_PNG_GREY = 0,
    DIO_PNG_RGB = 2,
    DIO_PNG_PALETTE = 3,
    DIO_PNG_GREY_ALPHA = 4,
    DIO_PNG_RGBA = 6
};

struct dio_png_scan {
    int32_t width, height;
    unsigned depth, colour;
    bool interlaced;
    size_t palette_at, palette_colours;  /* offset of the PLTE chunk; 0 colours: none */
    size_t data_at, data_end;            /* the run of IDAT chunks */
    bool cut;                            /* the file ends inside that run */
    int32_t exif, xmp;                   /* orientation said there; 0: nothing */
    bool icc, gamma, transparent;
};

/* Rows I3, I5, I6, I7, I8, I9.  A cut IDAT is refused unless the job allows damage. */
dio_status dio_png_scan(const struct dio_decode *job, struct dio_png_scan *scan);

#endif
