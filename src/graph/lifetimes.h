/* Buffers that live from one moment to another, laid into one block: largest first, each at the lowest free place. */
#ifndef DIO_GRAPH_LIFETIMES_H
#define DIO_GRAPH_LIFETIMES_H

#include "base/context.h"

enum { DIO_BUFFER_ALIGN = 64 };

struct dio_lifetime {
    size_t bytes;   /* 0: takes no place */
    int first, last; /* moments, both inclusive */
    size_t offset;  /* answered; a multiple of DIO_BUFFER_ALIGN */
};

static inline size_t dio_buffer_round(size_t bytes) { return (bytes + DIO_BUFFER_ALIGN - 1) / DIO_BUFFER_ALIGN * DIO_BUFFER_ALIGN; }

/* *total: size of the block. */
dio_status dio_lifetimes_place(struct dio_ctx *ctx, struct dio_lifetime *items, int count, size_t *total);

#endif
