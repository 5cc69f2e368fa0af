/* Allocation through the context: counted, checked, able to fail on request. */
#ifndef DIO_BASE_MEMORY_H
#define DIO_BASE_MEMORY_H

#include "base/context.h"

/* All return NULL after recording "out of memory: N bytes for WHAT" (DIO_ERR_ENV).  Size 0 gives a valid pointer. */
void *dio_alloc(struct dio_ctx *ctx, size_t size, const char *what);
void *dio_alloc_zeroed(struct dio_ctx *ctx, size_t count, size_t size, const char *what);
void *dio_alloc_array(struct dio_ctx *ctx, size_t count, size_t size, const char *what);
/* The old block stays valid, and owned by the caller, when this fails. */
void *dio_realloc_array(struct dio_ctx *ctx, void *block, size_t count, size_t size, const char *what);
/* 64-byte aligned, zeroed, with huge pages advised above 4 MB; freed by dio_free as well. */
void *dio_alloc_aligned(struct dio_ctx *ctx, size_t size, const char *what);
void dio_free(struct dio_ctx *ctx, void *block);

/* Lets go of whole pages inside: of a private mapping, which are read from the file again when they are wanted. */
void dio_drop_pages(const void *data, size_t bytes);

char *dio_strdup(struct dio_ctx *ctx, const char *text);
char *dio_strndup(struct dio_ctx *ctx, const char *text, size_t length);
char *dio_sprintf(struct dio_ctx *ctx, const char *format, ...) DIO_PRINTF(2, 3);

/* Makes room for one more element in a growing array; doubles, starting with 8. */
dio_status dio_grow(struct dio_ctx *ctx, void **array, size_t *capacity, size_t needed, size_t size, const char *what);

/* Many small things that die together. */
struct dio_arena {
    struct dio_ctx *ctx;
    struct dio_arena_block *blocks;
};
void dio_arena_init(struct dio_arena *arena, struct dio_ctx *ctx);
void *dio_arena_alloc(struct dio_arena *arena, size_t size); /* zeroed, 16-byte aligned; NULL: error recorded */
char *dio_arena_strndup(struct dio_arena *arena, const char *text, size_t length);
char *dio_arena_sprintf(struct dio_arena *arena, const char *format, ...) DIO_PRINTF(2, 3);
void dio_arena_free(struct dio_arena *arena);

#endif
