#include "image/thumbnail.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

#include "base/memory.h"
#include "image/resize.h"

enum { QUALITY = 86, PNG_SIDE = 64 };

/* libjpeg ends the process on errors unless told otherwise. */
struct jpeg_failure {
    struct jpeg_error_mgr manager;
    jmp_buf escape;
};

static void jpeg_fail(j_common_ptr info)
{
    struct jpeg_failure *failure = (struct jpeg_failure *)(void *)info->err;
    longjmp(failure->escape, 1);
}

static void jpeg_quiet(j_common_ptr info)
{
    (void)info;
}

/* The libraries' memory becomes ours, so that it is counted and freed as all else. */
static dio_status keep(struct dio_ctx *ctx, const unsigned char *bytes, size_t size, const char *media_type,
                       struct dio_encoded *encoded)
{
    encoded->bytes = dio_alloc(ctx, size, "a thumbnail");
    if (!encoded->bytes) return DIO_ERR_ENV;
    memcpy(encoded->bytes, bytes, size);
    encoded->size = size;
    encoded->media_type = media_type;
    return DIO_OK;
}

static dio_status encode_jpeg(struct dio_ctx *ctx, const uint8_t *pixels, int32_t width, int32_t height, int32_t channels,
                              struct dio_encoded *encoded)
{
    struct jpeg_compress_struct info;
    struct jpeg_failure failure;
    unsigned char *volatile out = NULL;
    unsigned char *buffer = NULL;
    unsigned long size = 0;
    info.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = jpeg_fail;
    failure.manager.output_message = jpeg_quiet;
    if (setjmp(failure.escape)) {
        jpeg_destroy_compress(&info);
        free(out);
        return dio_fail(ctx, DIO_ERR_ENV, "E3", NULL, "out of memory: a thumbnail");
    }
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &buffer, &size);
    info.image_width = (JDIMENSION)width;
    info.image_height = (JDIMENSION)height;
    info.input_components = channels;
    info.in_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, QUALITY, TRUE);
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + (size_t)info.next_scanline * (size_t)width * (size_t)channels);
        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    out = buffer;
    jpeg_destroy_compress(&info);
    dio_status status = keep(ctx, out, size, "image/jpeg", encoded);
    free(out);
    return status;
}

static dio_status encode_png(struct dio_ctx *ctx, const uint8_t *pixels, int32_t width, int32_t height, int32_t channels,
                             struct dio_encoded *encoded)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .width = (png_uint_32)width, .height = (png_uint_32)height,
                       .format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    unsigned char *buffer = dio_alloc(ctx, size, "a thumbnail");
    if (!buffer) return DIO_ERR_ENV;
    dio_status status;
    if (png_image_write_to_memory(&image, buffer, &size, 0, pixels, 0, NULL)) {
        status = keep(ctx, buffer, size, "image/png", encoded);
    } else {
        status = dio_fail(ctx, DIO_ERR_ENV, "E3", NULL, "thumbnail: %s", image.message);
    }
    dio_free(ctx, buffer);
    return status;
}

dio_status dio_encode_pixels(struct dio_ctx *ctx, const uint8_t *pixels, int32_t width, int32_t height, int32_t channels,
                             struct dio_encoded *encoded)
{
    *encoded = (struct dio_encoded){0};
    if ((channels != 1 && channels != 3) || width < 1 || height < 1 || width > DIO_MAX_PICTURE_SIDE || height > DIO_MAX_PICTURE_SIDE) {
        return dio_fail(ctx, DIO_ERR_INTERNAL, NULL, NULL, "a thumbnail of %d x %d, %d channels", width, height, channels);
    }
    bool small = width <= PNG_SIDE && height <= PNG_SIDE;
    return small ? encode_png(ctx, pixels, width, height, channels, encoded)
                 : encode_jpeg(ctx, pixels, width, height, channels, encoded);
}

dio_status dio_thumbnail(struct dio_ctx *ctx, const struct dio_picture *picture, int32_t side, struct dio_encoded *encoded)
{
    *encoded = (struct dio_encoded){0};
    int32_t longest = picture->width > picture->height ? picture->width : picture->height;
    int64_t width = picture->width, height = picture->height;
    if (longest > side) {
        width = (width * side + longest / 2) / longest;
        height = (height * side + longest / 2) / longest;
    }
    if (width < 1) width = 1;
    if (height < 1) height = 1;
    size_t samples = (size_t)width * (size_t)height * (size_t)picture->channels;
    size_t sample = picture->sample == DIO_SAMPLE_U16 ? 2 : 1;
    unsigned char *pixels = dio_alloc_array(ctx, samples, sample, "a thumbnail");
    if (!pixels) return DIO_ERR_ENV;
    struct dio_resize_scratch scratch = {0};
    struct dio_pixels in = dio_pixels_of(picture, 0, 0, picture->width, picture->height);
    struct dio_region whole = {0, 0, (int32_t)width, (int32_t)height};
    dio_status status = dio_resize(ctx, &in, (int32_t)width, (int32_t)height, DIO_LANCZOS, DIO_PILLOW_13, &whole, pixels,
                                   (size_t)width * (size_t)picture->channels * sample, &scratch);
    dio_resize_scratch_free(ctx, &scratch);
    if (status == DIO_OK && sample == 2) {
        for (size_t i = 0; i < samples; i++) {
            uint16_t value;
            memcpy(&value, pixels + 2 * i, sizeof value);
            pixels[i] = (unsigned char)(value >> 8);
        }
    }
    if (status == DIO_OK) status = dio_encode_pixels(ctx, pixels, (int32_t)width, (int32_t)height, picture->channels, encoded);
    dio_free(ctx, pixels);
    return status;
}
