/* From a variant and its options to a model, and back. */
#include "arch/arch.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

struct dio_arch_config dio_arch_config_default(const char *variant)
{
    return (struct dio_arch_config){.variant = variant, .stem_padding = -1};
}

void dio_arch_recipe(const struct dio_arch_variant *variant, int64_t channels, struct dio_image_recipe *recipe)
{
    *recipe = dio_image_recipe_imagenet(variant->resize, variant->size);
    dio_interpolation_from_name(variant->interpolation, &recipe->interpolation);
    if (channels < 1 || channels > DIO_PICTURE_MAX_CHANNELS) return;
    recipe->channels = (int32_t)channels;
    const double *mean = variant->mean, *std = variant->std;
    for (int c = 0; c < recipe->channels; c++) {
        recipe->mean[c] = channels == 3 ? mean[c] : (mean[0] + mean[1] + mean[2]) / 3;
        recipe->std[c] = channels == 3 ? std[c] : (std[0] + std[1] + std[2]) / 3;
    }
}

/* What was asked for over the variant's own; an option that the variant does not have is refused. */
static dio_status settle(struct dio_ctx *ctx, const struct dio_arch *arch, const struct dio_arch_variant *variant,
                         const struct dio_arch_config *asked, struct dio_arch_config *config)
{
    *config = dio_arch_config_default(variant->name);
    arch->defaults(variant, config);
    const char *wrong = NULL;
    if (asked->bn_eps > 0 && config->bn_eps == 0) wrong = "batch norm, so no --bn-eps";
    if (asked->pad_mode && !config->pad_mode) wrong = "choice of --padding";
    if (asked->stem_padding >= 0 && config->stem_padding < 0) wrong = "choice of --stem-padding";
    if (wrong) return dio_fail(ctx, DIO_ERR_USAGE, NULL, NULL, "%s has no %s", variant->name, wrong);
    if (asked->pad_mode && strcmp(asked->pad_mode, "same") != 0 && strcmp(asked->pad_mode, "torch") != 0) {
        return dio_fail(ctx, DIO_ERR_USAGE, "A4", NULL, "--padding must be same or torch, not \"%s\"", asked->pad_mode);
    }

    if (asked->bn_eps > 0) config->bn_eps = asked->bn_eps;
    if (asked->pad_mode) config->pad_mode = strcmp(asked->pad_mode, "same") == 0 ? "same" : "torch";
    if (asked->stem_padding >= 0) config->stem_padding = asked->stem_padding;
    config->naming = asked->naming == DIO_NAMES_ORIGIN ? arch->namings[0] : asked->naming;
    config->classes = asked->classes;
    config->channels = asked->channels > 0 ? asked->channels : 3;
    config->height = asked->height > 0 ? asked->height : variant->size;
    config->width = asked->width > 0 ? asked->width : variant->size;
    return DIO_OK;
}

static char *options_text(struct dio_ctx *ctx, const struct dio_arch_config *config)
{
    char text[160] = "", eps[40];
    size_t used = 0;
    if (config->bn_eps > 0) {
        dio_format_double(eps, sizeof eps, config->bn_eps);
        used += (size_t)snprintf(text + used, sizeof text - used, " bn_eps=%s", eps);
    }
    if (config->pad_mode) used += (size_t)snprintf(text + used, sizeof text - used, " pad_mode=%s", config->pad_mode);
    if (config->stem_padding >= 0) {
        snprintf(text + used, sizeof text - used, " stem_padding=%lld", (long long)config->stem_padding);
    }
    return dio_strdup(ctx, text[0] == ' ' ? text + 1 : text);
}

void dio_arch_read_options(const char *text, struct dio_arch_config *config)
{
    while (*text) {
        size_t length = strcspn(text, " ");
        const char *value = memchr(text, '=', length);
        if (value) {
            size_t key = (size_t)(value++ - text), rest = length - key - 1;
            double number;
            int64_t whole;
            if (key == 6 && memcmp(text, "bn_eps", key) == 0 && dio_parse_double(value, rest, &number) && number > 0 && number < 1) {
                config->bn_eps = number;
            } else if (key == 8 && memcmp(text, "pad_mode", key) == 0) {
                config->pad_mode = rest == 4 && memcmp(value, "same", 4) == 0 ? "same" : "torch";
            } else if (key == 12 && memcmp(text, "stem_padding", key) == 0 && dio_parse_i64(value, rest, &whole) &&
                       whole >= 0 && whole <= 64) {
                config->stem_padding = whole;
            }
        }
        text += length;
        text += strspn(text, " ");
    }
}

