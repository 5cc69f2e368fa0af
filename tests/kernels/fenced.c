#include "fenced.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct fenced fenced_new(size_t count, bool after)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t bytes = count * sizeof(float);
    const size_t body = (bytes + page) / page * page;
    struct fenced buffer = {NULL, count, NULL, body + 2 * page};
    char *base = mmap(NULL, buffer.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || mprotect(base, page, PROT_NONE) != 0 || mprotect(base + page + body, page, PROT_NONE) != 0) {
        perror("mmap");
        exit(1);
    }
    buffer.base = base;
    buffer.data = (float *)(void *)(after ? base + page + body - bytes : base + page);
    for (size_t i = 0; i < count; i++) buffer.data[i] = NAN;
    return buffer;
}

void fenced_free(struct fenced *buffer)
{
    if (buffer->base) munmap(buffer->base, buffer->size);
    buffer->base = NULL;
}
