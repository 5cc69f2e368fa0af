#include "format/save.h"
#include "arch/arch.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"
#include "format/metadata.h"
#include "text/json_write.h"

#include <string.h>

/* ---- metadata ---- */

enum { MAX_ENTRIES = 12 };

struct described {
    struct dio_str texts[MAX_ENTRIES];
    struct dio_metadata entries[MAX_ENTRIES];
    size_t count;
};

static struct dio_str *entry(struct described *described, struct dio_ctx *ctx, const char *key)
{
    struct dio_str *text = &described->texts[described->count];
    dio_str_init(text, ctx);
    described->entries[described->count++].key = key;
    return text;
}

static void add(struct described *described, struct dio_ctx *ctx, const char *key, const char *value)
{
    dio_str_add(entry(described, ctx, key), value ? value : "");
}

static void describe_classes(const struct dio_model *model, struct dio_str *out)
{
    struct dio_json_writer json;
    dio_json_begin(&json, out, 0);
    dio_json_list(&json, NULL);
    for (size_t i = 0; i < model->classes.count; i++) dio_json_text(&json, NULL, model->classes.names[i]);
    dio_json_end_list(&json);
}

static void describe_provenance(const struct dio_model *model, struct dio_str *out)
{
    struct dio_json_writer json;
    dio_json_begin(&json, out, 0);
    dio_json_map(&json, NULL);
    for (size_t i = 0; i < model->n_provenance; i++) {
        dio_json_text(&json, model->provenance[i].key, model->provenance[i].value);
    }
    dio_json_end_map(&json);
}

static dio_status describe(const struct dio_model *model, enum dio_naming naming, struct described *out)
{
    struct dio_ctx *ctx = model->ctx;
    *out = (struct described){0};
    add(out, ctx, "format", "pt"); /* what PyTorch's readers look for */
    dio_str_addf(entry(out, ctx, DIO_META_VERSION), "%d", (int)DIO_META_CURRENT_VERSION);
    if (model->variant) {
        add(out, ctx, DIO_META_ARCHITECTURE, model->variant);
        add(out, ctx, DIO_META_OPTIONS, model->options);
        add(out, ctx, DIO_META_NAMES, dio_naming_name(naming));
        add(out, ctx, DIO_META_PREFIX, model->origin_prefix);
    } else {
        DIO_PASS(dio_graph_store(model->graph, entry(out, ctx, DIO_META_GRAPH)));
        add(out, ctx, DIO_META_FEATURES, model->features >= 0 ? model->graph->values[model->features].name : "");
    }
    if (model->classes.count > 0) describe_classes(model, entry(out, ctx, DIO_META_CLASSES));
    dio_image_recipe_write(entry(out, ctx, DIO_META_PREPROCESSING), &model->recipe);
    if (model->n_provenance > 0) describe_provenance(model, entry(out, ctx, DIO_META_PROVENANCE));
    for (size_t i = 0; i < out->count; i++) {
        DIO_PASS(dio_str_status(&out->texts[i]));
        struct dio_metadata *pair = &out->entries[i];
        pair->key_length = strlen(pair->key);
        pair->value = out->texts[i].data ? out->texts[i].data : "";
        pair->value_length = out->texts[i].length;
    }
    return DIO_OK;
}

static void described_free(struct described *described)
{
    for (size_t i = 0; i < described->count; i++) dio_str_free(&described->texts[i]);
}

/* ---- tensors ---- */

static dio_status write(const struct dio_model *model, const char *path, char *const *names, enum dio_naming naming,
                        enum dio_dtype floats)
{
    struct dio_ctx *ctx = model->ctx;
    struct described described = {0};
    struct dio_weight *items = dio_alloc_array(ctx, (size_t)model->graph->n_params + 1, sizeof *items, "tensors to write");
    if (!items) return DIO_ERR_ENV;
    for (int i = 0; i < model->graph->n_params; i++) {
        const struct dio_param *param = &model->graph->params[i];
        /* PyTorch's num_batches_tracked is a scalar. */
        int rank = param->role == DIO_PARAM_COUNTER ? 0 : param->shape.rank;
        items[i] = dio_weight_of(names[i], param->dtype, param->shape.dims, rank, param->data);
    }
    dio_status status = describe(model, naming, &described);
    if (status == DIO_OK) {
        struct dio_save save = {items, (size_t)model->graph->n_params, described.entries, described.count, floats};
        status = dio_weights_write(ctx, path, &save);
    }
    described_free(&described);
    dio_free(ctx, items);
    return status;
}

