#include "text/yaml.h"

static void walk(struct dio_tree *tree, const struct dio_tree_node *node)
{
    int64_t whole;
    double number;
    bool truth;
    (void)dio_node_whole(tree, node, "x", 0, 10, &whole);
    (void)dio_node_number(tree, node, "x", 0, 10, &number);
    (void)dio_node_bool(tree, node, "x", &truth);
    for (size_t i = 0; i < node->count && (node->type == DIO_NODE_MAP || node->type == DIO_NODE_LIST); i++) {
        if ((node->type == DIO_NODE_MAP) != (node->items[i].key != NULL)) __builtin_trap();
        walk(tree, &node->items[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dio_alloc_stats stats = {0};
    struct dio_ctx ctx = {.limits = dio_limits_default(), .alloc = &stats};
    struct dio_tree tree;
    if (dio_yaml_parse(&ctx, "fuzz.yaml", data, size, &tree) == DIO_OK) {
        if (tree.root->type != DIO_NODE_MAP) __builtin_trap();
        walk(&tree, tree.root);
        dio_tree_free(&tree);
    } else if (ctx.error.status == DIO_OK) {
        __builtin_trap();
    }
    if (atomic_load(&stats.live_blocks) != 0) __builtin_trap();
    return 0;
}
