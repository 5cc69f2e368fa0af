/* MobileNetV2 with the names of torchvision and of timm. */
#include "arch/inverted.h"

#include <string.h>

static const struct dio_inverted_stage stages[] = {
    {1, 3, 1, 1, 16}, {2, 3, 2, 6, 24}, {3, 3, 2, 6, 32}, {4, 3, 2, 6, 64}, {3, 3, 1, 6, 96}, {3, 3, 2, 6, 160}, {1, 3, 1, 6, 320},
};

#define NET(width, depth, fixed) &(const struct dio_inverted){stages, width, depth, fixed, 0.2, NULL, 0}
#define TIMM(tag, width, depth, fixed)                                                                                 \
    {tag, NULL, 224, 256, "bicubic", dio_imagenet_mean, dio_imagenet_std, tag, NET(width, depth, fixed)}

static const struct dio_arch_variant variants[] = {
    {"mobilenet_v2", NULL, 224, 256, "bilinear", dio_imagenet_mean, dio_imagenet_std, "mobilenetv2_100", NET(1.0, 1.0, false)},
    TIMM("mobilenetv2_035", 0.35, 1.0, false),
    TIMM("mobilenetv2_050", 0.5, 1.0, false),
    TIMM("mobilenetv2_075", 0.75, 1.0, false),
    TIMM("mobilenetv2_100", 1.0, 1.0, false),
    TIMM("mobilenetv2_110d", 1.1, 1.2, true),
    TIMM("mobilenetv2_120d", 1.2, 1.4, true),
    TIMM("mobilenetv2_140", 1.4, 1.0, false),
    {.name = NULL},
};

static bool recognise(const struct dio_arch *arch, const struct dio_tensor_list *tensors,
                      const struct dio_arch_variant *hint, struct dio_arch_match *match)
{
    bool timm = dio_tensor_list_find(tensors, "conv_stem.weight") != NULL;
    enum dio_naming naming = timm ? DIO_NAMES_TIMM : DIO_NAMES_TORCHVISION;
    *match = (struct dio_arch_match){.arch = arch, .naming = naming, .by_names = !timm};
    for (const struct dio_arch_variant *variant = arch->variants; variant->name; variant++) {
        if (!dio_inverted_fits(tensors, variant->data, naming, &match->classes, &match->channels)) continue;
        /* torchvision's mobilenet_v2 has the shapes of timm's mobilenetv2_100: timm's names want timm's. */
        bool own = timm && strcmp(variant->name, variant->timm) == 0;
        if (!match->variant || variant == hint || own) match->variant = variant;
        if (variant == hint) break;
    }
    return match->variant != NULL;
}

static void defaults(const struct dio_arch_variant *variant, struct dio_arch_config *config)
{
    (void)variant;
    config->bn_eps = 1e-5;
    config->pad_mode = "torch";
}

static const char *const anchors[] = {"features.0.0.weight", "conv_stem.weight", NULL};

const struct dio_arch dio_arch_mobilenetv2 = {
    .family = "mobilenetv2",
    .about = "MobileNetV2 (torchvision and timm)",
    .variants = variants,
    .namings = {DIO_NAMES_TORCHVISION, DIO_NAMES_TIMM},
    .anchors = anchors,
    .build = dio_inverted_build,
    .recognise = recognise,
    .defaults = defaults,
};