dio_status dio_model_save(struct dio_ctx *ctx, const struct dio_model *model, const char *path)
{
    char **names = NULL;
    DIO_PASS(dio_arch_names(model, DIO_NAMES_ORIGIN, &names));
    dio_status status = write(model, path, names, model->naming, DIO_F32);
    dio_arch_names_free(ctx, names, model->graph->n_params);
    return status;
}

/* ---- export ---- */

static dio_status add_prefix(struct dio_ctx *ctx, char **names, int count, const char *prefix)
{
    if (!prefix || !*prefix) return DIO_OK;
    for (int i = 0; i < count; i++) {
        char *whole = dio_sprintf(ctx, "%s%s", prefix, names[i]);
        if (!whole) return DIO_ERR_ENV;
        dio_free(ctx, names[i]);
        names[i] = whole;
    }
    return DIO_OK;
}

static dio_status export_folder(struct dio_ctx *ctx, const struct dio_model *model, const char *folder, char *const *names,
                                enum dio_naming naming, enum dio_dtype floats)
{
    DIO_PASS(dio_mkdirs(ctx, folder));
    char *path = dio_path_join(ctx, folder, "model.safetensors");
    if (!path) return DIO_ERR_ENV;
    bool written;
    dio_status status = write(model, path, names, naming, floats);
    dio_free(ctx, path);
    if (status == DIO_OK) status = dio_model_save_config(ctx, model, naming, folder, &written);
    if (status != DIO_OK || written) return status;
    const struct dio_place place = {.file = folder};
    DIO_PASS(dio_model_save_own_config(ctx, model, naming, folder, &written));
    if (written) {
        dio_say(ctx, DIO_LEVEL_NOTE, "", &place, "timm has no %s: config.json has timm's keys and this name; Diopter opens the folder",
                model->variant);
    } else {
        dio_say(ctx, DIO_LEVEL_NOTE, "", &place, "no config.json: timm does not know %s under these names",
                model->variant ? model->variant : "this graph");
    }
    return DIO_OK;
}

/* A folder is for timm: its names, where it has the model and nobody asked for others. */
static dio_status folder_naming(struct dio_ctx *ctx, const struct dio_model *model, const char *folder, enum dio_naming *naming)
{
    bool timm = true;
    if (dio_timm_has(model)) DIO_PASS(dio_timm_names(model, model->naming, &timm));
    if (timm) return DIO_OK;
    *naming = DIO_NAMES_TIMM;
    dio_say(ctx, DIO_LEVEL_NOTE, "", &(struct dio_place){.file = folder},
            "the tensors have timm's names, so that timm opens the folder; --names origin keeps %s's", dio_naming_name(model->naming));
    return DIO_OK;
}

/* What a family calls torchvision's manner need not be a model that the library has. */
static dio_status check_library(struct dio_ctx *ctx, const struct dio_model *model, enum dio_naming naming)
{
    const struct dio_arch_variant *variant = NULL;
    struct dio_arch_config config;
    const struct dio_arch *arch = dio_arch_of(model, &variant, &config);
    if (naming != DIO_NAMES_TORCHVISION || !arch || !arch->not_in_torchvision) return DIO_OK;
    return dio_fail(ctx, DIO_ERR_USAGE, NULL, NULL, "%s has no torchvision names: torchvision has no such model", model->variant);
}

dio_status dio_model_export(struct dio_ctx *ctx, const struct dio_model *model, const char *path,
                            const struct dio_export_options *options)
{
    const char *base = dio_path_base(path);
    const char *ending = strrchr(base, '.');
    bool known = dio_format_for_path(path) != NULL;
    bool folder = dio_path_is_folder(path) || (!known && (!ending || ending == base));
    if (!folder && !known) {
        return dio_fail(ctx, DIO_ERR_USAGE, "A4", &(struct dio_place){.file = path},
                        "a model is written as .safetensors, .pth or .pt, or, without an ending, as a folder");
    }
    DIO_PASS(check_library(ctx, model, options->naming));
    enum dio_naming naming = options->naming == DIO_NAMES_ORIGIN ? model->naming : options->naming;
    if (folder && options->free_naming) DIO_PASS(folder_naming(ctx, model, path, &naming));
    char **names = NULL;
    DIO_PASS(dio_arch_names(model, naming, &names));
    int count = model->graph->n_params;
    dio_status status = DIO_OK;
    if (options->naming == DIO_NAMES_ORIGIN && !folder) status = add_prefix(ctx, names, count, model->origin_prefix);
    if (status == DIO_OK && folder) status = export_folder(ctx, model, path, names, naming, options->floats);
    else if (status == DIO_OK) status = write(model, path, names, naming, options->floats);
    dio_arch_names_free(ctx, names, count);
    return status;
}
