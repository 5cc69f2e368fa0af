/* EfficientNet B0 to B7 with timm's names: squeeze-and-excitation in every block, SiLU.
 *
 * The weights that came from TensorFlow (timm's tf_ variants) want its SAME padding and batch norm eps 1e-3; timm's own
 * training (no tf_) used symmetric padding and 1e-5.  Names and shapes are the same. */
#include "arch/inverted.h"

#include <string.h>

static const struct dio_inverted_stage stages[] = {
    {1, 3, 1, 1, 16}, {2, 3, 2, 6, 24}, {2, 5, 2, 6, 40}, {3, 3, 2, 6, 80}, {3, 5, 1, 6, 112}, {4, 5, 2, 6, 192}, {1, 3, 1, 6, 320},
};

#define NET(name, width, depth) static const struct dio_inverted name = {stages, width, depth, false, 0, "silu", 0.25};
NET(b0, 1.0, 1.0)
NET(b1, 1.0, 1.1)
NET(b2, 1.1, 1.2)
NET(b3, 1.2, 1.4)
NET(b4, 1.4, 1.8)
NET(b5, 1.6, 2.2)
NET(b6, 1.8, 2.6)
NET(b7, 2.0, 3.1)

#define OWN(tag, size, resize, net) {tag, NULL, size, resize, "bicubic", dio_imagenet_mean, dio_imagenet_std, tag, &net}

/* resize = floor(size / crop_pct) of the weights that timm names first.  Those of timm's own training come first: without a
 * hint they are taken. */
static const struct dio_arch_variant variants[] = {
    OWN("efficientnet_b0", 224, 256, b0),
    {"efficientnet_b1", NULL, 240, 266, "bicubic", dio_half, dio_half, "efficientnet_b1", &b1},
    OWN("efficientnet_b2", 256, 292, b2),
    OWN("efficientnet_b3", 288, 329, b3),
    OWN("efficientnet_b4", 320, 365, b4),
    OWN("efficientnet_b5", 448, 448, b5),
    OWN("efficientnet_b6", 528, 560, b6),
    OWN("efficientnet_b7", 600, 632, b7),
    OWN("tf_efficientnet_b0", 224, 256, b0),
    OWN("tf_efficientnet_b1", 240, 272, b1),
    OWN("tf_efficientnet_b2", 260, 292, b2),
    OWN("tf_efficientnet_b3", 300, 331, b3),
    OWN("tf_efficientnet_b4", 380, 412, b4),
    OWN("tf_efficientnet_b5", 456, 488, b5),
    OWN("tf_efficientnet_b6", 528, 560, b6),
    OWN("tf_efficientnet_b7", 600, 632, b7),
    {.name = NULL},
};

static bool recognise(const struct dio_arch *arch, const struct dio_tensor_list *tensors,
                      const struct dio_arch_variant *hint, struct dio_arch_match *match)
{
    *match = (struct dio_arch_match){.arch = arch, .naming = DIO_NAMES_TIMM};
    for (const struct dio_arch_variant *variant = arch->variants; variant->name; variant++) {
        if (!dio_inverted_fits(tensors, variant->data, DIO_NAMES_TIMM, &match->classes, &match->channels)) continue;
        if (!match->variant || variant == hint) match->variant = variant;
    }
    if (match->variant && match->variant != hint) {
        match->assumed = "weights of timm's own training: symmetric padding, batch norm eps 1e-05 (--arch tf_efficientnet_b0 and its like "
                         "take those from TensorFlow; --padding, --bn-eps)";
    }
    return match->variant != NULL;
}

static void defaults(const struct dio_arch_variant *variant, struct dio_arch_config *config)
{
    bool tensorflow = strncmp(variant->name, "tf_", 3) == 0;
    config->bn_eps = tensorflow ? 1e-3 : 1e-5;
    config->pad_mode = tensorflow ? "same" : "torch";
}

static const char *const anchors[] = {"conv_stem.weight", NULL};

const struct dio_arch dio_arch_efficientnet = {
    .family = "efficientnet",
    .about = "EfficientNet B0 to B7 (timm)",
    .variants = variants,
    .namings = {DIO_NAMES_TIMM},
    .anchors = anchors,
    .build = dio_inverted_build,
    .recognise = recognise,
    .defaults = defaults,
};
