/* config.json: whose it is, and what all of them have. */
#include "format/config.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { MAX_CONFIG = 64 << 20 }; /* labels of 21,000 classes are 2 MB */

void dio_origin_free(struct dio_origin_config *config)
{
    if (config->arena.ctx) dio_arena_free(&config->arena);
    *config = (struct dio_origin_config){0};
}

dio_status dio_config_copy(struct dio_config_reader *reader, const char *text, const char **out)
{
    *out = dio_arena_strndup(&reader->out->arena, text, strlen(text));
    return *out ? DIO_OK : DIO_ERR_ENV;
}

dio_status dio_config_text(struct dio_config_reader *reader, const struct dio_tree_node *map, const char *key, const char **out)
{
    const char *text = NULL;
    bool found = false;
    const struct dio_tree_node *node = dio_node_get(map, key);
    if (node && dio_node_is(node, "")) return DIO_OK; /* "" says nothing */
    DIO_PASS(dio_tree_text(reader->tree, map, key, &text, &found));
    return found ? dio_config_copy(reader, text, out) : DIO_OK;
}

dio_status dio_config_numbers(struct dio_config_reader *reader, const struct dio_tree_node *map, const char *key, double min,
                              double *out, int *count)
{
    const struct dio_tree_node *list = NULL;
    bool found = false;
    DIO_PASS(dio_tree_list(reader->tree, map, key, &list, &found));
    if (!found) return DIO_OK;
    if (list->count < 1 || list->count > 16) {
        return dio_tree_fail(reader->tree, list, "%s must be a list of 1 to 16 numbers", key);
    }
    for (size_t i = 0; i < list->count; i++) DIO_PASS(dio_node_number(reader->tree, &list->items[i], key, min, DBL_MAX, &out[i]));
    *count = (int)list->count;
    return DIO_OK;
}

static int by_text(const void *a, const void *b)
{
    const struct dio_tree_node *const *x = a, *const *y = b;
    int order = strcmp((*x)->text, (*y)->text);
    return order ? order : (*x > *y) - (*x < *y);
}

/* The same rule as for transformers' id2label: a name twice could not be told apart in what comes out. */
static dio_status refuse_twins(struct dio_config_reader *reader, const struct dio_tree_node *list, const char *key)
{
    struct dio_ctx *ctx = reader->out->arena.ctx;
    dio_status status = DIO_OK;
    const struct dio_tree_node **sorted = dio_alloc_array(ctx, list->count, sizeof *sorted, "labels");
    if (!sorted) return DIO_ERR_ENV;
    for (size_t i = 0; i < list->count; i++) sorted[i] = &list->items[i];
    qsort(sorted, list->count, sizeof *sorted, by_text);
    for (size_t i = 1; i < list->count && status == DIO_OK; i++) {
        if (strcmp(sorted[i - 1]->text, sorted[i]->text) != 0) continue;
        char text[64];
        dio_escape(text, sizeof text, sorted[i]->text, strlen(sorted[i]->text), 50);
        status = dio_tree_fail(reader->tree, sorted[i], "%s: the label \"%s\" appears twice", key, text);
    }
    dio_free(ctx, sorted);
    return status;
}

dio_status dio_config_labels(struct dio_config_reader *reader, const struct dio_tree_node *map, const char *key)
{
    const struct dio_tree_node *list = NULL;
    struct dio_origin_config *out = reader->out;
    bool found = false;
    DIO_PASS(dio_tree_list(reader->tree, map, key, &list, &found));
    if (!found || !list->count) return DIO_OK;
    if (list->count > DIO_MAX_CLASSES) return dio_tree_fail(reader->tree, list, "%s has more than %d names", key, DIO_MAX_CLASSES);
    out->labels = dio_arena_alloc(&out->arena, list->count * sizeof *out->labels);
    if (!out->labels) return DIO_ERR_ENV;
    for (size_t i = 0; i < list->count; i++) {
        const char *text = NULL;
        DIO_PASS(dio_node_text(reader->tree, &list->items[i], key, &text));
        DIO_PASS(dio_config_copy(reader, text, &out->labels[i]));
    }
    out->label_count = list->count;
    return refuse_twins(reader, list, key);
}

/* Whose config it is; one that names no model at all is somebody else's file. */
static dio_status read_kind(struct dio_config_reader *reader, bool folder, bool *found)
{
    const struct dio_tree_node *root = reader->tree->root;
    if (root->type != DIO_NODE_MAP) return dio_tree_fail(reader->tree, root, "the top level is not an object");
    bool timm = dio_node_get(root, "architecture") != NULL;
    bool transformers = dio_node_get(root, "model_type") || dio_node_get(root, "architectures");
    *found = timm || transformers;
    if (timm) return dio_config_timm(reader);
    if (transformers) return dio_config_transformers(reader);
    if (!folder) return DIO_OK;
    return dio_tree_fail(reader->tree, NULL, "neither architecture (timm) nor model_type (transformers) is there");
}

static dio_status read_tree(struct dio_ctx *ctx, const char *path, struct dio_origin_config *out,
                            dio_status (*read)(struct dio_config_reader *))
{
    struct dio_tree tree;
    DIO_PASS(dio_json_read(ctx, path, MAX_CONFIG, "J1", &tree));
    struct dio_config_reader reader = {&tree, out};
    dio_status status = tree.root->type == DIO_NODE_MAP ? read(&reader)
                                                        : dio_tree_fail(&tree, tree.root, "the top level is not an object");
    dio_tree_free(&tree);
    return status;
}

static dio_status read_config(struct dio_ctx *ctx, const char *path, bool folder, struct dio_origin_config *out, bool *found)
{
    struct dio_tree tree;
    DIO_PASS(dio_json_read(ctx, path, MAX_CONFIG, "J1", &tree));
    struct dio_config_reader reader = {&tree, out};
    dio_status status = read_kind(&reader, folder, found);
    dio_tree_free(&tree);
    return status;
}

static dio_status read_in(struct dio_ctx *ctx, const char *folder_path, bool folder, struct dio_origin_config *out, bool *found)
{
    dio_status status = DIO_OK;
    char *config = dio_path_join(ctx, folder_path, "config.json");
    char *preprocessor = config ? dio_path_join(ctx, folder_path, "preprocessor_config.json") : NULL;
    if (!preprocessor) {
        status = DIO_ERR_ENV;
        goto fail;
    }
    if (!dio_path_is_file(config)) goto fail;
    out->path = dio_arena_strndup(&out->arena, config, strlen(config));
    if (!out->path) {
        status = DIO_ERR_ENV;
        goto fail;
    }
    DIO_TRY(read_config(ctx, config, folder, out, found));
    if (out->library == DIO_ORIGIN_TRANSFORMERS && dio_path_is_file(preprocessor)) {
        status = read_tree(ctx, preprocessor, out, dio_config_preprocessor);
    }
fail:
    dio_free(ctx, config);
    dio_free(ctx, preprocessor);
    return status;
}

dio_status dio_read_config(struct dio_ctx *ctx, const char *path, struct dio_origin_config *out, bool *found)
{
    *out = (struct dio_origin_config){.num_classes = -1, .crop_pct = NAN, .rescale = NAN, .bn_eps = NAN};
    dio_arena_init(&out->arena, ctx);
    *found = false;
    if (dio_path_is_folder(path)) return read_in(ctx, path, true, out, found);
    char *parent = dio_path_parent(ctx, path);
    if (!parent) return DIO_ERR_ENV;
    dio_status status = read_in(ctx, parent, false, out, found);
    dio_free(ctx, parent);
    return status;
}
