#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/str.h"

/* Stands right before every block: its size for the counts, and the way back to what malloc gave. */
struct header {
    size_t size;
    size_t offset; /* from malloc's pointer to the block */
};
enum { HEADER = 16, ALIGNMENT = 64, HUGE_PAGE = 2 << 20, HUGE_FROM = 4 << 20 };
_Static_assert(sizeof(struct header) <= HEADER, "the header has to fit");

static struct header *header_of(void *block)
{
    return (struct header *)(void *)((unsigned char *)block - HEADER);
}

static void *out_of_memory(struct dio_ctx *ctx, size_t size, const char *what)
{
    dio_fail(ctx, DIO_ERR_ENV, "E3", NULL, "out of memory: %zu bytes for %s", size, what);
    return NULL;
}

/* False: this call has been chosen to fail. */
static bool count_call(struct dio_ctx *ctx)
{
    struct dio_alloc_stats *stats = ctx->alloc;
    if (!stats) return true;
    int64_t call = atomic_fetch_add_explicit(&stats->calls, 1, memory_order_relaxed) + 1;
    return stats->fail_at == 0 || call < stats->fail_at;
}

static void count_live(struct dio_ctx *ctx, int blocks, int64_t bytes)
{
    struct dio_alloc_stats *stats = ctx->alloc;
    if (!stats) return;
    atomic_fetch_add_explicit(&stats->live_blocks, blocks, memory_order_relaxed);
    int64_t live = atomic_fetch_add_explicit(&stats->live_bytes, bytes, memory_order_relaxed) + bytes;
    int64_t peak = atomic_load_explicit(&stats->peak_bytes, memory_order_relaxed);
    while (live > peak && !atomic_compare_exchange_weak_explicit(&stats->peak_bytes, &peak, live, memory_order_relaxed,
                                                                 memory_order_relaxed)) {
    }
}

static void *finish_block(struct dio_ctx *ctx, unsigned char *base, size_t offset, size_t size)
{
    unsigned char *block = base + offset;
    *header_of(block) = (struct header){size, offset};
    count_live(ctx, 1, (int64_t)size);
    return block;
}

void *dio_alloc(struct dio_ctx *ctx, size_t size, const char *what)
{
    size_t whole;
    unsigned char *base = NULL;
    if (count_call(ctx) && dio_add_size(size, HEADER, &whole)) base = malloc(whole);
    return base ? finish_block(ctx, base, HEADER, size) : out_of_memory(ctx, size, what);
}

void *dio_alloc_zeroed(struct dio_ctx *ctx, size_t count, size_t size, const char *what)
{
    size_t bytes = SIZE_MAX, whole;
    unsigned char *base = NULL;
    if (count_call(ctx) && dio_mul_size(count, size, &bytes) && dio_add_size(bytes, HEADER, &whole)) base = calloc(1, whole);
    return base ? finish_block(ctx, base, HEADER, bytes) : out_of_memory(ctx, bytes, what);
}

void *dio_alloc_array(struct dio_ctx *ctx, size_t count, size_t size, const char *what)
{
    size_t bytes;
    if (!dio_mul_size(count, size, &bytes)) bytes = SIZE_MAX; /* fails, and says so */
    return dio_alloc(ctx, bytes, what);
}

void *dio_realloc_array(struct dio_ctx *ctx, void *block, size_t count, size_t size, const char *what)
{
    if (!block) return dio_alloc_array(ctx, count, size, what);
    size_t bytes = SIZE_MAX, whole;
    struct header *header = header_of(block);
    size_t old = header->size;
    if (!count_call(ctx) || !dio_mul_size(count, size, &bytes) || !dio_add_size(bytes, HEADER, &whole)) {
        return out_of_memory(ctx, bytes, what);
    }
    if (header->offset != HEADER) return out_of_memory(ctx, bytes, "an aligned block, which cannot grow");
    unsigned char *base = realloc((unsigned char *)block - HEADER, whole);
    if (!base) return out_of_memory(ctx, bytes, what);
    count_live(ctx, -1, -(int64_t)old);
    return finish_block(ctx, base, HEADER, bytes);
}

/* calloc and an alignment of our own: large fresh blocks come zeroed from the system, and only what is used is touched. */
void *dio_alloc_aligned(struct dio_ctx *ctx, size_t size, const char *what)
{
    bool huge = size >= HUGE_FROM;
    size_t alignment = huge ? HUGE_PAGE : ALIGNMENT, whole;
    unsigned char *base = NULL;
    if (count_call(ctx) && dio_add_size(size, HEADER + alignment, &whole)) base = calloc(1, whole);
    if (!base) return out_of_memory(ctx, size, what);
    size_t offset = alignment - ((uintptr_t)base + HEADER) % alignment + HEADER;
    if (offset >= alignment + HEADER) offset -= alignment;
    void *block = finish_block(ctx, base, offset, size);
#ifdef MADV_HUGEPAGE
    if (huge) (void)madvise(block, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return block;
}

void dio_free(struct dio_ctx *ctx, void *block)
{
    if (!block) return;
    struct header *header = header_of(block);
    unsigned char *base = (unsigned char *)block - header->offset;
    count_live(ctx, -1, -(int64_t)header->size);
    free(base);
}

void dio_drop_pages(const void *data, size_t bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = ((uintptr_t)data + page - 1) / page * page, end = ((uintptr_t)data + bytes) / page * page;
    if (begin < end) (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

char *dio_strndup(struct dio_ctx *ctx, const char *text, size_t length)
{
    size_t whole;
    if (!dio_add_size(length, 1, &whole)) return out_of_memory(ctx, length, "text");
    char *copy = dio_alloc(ctx, whole, "text");
    if (!copy) return NULL;
    if (length > 0) memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *dio_strdup(struct dio_ctx *ctx, const char *text)
{
    return dio_strndup(ctx, text, strlen(text));
}

char *dio_sprintf(struct dio_ctx *ctx, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = dio_vformat(NULL, 0, format, arguments);
    char *text = length < 0 ? out_of_memory(ctx, 0, "text") : dio_alloc(ctx, (size_t)length + 1, "text");
    if (text) dio_vformat(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

dio_status dio_grow(struct dio_ctx *ctx, void **array, size_t *capacity, size_t needed, size_t size, const char *what)
{
    if (needed <= *capacity) return DIO_OK;
    size_t larger = *capacity < 8 ? 8 : *capacity;
    while (larger < needed) {
        if (!dio_mul_size(larger, 2, &larger)) larger = needed;
    }
    void *grown = dio_realloc_array(ctx, *array, larger, size, what);
    if (!grown) return DIO_ERR_ENV;
    *array = grown;
    *capacity = larger;
    return DIO_OK;
}
