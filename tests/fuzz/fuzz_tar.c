/* A tar's bytes, opened as data: with labels, and flat as predict does. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/dataset.h"
#include "fuzz_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0) return 0;
    if (size == 0 || write(fd, data, size) == (ssize_t)size) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        struct dio_dataset_options labelled = {.labels_wanted = true, .val_share = 0.3, .allow_empty = true}, flat = {0};
        fuzz_open(path, &labelled);
        fuzz_open(path, &flat);
    }
    close(fd);
    return 0;
}
