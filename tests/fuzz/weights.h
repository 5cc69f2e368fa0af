/* Reads bytes as a file of weights and everything in it, as `info` does; traps where something is left behind. */
#ifndef DIO_TESTS_FUZZ_WEIGHTS_H
#define DIO_TESTS_FUZZ_WEIGHTS_H

#include <string.h>

#include "format/load.h"

static inline dio_status fuzz_read(struct dio_ctx *ctx, const char *format, const uint8_t *data, size_t size)
{
    struct dio_loaded loaded = {.has_weights = true};
    struct dio_read_options options = {0};
    struct dio_blob blob = {.size = size, .fd = -1};
    unsigned char *copy = dio_alloc(ctx, size, "fuzz input");
    if (!copy) return DIO_ERR_ENV;
    if (size) memcpy(copy, data, size);
    blob.data = copy;
    dio_weights_init(&loaded.weights, ctx);
    dio_status status = dio_format_find(format)->read(ctx, "fuzz", &blob, &options, &loaded.weights);
    if (status == DIO_OK) status = dio_loaded_scan(ctx, &loaded);
    if (blob.data) dio_blob_free(ctx, &blob);
    dio_loaded_free(ctx, &loaded);
    return status;
}

/* Small limits, so that no input takes long. */
static inline void fuzz_weights(const char *format, const uint8_t *data, size_t size)
{
    struct dio_alloc_stats stats = {0};
    struct dio_ctx ctx = {.limits = dio_limits_default(), .alloc = &stats};
    ctx.limits.max_elements = 1 << 16;
    ctx.limits.max_opcodes = 1 << 16;
    ctx.limits.max_unpack = 1 << 20;
    dio_status status = fuzz_read(&ctx, format, data, size);
    if (status != ctx.error.status || (status != DIO_OK && status != DIO_ERR_INPUT)) __builtin_trap();
    if (status != DIO_OK && !ctx.error.text[0]) __builtin_trap();
    if (atomic_load(&stats.live_blocks) != 0) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
