#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/str.h"

enum { BLOCK = 16 * 1024, ALIGN = 16 };

struct dio_arena_block {
    struct dio_arena_block *next;
    size_t used, size; /* of the bytes after the header */
};
enum { BLOCK_HEADER = 32 };
_Static_assert(sizeof(struct dio_arena_block) <= BLOCK_HEADER, "the header has to fit");

void dio_arena_init(struct dio_arena *arena, struct dio_ctx *ctx)
{
    arena->ctx = ctx;
    arena->blocks = NULL;
}

static struct dio_arena_block *add_block(struct dio_arena *arena, size_t size)
{
    size_t bytes;
    if (!dio_add_size(size, BLOCK_HEADER, &bytes)) bytes = SIZE_MAX;
    struct dio_arena_block *block = dio_alloc_zeroed(arena->ctx, 1, bytes, "small records");
    if (!block) return NULL;
    block->size = size;
    /* A large block of its own goes behind the current one, which may have room left. */
    if (size != BLOCK && arena->blocks) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        block->next = arena->blocks;
        arena->blocks = block;
    }
    return block;
}

void *dio_arena_alloc(struct dio_arena *arena, size_t size)
{
    size_t rounded;
    if (!dio_add_size(size, ALIGN - 1, &rounded)) rounded = SIZE_MAX;
    rounded = rounded / ALIGN * ALIGN;
    struct dio_arena_block *block = arena->blocks;
    if (!block || block->size - block->used < rounded) block = add_block(arena, rounded > BLOCK / 4 ? rounded : BLOCK);
    if (!block) return NULL;
    unsigned char *start = (unsigned char *)block + BLOCK_HEADER + block->used;
    block->used += rounded;
    return start;
}

char *dio_arena_strndup(struct dio_arena *arena, const char *text, size_t length)
{
    size_t whole;
    if (!dio_add_size(length, 1, &whole)) whole = SIZE_MAX;
    char *copy = dio_arena_alloc(arena, whole);
    if (copy && length > 0) memcpy(copy, text, length);
    return copy;
}

char *dio_arena_sprintf(struct dio_arena *arena, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = dio_vformat(NULL, 0, format, arguments);
    char *text = dio_arena_alloc(arena, length < 0 ? 1 : (size_t)length + 1);
    if (text && length > 0) dio_vformat(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

void dio_arena_free(struct dio_arena *arena)
{
    struct dio_arena_block *block = arena->blocks;
    while (block) {
        struct dio_arena_block *next = block->next;
        dio_free(arena->ctx, block);
        block = next;
    }
    arena->blocks = NULL;
}
