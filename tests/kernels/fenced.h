/* Buffers between forbidden pages: a kernel that reads or writes one float too far ends in a signal, which names the case.
 * A fenced buffer touches the page behind it (after: true) or the page before it. */
#ifndef DIO_TESTS_KERNELS_FENCED_H
#define DIO_TESTS_KERNELS_FENCED_H

#include <stdbool.h>
#include <stddef.h>

struct fenced {
    float *data;
    size_t count;
    void *base;
    size_t size;
};

struct fenced fenced_new(size_t count, bool after); /* filled with NaNs; ends the program when there is no memory */
void fenced_free(struct fenced *buffer);

#endif
