#include "format/metadata.h"
#include "base/file.h"
#include "text/json.h"

#include <string.h>

/* Copies what the tree has: keys too for a map. */
static dio_status collect(struct dio_ctx *ctx, struct dio_tree *tree, enum dio_node_type type, struct dio_metadata_texts *out)
{
    const struct dio_tree_node *root = tree->root;
    if (root->type != type) return dio_tree_fail(tree, root, type == DIO_NODE_LIST ? "not a list" : "not an object");
    if (root->count > DIO_MAX_CLASSES) return dio_tree_fail(tree, root, "more than %d texts", (int)DIO_MAX_CLASSES);
    dio_arena_init(&out->arena, ctx);
    out->count = root->count;
    out->values = dio_arena_alloc(&out->arena, (root->count + 1) * sizeof *out->values);
    out->keys = type == DIO_NODE_MAP ? dio_arena_alloc(&out->arena, (root->count + 1) * sizeof *out->keys) : NULL;
    if (!out->values || (type == DIO_NODE_MAP && !out->keys)) return DIO_ERR_ENV;
    for (size_t i = 0; i < root->count; i++) {
        const char *text;
        DIO_PASS(dio_node_text(tree, &root->items[i], "entry", &text));
        out->values[i] = dio_arena_strndup(&out->arena, text, strlen(text));
        if (!out->values[i]) return DIO_ERR_ENV;
        if (!out->keys) continue;
        out->keys[i] = dio_arena_strndup(&out->arena, root->items[i].key, strlen(root->items[i].key));
        if (!out->keys[i]) return DIO_ERR_ENV;
    }
    return DIO_OK;
}

static dio_status parse(struct dio_ctx *ctx, const char *file, const char *part, const char *json, enum dio_node_type type,
                        struct dio_metadata_texts *out)
{
    *out = (struct dio_metadata_texts){0};
    struct dio_tree tree;
    DIO_PASS(dio_json_parse(ctx, file, part, "S9", json, strlen(json), &tree));
    dio_status status = collect(ctx, &tree, type, out);
    dio_tree_free(&tree);
    if (status != DIO_OK) dio_metadata_texts_free(out);
    return status;
}

dio_status dio_texts_parse_list(struct dio_ctx *ctx, const char *file, const char *part, const char *json,
                                struct dio_metadata_texts *out)
{
    return parse(ctx, file, part, json, DIO_NODE_LIST, out);
}

dio_status dio_texts_parse_map(struct dio_ctx *ctx, const char *file, const char *part, const char *json,
                               struct dio_metadata_texts *out)
{
    return parse(ctx, file, part, json, DIO_NODE_MAP, out);
}

void dio_metadata_texts_free(struct dio_metadata_texts *texts)
{
    dio_arena_free(&texts->arena);
    *texts = (struct dio_metadata_texts){0};
}

/* ---- a file of class names ---- */

enum { MAX_CLASSES_FILE = 64 << 20 };

static size_t count_lines(const char *text, size_t length)
{
    size_t lines = 0;
    for (size_t i = 0; i < length; i++) lines += text[i] == '\n';
    return lines + 1;
}

static dio_status split_lines(struct dio_ctx *ctx, const char *path, const char *text, size_t length, struct dio_metadata_texts *out)
{
    dio_arena_init(&out->arena, ctx);
    out->values = dio_arena_alloc(&out->arena, count_lines(text, length) * sizeof *out->values);
    if (!out->values) return DIO_ERR_ENV;
    uint32_t line = 0;
    for (size_t begin = 0; begin < length; line++) {
        const char *end = memchr(text + begin, '\n', length - begin);
        size_t size = end ? (size_t)(end - text) - begin : length - begin;
        size_t kept = size > 0 && text[begin + size - 1] == '\r' ? size - 1 : size;
        struct dio_place place = {.file = path, .line = line + 1};
        if (kept == 0) return dio_fail(ctx, DIO_ERR_INPUT, NULL, &place, "empty class name");
        if (kept > DIO_MAX_LABEL) {
            return dio_fail(ctx, DIO_ERR_INPUT, NULL, &place, "class name of %zu bytes, at most %d", kept, (int)DIO_MAX_LABEL);
        }
        out->values[out->count] = dio_arena_strndup(&out->arena, text + begin, kept);
        if (!out->values[out->count++]) return DIO_ERR_ENV;
        begin += size + 1;
    }
    return DIO_OK;
}

static dio_status check_bytes(struct dio_ctx *ctx, const char *path, const char *text, size_t length)
{
    size_t bad = 0;
    struct dio_place place = {.file = path};
    if (!dio_utf8_valid(text, length, &bad)) {
        place.offset = DIO_AT(bad);
        return dio_fail(ctx, DIO_ERR_INPUT, NULL, &place, "not UTF-8");
    }
    const char *zero = memchr(text, '\0', length);
    if (!zero) return DIO_OK;
    place.offset = DIO_AT(zero - text);
    return dio_fail(ctx, DIO_ERR_INPUT, NULL, &place, "a zero byte in a list of class names");
}

dio_status dio_texts_read_lines(struct dio_ctx *ctx, const char *path, struct dio_metadata_texts *out)
{
    *out = (struct dio_metadata_texts){0};
    struct dio_blob blob;
    DIO_PASS(dio_blob_read(ctx, path, DIO_READ_COPY, MAX_CLASSES_FILE, NULL, &blob));
    const char *text = (const char *)blob.data;
    size_t length = blob.size;
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        length -= 3;
    }
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r')) length--;
    dio_status status = check_bytes(ctx, path, text, length);
    if (status == DIO_OK) status = split_lines(ctx, path, text, length, out);
    if (status == DIO_OK && out->count == 0) {
        status = dio_fail(ctx, DIO_ERR_INPUT, NULL, &(struct dio_place){.file = path}, "no class names");
    }
    dio_blob_free(ctx, &blob);
    if (status != DIO_OK) dio_metadata_texts_free(out);
    return status;
}
