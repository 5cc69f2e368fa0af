/* Hugging Face transformers' config.json and preprocessor_config.json. */
#include <float.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "format/config.h"

/* ---- labels (row J7) ---- */

struct label {
    int64_t id;
    const struct dio_tree_node *node;
};

static int by_id(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int by_text(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    int order = strcmp(x->node->text, y->node->text);
    return order ? order : by_id(a, b);
}

static dio_status parse_label(struct dio_config_reader *reader, const struct dio_tree_node *node, struct label *label)
{
    char key[64];
    size_t length = strlen(node->key);
    label->node = node;
    bool digits = length > 0 && strspn(node->key, "0123456789") == length && (node->key[0] != '0' || length == 1);
    if (!digits || !dio_parse_i64(node->key, length, &label->id) || label->id >= DIO_MAX_CLASSES) {
        dio_escape(key, sizeof key, node->key, length, 40);
        return dio_tree_fail(reader->tree, node, "id2label has the id \"%s\"; expected whole numbers from 0", key);
    }
    if (node->type != DIO_NODE_TEXT) return dio_tree_fail(reader->tree, node, "id2label: the label of %s is not text", node->key);
    return DIO_OK;
}

/* "id2label has ids 0, 2, 3; expected 0 to 2". */
static dio_status fail_gap(struct dio_config_reader *reader, const struct label *labels, size_t count)
{
    char list[128] = "";
    for (size_t i = 0; i < count && i < 8; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%" PRId64, i ? ", " : "", labels[i].id);
    }
    return dio_tree_fail(reader->tree, dio_node_get(reader->tree->root, "id2label"), "id2label has ids %s%s; expected 0 to %zu",
                         list, count > 8 ? ", ..." : "", count - 1);
}

static dio_status order_labels(struct dio_config_reader *reader, struct label *labels, size_t count)
{
    char text[64];
    qsort(labels, count, sizeof *labels, by_text);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(labels[i - 1].node->text, labels[i].node->text) != 0) continue;
        dio_escape(text, sizeof text, labels[i].node->text, labels[i].node->count, 50);
        return dio_tree_fail(reader->tree, labels[i].node, "id2label: the label \"%s\" appears twice", text);
    }
    qsort(labels, count, sizeof *labels, by_id);
    for (size_t i = 0; i < count; i++) {
        if (labels[i].id != (int64_t)i) return fail_gap(reader, labels, count);
    }
    return DIO_OK;
}

static dio_status check_label2id(struct dio_config_reader *reader)
{
    const struct dio_tree_node *map = NULL;
    const struct dio_origin_config *out = reader->out;
    bool found = false;
    DIO_PASS(dio_tree_map(reader->tree, reader->tree->root, "label2id", &map, &found));
    for (size_t i = 0; found && i < map->count; i++) {
        const struct dio_tree_node *node = &map->items[i];
        int64_t id = 0;
        char text[64];
        if (node->type == DIO_NODE_TEXT) { /* some writers put the number into quotes */
            if (!dio_parse_i64(node->text, node->count, &id)) id = -1;
        } else {
            DIO_PASS(dio_node_whole(reader->tree, node, "label2id", 0, DIO_MAX_CLASSES, &id));
        }
        if (id >= 0 && (size_t)id < out->label_count && strcmp(out->labels[id], node->key) == 0) continue;
        dio_escape(text, sizeof text, node->key, strlen(node->key), 50);
        return dio_tree_fail(reader->tree, node, "label2id says that \"%s\" is %" PRId64 ", id2label does not", text, id);
    }
    return DIO_OK;
}

static dio_status read_labels(struct dio_config_reader *reader)
{
    const struct dio_tree_node *map = NULL;
    struct dio_origin_config *out = reader->out;
    struct dio_ctx *ctx = out->arena.ctx;
    dio_status status = DIO_OK;
    bool found = false;
    DIO_PASS(dio_tree_map(reader->tree, reader->tree->root, "id2label", &map, &found));
    if (!found || !map->count) return DIO_OK;
    struct label *labels = dio_alloc_array(ctx, map->count, sizeof *labels, "labels");
    if (!labels) return DIO_ERR_ENV;
    for (size_t i = 0; i < map->count; i++) DIO_TRY(parse_label(reader, &map->items[i], &labels[i]));
    DIO_TRY(order_labels(reader, labels, map->count));
    out->labels = dio_arena_alloc(&out->arena, map->count * sizeof *out->labels);
    if (!out->labels) {
        status = DIO_ERR_ENV;
        goto fail;
    }
    for (size_t i = 0; i < map->count; i++) DIO_TRY(dio_config_copy(reader, labels[i].node->text, &out->labels[i]));
    out->label_count = map->count;
    out->num_classes = (int64_t)map->count;
    status = check_label2id(reader);
fail:
    dio_free(ctx, labels);
    return status;
}

/* ---- config.json ---- */

static dio_status read_architectures(struct dio_config_reader *reader)
{
    const struct dio_tree_node *list = NULL;
    const char *name = NULL;
    bool found = false;
    DIO_PASS(dio_tree_list(reader->tree, reader->tree->root, "architectures", &list, &found));
    if (!found || !list->count) return DIO_OK;
    DIO_PASS(dio_node_text(reader->tree, &list->items[0], "architectures", &name));
    return dio_config_copy(reader, name, &reader->out->architecture);
}

