/* stb_image for BMP, GIF and TGA.  Its memory comes from malloc directly: it has no way to be told of a context. */
#include <stdlib.h>
#include <string.h>

#include "image/codec.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_NO_SIMD
#define STBI_ONLY_BMP
#define STBI_ONLY_GIF
#define STBI_ONLY_TGA
#define STBI_MAX_DIMENSIONS 65535
#define STBI_ASSERT(x) ((void)0)
#pragma GCC diagnostic ignored "-Wunused-function" /* told at the end of the file, so for all of it */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#if defined(__has_include)
#if __has_include(<stb_image.h>)
#include <stb_image.h>
#else
#include <stb/stb_image.h>
#endif
#else
#include <stb_image.h>
#endif
#pragma GCC diagnostic pop

struct parts {
    const struct dio_stb_part *list;
    size_t count, part, at;
};

static int read_parts(void *user, char *out, int wanted)
{
    struct parts *parts = user;
    size_t done = 0;
    while (done < (size_t)wanted && parts->part < parts->count) {
        const struct dio_stb_part *part = &parts->list[parts->part];
        size_t step = part->size - parts->at;
        if (step > (size_t)wanted - done) step = (size_t)wanted - done;
        if (step > 0) memcpy(out + done, part->bytes + parts->at, step);
        done += step;
        parts->at += step;
        if (parts->at == part->size) {
            parts->part++;
            parts->at = 0;
        }
    }
    return (int)done;
}

static void skip_parts(void *user, int count)
{
    char sink[256];
    while (count > 0) {
        const int step = count < (int)sizeof sink ? count : (int)sizeof sink;
        if (read_parts(user, sink, step) < step) return;
        count -= step;
    }
}

static int at_end(void *user)
{
    const struct parts *parts = user;
    return parts->part >= parts->count;
}

uint8_t *dio_stb_load(struct dio_decode *job, const char *what, const struct dio_stb_part *parts, size_t count,
                      int32_t width, int32_t height, int32_t channels)
{
    static const stbi_io_callbacks callbacks = {read_parts, skip_parts, at_end};
    struct parts user = {.list = parts, .count = count};
    struct dio_place place = {.file = job->name};
    int w = 0, h = 0, stored = 0;
    uint8_t *samples = stbi_load_from_callbacks(&callbacks, &user, &w, &h, &stored, channels);
    if (!samples) {
        const char *reason = stbi_failure_reason();
        if (reason && strcmp(reason, "outofmem") == 0) {
            dio_fail(job->ctx, DIO_ERR_ENV, NULL, &place, "out of memory in stb_image");
        } else {
            dio_fail(job->ctx, DIO_ERR_INPUT, "I17", &place, "%s: %s", what, reason ? reason : "not readable");
        }
        return NULL;
    }
    if (w == width && h == height) return samples;
    stbi_image_free(samples);
    dio_fail(job->ctx, DIO_ERR_INPUT, "I17", &place, "%s: size changes within the file", what);
    return NULL;
}

void dio_stb_free(uint8_t *samples)
{
    stbi_image_free(samples);
}

dio_status dio_stb_decode(struct dio_decode *job, const char *what, const struct dio_stb_part *parts, size_t count,
                          int32_t width, int32_t height)
{
    DIO_PASS(dio_picture_reserve(job->ctx, job->name, width, height, 3, DIO_SAMPLE_U8, job->picture));
    uint8_t *samples = dio_stb_load(job, what, parts, count, width, height, 3);
    if (!samples) return job->ctx->error.status;
    memcpy(job->picture->data, samples, dio_picture_bytes(job->picture));
    dio_stb_free(samples);
    return DIO_OK;
}
