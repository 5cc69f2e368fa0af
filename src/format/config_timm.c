/* timm's config.json: what stands in pretrained_cfg now stood at the top level once. */
#include <float.h>
#include <string.h>

#include "format/config.h"

static const char *const interpolations[] = {"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"};
static const char *const crop_modes[] = {"center", "squash", "border"};

static dio_status read_size(struct dio_config_reader *reader, const struct dio_tree_node *map)
{
    const struct dio_tree_node *list = NULL;
    bool found = false;
    DIO_PASS(dio_tree_list(reader->tree, map, "input_size", &list, &found));
    if (!found) return DIO_OK;
    if (list->count != 3) return dio_tree_fail(reader->tree, list, "input_size must be [channels, height, width]");
    for (size_t i = 0; i < 3; i++) {
        DIO_PASS(dio_node_whole(reader->tree, &list->items[i], "input_size", 1, DIO_MAX_SIDE, &reader->out->input_size[i]));
    }
    return DIO_OK;
}

static dio_status read_word(struct dio_config_reader *reader, const struct dio_tree_node *map, const char *key,
                            const char *const *words, size_t count, const char **out)
{
    size_t index = 0;
    bool found = false;
    const struct dio_tree_node *node = dio_node_get(map, key);
    if (node && dio_node_is(node, "")) return DIO_OK;
    DIO_PASS(dio_tree_choice(reader->tree, map, key, words, count, &index, &found));
    if (found) *out = words[index];
    return DIO_OK;
}

static dio_status read_preprocessing(struct dio_config_reader *reader, const struct dio_tree_node *map)
{
    struct dio_origin_config *out = reader->out;
    bool found;
    DIO_PASS(read_size(reader, map));
    DIO_PASS(dio_config_numbers(reader, map, "mean", -DBL_MAX, out->mean, &out->mean_count));
    DIO_PASS(dio_config_numbers(reader, map, "std", DBL_TRUE_MIN, out->std, &out->std_count));
    DIO_PASS(dio_tree_number(reader->tree, map, "crop_pct", DBL_TRUE_MIN, 16, &out->crop_pct, &found));
    DIO_PASS(read_word(reader, map, "crop_mode", crop_modes, sizeof crop_modes / sizeof *crop_modes, &out->crop_mode));
    DIO_PASS(read_word(reader, map, "interpolation", interpolations, sizeof interpolations / sizeof *interpolations,
                       &out->interpolation));
    DIO_PASS(dio_config_text(reader, map, "global_pool", &out->global_pool));
    DIO_PASS(dio_config_text(reader, map, "tag", &out->tag));
    DIO_PASS(dio_config_text(reader, map, "license", &out->license));
    DIO_PASS(dio_config_labels(reader, map, "label_names"));
    /* Some models have two classifiers, and a list of names. */
    const struct dio_tree_node *classifier = dio_node_get(map, "classifier");
    return classifier && classifier->type == DIO_NODE_LIST ? DIO_OK : dio_config_text(reader, map, "classifier", &out->classifier);
}

/* What leaves the network as it is when it predicts, or stands elsewhere in the file too. */
static bool harmless(const struct dio_tree_node *arg)
{
    static const char *const keys[] = {"num_classes",    "bn_momentum",    "drop_rate",       "drop_path_rate", "drop_block_rate",
                                       "zero_init_last", "pretrained",     "pretrained_cfg",  "scriptable",     "exportable",
                                       "no_jit",         "checkpoint_path", "in_chans",       "bn_eps",         "norm_eps",
                                       "pad_type",       "global_pool"};
    if (arg->type == DIO_NODE_NULL || (arg->type == DIO_NODE_BOOL && dio_node_is(arg, "false"))) return true;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(arg->key, keys[i]) == 0) return true;
    }
    return false;
}

static dio_status read_model_args(struct dio_config_reader *reader)
{
    const struct dio_tree_node *args = NULL;
    struct dio_origin_config *out = reader->out;
    bool found = false;
    DIO_PASS(dio_tree_map(reader->tree, reader->tree->root, "model_args", &args, &found));
    if (!found) return DIO_OK;
    DIO_PASS(dio_tree_number(reader->tree, args, "bn_eps", DBL_TRUE_MIN, 1, &out->bn_eps, &found));
    if (!found) DIO_PASS(dio_tree_number(reader->tree, args, "norm_eps", DBL_TRUE_MIN, 1, &out->bn_eps, &found));
    /* input_size is often left as it was when the stem was built for other channels */
    DIO_PASS(dio_tree_whole(reader->tree, args, "in_chans", 1, DIO_MAX_SIDE, &out->input_size[0], &found));
    DIO_PASS(dio_config_text(reader, args, "global_pool", &out->global_pool));
    const struct dio_tree_node *pad = dio_node_get(args, "pad_type");
    if (dio_node_is(pad, "") || dio_node_is(pad, "same")) out->padding = dio_node_is(pad, "") ? "" : "same";
    else if (pad && pad->type != DIO_NODE_NULL) DIO_PASS(dio_config_copy(reader, "pad_type", &out->strange_arg));
    for (size_t i = 0; i < args->count && !out->strange_arg; i++) {
        if (!harmless(&args->items[i])) DIO_PASS(dio_config_copy(reader, args->items[i].key, &out->strange_arg));
    }
    return DIO_OK;
}

dio_status dio_config_timm(struct dio_config_reader *reader)
{
    struct dio_origin_config *out = reader->out;
    const struct dio_tree_node *root = reader->tree->root, *inner = NULL;
    bool found = false;
    out->library = DIO_ORIGIN_TIMM;
    const char *architecture = NULL;
    DIO_PASS(dio_tree_text(reader->tree, root, "architecture", &architecture, NULL));
    DIO_PASS(dio_config_copy(reader, architecture, &out->architecture));
    DIO_PASS(read_preprocessing(reader, root));
    DIO_PASS(dio_config_labels(reader, root, "labels"));
    DIO_PASS(dio_tree_whole(reader->tree, root, "num_classes", 0, DIO_MAX_CLASSES, &out->num_classes, &found));
    bool outer_classes = found;
    DIO_PASS(dio_tree_map(reader->tree, root, "pretrained_cfg", &inner, &found));
    if (found) {
        DIO_PASS(read_preprocessing(reader, inner));
        if (!outer_classes) {
            DIO_PASS(dio_tree_whole(reader->tree, inner, "num_classes", 0, DIO_MAX_CLASSES, &out->num_classes, &found));
        }
    }
    DIO_PASS(dio_config_text(reader, root, "global_pool", &out->global_pool)); /* of the model that was saved */
    DIO_PASS(read_model_args(reader));
    if (out->label_count && out->num_classes > 0 && (int64_t)out->label_count != out->num_classes) {
        return dio_tree_fail(reader->tree, NULL, "%zu label names for %lld classes", out->label_count, (long long)out->num_classes);
    }
    return DIO_OK;
}