/* The texts that say what the model is. */
static dio_status label(struct dio_model *model, const struct dio_arch *arch, const struct dio_arch_config *config)
{
    struct dio_ctx *ctx = model->ctx;
    model->family = dio_strdup(ctx, arch->family);
    model->variant = dio_strdup(ctx, config->variant);
    model->options = options_text(ctx, config);
    model->origin_prefix = dio_strdup(ctx, "");
    bool whole = model->family && model->variant && model->options && model->origin_prefix;
    return whole ? DIO_OK : DIO_ERR_ENV;
}

dio_status dio_arch_model(struct dio_ctx *ctx, const struct dio_arch *arch, const struct dio_arch_variant *variant,
                          const struct dio_arch_config *asked, struct dio_model **out)
{
    *out = NULL;
    struct dio_arch_config config;
    DIO_PASS(settle(ctx, arch, variant, asked, &config));
    struct dio_graph *graph = NULL;
    struct dio_model *model = NULL;
    dio_status status = DIO_OK;
    DIO_TRY(dio_graph_new(ctx, &graph));
    int features = -1, logits = -1;
    arch->build(graph, variant, &config, &features, &logits);
    dio_graph_output(graph, logits >= 0 ? logits : features);
    DIO_TRY(graph->status);
    struct dio_graph *taken = graph;
    graph = NULL; /* the model has it now, also when making it fails */
    DIO_TRY(dio_model_new(ctx, taken, &model));
    DIO_TRY(label(model, arch, &config));
    model->naming = config.naming;
    model->features = features;
    model->logits = logits;
    model->n_classes = config.classes;
    dio_arch_recipe(variant, config.channels, &model->recipe);
    if (config.height == config.width && config.height != variant->size) {
        dio_image_recipe_set_size(&model->recipe, (int32_t)config.height);
    }
    model->recipe.height = (int32_t)config.height;
    model->recipe.width = (int32_t)config.width;
    *out = model;
    return DIO_OK;
fail:
    dio_graph_free(graph);
    dio_model_free(model);
    return status;
}

const struct dio_arch *dio_arch_of(const struct dio_model *model, const struct dio_arch_variant **variant,
                                   struct dio_arch_config *config)
{
    const struct dio_arch *arch = model->variant ? dio_arch_find(model->variant, variant) : NULL;
    if (!arch) return NULL;
    *config = dio_arch_config_default((*variant)->name);
    dio_arch_read_options(model->options ? model->options : "", config);
    config->naming = model->naming;
    config->classes = model->n_classes;
    const struct dio_value *input = &model->graph->values[model->graph->inputs[0]];
    config->height = input->type.shape.dims[1];
    config->width = input->type.shape.dims[2];
    config->channels = input->type.shape.dims[3];
    return arch;
}

dio_status dio_arch_names(const struct dio_model *model, enum dio_naming naming, char ***out)
{
    struct dio_ctx *ctx = model->ctx;
    const struct dio_arch_variant *variant = NULL;
    struct dio_arch_config config;
    const struct dio_arch *arch = dio_arch_of(model, &variant, &config);
    if (naming == DIO_NAMES_ORIGIN || !arch) naming = model->naming;
    if (arch && !dio_arch_has_naming(arch, naming)) {
        return dio_fail(ctx, DIO_ERR_USAGE, NULL, NULL, "%s has no %s names", model->variant, dio_naming_name(naming));
    }
    int count = model->graph->n_params;
    struct dio_model *other = NULL;
    char **names = dio_alloc_zeroed(ctx, (size_t)count + 1, sizeof *names, "parameter names");
    if (!names) return DIO_ERR_ENV;
    dio_status status = DIO_OK;
    const struct dio_graph *graph = model->graph;
    if (naming != model->naming) {
        /* The same nodes in the same order, only called otherwise. */
        config.naming = naming;
        DIO_TRY(dio_arch_model(ctx, arch, variant, &config, &other));
        graph = other->graph;
    }
    for (int i = 0; i < count; i++) {
        names[i] = dio_strdup(ctx, graph->params[i].name);
        if (!names[i]) DIO_TRY(DIO_ERR_ENV);
    }
    dio_model_free(other);
    *out = names;
    return DIO_OK;
fail:
    dio_model_free(other);
    dio_arch_names_free(ctx, names, count);
    return status;
}

void dio_arch_names_free(struct dio_ctx *ctx, char **names, int count)
{
    if (!names) return;
    for (int i = 0; i < count; i++) dio_free(ctx, names[i]);
    dio_free(ctx, names);
}
