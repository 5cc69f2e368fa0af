/* A safetensors file as a model: whatever its names, metadata (classes, preprocessing, provenance, a stored graph) and
 * shapes say, it is loaded or refused in words, and what was loaded can be saved. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/load.h"
#include "format/save.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int in_memory(const uint8_t *data, size_t size, char path[64])
{
    int fd = memfd_create("model", 0);
    if (fd < 0) return -1;
    for (size_t at = 0; at < size;) {
        ssize_t written = write(fd, data + at, size - at);
        if (written <= 0) break;
        at += (size_t)written;
    }
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dio_alloc_stats stats = {0};
    struct dio_ctx ctx;
    dio_ctx_init(&ctx, &stats);
    ctx.limits.max_elements = 1 << 16;
    char path[64];
    int fd = in_memory(data, size, path);
    if (fd < 0) return 0;
    struct dio_load_options options = dio_load_options_default();
    struct dio_loaded loaded;
    dio_status status = dio_model_load(&ctx, path, &options, &loaded);
    if (status != ctx.error.status || (status != DIO_OK && !ctx.error.text[0])) __builtin_trap();
    if (status == DIO_OK && loaded.model) {
        if (dio_model_save(&ctx, loaded.model, "/dev/null") == DIO_ERR_INTERNAL) __builtin_trap();
        if (loaded.model->features >= 0 && dio_arch_new_head(loaded.model, 3, 1) == DIO_ERR_INTERNAL) __builtin_trap();
    }
    if (status == DIO_OK) dio_loaded_free(&ctx, &loaded);
    close(fd);
    if (stats.live_blocks != 0) __builtin_trap();
    return 0;
}
