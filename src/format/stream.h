/* The bytes of an item as a writer stores them: contiguous, this machine's order, F32 perhaps narrowed. */
#ifndef DIO_FORMAT_STREAM_H
#define DIO_FORMAT_STREAM_H

#include "format/format.h"

enum dio_dtype dio_save_dtype(const struct dio_save *save, const struct dio_weight *item);
/* False when the size does not fit 64 bits. */
bool dio_save_bytes(const struct dio_save *save, const struct dio_weight *item, uint64_t *bytes);

typedef dio_status dio_sink_fn(void *arg, const void *bytes, size_t length);
/* Hands the item's bytes on in pieces of fixed size. */
dio_status dio_save_stream(const struct dio_save *save, const struct dio_weight *item, dio_sink_fn *sink, void *arg);

/* Refuses what no writer can write: two items of one name (a mistake of the caller: DIO_ERR_INTERNAL), or floats that
 * are none of F32, F16, BF16. */
dio_status dio_save_check_names(struct dio_ctx *ctx, const char *path, const struct dio_save *save);

#endif
