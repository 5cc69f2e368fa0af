/* EfficientNet-Lite 0 to 4 with the names of timm and of lukemelas.
 *
 * The weights that came from TensorFlow (timm's tf_ variants, and everything under lukemelas' names) want its SAME padding
 * and batch norm eps 1e-3; timm's own training (no tf_) used symmetric padding and 1e-5.  Names and shapes are the same. */
#include "arch/inverted.h"

#include <string.h>

static const struct dio_inverted_stage stages[] = {
    {1, 3, 1, 1, 16}, {2, 3, 2, 6, 24}, {2, 5, 2, 6, 40}, {3, 3, 2, 6, 80}, {3, 5, 1, 6, 112}, {4, 5, 2, 6, 192}, {1, 3, 1, 6, 320},
};

static const struct dio_inverted lite0 = {stages, 1.0, 1.0, true, 0, NULL, 0};
static const struct dio_inverted lite1 = {stages, 1.0, 1.1, true, 0, NULL, 0};
static const struct dio_inverted lite2 = {stages, 1.1, 1.2, true, 0, NULL, 0};
static const struct dio_inverted lite3 = {stages, 1.2, 1.4, true, 0, NULL, 0};
static const struct dio_inverted lite4 = {stages, 1.4, 1.8, true, 0, NULL, 0};

#define TF(tag, other, size, resize, interpolation, net) \
    {tag, (const char *const[]){other, NULL}, size, resize, interpolation, dio_half, dio_half, tag, &net}
#define PLAIN(tag, size, resize, interpolation, net) \
    {tag, NULL, size, resize, interpolation, dio_imagenet_mean, dio_imagenet_std, tag, &net}

/* resize = floor(size / crop_pct): .875, .882, .89, .904, .92.  Those from TensorFlow first: without a hint they are
 * taken, for they are the trained ones (timm trained lite0 alone itself). */
static const struct dio_arch_variant variants[] = {
    TF("tf_efficientnet_lite0", "efficientnet-lite0", 224, 256, "bicubic", lite0),
    TF("tf_efficientnet_lite1", "efficientnet-lite1", 240, 272, "bicubic", lite1),
    TF("tf_efficientnet_lite2", "efficientnet-lite2", 260, 292, "bicubic", lite2),
    TF("tf_efficientnet_lite3", "efficientnet-lite3", 300, 331, "bilinear", lite3),
    TF("tf_efficientnet_lite4", "efficientnet-lite4", 380, 413, "bilinear", lite4),
    PLAIN("efficientnet_lite0", 224, 256, "bicubic", lite0),
    PLAIN("efficientnet_lite1", 240, 272, "bicubic", lite1),
    PLAIN("efficientnet_lite2", 260, 292, "bicubic", lite2),
    PLAIN("efficientnet_lite3", 300, 331, "bicubic", lite3),
    PLAIN("efficientnet_lite4", 380, 413, "bicubic", lite4),
    {.name = NULL},
};

static bool recognise(const struct dio_arch *arch, const struct dio_tensor_list *tensors,
                      const struct dio_arch_variant *hint, struct dio_arch_match *match)
{
    bool timm = dio_tensor_list_find(tensors, "conv_stem.weight") != NULL;
    enum dio_naming naming = timm ? DIO_NAMES_TIMM : DIO_NAMES_LUKEMELAS;
    *match = (struct dio_arch_match){.arch = arch, .naming = naming, .by_names = !timm};
    if (timm) match->assumed = "weights from TensorFlow: SAME padding, batch norm eps 0.001, mean and deviation 0.5 "
                               "(--arch efficientnet_lite0 takes the other; --padding, --bn-eps)";
    for (const struct dio_arch_variant *variant = arch->variants; variant->name; variant++) {
        if (!dio_inverted_fits(tensors, variant->data, naming, &match->classes, &match->channels)) continue;
        if (!match->variant || variant == hint) match->variant = variant;
    }
    if (hint && match->variant == hint) match->assumed = NULL;
    return match->variant != NULL;
}

static void defaults(const struct dio_arch_variant *variant, struct dio_arch_config *config)
{
    bool tensorflow = strncmp(variant->name, "tf_", 3) == 0;
    config->bn_eps = tensorflow ? 1e-3 : 1e-5;
    config->pad_mode = tensorflow ? "same" : "torch";
}

static const char *const anchors[] = {"conv_stem.weight", "_conv_stem.weight", NULL};

const struct dio_arch dio_arch_efficientnet_lite = {
    .family = "efficientnet_lite",
    .about = "EfficientNet-Lite 0 to 4 (timm, and lukemelas' names)",
    .variants = variants,
    .namings = {DIO_NAMES_TIMM, DIO_NAMES_LUKEMELAS},
    .anchors = anchors,
    .build = dio_inverted_build,
    .recognise = recognise,
    .defaults = defaults,
};
