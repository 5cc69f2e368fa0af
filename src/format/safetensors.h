#ifndef DIO_FORMAT_SAFETENSORS_H
#define DIO_FORMAT_SAFETENSORS_H

#include "format/format.h"

/* Appends the tensors of one file to `out` (a shard of many, or the whole); names are indexed anew.  *blob is taken
 * over, unless this fails early. */
dio_status dio_safetensors_read(struct dio_ctx *ctx, const char *path, struct dio_blob *blob, struct dio_weights *out);

/* The official writer's order: types by size, largest first, then names. */
dio_status dio_safetensors_write(struct dio_ctx *ctx, const char *path, const struct dio_save *save);

#endif
