/* The config.json that timm reads beside weights. */
#include "arch/arch.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"
#include "format/save.h"
#include "text/json_write.h"

#include <math.h>
#include <string.h>

dio_status dio_timm_names(const struct dio_model *model, enum dio_naming naming, bool *out)
{
    const struct dio_arch_variant *variant = NULL;
    struct dio_arch_config config;
    const struct dio_arch *arch = dio_arch_of(model, &variant, &config);
    *out = naming == DIO_NAMES_TIMM;
    if (*out || !arch || !dio_arch_has_naming(arch, DIO_NAMES_TIMM)) return DIO_OK;
    char **mine = NULL, **timm = NULL;
    int count = model->graph->n_params;
    dio_status status = dio_arch_names(model, naming, &mine);
    if (status == DIO_OK) status = dio_arch_names(model, DIO_NAMES_TIMM, &timm);
    *out = status == DIO_OK;
    for (int i = 0; i < count && *out; i++) *out = strcmp(mine[i], timm[i]) == 0;
    dio_arch_names_free(model->ctx, mine, count);
    dio_arch_names_free(model->ctx, timm, count);
    return status;
}

/* The share that gives timm the same size to resize to: floor(size / share). */
static double crop_share(const struct dio_image_recipe *recipe)
{
    if (recipe->resize_height <= 0) return 1;
    double share = (double)recipe->height / recipe->resize_height;
    double rounded = round(share * 1000) / 1000; /* .875 rather than its neighbour */
    if (rounded > 0 && dio_image_recipe_resize_for(recipe->height, rounded) == recipe->resize_height) return rounded;
    for (int i = 0; i < 4 && dio_image_recipe_resize_for(recipe->height, share) != recipe->resize_height; i++) {
        share = nextafter(share, 0);
    }
    return share;
}

static const char *module_of(const char *param, char out[128])
{
    const char *dot = strrchr(param, '.');
    size_t length = dot ? (size_t)(dot - param) : strlen(param);
    if (length > 127) length = 127;
    memcpy(out, param, length);
    out[length] = '\0';
    return out;
}

static void write_numbers(struct dio_json_writer *json, const char *key, const double *values, int count)
{
    dio_json_row(json, key);
    for (int i = 0; i < count; i++) dio_json_double(json, NULL, values[i]);
    dio_json_end_list(json);
}

/* Size of the map that is pooled. */
static void write_pool_size(struct dio_json_writer *json, const struct dio_model *model)
{
    const struct dio_value *features = &model->graph->values[model->features];
    const struct dio_node *pool = features->producer >= 0 ? &model->graph->nodes[features->producer] : NULL;
    if (!pool || pool->n_inputs == 0) return;
    const struct dio_shape *map = &model->graph->values[pool->inputs[0]].type.shape;
    if (map->rank != 4) return;
    dio_json_row(json, "pool_size");
    dio_json_i64(json, NULL, map->dims[1]);
    dio_json_i64(json, NULL, map->dims[2]);
    dio_json_end_list(json);
}

static void write_pretrained(struct dio_json_writer *json, const struct dio_model *model, char *const *names)
{
    const struct dio_image_recipe *recipe = &model->recipe;
    const struct dio_graph *graph = model->graph;
    const char *license = dio_model_fact(model, "license");
    char module[128];
    dio_json_map(json, "pretrained_cfg");
    dio_json_text(json, "tag", "diopter");
    dio_json_bool(json, "custom_load", false);
    dio_json_row(json, "input_size");
    dio_json_i64(json, NULL, recipe->channels);
    dio_json_i64(json, NULL, recipe->height);
    dio_json_i64(json, NULL, recipe->width);
    dio_json_end_list(json);
    dio_json_bool(json, "fixed_input_size", false);
    dio_json_text(json, "interpolation", dio_interpolation_name(recipe->interpolation));
    dio_json_double(json, "crop_pct", crop_share(recipe));
    dio_json_text(json, "crop_mode",
                  recipe->fit == DIO_FIT_PAD ? "border" : recipe->fit == DIO_FIT_SQUASH ? "squash" : "center");
    write_numbers(json, "mean", recipe->mean, recipe->channels);
    write_numbers(json, "std", recipe->std, recipe->channels);
    dio_json_i64(json, "num_classes", model->n_classes);
    write_pool_size(json, model);
    dio_json_text(json, "first_conv", module_of(names[0], module));
    dio_json_text(json, "classifier", model->logits >= 0 ? module_of(names[graph->n_params - 1], module) : NULL);
    if (model->classes.count > 0) {
        dio_json_list(json, "label_names");
        for (size_t i = 0; i < model->classes.count; i++) dio_json_text(json, NULL, model->classes.names[i]);
        dio_json_end_list(json);
    }
    if (license) dio_json_text(json, "license", license);
    dio_json_end_map(json);
}

