/* What the targets that open data have in common. */
#ifndef DIO_TESTS_FUZZ_FILES_H
#define DIO_TESTS_FUZZ_FILES_H

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/dataset.h"

static inline void fuzz_write(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return;
    if (size && write(fd, bytes, size) != (ssize_t)size) abort();
    close(fd);
}

/* Opened and looked through: whatever was accepted is sound; whatever was refused left a message and nothing else. */
static inline void fuzz_open(const char *path, const struct dio_dataset_options *options)
{
    struct dio_alloc_stats stats = {0};
    struct dio_ctx ctx = {.limits = dio_limits_default(), .alloc = &stats};
    struct dio_dataset *dataset = NULL;
    dio_status status = dio_dataset_open(&ctx, path, options, &dataset);
    if ((status == DIO_OK) != (dataset != NULL) || (status != DIO_OK && ctx.error.status == DIO_OK)) __builtin_trap();
    size_t n = dataset ? dio_dataset_count(dataset) : 0;
    for (size_t i = 0; i < n; i++) {
        const struct dio_item *item = dio_dataset_item(dataset, i);
        if (item->label >= 0 && (size_t)item->label >= dio_dataset_classes(dataset) && options->labels_wanted) __builtin_trap();
        if (strlen(dio_dataset_path(dataset, i)) == 0) __builtin_trap();
        struct dio_blob bytes;
        if (i < 4 && dio_dataset_read(dataset, &ctx, i, &bytes) == DIO_OK) dio_blob_free(&ctx, &bytes);
        dio_ctx_clear_error(&ctx);
    }
    dio_dataset_free(dataset);
    if (atomic_load(&stats.live_blocks) != 0) __builtin_trap();
}

#endif
