#include "image/picture.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "base/memory.h"
#include "image/codec.h"
#include "image/orient.h"

static const struct dio_codec *const codecs[] = {
#define DIO_ENTRY(name) &dio_codec_##name,
#include "image/list.def"
#undef DIO_ENTRY
};

static const struct dio_codec *find_codec(const char *name, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        if (codecs[i]->probe(name, bytes, size)) return codecs[i];
    }
    return NULL;
}

const char *dio_picture_probe(const char *name, const void *bytes, size_t size)
{
    const struct dio_codec *codec = find_codec(name, bytes, size);
    return codec ? codec->name : NULL;
}

bool dio_picture_has_extension(const char *name)
{
    static const char *const extensions[] = {"jpg",  "jpeg", "jpe",  "jfif", "png",  "apng", "bmp", "dib", "gif",
                                             "tga",  "icb",  "vda",  "vst",  "pnm",  "ppm",  "pgm", "pbm", "tif",
                                             "tiff", "webp", "heic", "heif", "avif", "jxl",  "jp2", "j2k", "dcm",
                                             "svg",  "ico",  "psd",  "exr",  "hdr",  "pfm",  "pam", "qoi"};
    const char *dot = strrchr(name, '.');
    if (!dot || strchr(dot, '/')) return false;
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
        if (strcasecmp(dot + 1, extensions[i]) == 0) return true;
    }
    return false;
}

dio_status dio_picture_check_size(struct dio_ctx *ctx, const char *name, int64_t width, int64_t height, size_t offset)
{
    struct dio_place place = {.file = name, .offset = DIO_AT(offset)};
    if (width <= 0) return dio_fail(ctx, DIO_ERR_INPUT, "I6", &place, "width %lld", (long long)width);
    if (height <= 0) return dio_fail(ctx, DIO_ERR_INPUT, "I6", &place, "height %lld", (long long)height);
    uint64_t pixels = 0;
    bool fits = dio_mul_u64((uint64_t)width, (uint64_t)height, &pixels) && pixels <= ctx->limits.max_pixels;
    if (!fits) {
        place.hint = "give a larger --max-pixels to read it";
        return dio_fail(ctx, DIO_ERR_INPUT, "I5", &place, "%lld x %lld pixels, above --max-pixels %llu",
                        (long long)width, (long long)height, (unsigned long long)ctx->limits.max_pixels);
    }
    if (width > DIO_MAX_PICTURE_SIDE || height > DIO_MAX_PICTURE_SIDE) {
        return dio_fail(ctx, DIO_ERR_INPUT, "I5", &place, "%lld x %lld pixels, above the limit of %d a side",
                        (long long)width, (long long)height, DIO_MAX_PICTURE_SIDE);
    }
    return DIO_OK;
}

dio_status dio_picture_truncated(const struct dio_decode *job)
{
    struct dio_place place = {.file = job->name};
    return dio_fail(job->ctx, DIO_ERR_INPUT, "I3", &place, "truncated at byte %zu", job->size);
}

void dio_picture_note_damage(struct dio_picture *picture, const char *format, ...)
{
    if (picture->damaged) return;
    picture->damaged = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(picture->damage, sizeof picture->damage, format, arguments);
    va_end(arguments);
}

/* A buffer of at least `size` bytes; old contents are not kept. */
static dio_status ensure(struct dio_ctx *ctx, void **block, size_t *capacity, size_t size)
{
    if (*block && *capacity >= size) return DIO_OK;
    dio_free(ctx, *block);
    *capacity = 0;
    *block = dio_alloc(ctx, size, "a picture");
    if (!*block) return DIO_ERR_ENV;
    *capacity = size;
    return DIO_OK;
}

void *dio_picture_spare(struct dio_ctx *ctx, struct dio_picture *picture, size_t size)
{
    return ensure(ctx, &picture->spare, &picture->spare_capacity, size) == DIO_OK ? picture->spare : NULL;
}

dio_status dio_picture_reserve(struct dio_ctx *ctx, const char *name, int64_t width, int64_t height, int32_t channels,
                               enum dio_sample sample, struct dio_picture *picture)
{
    return dio_picture_reserve_part(ctx, name, width, height, NULL, channels, sample, picture);
}

