/* A decoded picture, and the way from a file's bytes to it.
 *
 * The reader is chosen by content.  Every 8-bit picture comes out as RGB8, the bytes that Pillow's
 * Image.open(f).convert("RGB") gives (docs/pixels.md lists the exceptions).  16-bit pictures stay 16-bit: grey with one
 * channel (alpha dropped), colour with three; they become numbers only when they are normalised (v / 65535).
 *
 * Everything here may run on worker threads, each with a context of its own (dio_ctx_child). */
#ifndef DIO_IMAGE_PICTURE_H
#define DIO_IMAGE_PICTURE_H

#include "base/context.h"

enum {
    DIO_PICTURE_MAX_CHANNELS = 16
};

enum dio_sample { DIO_SAMPLE_U8, DIO_SAMPLE_U16 };

/* A rectangle of pixels. */
struct dio_region {
    int32_t x, y, width, height;
};

/* Owns its memory; all zero is an empty picture.  A picture may be decoded into again and again: its buffers only grow,
 * so that a worker that keeps one allocates nothing per file.  Freed with dio_picture_free. */
struct dio_picture {
    int32_t width, height, channels; /* after the orientation was applied */
    int32_t full_width, full_height; /* as the file has it, turned; larger than the above when it was shrunk */
    int32_t shrink;                  /* so many times smaller it was decoded: 1, 2, 4, 8 (rounded up) */
    enum dio_sample sample;
    struct dio_region held; /* the part that `data` has; all of it unless a window was asked for */
    void *data; /* height x width x channels of that part, interleaved, rows without gaps; uint16_t in native order */

    const char *codec;               /* "jpeg", "png", ...: static text */
    int32_t orientation;             /* as stored, 1..8; 1 where there is none or it makes no sense */
    bool had_icc, had_gamma;         /* a colour profile or gamma that was ignored */
    bool had_alpha;                  /* alpha (or a transparent colour) that was dropped */
    bool was_grey, was_cmyk;         /* stored with one tone, or with the four inks of print */
    bool damaged;                    /* decoded with warnings, or filled up under allow_damaged */
    char damage[128];                /* what was wrong, "" if nothing */

    size_t capacity;                 /* bytes of `data` */
    void *spare;                     /* second buffer: turning, file-format scratch */
    size_t spare_capacity;
};

/* What of a picture is wanted, asked when its size (turned) is known.  A decoder that can leaves the rest of the pixels
 * out; what it makes of the wanted ones, and of damage anywhere in the file, is the same.
 * How many times smaller it may be decoded is asked first; a decoder that can does so, which changes pixels, and then
 * gives the whole of it. */
struct dio_window {
    struct dio_region (*choose)(void *arg, int32_t width, int32_t height); /* not empty, and inside; NULL: all of it */
    int32_t (*shrink)(void *arg, int32_t width, int32_t height);           /* 1, 2, 4 or 8; NULL: 1 */
    void *arg;
};

struct dio_decode_options {
    bool ignore_exif;   /* --exif ignore: leave the stored orientation, as torchvision's and timm's loaders do */
    bool allow_damaged; /* --allow-damaged: JPEG, PNG and PNM that end early are filled up with grey (128), with a
                           warning */
    bool quiet;         /* no warning message about damage; picture->damage holds the text */
    const struct dio_window *window; /* borrowed; NULL: all of it */
};

/* Decodes the first picture of a file.  `name` is what messages call it (and what tells TGA, which has no signature).
 * Limits come from ctx->limits (max_pixels, max_scans; max_file is checked too).  options NULL: all zero.
 * Refusals: DIO_ERR_INPUT with rows I1 to I21, one message; DIO_ERR_ENV when memory is short.  After a failure the
 * picture is empty (0 x 0) but keeps its buffers. */
dio_status dio_picture_decode(struct dio_ctx *ctx, const char *name, const void *bytes, size_t size,
                              const struct dio_decode_options *options, struct dio_picture *picture);

void dio_picture_free(struct dio_ctx *ctx, struct dio_picture *picture);

/* The rule of --decode fast, for the part of width x height of a picture of so many pixels that becomes a resized one:
 * shrunk are only pictures of several megapixels, and so that the resize still has twice what it makes. */
int32_t dio_picture_shrink(int64_t pixels, int32_t width, int32_t height, int32_t resized_width, int32_t resized_height);

/* What is worth counting of a decoded picture, in a form that can be stored. */
enum dio_picture_trait {
    DIO_TRAIT_GREY = 1, DIO_TRAIT_CMYK = 2, DIO_TRAIT_SIXTEEN = 4, DIO_TRAIT_ALPHA = 8, DIO_TRAIT_ICC = 16,
    DIO_TRAIT_GAMMA = 32, DIO_TRAIT_TURNED = 64, DIO_TRAIT_DAMAGED = 128
};
struct dio_picture_facts {
    int32_t width, height; /* 0: not known */
    uint32_t traits;       /* enum dio_picture_trait */
};
struct dio_picture_facts dio_picture_facts(const struct dio_picture *picture);

/* Name of the codec that would read these bytes ("jpeg", "png", "gif", "bmp", "pnm", "tga"), or NULL.  Looks at the
 * first bytes only (and at the name, for TGA). */
const char *dio_picture_probe(const char *name, const void *bytes, size_t size);

/* Does the name end like a picture (any format that people keep in folders of pictures, unsupported ones included, so
 * that they are named and counted rather than overlooked)?  Case is ignored. */
bool dio_picture_has_extension(const char *name);

/* Makes `picture` a blank one of this shape (contents undefined), for readers that have the samples themselves (CIFAR
 * records, tests).  Refuses sizes above ctx->limits.max_pixels with row I5. */
dio_status dio_picture_reserve(struct dio_ctx *ctx, const char *name, int64_t width, int64_t height, int32_t channels,
                               enum dio_sample sample, struct dio_picture *picture);

/* Of what is held. */
static inline size_t dio_picture_bytes(const struct dio_picture *picture)
{
    return (size_t)picture->held.width * (size_t)picture->held.height * (size_t)picture->channels *
           (picture->sample == DIO_SAMPLE_U16 ? 2u : 1u);
}

#endif
