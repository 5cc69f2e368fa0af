#include "text/tree.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/str.h"

enum { SHOWN = 80 };

void dio_tree_free(struct dio_tree *tree)
{
    if (tree->arena.ctx) dio_arena_free(&tree->arena);
    *tree = (struct dio_tree){.root = NULL};
}

const struct dio_tree_node *dio_node_get(const struct dio_tree_node *map, const char *key)
{
    if (!map || map->type != DIO_NODE_MAP) return NULL;
    for (size_t i = 0; i < map->count; i++) {
        if (strcmp(map->items[i].key, key) == 0) return &map->items[i];
    }
    return NULL;
}

static bool is_scalar(const struct dio_tree_node *node)
{
    return node->type != DIO_NODE_LIST && node->type != DIO_NODE_MAP;
}

bool dio_node_is(const struct dio_tree_node *node, const char *text)
{
    return node && is_scalar(node) && strcmp(node->text, text) == 0;
}

dio_status dio_tree_fail(struct dio_tree *tree, const struct dio_tree_node *node, const char *format, ...)
{
    struct dio_place place = {.file = tree->file, .part = tree->part, .line = node ? node->line : 0};
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    if (dio_vformat(text, sizeof text, format, arguments) < 0) text[0] = '\0';
    va_end(arguments);
    return dio_fail(tree->arena.ctx, DIO_ERR_INPUT, tree->code, &place, "%s", text);
}

/* What stands there, for "(found ...)". */
static void show(const struct dio_tree_node *node, char out[SHOWN])
{
    switch (node->type) {
    case DIO_NODE_LIST: snprintf(out, SHOWN, "a list"); return;
    case DIO_NODE_MAP: snprintf(out, SHOWN, "a mapping"); return;
    case DIO_NODE_NULL: snprintf(out, SHOWN, "nothing"); return;
    case DIO_NODE_TEXT: {
        char text[SHOWN - 2];
        dio_escape(text, sizeof text, node->text, node->count, 40);
        snprintf(out, SHOWN, "\"%s\"", text);
        return;
    }
    default: dio_escape(out, SHOWN, node->text, node->count, 40);
    }
}

static dio_status fail_value(struct dio_tree *tree, const struct dio_tree_node *node, const char *name, const char *wanted)
{
    char found[SHOWN];
    show(node, found);
    bool comma = node->type == DIO_NODE_PLAIN && strchr(node->text, ',');
    if (comma) return dio_tree_fail(tree, node, "%s must be %s (found \"%s\"; use a point)", name, wanted, found);
    return dio_tree_fail(tree, node, "%s must be %s (found %s)", name, wanted, found);
}

static bool may_be_number(const struct dio_tree_node *node)
{
    return node->type == DIO_NODE_NUMBER || node->type == DIO_NODE_PLAIN;
}

dio_status dio_node_whole(struct dio_tree *tree, const struct dio_tree_node *node, const char *name, int64_t min, int64_t max,
                          int64_t *out)
{
    int64_t value;
    if (may_be_number(node) && dio_parse_i64(node->text, node->count, &value) && value >= min && value <= max) {
        *out = value;
        return DIO_OK;
    }
    char wanted[96];
    snprintf(wanted, sizeof wanted, "a whole number from %" PRId64 " to %" PRId64, min, max);
    return fail_value(tree, node, name, wanted);
}

static void describe_range(double min, double max, char *out, size_t out_size)
{
    char low[32], high[32];
    bool above_zero = min == DBL_TRUE_MIN;
    dio_format_double(low, sizeof low, above_zero ? 0 : min);
    dio_format_double(high, sizeof high, max);
    bool bounded = max < DBL_MAX;
    if (above_zero) {
        snprintf(out, out_size, bounded ? "a number above 0, at most %s" : "a number above 0", high);
    } else if (min <= -DBL_MAX) {
        snprintf(out, out_size, bounded ? "a number, at most %s" : "a number", high);
    } else if (bounded) {
        snprintf(out, out_size, "a number from %s to %s", low, high);
    } else {
        snprintf(out, out_size, "a number, at least %s", low);
    }
}

dio_status dio_node_number(struct dio_tree *tree, const struct dio_tree_node *node, const char *name, double min, double max,
                           double *out)
{
    double value;
    if (may_be_number(node) && dio_parse_double(node->text, node->count, &value) && value >= min && value <= max) {
        *out = value;
        return DIO_OK;
    }
    char wanted[96];
    describe_range(min, max, wanted, sizeof wanted);
    return fail_value(tree, node, name, wanted);
}

/* YAML's other spellings of truth (yes, on, ...) are words here: what they mean differs between readers. */
dio_status dio_node_bool(struct dio_tree *tree, const struct dio_tree_node *node, const char *name, bool *out)
{
    if (node->type == DIO_NODE_BOOL || node->type == DIO_NODE_PLAIN) {
        bool yes = strcmp(node->text, "true") == 0;
        if (yes || strcmp(node->text, "false") == 0) {
            *out = yes;
            return DIO_OK;
        }
    }
    return fail_value(tree, node, name, "true or false");
}

