#include "graph/lifetimes.h"

#include <stdlib.h>

#include "base/memory.h"

static int larger_first(const void *a, const void *b)
{
    const struct dio_lifetime *x = *(const struct dio_lifetime *const *)a, *y = *(const struct dio_lifetime *const *)b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x < y ? -1 : x > y;
}

static bool meet(const struct dio_lifetime *a, const struct dio_lifetime *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Lowest offset for `item`, among those placed before it, which are sorted by offset. */
static size_t lowest_gap(const struct dio_lifetime *item, struct dio_lifetime *const *placed, int count)
{
    size_t offset = 0;
    for (int i = 0; i < count; i++) {
        if (!meet(item, placed[i])) continue;
        if (placed[i]->offset >= offset + item->bytes) break;
        size_t end = placed[i]->offset + dio_buffer_round(placed[i]->bytes);
        if (end > offset) offset = end;
    }
    return offset;
}

dio_status dio_lifetimes_place(struct dio_ctx *ctx, struct dio_lifetime *items, int count, size_t *total)
{
    *total = 0;
    struct dio_lifetime **order = dio_alloc_array(ctx, (size_t)count, 2 * sizeof *order, "a memory plan");
    if (!order) return DIO_ERR_ENV;
    struct dio_lifetime **placed = order + count;
    int n_order = 0, n_placed = 0;
    for (int i = 0; i < count; i++) {
        items[i].offset = 0;
        if (items[i].bytes > 0) order[n_order++] = &items[i];
    }
    qsort(order, (size_t)n_order, sizeof *order, larger_first);
    for (int i = 0; i < n_order; i++) {
        order[i]->offset = lowest_gap(order[i], placed, n_placed);
        size_t end = order[i]->offset + dio_buffer_round(order[i]->bytes);
        if (end > *total) *total = end;
        int at = n_placed++;
        for (; at > 0 && placed[at - 1]->offset > order[i]->offset; at--) placed[at] = placed[at - 1];
        placed[at] = order[i];
    }
    dio_free(ctx, order);
    return DIO_OK;
}
