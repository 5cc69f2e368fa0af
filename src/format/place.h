/* Refusals that name a tensor. */
#ifndef DIO_FORMAT_PLACE_H
#define DIO_FORMAT_PLACE_H

#include "base/context.h"

/* "FILE: tensor NAME: text"; `offset` as in dio_place (0: none).  Returns DIO_ERR_INPUT. */
dio_status dio_fail_tensor(struct dio_ctx *ctx, const char *code, const char *file, const char *name, size_t name_length,
                           uint64_t offset, const char *format, ...) DIO_PRINTF(7, 8);

#endif
