#include "train/recipe.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "text/yaml.h"

struct reading {
    struct dio_ctx *ctx;
    struct dio_tree *tree;
    struct dio_train_options *options;
    const char *folder; /* of the recipe */
};

static dio_status unknown_key(struct reading *reading, const struct dio_tree_node *node, const char *nearest)
{
    char key[220], hint[260];
    struct dio_place place = {.file = reading->tree->file, .line = node->key_line};
    dio_escape(key, sizeof key, node->key, strlen(node->key), 80);
    bool augment = strncmp(key, "augment_", 8) == 0; /* so is the option called, but augment is a mapping */
    if (nearest || augment) {
        if (augment) snprintf(hint, sizeof hint, "write augment: {%s: ...}", key + 8);
        else snprintf(hint, sizeof hint, "did you mean \"%s\"?", nearest);
        place.hint = hint;
    }
    return dio_fail(reading->ctx, DIO_ERR_INPUT, "Y2", &place, "unknown key \"%s\"", key);
}

static bool is_scalar(const struct dio_tree_node *node)
{
    return node->type != DIO_NODE_LIST && node->type != DIO_NODE_MAP && node->type != DIO_NODE_NULL;
}

/* A scalar's text, or a list's scalars joined with commas.  *wrong gets a word for what cannot be a value. */
static bool value_text(const struct dio_tree_node *node, bool list_allowed, struct dio_str *out, const char **wrong)
{
    *wrong = node->type == DIO_NODE_MAP ? "a mapping" : "a list";
    if (is_scalar(node)) {
        dio_str_add_bytes(out, node->text, node->count);
        return true;
    }
    if (node->type != DIO_NODE_LIST || !list_allowed) return false;
    for (size_t i = 0; i < node->count; i++) {
        if (!is_scalar(&node->items[i])) return false;
        if (i > 0) dio_str_add(out, ",");
        dio_str_add_bytes(out, node->items[i].text, node->items[i].count);
    }
    return true;
}

static dio_status set_path(struct reading *reading, size_t i, const struct dio_place *place, const char *key,
                           const char *text)
{
    const struct dio_option *option = dio_option_at(i);
    bool named = (option->flags & DIO_OPTION_MODEL) && strncmp(text, "arch:", 5) == 0;
    bool file = !named && text[0] && (option->flags & (DIO_OPTION_PATH | DIO_OPTION_MODEL | DIO_OPTION_OUTPUT));
    bool join = file && strcmp(reading->folder, ".") != 0;
    char *path = join ? dio_path_join(reading->ctx, reading->folder, text) : NULL;
    if (join && !path) return DIO_ERR_ENV;
    const char *value = path ? path : text;
    dio_status status = dio_option_set(reading->ctx, reading->options, i, value, strlen(value), DIO_FROM_RECIPE,
                                       DIO_ERR_INPUT, place, key);
    dio_free(reading->ctx, path);
    return status;
}

static dio_status set_key(struct reading *reading, size_t i, const struct dio_tree_node *node)
{
    dio_status status;
    const struct dio_option *option = dio_option_at(i);
    struct dio_place place = {.file = reading->tree->file, .line = node->key_line};
    bool words = option->type == DIO_OPTION_T_TEXT || option->type == DIO_OPTION_T_CHOICE;
    bool list = option->type == DIO_OPTION_T_NUMBERS || option->type == DIO_OPTION_T_AUGMENT;
    const char *wrong = NULL;
    struct dio_str text;
    dio_str_init(&text, reading->ctx);
    if (option->flags & DIO_OPTION_COMMAND) {
        DIO_TRY(dio_fail(reading->ctx, DIO_ERR_INPUT, "Y2", &place, "%s belongs on the command line", node->key));
    }
    if (node->type == DIO_NODE_NULL) {
        DIO_TRY(dio_fail(reading->ctx, DIO_ERR_INPUT, "Y3", &place, "%s has no value", node->key));
    }
    if (!value_text(node, list, &text, &wrong)) {
        DIO_TRY(dio_fail(reading->ctx, DIO_ERR_INPUT, "Y4", &place, "%s cannot be %s", node->key, wrong));
    }
    if (node->type == DIO_NODE_TEXT && !words) {
        DIO_TRY(dio_fail(reading->ctx, DIO_ERR_INPUT, "Y4", &place, "%s cannot be text; leave the quotes away", node->key));
    }
    DIO_TRY(dio_str_status(&text));
    const char *value = text.data ? text.data : "";
    status = words ? set_path(reading, i, &place, node->key, value)
                   : dio_option_set(reading->ctx, reading->options, i, value, text.length, DIO_FROM_RECIPE, DIO_ERR_INPUT,
                                    &place, node->key);
fail:
    dio_str_free(&text);
    return status;
}

