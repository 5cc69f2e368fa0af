#include "data/workers.h"

#include "base/memory.h"

dio_status dio_workers_open(struct dio_ctx *ctx, int count, struct dio_workers *workers)
{
    *workers = (struct dio_workers){0};
    workers->workers = dio_alloc_zeroed(ctx, (size_t)count, sizeof *workers->workers, "decoding threads");
    if (!workers->workers) return DIO_ERR_ENV;
    workers->count = count;
    for (int i = 0; i < count; i++) workers->workers[i].ctx = dio_ctx_child(ctx);
    return DIO_OK;
}

void dio_workers_close(struct dio_ctx *ctx, struct dio_workers *workers)
{
    for (int i = 0; i < workers->count; i++) {
        dio_picture_free(ctx, &workers->workers[i].picture);
        dio_prepare_scratch_free(ctx, &workers->workers[i].scratch);
    }
    dio_free(ctx, workers->workers);
    *workers = (struct dio_workers){0};
}
