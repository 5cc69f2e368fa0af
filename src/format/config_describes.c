/* Does a config.json describe the network that was recognised?  Shapes do not show all that it may say. */
#include "format/load_parts.h"

#include <string.h>

#include "base/str.h"

/* transformers' model types of the families here, and the activation that each has here. */
static const struct {
    const char *model_type, *family, *activation;
} kinds[] = {{"resnet", "resnet", "relu"}, {"mobilenet_v2", "mobilenetv2", "relu6"}};

enum { KINDS = sizeof kinds / sizeof *kinds };

static dio_status check_transformers(struct dio_ctx *ctx, const struct dio_origin_config *config, const char *family,
                                     const char *variant, const char *weights_path)
{
    const struct dio_place place = {.file = config->path};
    char type[64];
    size_t kind = 0;
    while (kind < KINDS && strcmp(kinds[kind].model_type, config->model_type) != 0) kind++;
    if (kind == KINDS || strcmp(kinds[kind].family, family) != 0) {
        dio_escape(type, sizeof type, config->model_type, strlen(config->model_type), 50);
        return dio_fail(ctx, DIO_ERR_INPUT, "J5", &place,
                        "model_type \"%s\" does not describe %s (%s); the known types are resnet and mobilenet_v2, and --arch "
                        "settles it", type, weights_path, variant);
    }
    if (!config->activation || strcmp(config->activation, kinds[kind].activation) == 0) return DIO_OK;
    dio_escape(type, sizeof type, config->activation, strlen(config->activation), 50);
    return dio_fail(ctx, DIO_ERR_INPUT, "J6", &place, "hidden_act \"%s\" is not supported; %s has %s", type, variant,
                    kinds[kind].activation);
}

static dio_status check_timm(struct dio_ctx *ctx, const struct dio_origin_config *config, const char *variant)
{
    const struct dio_place place = {.file = config->path};
    char text[64];
    const char *pool = config->global_pool;
    if (pool && strcmp(pool, "avg") != 0 && strcmp(pool, "fast") != 0 && strcmp(pool, "fastavg") != 0) {
        dio_escape(text, sizeof text, pool, strlen(pool), 50);
        return dio_fail(ctx, DIO_ERR_INPUT, "J6", &place, "global_pool \"%s\" is not supported; %s has avg", text, variant);
    }
    if (!config->strange_arg) return DIO_OK;
    dio_escape(text, sizeof text, config->strange_arg, strlen(config->strange_arg), 50);
    return dio_fail(ctx, DIO_ERR_INPUT, "J6", &place,
                    "model_args.%s is not supported; it may make another network than %s", text, variant);
}

dio_status dio_config_describes(struct dio_ctx *ctx, const struct dio_origin_config *config, const struct dio_arch *arch,
                                const struct dio_arch_variant *variant, const char *weights_path)
{
    if (config->library == DIO_ORIGIN_TIMM) return check_timm(ctx, config, variant->name);
    return check_transformers(ctx, config, arch->family, variant->name, weights_path);
}