/* Keys of `augment`: the random views, and mean and std for those who look for them there. */
static dio_status read_augment(struct reading *reading, const struct dio_tree_node *node)
{
    struct dio_place place = {.file = reading->tree->file, .line = node->key_line};
    if (node->type != DIO_NODE_MAP) {
        return dio_fail(reading->ctx, DIO_ERR_INPUT, "Y4", &place, "augment must be a mapping (flip: true, ...)");
    }
    for (size_t k = 0; k < node->count; k++) {
        const struct dio_tree_node *item = &node->items[k];
        char name[64];
        bool preprocessing = strcmp(item->key, "mean") == 0 || strcmp(item->key, "std") == 0;
        snprintf(name, sizeof name, "%s%.48s", preprocessing ? "" : "augment_", item->key);
        int i = dio_option_find(name);
        if (i < 0) return unknown_key(reading, item, dio_option_nearest_behind("augment_", item->key));
        if (preprocessing && reading->options->line[i]) {
            place.line = item->key_line;
            return dio_fail(reading->ctx, DIO_ERR_INPUT, "Y3", &place, "%s appears twice (line %u)", item->key,
                            reading->options->line[i]);
        }
        DIO_PASS(set_key(reading, (size_t)i, item));
    }
    return DIO_OK;
}

/* What freezes is said by one of two settings, and the command line's is the one. */
static void drop_other_freeze(struct dio_train_options *options)
{
    int freeze = dio_option_find("freeze"), only = dio_option_find("train_only");
    if (options->origin[only] == DIO_FROM_COMMAND && options->origin[freeze] == DIO_FROM_RECIPE) {
        options->freeze = dio_option_at((size_t)freeze)->initial;
        options->origin[freeze] = DIO_FROM_DEFAULT;
    } else if (options->origin[freeze] == DIO_FROM_COMMAND && options->origin[only] == DIO_FROM_RECIPE) {
        options->train_only = NULL;
        options->origin[only] = DIO_FROM_DEFAULT;
    }
}

/* data on the command line replaces train and val of the recipe, and the reverse. */
static void drop_overridden(struct dio_train_options *options)
{
    bool data = options->data && options->origin[dio_option_find("data")] == DIO_FROM_COMMAND;
    bool train = options->train && options->origin[dio_option_find("train")] == DIO_FROM_COMMAND;
    if (data && !train) options->train = options->val = NULL;
    if (train && !data) options->data = NULL;
}

dio_status dio_recipe_read(struct dio_ctx *ctx, const char *file, struct dio_train_options *options)
{
    dio_status status;
    struct dio_tree tree = {0};
    char *folder = dio_path_parent(ctx, file);
    struct reading reading = {ctx, &tree, options, folder};
    options->recipe = dio_arena_strndup(&options->arena, file, strlen(file));
    if (!folder || !options->recipe) DIO_TRY(DIO_ERR_ENV);
    DIO_TRY(dio_yaml_read(ctx, file, &tree));
    tree.file = options->recipe;
    /* Plain keys first: what `augment` has beside them can then be told to stand twice. */
    for (size_t k = 0; k < tree.root->count; k++) {
        const struct dio_tree_node *item = &tree.root->items[k];
        if (strcmp(item->key, "augment") == 0) continue;
        int i = dio_option_find(item->key);
        bool known = i >= 0 && strcmp(dio_option_at((size_t)i)->name, item->key) == 0;
        if (!known || dio_option_at((size_t)i)->type == DIO_OPTION_T_AUGMENT) {
            DIO_TRY(unknown_key(&reading, item, dio_option_nearest(item->key)));
        }
        DIO_TRY(set_key(&reading, (size_t)i, item));
    }
    const struct dio_tree_node *augment = dio_node_get(tree.root, "augment");
    if (augment) DIO_TRY(read_augment(&reading, augment));
    drop_overridden(options);
    drop_other_freeze(options);
    status = DIO_OK;
fail:
    dio_tree_free(&tree);
    dio_free(ctx, folder);
    return status;
}

dio_status dio_recipe_blame(struct dio_ctx *ctx, const struct dio_train_options *options, dio_status status, const char *name)
{
    struct dio_message *error = &ctx->error;
    int i = dio_option_find(name);
    if (status != DIO_ERR_USAGE || error->status != status || options->origin[i] != DIO_FROM_RECIPE) return status;
    char text[sizeof error->text];
    (void)snprintf(text, sizeof text, "%s: %.700s", name, error->text);
    memcpy(error->text, text, sizeof text);
    dio_escape(error->file, sizeof error->file, options->recipe, strlen(options->recipe), 200);
    (void)snprintf(error->code, sizeof error->code, "Y4");
    error->line = options->line[i];
    error->status = DIO_ERR_INPUT;
    return DIO_ERR_INPUT;
}

dio_status dio_recipe_check_paths(struct dio_ctx *ctx, const struct dio_train_options *options)
{
    if (!options->recipe) return DIO_OK;
    for (size_t i = 0; i < dio_option_count(); i++) {
        const struct dio_option *option = dio_option_at(i);
        if (!(option->flags & (DIO_OPTION_PATH | DIO_OPTION_MODEL)) || (option->flags & DIO_OPTION_MACHINE)) continue;
        if (options->origin[i] != DIO_FROM_RECIPE) continue;
        const char *path = *(const char *const *)((const char *)options + option->offset);
        bool named = (option->flags & DIO_OPTION_MODEL) && strncmp(path, "arch:", 5) == 0;
        if (named || dio_path_exists(path)) continue;
        char shown[420];
        struct dio_place place = {.file = options->recipe, .line = options->line[i],
                                  .hint = "paths in a recipe are relative to it"};
        dio_escape(shown, sizeof shown, path, strlen(path), 200);
        return dio_fail(ctx, DIO_ERR_INPUT, "Y10", &place, "%s: %s: no such file or folder", option->name, shown);
    }
    return DIO_OK;
}
