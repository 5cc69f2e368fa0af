/* What is accepted and written again has to be accepted again, and be written the same. */
#include <string.h>

#include "base/str.h"
#include "text/json.h"
#include "text/json_write.h"

static void write(struct dio_json_writer *writer, const struct dio_tree_node *node, const char *key)
{
    switch (node->type) {
    case DIO_NODE_MAP:
        dio_json_map(writer, key);
        for (size_t i = 0; i < node->count; i++) write(writer, &node->items[i], node->items[i].key);
        dio_json_end_map(writer);
        return;
    case DIO_NODE_LIST:
        dio_json_list(writer, key);
        for (size_t i = 0; i < node->count; i++) write(writer, &node->items[i], NULL);
        dio_json_end_list(writer);
        return;
    case DIO_NODE_TEXT: dio_json_text(writer, key, node->text); return;
    default: dio_json_raw(writer, key, node->text);
    }
}

static void write_tree(const struct dio_tree *tree, struct dio_str *out)
{
    struct dio_json_writer writer;
    dio_json_begin(&writer, out, 1);
    write(&writer, tree->root, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dio_alloc_stats stats = {0};
    struct dio_ctx ctx = {.limits = dio_limits_default(), .alloc = &stats};
    struct dio_tree tree, again;
    if (dio_json_parse(&ctx, "fuzz.json", NULL, "J1", data, size, &tree) == DIO_OK) {
        struct dio_str first, second;
        dio_str_init(&first, &ctx);
        dio_str_init(&second, &ctx);
        write_tree(&tree, &first);
        if (dio_json_parse(&ctx, "fuzz.json", NULL, "J1", first.data, first.length, &again) != DIO_OK) __builtin_trap();
        write_tree(&again, &second);
        if (first.length != second.length || memcmp(first.data, second.data, first.length) != 0) __builtin_trap();
        dio_str_free(&first);
        dio_str_free(&second);
        dio_tree_free(&again);
        dio_tree_free(&tree);
    } else if (ctx.error.status == DIO_OK || ctx.error.line == 0) {
        __builtin_trap();
    }
    if (atomic_load(&stats.live_blocks) != 0) __builtin_trap();
    return 0;
}
