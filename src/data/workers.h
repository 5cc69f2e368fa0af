/* What each thread of the team keeps while it decodes: a context for its errors, a picture, scratch memory. */
#ifndef DIO_DATA_WORKERS_H
#define DIO_DATA_WORKERS_H

#include "base/threads.h"
#include "image/prepare.h"

struct dio_worker {
    struct dio_ctx ctx;
    struct dio_picture picture;
    struct dio_prepare_scratch scratch;
};

struct dio_workers {
    struct dio_worker *workers;
    int count;
};

dio_status dio_workers_open(struct dio_ctx *ctx, int count, struct dio_workers *workers);
void dio_workers_close(struct dio_ctx *ctx, struct dio_workers *workers);

#endif
