/* Decodes the picture given, as `predict` would: exit 0 with a line about it, or 3 (4, 5) with one line on stderr.
 *
 *   check_pictures [--exif ignore] [--allow-damaged] [--hash] FILE
 *
 * For run_vectors.sh:  CMD_pictures='{file}' run_vectors.sh build/tests/check_pictures model --kind pictures --strict
 * --hash prints the SHA-256 of the pixels as RGB8 (16-bit samples by their high byte). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "image/picture.h"

static void print_message(void *arg, const struct dio_message *message)
{
    char line[4096];
    (void)arg;
    dio_message_format(message, line, sizeof line);
    fprintf(stderr, "diopter: %s\n", line);
}

static void print_hash(const struct dio_picture *picture)
{
    const size_t pixels = (size_t)picture->width * (size_t)picture->height;
    struct dio_sha256 hash;
    dio_sha256_init(&hash);
    for (size_t i = 0; i < pixels; i++) {
        uint8_t rgb[3];
        for (size_t c = 0; c < 3; c++) {
            const size_t at = i * (size_t)picture->channels + (picture->channels == 1 ? 0 : c);
            rgb[c] = picture->sample == DIO_SAMPLE_U8 ? ((const uint8_t *)picture->data)[at]
                                                      : (uint8_t)(((const uint16_t *)picture->data)[at] >> 8);
        }
        dio_sha256_add(&hash, rgb, 3);
    }
    struct dio_digest digest = dio_sha256_end(&hash);
    char hex[65];
    dio_digest_hex(&digest, hex);
    printf("%s ", hex);
}

int main(int argc, char **argv)
{
    struct dio_ctx ctx;
    struct dio_alloc_stats stats = {0};
    struct dio_decode_options options = {0};
    bool hash = false;
    const char *path = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--exif") == 0 && i + 1 < argc) options.ignore_exif = strcmp(argv[++i], "ignore") == 0;
        else if (strcmp(argv[i], "--allow-damaged") == 0) options.allow_damaged = true;
        else if (strcmp(argv[i], "--hash") == 0) hash = true;
        else path = argv[i];
    }
    if (!path) return 2;
    dio_ctx_init(&ctx, &stats);
    ctx.on_message = print_message;
    struct dio_blob blob;
    struct dio_picture picture = {0};
    dio_status status = dio_blob_read(&ctx, path, DIO_READ_COPY, ctx.limits.max_file, "--max-file", &blob);
    if (status == DIO_OK) {
        status = dio_picture_decode(&ctx, path, blob.data, blob.size, &options, &picture);
        dio_blob_free(&ctx, &blob);
    }
    if (status == DIO_OK) {
        if (hash) print_hash(&picture);
        printf("%s %d x %d x %d, %d bit, orientation %d%s%s%s\n", picture.codec, (int)picture.width,
               (int)picture.height, (int)picture.channels, picture.sample == DIO_SAMPLE_U16 ? 16 : 8,
               (int)picture.orientation, picture.had_icc ? ", profile ignored" : "",
               picture.had_gamma ? ", gamma ignored" : "", picture.had_alpha ? ", alpha dropped" : "");
    } else {
        print_message(NULL, &ctx.error);
    }
    dio_picture_free(&ctx, &picture);
    return (int)status;
}