dio_status dio_config_transformers(struct dio_config_reader *reader)
{
    struct dio_origin_config *out = reader->out;
    const struct dio_tree_node *root = reader->tree->root;
    const char *type = NULL;
    int64_t size = 0, channels = 0;
    bool found = false;
    out->library = DIO_ORIGIN_TRANSFORMERS;
    DIO_PASS(dio_tree_text(reader->tree, root, "model_type", &type, NULL));
    DIO_PASS(dio_config_copy(reader, type, &out->model_type));
    DIO_PASS(read_architectures(reader));
    DIO_PASS(read_labels(reader));
    if (!out->label_count) {
        DIO_PASS(dio_tree_whole(reader->tree, root, "num_labels", 0, DIO_MAX_CLASSES, &out->num_classes, &found));
    }
    const struct dio_tree_node *image = dio_node_get(root, "image_size");
    if (image && image->type != DIO_NODE_LIST) {
        DIO_PASS(dio_tree_whole(reader->tree, root, "image_size", 1, DIO_MAX_SIDE, &size, &found));
        if (found) out->input_size[1] = out->input_size[2] = size;
    }
    DIO_PASS(dio_tree_whole(reader->tree, root, "num_channels", 1, 16, &channels, &found));
    if (found) out->input_size[0] = channels;
    DIO_PASS(dio_config_text(reader, root, "hidden_act", &out->activation));
    return dio_tree_number(reader->tree, root, "batch_norm_eps", DBL_TRUE_MIN, 1, &out->bn_eps, &found);
}

/* ---- preprocessor_config.json ---- */

/* A number, {"height", "width"} or {"shortest_edge"}. */
static dio_status read_sides(struct dio_config_reader *reader, const char *key, int64_t *height, int64_t *width, int64_t *shortest)
{
    const struct dio_tree_node *node = dio_node_get(reader->tree->root, key);
    bool found = false;
    if (!node || node->type == DIO_NODE_NULL) return DIO_OK;
    if (node->type != DIO_NODE_MAP) return dio_node_whole(reader->tree, node, key, 1, DIO_MAX_SIDE, shortest);
    DIO_PASS(dio_tree_whole(reader->tree, node, "shortest_edge", 1, DIO_MAX_SIDE, shortest, &found));
    if (found) return DIO_OK;
    DIO_PASS(dio_tree_whole(reader->tree, node, "height", 1, DIO_MAX_SIDE, height, NULL));
    return dio_tree_whole(reader->tree, node, "width", 1, DIO_MAX_SIDE, width, NULL);
}

/* Pillow's numbers of filters. */
static dio_status read_resample(struct dio_config_reader *reader)
{
    static const char *const filters[] = {"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"};
    int64_t code = 0;
    bool found = false;
    DIO_PASS(dio_tree_whole(reader->tree, reader->tree->root, "resample", 0, 5, &code, &found));
    if (found) reader->out->interpolation = filters[code];
    return DIO_OK;
}

dio_status dio_config_preprocessor(struct dio_config_reader *reader)
{
    struct dio_origin_config *out = reader->out;
    struct dio_tree *tree = reader->tree;
    const struct dio_tree_node *root = tree->root;
    int64_t square = 0, unused_shortest = 0;
    bool found;
    DIO_PASS(dio_tree_bool(tree, root, "do_resize", &out->do_resize, &out->has_do_resize));
    DIO_PASS(dio_tree_bool(tree, root, "do_normalize", &out->do_normalize, &out->has_do_normalize));
    DIO_PASS(dio_tree_bool(tree, root, "do_center_crop", &out->do_center_crop, &out->has_do_center_crop));
    DIO_PASS(read_sides(reader, "size", &out->resize_height, &out->resize_width, &square));
    const struct dio_tree_node *size = dio_node_get(root, "size");
    bool bare = size && size->type != DIO_NODE_MAP; /* old files: a number, whose meaning hung on the crop */
    if (bare && square && !(out->has_do_center_crop && out->do_center_crop)) {
        out->resize_height = out->resize_width = square;
    } else {
        out->resize_shortest = square;
    }
    DIO_PASS(read_sides(reader, "crop_size", &out->crop_height, &out->crop_width, &unused_shortest));
    if (unused_shortest) out->crop_height = out->crop_width = unused_shortest;
    DIO_PASS(read_resample(reader));
    DIO_PASS(dio_config_numbers(reader, root, "image_mean", -DBL_MAX, out->mean, &out->mean_count));
    DIO_PASS(dio_config_numbers(reader, root, "image_std", DBL_TRUE_MIN, out->std, &out->std_count));
    DIO_PASS(dio_tree_number(tree, root, "rescale_factor", DBL_TRUE_MIN, 1, &out->rescale, &found));
    bool rescaled = true;
    DIO_PASS(dio_tree_bool(tree, root, "do_rescale", &rescaled, &found));
    if (!rescaled) out->rescale = 1;
    DIO_PASS(dio_tree_number(tree, root, "crop_pct", DBL_TRUE_MIN, 16, &out->crop_pct, &found));
    return DIO_OK;
}