dio_status dio_node_text(struct dio_tree *tree, const struct dio_tree_node *node, const char *name, const char **out)
{
    if ((node->type != DIO_NODE_TEXT && node->type != DIO_NODE_PLAIN) || node->count == 0) {
        return fail_value(tree, node, name, "text");
    }
    *out = node->text;
    return DIO_OK;
}

/* The node of a key; NULL with DIO_OK: an optional key is not there. */
static dio_status find(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, bool *found, const struct dio_tree_node **node)
{
    *node = dio_node_get(map, key);
    if (*node && (*node)->type == DIO_NODE_NULL && found) *node = NULL;
    if (found) *found = *node != NULL;
    if (*node || found) return DIO_OK;
    return dio_tree_fail(tree, map == tree->root ? NULL : map, "%s is missing", key);
}

dio_status dio_tree_whole(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, int64_t min, int64_t max,
                          int64_t *out, bool *found)
{
    const struct dio_tree_node *node;
    DIO_PASS(find(tree, map, key, found, &node));
    return node ? dio_node_whole(tree, node, key, min, max, out) : DIO_OK;
}

dio_status dio_tree_number(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, double min, double max,
                           double *out, bool *found)
{
    const struct dio_tree_node *node;
    DIO_PASS(find(tree, map, key, found, &node));
    return node ? dio_node_number(tree, node, key, min, max, out) : DIO_OK;
}

dio_status dio_tree_bool(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, bool *out, bool *found)
{
    const struct dio_tree_node *node;
    DIO_PASS(find(tree, map, key, found, &node));
    return node ? dio_node_bool(tree, node, key, out) : DIO_OK;
}

dio_status dio_tree_text(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, const char **out, bool *found)
{
    const struct dio_tree_node *node;
    DIO_PASS(find(tree, map, key, found, &node));
    return node ? dio_node_text(tree, node, key, out) : DIO_OK;
}

dio_status dio_tree_choice(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, const char *const *words,
                           size_t count, size_t *out, bool *found)
{
    const struct dio_tree_node *node;
    DIO_PASS(find(tree, map, key, found, &node));
    if (!node) return DIO_OK;
    const char *text = "";
    DIO_PASS(dio_node_text(tree, node, key, &text));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], text) == 0) {
            *out = i;
            return DIO_OK;
        }
    }
    char shown[SHOWN], list[512] = "";
    dio_escape(shown, sizeof shown, text, node->count, 40);
    const char *nearest = dio_nearest(text, words, count);
    if (nearest) return dio_tree_fail(tree, node, "%s: \"%s\" is not known; did you mean \"%s\"?", key, shown, nearest);
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", words[i]);
    }
    return dio_tree_fail(tree, node, "%s: \"%s\" is not known; known: %s", key, shown, list);
}

static dio_status find_of_type(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, enum dio_node_type type,
                               const char *wanted, const struct dio_tree_node **out, bool *found)
{
    const struct dio_tree_node *node;
    DIO_PASS(find(tree, map, key, found, &node));
    if (!node) return DIO_OK;
    if (node->type != type) return fail_value(tree, node, key, wanted);
    *out = node;
    return DIO_OK;
}

dio_status dio_tree_list(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, const struct dio_tree_node **out,
                         bool *found)
{
    return find_of_type(tree, map, key, DIO_NODE_LIST, "a list", out, found);
}

dio_status dio_tree_map(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, const struct dio_tree_node **out,
                        bool *found)
{
    return find_of_type(tree, map, key, DIO_NODE_MAP, "a mapping", out, found);
}

dio_status dio_tree_numbers(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, size_t count, double min,
                            double max, double *out, bool *found)
{
    const struct dio_tree_node *list = NULL;
    DIO_PASS(dio_tree_list(tree, map, key, &list, found));
    if (!list) return DIO_OK;
    if (list->count != count) {
        return dio_tree_fail(tree, list, "%s must have %zu numbers (found %zu)", key, count, list->count);
    }
    for (size_t i = 0; i < count; i++) {
        char name[256];
        snprintf(name, sizeof name, "%.200s[%zu]", key, i);
        DIO_PASS(dio_node_number(tree, &list->items[i], name, min, max, &out[i]));
    }
    return DIO_OK;
}

dio_status dio_tree_only_keys(struct dio_tree *tree, const struct dio_tree_node *map, const char *prefix,
                              const char *const *known, size_t count)
{
    for (size_t i = 0; map && map->type == DIO_NODE_MAP && i < map->count; i++) {
        const char *key = map->items[i].key;
        size_t k = 0;
        while (k < count && strcmp(known[k], key) != 0) k++;
        if (k < count) continue;
        char shown[SHOWN];
        dio_escape(shown, sizeof shown, key, strlen(key), 64);
        const char *nearest = dio_nearest(key, known, count);
        struct dio_tree_node at = {.line = map->items[i].key_line};
        if (!nearest) return dio_tree_fail(tree, &at, "unknown key \"%s%s\"", prefix, shown);
        return dio_tree_fail(tree, &at, "unknown key \"%s%s\"; did you mean \"%s%s\"?", prefix, shown, prefix, nearest);
    }
    return DIO_OK;
}