/* What timm's constructor has to be told beyond the architecture's name. */
static void write_model_args(struct dio_json_writer *json, const struct dio_arch *arch,
                             const struct dio_arch_variant *variant, const struct dio_arch_config *config)
{
    struct dio_arch_config own = dio_arch_config_default(variant->name);
    arch->defaults(variant, &own);
    bool eps = config->bn_eps > 0 && own.pad_mode && config->bn_eps != own.bn_eps;
    bool padding = config->pad_mode && own.pad_mode && strcmp(config->pad_mode, own.pad_mode) != 0;
    if (!eps && !padding && config->channels == 3) return;
    dio_json_map(json, "model_args");
    if (eps) dio_json_double(json, "bn_eps", config->bn_eps);
    if (padding) dio_json_text(json, "pad_type", strcmp(config->pad_mode, "same") == 0 ? "same" : "");
    if (config->channels != 3) dio_json_i64(json, "in_chans", config->channels);
    dio_json_end_map(json);
}

static dio_status write_config(const struct dio_model *model, const struct dio_arch *arch,
                               const struct dio_arch_variant *variant, const struct dio_arch_config *config,
                               enum dio_naming naming, struct dio_str *out)
{
    char **names = NULL;
    DIO_PASS(dio_arch_names(model, naming, &names));
    const struct dio_shape *features = &model->graph->values[model->features].type.shape;
    struct dio_json_writer json;
    dio_json_begin(&json, out, 2);
    dio_json_map(&json, NULL);
    dio_json_text(&json, "architecture", variant->timm ? variant->timm : variant->name);
    dio_json_i64(&json, "num_classes", model->n_classes);
    dio_json_i64(&json, "num_features", features->dims[features->rank - 1]);
    dio_json_text(&json, "global_pool", "avg");
    write_model_args(&json, arch, variant, config);
    write_pretrained(&json, model, names);
    dio_json_end_map(&json);
    dio_str_add(out, "\n");
    dio_arch_names_free(model->ctx, names, model->graph->n_params);
    return dio_str_status(out);
}

static dio_status save(struct dio_ctx *ctx, const struct dio_model *model, enum dio_naming naming, const char *folder)
{
    const struct dio_arch_variant *variant = NULL;
    struct dio_arch_config config;
    const struct dio_arch *arch = dio_arch_of(model, &variant, &config);
    struct dio_str text;
    dio_str_init(&text, ctx);
    dio_status status = write_config(model, arch, variant, &config, naming, &text);
    char *path = status == DIO_OK ? dio_path_join(ctx, folder, "config.json") : NULL;
    if (status == DIO_OK && !path) status = DIO_ERR_ENV;
    if (status == DIO_OK) status = dio_write_whole(ctx, path, text.data, text.length);
    dio_free(ctx, path);
    dio_str_free(&text);
    return status;
}

bool dio_timm_has(const struct dio_model *model)
{
    const struct dio_arch_variant *variant = NULL;
    struct dio_arch_config config;
    const struct dio_arch *arch = dio_arch_of(model, &variant, &config);
    if (!arch || !variant->timm || model->features < 0 || !dio_arch_has_naming(arch, DIO_NAMES_TIMM)) return false;
    struct dio_arch_config own = dio_arch_config_default(variant->name);
    arch->defaults(variant, &own);
    /* timm's ResNets take no other eps. */
    return own.pad_mode || !(own.bn_eps > 0) || !(config.bn_eps > 0) || config.bn_eps == own.bn_eps;
}

dio_status dio_model_save_config(struct dio_ctx *ctx, const struct dio_model *model, enum dio_naming naming,
                                 const char *folder, bool *written)
{
    *written = false;
    if (!dio_timm_has(model)) return DIO_OK;
    bool timm;
    DIO_PASS(dio_timm_names(model, naming == DIO_NAMES_ORIGIN ? model->naming : naming, &timm));
    if (!timm) return DIO_OK;
    DIO_PASS(save(ctx, model, DIO_NAMES_TIMM, folder));
    *written = true;
    return DIO_OK;
}

dio_status dio_model_save_own_config(struct dio_ctx *ctx, const struct dio_model *model, enum dio_naming naming,
                                     const char *folder, bool *written)
{
    *written = false;
    const struct dio_arch_variant *variant = NULL;
    struct dio_arch_config config;
    const struct dio_arch *arch = dio_arch_of(model, &variant, &config);
    if (!arch || variant->timm || model->features < 0) return DIO_OK;
    DIO_PASS(save(ctx, model, naming, folder));
    *written = true;
    return DIO_OK;
}
