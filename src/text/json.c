/* The tree, built from the scanner's tokens without recursion. */
#include "text/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/str.h"

/* Children of all open lists and maps, the innermost last; closing one moves its children to the arena. */
struct builder {
    struct dio_tree *tree;
    struct dio_json_scan scan;
    struct dio_str buffer;
    struct dio_tree_node *stack;
    size_t used, capacity;
    size_t open_at[DIO_MAX_JSON_DEPTH + 1]; /* index in the stack of each open list or map */
    const char *key;
    uint32_t key_line;
};

static dio_status fail_twice(struct builder *builder, const char *key, uint32_t line, uint32_t first_line)
{
    char shown[256];
    dio_escape(shown, sizeof shown, key, strlen(key), 200);
    const char *code = builder->tree->code;
    struct dio_place place = {.file = builder->tree->file, .part = builder->tree->part, .line = line};
    if (code && code[0] == 'J') code = "J4";
    if (first_line == line) return dio_fail(builder->scan.ctx, DIO_ERR_INPUT, code, &place, "%s appears twice", shown);
    return dio_fail(builder->scan.ctx, DIO_ERR_INPUT, code, &place, "%s appears twice (line %u)", shown, (unsigned)first_line);
}

static int by_key(const void *a, const void *b)
{
    const struct dio_tree_node *const *left = a, *const *right = b;
    int order = strcmp((*left)->key, (*right)->key);
    if (order != 0) return order;
    return *left < *right ? -1 : *left > *right; /* the later of two stands behind */
}

static dio_status check_keys_sorted(struct builder *builder, const struct dio_tree_node *items, size_t count)
{
    dio_status status = DIO_OK;
    const struct dio_tree_node **sorted = dio_alloc_array(builder->scan.ctx, count, sizeof *sorted, "keys of an object");
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
    if (second) status = fail_twice(builder, second->key, second->key_line, first->key_line);
    dio_free(builder->scan.ctx, sorted);
    return status;
}

static dio_status check_keys(struct builder *builder, const struct dio_tree_node *items, size_t count)
{
    if (count > 16) return check_keys_sorted(builder, items, count);
    for (size_t i = 1; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(items[i].key, items[j].key) == 0) {
                return fail_twice(builder, items[i].key, items[i].key_line, items[j].key_line);
            }
        }
    }
    return DIO_OK;
}

static dio_status push(struct builder *builder, enum dio_node_type type)
{
    const struct dio_json_scan *scan = &builder->scan;
    void *stack = builder->stack;
    DIO_PASS(dio_grow(scan->ctx, &stack, &builder->capacity, builder->used + 1, sizeof *builder->stack, "JSON values"));
    builder->stack = stack;
    struct dio_tree_node node = {.type = type, .line = scan->token_line, .column = scan->column, .key = builder->key,
                            .key_line = builder->key_line};
    if (type != DIO_NODE_LIST && type != DIO_NODE_MAP) {
        node.text = dio_arena_strndup(&builder->tree->arena, scan->text, scan->text_length);
        node.count = scan->text_length;
        if (!node.text) return DIO_ERR_ENV;
    }
    builder->key = NULL;
    builder->stack[builder->used++] = node;
    return DIO_OK;
}

/* Behind the END of a list or map: what lies above it in the stack are its children. */
static dio_status close_node(struct builder *builder)
{
    size_t at = builder->open_at[builder->scan.depth + 1], count = builder->used - at - 1, bytes;
    if (builder->stack[at].type == DIO_NODE_MAP) DIO_PASS(check_keys(builder, &builder->stack[at + 1], count));
    if (!dio_mul_size(count, sizeof *builder->stack, &bytes)) bytes = SIZE_MAX;
    struct dio_tree_node *items = dio_arena_alloc(&builder->tree->arena, bytes);
    if (!items) return DIO_ERR_ENV;
    if (count > 0) memcpy(items, &builder->stack[at + 1], bytes);
    builder->stack[at].items = items;
    builder->stack[at].count = count;
    builder->used = at + 1;
    return DIO_OK;
}

static dio_status take_token(struct builder *builder)
{
    const struct dio_json_scan *scan = &builder->scan;
    switch (scan->event) {
    case DIO_JSON_BEGIN_MAP:
    case DIO_JSON_BEGIN_LIST:
        builder->open_at[scan->depth] = builder->used;
        return push(builder, scan->event == DIO_JSON_BEGIN_MAP ? DIO_NODE_MAP : DIO_NODE_LIST);
    case DIO_JSON_END_MAP:
    case DIO_JSON_END_LIST: return close_node(builder);
    case DIO_JSON_KEY:
        builder->key = dio_arena_strndup(&builder->tree->arena, scan->text, scan->text_length);
        builder->key_line = scan->token_line;
        return builder->key ? DIO_OK : DIO_ERR_ENV;
    case DIO_JSON_TEXT: return push(builder, DIO_NODE_TEXT);
    case DIO_JSON_NUMBER: return push(builder, DIO_NODE_NUMBER);
    case DIO_JSON_TRUE:
    case DIO_JSON_FALSE: return push(builder, DIO_NODE_BOOL);
    case DIO_JSON_NULL: return push(builder, DIO_NODE_NULL);
    default: return DIO_OK;
    }
}

static dio_status build(struct builder *builder)
{
    do {
        DIO_PASS(dio_json_scan_next(&builder->scan));
        DIO_PASS(take_token(builder));
    } while (builder->scan.event != DIO_JSON_END);
    struct dio_tree_node *root = dio_arena_alloc(&builder->tree->arena, sizeof *root);
    if (!root) return DIO_ERR_ENV;
    *root = builder->stack[0];
    builder->tree->root = root;
    return DIO_OK;
}

static dio_status name_tree(struct dio_tree *tree, const char *file, const char *part, const char *code)
{
    tree->file = dio_arena_strndup(&tree->arena, file ? file : "", file ? strlen(file) : 0);
    tree->part = part ? dio_arena_strndup(&tree->arena, part, strlen(part)) : NULL;
    tree->code = code ? dio_arena_strndup(&tree->arena, code, strlen(code)) : NULL;
    return !tree->file || (part && !tree->part) || (code && !tree->code) ? DIO_ERR_ENV : DIO_OK;
}

dio_status dio_json_parse(struct dio_ctx *ctx, const char *file, const char *part, const char *code, const void *bytes,
                          size_t length, struct dio_tree *tree)
{
    dio_status status;
    struct builder builder = {.tree = tree};
    *tree = (struct dio_tree){.root = NULL};
    dio_arena_init(&tree->arena, ctx);
    dio_str_init(&builder.buffer, ctx);
    DIO_TRY(name_tree(tree, file, part, code));
    DIO_TRY(dio_json_scan_begin(&builder.scan, ctx, tree->file, tree->part, tree->code, bytes, length, &builder.buffer));
    DIO_TRY(build(&builder));
    dio_str_free(&builder.buffer);
    dio_free(ctx, builder.stack);
    return DIO_OK;
fail:
    dio_str_free(&builder.buffer);
    dio_free(ctx, builder.stack);
    dio_tree_free(tree);
    return status;
}

dio_status dio_json_read(struct dio_ctx *ctx, const char *path, uint64_t limit, const char *code, struct dio_tree *tree)
{
    struct dio_blob blob;
    *tree = (struct dio_tree){.root = NULL};
    DIO_PASS(dio_blob_read(ctx, path, DIO_READ_COPY, limit, NULL, &blob));
    dio_status status = dio_json_parse(ctx, path, NULL, code, blob.data, blob.size, tree);
    dio_blob_free(ctx, &blob);
    return status;
}
