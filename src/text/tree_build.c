#include "text/tree_build.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/str.h"

static const char *keep(struct dio_tree *tree, const char *text, dio_status *status)
{
    if (!text) return NULL;
    const char *copy = dio_arena_strndup(&tree->arena, text, strlen(text));
    if (!copy) *status = DIO_ERR_ENV;
    return copy;
}

dio_status dio_build_begin(struct dio_tree_build *build, struct dio_ctx *ctx, const char *file, const char *part,
                           const char *code, struct dio_tree *tree)
{
    dio_status status = DIO_OK;
    *build = (struct dio_tree_build){.tree = tree};
    *tree = (struct dio_tree){.root = NULL};
    dio_arena_init(&tree->arena, ctx);
    tree->file = keep(tree, file, &status);
    tree->part = keep(tree, part, &status);
    tree->code = build->twice_code = keep(tree, code, &status);
    return status;
}

static dio_status fail_twice(struct dio_tree_build *build, const struct dio_tree_node *first, const struct dio_tree_node *second)
{
    char shown[256];
    struct dio_tree *tree = build->tree;
    struct dio_place place = {.file = tree->file, .part = tree->part, .line = second->key_line};
    dio_escape(shown, sizeof shown, second->key, strlen(second->key), 200);
    if (first->key_line == second->key_line) {
        return dio_fail(tree->arena.ctx, DIO_ERR_INPUT, build->twice_code, &place, "%s appears twice", shown);
    }
    return dio_fail(tree->arena.ctx, DIO_ERR_INPUT, build->twice_code, &place, "%s appears twice (line %u)", shown,
                    (unsigned)first->key_line);
}

static int by_key(const void *a, const void *b)
{
    const struct dio_tree_node *const *left = a, *const *right = b;
    int order = strcmp((*left)->key, (*right)->key);
    if (order != 0) return order;
    return *left < *right ? -1 : *left > *right; /* the later of two stands behind */
}

static dio_status check_keys_sorted(struct dio_tree_build *build, const struct dio_tree_node *items, size_t count)
{
    dio_status status = DIO_OK;
    struct dio_ctx *ctx = build->tree->arena.ctx;
    const struct dio_tree_node **sorted = dio_alloc_array(ctx, count, sizeof *sorted, "keys of a mapping");
    if (!sorted) return DIO_ERR_ENV;
    for (size_t i = 0; i < count; i++) sorted[i] = &items[i];
    qsort(sorted, count, sizeof *sorted, by_key);
    const struct dio_tree_node *first = NULL, *second = NULL;
    for (size_t i = 1; i < count; i++) {
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0 && (!second || sorted[i] < second)) {
            first = sorted[i - 1];
            second = sorted[i];
        }
    }
    if (second) status = fail_twice(build, first, second);
    dio_free(ctx, sorted);
    return status;
}

static dio_status check_keys(struct dio_tree_build *build, const struct dio_tree_node *items, size_t count)
{
    if (count > 16) return check_keys_sorted(build, items, count);
    for (size_t i = 1; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(items[i].key, items[j].key) == 0) return fail_twice(build, &items[j], &items[i]);
        }
    }
    return DIO_OK;
}

static dio_status push(struct dio_tree_build *build, struct dio_tree_node node)
{
    void *stack = build->stack;
    DIO_PASS(dio_grow(build->tree->arena.ctx, &stack, &build->capacity, build->used + 1, sizeof node, "values of a file"));
    build->stack = stack;
    node.key = build->key;
    node.key_line = build->key_line;
    build->key = NULL;
    build->stack[build->used++] = node;
    return DIO_OK;
}

dio_status dio_build_key(struct dio_tree_build *build, const char *text, size_t length, uint32_t line)
{
    build->key = dio_arena_strndup(&build->tree->arena, text, length);
    build->key_line = line;
    return build->key ? DIO_OK : DIO_ERR_ENV;
}

dio_status dio_build_scalar(struct dio_tree_build *build, enum dio_node_type type, const char *text, size_t length,
                            uint32_t line, uint32_t column)
{
    const char *copy = dio_arena_strndup(&build->tree->arena, text, length);
    if (!copy) return DIO_ERR_ENV;
    return push(build, (struct dio_tree_node){.type = type, .line = line, .column = column, .text = copy, .count = length});
}

dio_status dio_build_open(struct dio_tree_build *build, enum dio_node_type type, uint32_t line, uint32_t column)
{
    build->open_at[++build->depth] = build->used;
    return push(build, (struct dio_tree_node){.type = type, .line = line, .column = column, .text = ""});
}

dio_status dio_build_close(struct dio_tree_build *build)
{
    size_t at = build->open_at[build->depth--], count = build->used - at - 1, bytes;
    if (build->stack[at].type == DIO_NODE_MAP) DIO_PASS(check_keys(build, &build->stack[at + 1], count));
    if (!dio_mul_size(count, sizeof *build->stack, &bytes)) bytes = SIZE_MAX;
    struct dio_tree_node *items = dio_arena_alloc(&build->tree->arena, bytes);
    if (!items) return DIO_ERR_ENV;
    if (count > 0) memcpy(items, &build->stack[at + 1], bytes);
    build->stack[at].items = items;
    build->stack[at].count = count;
    build->used = at + 1;
    return DIO_OK;
}

dio_status dio_build_finish(struct dio_tree_build *build)
{
    struct dio_tree_node *root = dio_arena_alloc(&build->tree->arena, sizeof *root);
    if (!root) return DIO_ERR_ENV;
    *root = build->stack[0];
    build->tree->root = root;
    return DIO_OK;
}

void dio_build_free(struct dio_tree_build *build)
{
    dio_free(build->tree->arena.ctx, build->stack);
    build->stack = NULL;
}
