/* What a picture codec is.  Private to image/. */
#ifndef DIO_IMAGE_CODEC_H
#define DIO_IMAGE_CODEC_H

#include "image/picture.h"

/* One file to decode. */
struct dio_decode {
    struct dio_ctx *ctx;
    const char *name;
    const uint8_t *bytes;
    size_t size;
    struct dio_decode_options options;
    struct dio_picture *picture;
};

struct dio_codec {
    const char *name;
    bool (*probe)(const char *name, const uint8_t *bytes, size_t size);
    /* Fills the picture as stored, and its orientation; turning it is the caller's. */
    dio_status (*decode)(struct dio_decode *job);
};

#define DIO_ENTRY(name) extern const struct dio_codec dio_codec_##name;
#include "image/list.def"
#undef DIO_ENTRY

/* Refuses the file of a job: row of the catalogue, where in the file, what is wrong. */
#define DIO_REFUSE(job_, row_, offset_, ...)                                                                           \
    dio_fail((job_)->ctx, DIO_ERR_INPUT, row_, &(struct dio_place){.file = (job_)->name, .offset = DIO_AT(offset_)},   \
             __VA_ARGS__)

/* Row I5 and I6: sizes that are refused from the header alone.  `offset` is where the size stands. */
dio_status dio_picture_check_size(struct dio_ctx *ctx, const char *name, int64_t width, int64_t height, size_t offset);

/* dio_picture_reserve with room for a part of the picture only (NULL: all of it). */
dio_status dio_picture_reserve_part(struct dio_ctx *ctx, const char *name, int64_t width, int64_t height,
                                    const struct dio_region *part, int32_t channels, enum dio_sample sample,
                                    struct dio_picture *picture);

/* "truncated at byte N" (row I3), N being the file's size. */
dio_status dio_picture_truncated(const struct dio_decode *job);

/* Notes damage that did not stop the decoding; the first note stands. */
void dio_picture_note_damage(struct dio_picture *picture, const char *format, ...) DIO_PRINTF(2, 3);

/* Second buffer of the picture, at least `size` bytes; NULL after recording the failure. */
void *dio_picture_spare(struct dio_ctx *ctx, struct dio_picture *picture, size_t size);

/* Says by name what is not supported, or what this looks like instead of a picture (rows I1 and I21). */
dio_status dio_picture_refuse_foreign(struct dio_ctx *ctx, const char *name, const uint8_t *bytes, size_t size);

/* stb_image behind one door (stb.c).  It reads a file that the codec puts together from parts: a header of our own, so
 * that stb sees only what was checked, and the pixels where they stand. */
struct dio_stb_part {
    const uint8_t *bytes;
    size_t size;
};
/* width x height x channels 8-bit samples; NULL after recording why not.  Freed with dio_stb_free. */
uint8_t *dio_stb_load(struct dio_decode *job, const char *what, const struct dio_stb_part *parts, size_t count,
                      int32_t width, int32_t height, int32_t channels);
void dio_stb_free(uint8_t *samples);
/* The same into the picture, as RGB8. */
dio_status dio_stb_decode(struct dio_decode *job, const char *what, const struct dio_stb_part *parts, size_t count,
                          int32_t width, int32_t height);

static inline uint32_t dio_le16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static inline uint32_t dio_le32(const uint8_t *p) { return dio_le16(p) | dio_le16(p + 2) << 16; }
static inline uint32_t dio_be16(const uint8_t *p) { return (uint32_t)p[0] << 8 | (uint32_t)p[1]; }
static inline uint32_t dio_be32(const uint8_t *p) { return dio_be16(p) << 16 | dio_be16(p + 2); }

#endif
