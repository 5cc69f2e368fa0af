/* A stored graph is refused in words, or stored again as a text that reads back as itself. */
#include <string.h>

#include "base/str.h"
#include "graph/graph.h"

static void check_again(struct dio_ctx *ctx, const struct dio_graph *graph)
{
    struct dio_str first, second;
    struct dio_graph *again;
    dio_str_init(&first, ctx);
    dio_str_init(&second, ctx);
    if (dio_graph_store(graph, &first) != DIO_OK) __builtin_trap();
    if (dio_graph_load(ctx, first.data, first.length, &again) != DIO_OK) __builtin_trap();
    if (dio_graph_store(again, &second) != DIO_OK) __builtin_trap();
    if (strcmp(first.data, second.data) != 0) __builtin_trap();
    dio_graph_free(again);
    dio_str_free(&first);
    dio_str_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dio_alloc_stats stats = {0};
    struct dio_ctx ctx = {.limits = dio_limits_default(), .alloc = &stats};
    struct dio_graph *graph;
    if (dio_graph_load(&ctx, (const char *)data, size, &graph) == DIO_OK) {
        check_again(&ctx, graph);
        dio_graph_free(graph);
    } else if (ctx.error.status == DIO_OK) {
        __builtin_trap();
    }
    if (atomic_load(&stats.live_blocks) != 0) __builtin_trap();
    return 0;
}
