/* Pictures: any bytes are decoded or refused, and what is decoded can be prepared for a model. */
#include <stdint.h>
#include <stdlib.h>

#include "base/context.h"
#include "image/prepare.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct dio_ctx ctx;
    struct dio_alloc_stats stats = {0};
    struct dio_picture picture = {0};
    struct dio_prepare prepare;
    struct dio_prepare_scratch scratch = {0};
    static float out[24 * 24 * 3];
    dio_ctx_init(&ctx, &stats);
    ctx.limits.max_pixels = 1 << 18;
    ctx.limits.max_scans = 20;
    /* The name lets TGA in, which has no signature.  The last byte chooses how damage is met. */
    const struct dio_decode_options options = {.allow_damaged = size > 0 && (bytes[size - 1] & 1), .quiet = true};
    const dio_status status = dio_picture_decode(&ctx, "input.tga", bytes, size, &options, &picture);
    if (status != DIO_OK && ctx.error.status != status) abort(); /* every refusal has a message */
    const struct dio_image_recipe recipe = dio_image_recipe_imagenet(28, 24);
    if (status == DIO_OK && dio_prepare_init(&ctx, &recipe, &prepare) == DIO_OK) {
        if (dio_prepare_run(&ctx, &prepare, NULL, "input", &picture, &scratch, out) != DIO_OK) abort();
        dio_prepare_free(&ctx, &prepare);
    }
    dio_prepare_scratch_free(&ctx, &scratch);
    dio_picture_free(&ctx, &picture);
    if (atomic_load(&stats.live_blocks) != 0) abort();
    return 0;
}