dio_status dio_picture_reserve_part(struct dio_ctx *ctx, const char *name, int64_t width, int64_t height,
                                    const struct dio_region *part, int32_t channels, enum dio_sample sample,
                                    struct dio_picture *picture)
{
    picture->width = picture->height = picture->channels = 0;
    DIO_PASS(dio_picture_check_size(ctx, name, width, height, 0));
    if (channels < 1 || channels > DIO_PICTURE_MAX_CHANNELS) {
        return dio_fail(ctx, DIO_ERR_INPUT, "I8", &(struct dio_place){.file = name}, "%d channels (1 to %d)",
                        (int)channels, DIO_PICTURE_MAX_CHANNELS);
    }
    const struct dio_region held = part ? *part : (struct dio_region){0, 0, (int32_t)width, (int32_t)height};
    size_t bytes = 0;
    if (!dio_mul_size((size_t)held.width * (size_t)held.height, (size_t)channels * (sample == DIO_SAMPLE_U16 ? 2u : 1u),
                      &bytes)) {
        return dio_picture_check_size(ctx, name, INT64_MAX, INT64_MAX, 0);
    }
    DIO_PASS(ensure(ctx, &picture->data, &picture->capacity, bytes));
    picture->width = picture->full_width = (int32_t)width;
    picture->height = picture->full_height = (int32_t)height;
    picture->shrink = 1;
    picture->held = held;
    picture->channels = channels;
    picture->sample = sample;
    return DIO_OK;
}

struct dio_picture_facts dio_picture_facts(const struct dio_picture *picture)
{
    const struct {
        bool has;
        enum dio_picture_trait trait;
    } traits[] = {{picture->was_grey, DIO_TRAIT_GREY}, {picture->was_cmyk, DIO_TRAIT_CMYK},
                  {picture->sample == DIO_SAMPLE_U16, DIO_TRAIT_SIXTEEN}, {picture->had_alpha, DIO_TRAIT_ALPHA},
                  {picture->had_icc, DIO_TRAIT_ICC}, {picture->had_gamma, DIO_TRAIT_GAMMA},
                  {picture->orientation > 1, DIO_TRAIT_TURNED}, {picture->damaged, DIO_TRAIT_DAMAGED}};
    struct dio_picture_facts facts = {picture->full_width, picture->full_height, 0};
    for (size_t i = 0; i < sizeof traits / sizeof *traits; i++) {
        if (traits[i].has) facts.traits |= (uint32_t)traits[i].trait;
    }
    return facts;
}

int32_t dio_picture_shrink(int64_t pixels, int32_t width, int32_t height, int32_t resized_width, int32_t resized_height)
{
    enum { LARGE = 4000000, ENOUGH = 2 };
    for (int32_t by = pixels < LARGE ? 1 : 8; by > 1; by /= 2) {
        if (width / by / ENOUGH >= resized_width && height / by / ENOUGH >= resized_height) return by;
    }
    return 1;
}

void dio_picture_free(struct dio_ctx *ctx, struct dio_picture *picture)
{
    dio_free(ctx, picture->data);
    dio_free(ctx, picture->spare);
    *picture = (struct dio_picture){0};
}

/* Everything but the two buffers. */
static void make_empty(struct dio_picture *picture)
{
    *picture = (struct dio_picture){.data = picture->data,
                                    .capacity = picture->capacity,
                                    .spare = picture->spare,
                                    .spare_capacity = picture->spare_capacity,
                                    .orientation = 1};
}

dio_status dio_picture_decode(struct dio_ctx *ctx, const char *name, const void *bytes, size_t size,
                              const struct dio_decode_options *options, struct dio_picture *picture)
{
    make_empty(picture);
    struct dio_place place = {.file = name};
    if (size == 0) return dio_fail(ctx, DIO_ERR_INPUT, "I1", &place, "empty file");
    if (ctx->limits.max_file && size > ctx->limits.max_file) {
        place.hint = "give a larger --max-file to read it";
        return dio_fail(ctx, DIO_ERR_INPUT, "I5", &place, "%zu bytes, above --max-file %llu", size,
                        (unsigned long long)ctx->limits.max_file);
    }
    const struct dio_codec *codec = find_codec(name, bytes, size);
    if (!codec) return dio_picture_refuse_foreign(ctx, name, bytes, size);

    struct dio_decode job = {.ctx = ctx, .name = name, .bytes = bytes, .size = size, .picture = picture};
    if (options) job.options = *options;
    dio_status status = codec->decode(&job);
    if (status == DIO_OK && !job.options.ignore_exif) status = dio_picture_orient(ctx, picture, picture->orientation);
    if (status != DIO_OK) {
        make_empty(picture);
        return status;
    }
    picture->codec = codec->name;
    if (picture->damaged && !job.options.quiet) {
        dio_say(ctx, DIO_LEVEL_WARNING, "I15", &(struct dio_place){.file = name}, "%s", picture->damage);
    }
    return DIO_OK;
}
