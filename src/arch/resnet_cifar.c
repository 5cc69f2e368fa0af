/* The small ResNets for pictures of 32 pixels: 3x3 stem, three stages, 6n + 2 layers.
 *
 * Option A (akamaster's names, the head is `linear`): shortcuts without weights, every second pixel and zero channels on
 * both sides.  Option B: a 1x1 convolution with a norm (chenyaofo's names `downsample` and `fc`). */
#include "arch/build.h"
#include "base/str.h"

#include <stdio.h>

struct layout {
    int blocks, width;
    bool projected; /* option B */
};

static const double cifar10_mean[3] = {0.4914, 0.4822, 0.4465}, cifar10_std[3] = {0.2023, 0.1994, 0.2010};

#define OPTION_A(tag, other, n, width)                                                                                 \
    {tag, (const char *const[]){other, NULL}, 32, 32, "bilinear", dio_imagenet_mean, dio_imagenet_std, NULL,           \
     &(const struct layout){n, width, false}}
#define OPTION_B(tag, other, n)                                                                                        \
    {tag, (const char *const[]){other, NULL}, 32, 32, "bilinear", cifar10_mean, cifar10_std, NULL,                     \
     &(const struct layout){n, 16, true}}

static const struct dio_arch_variant variants[] = {
    OPTION_A("resnet8_cifar", NULL, 1, 16),
    OPTION_A("resnet14_cifar", NULL, 2, 16),
    OPTION_A("resnet20_cifar", "resnet20", 3, 16),
    OPTION_A("resnet32_cifar", "resnet32", 5, 16),
    OPTION_A("resnet44_cifar", "resnet44", 7, 16),
    OPTION_A("resnet56_cifar", "resnet56", 9, 16),
    OPTION_A("resnet110_cifar", "resnet110", 18, 16),
    /* Twice as wide, few layers: more accurate than resnet20 for the time they take on a processor. */
    OPTION_A("resnet8w32_cifar", NULL, 1, 32),
    OPTION_A("resnet14w32_cifar", NULL, 2, 32),
    OPTION_B("resnet20b_cifar", "cifar10_resnet20", 3),
    OPTION_B("resnet32b_cifar", "cifar10_resnet32", 5),
    OPTION_B("resnet44b_cifar", "cifar10_resnet44", 7),
    OPTION_B("resnet56b_cifar", "cifar10_resnet56", 9),
    {.name = NULL},
};

static const char *head_name(enum dio_naming naming) { return naming == DIO_NAMES_TORCHVISION ? "fc" : "linear"; }
static const char *shortcut_name(enum dio_naming naming) { return naming == DIO_NAMES_TORCHVISION ? "downsample" : "shortcut"; }

static int residual_block(const struct dio_build *build, int x, const char *prefix, int64_t width, int64_t stride,
                          bool projected, enum dio_naming naming)
{
    char conv[64], bn[64];
    snprintf(conv, sizeof conv, "%s.conv1", prefix);
    snprintf(bn, sizeof bn, "%s.bn1", prefix);
    int y = dio_build_conv_bn(build, x, conv, bn, &(struct dio_build_conv){width, 3, stride, 1, -1, false}, "relu");
    snprintf(conv, sizeof conv, "%s.conv2", prefix);
    snprintf(bn, sizeof bn, "%s.bn2", prefix);
    y = dio_build_conv_bn(build, y, conv, bn, &(struct dio_build_conv){width, 3, 1, 1, -1, false}, NULL);
    if (stride > 1 && projected) {
        snprintf(conv, sizeof conv, "%s.%s.0", prefix, shortcut_name(naming));
        snprintf(bn, sizeof bn, "%s.%s.1", prefix, shortcut_name(naming));
        x = dio_build_conv_bn(build, x, conv, bn, &(struct dio_build_conv){width, 1, stride, 1, -1, false}, NULL);
    } else if (stride > 1) {
        char name[64];
        snprintf(name, sizeof name, "%s.shortcut", prefix);
        x = dio_node1(build->graph, "subsample_pad", name, x, "stride=%lld channels=%lld", (long long)stride, (long long)width);
    }
    return dio_build_residual(build->graph, prefix, y, x);
}

static void build(struct dio_graph *graph, const struct dio_arch_variant *variant, const struct dio_arch_config *config,
                  int *features, int *logits)
{
    const struct layout *layout = variant->data;
    const struct dio_build nodes = {graph, config->bn_eps, false};
    int x = dio_build_input(graph, config);
    dio_graph_stage(graph, "stem");
    x = dio_build_conv_bn(&nodes, x, "conv1", "bn1", &(struct dio_build_conv){layout->width, 3, 1, 1, -1, false}, "relu");
    for (int stage = 0; stage < 3; stage++) {
        char name[32];
        snprintf(name, sizeof name, "layer%d", stage + 1);
        dio_graph_stage(graph, name);
        for (int i = 0; i < layout->blocks; i++) {
            snprintf(name, sizeof name, "layer%d.%d", stage + 1, i);
            x = residual_block(&nodes, x, name, (int64_t)layout->width << stage, stage > 0 && i == 0 ? 2 : 1,
                               layout->projected, config->naming);
        }
    }
    dio_build_pooled_head(graph, x, head_name(config->naming), config->classes, features, logits);
}

static bool fits(const struct dio_tensor_list *tensors, const struct layout *layout, enum dio_naming naming)
{
    for (int stage = 0; stage < 3; stage++) {
        for (int i = 0; i < layout->blocks; i++) {
            const struct dio_shape *conv = dio_tensor_list_find(tensors, "layer%d.%d.conv2.weight", stage + 1, i);
            if (!conv || conv->rank != 4 || conv->dims[0] != (int64_t)layout->width << stage || conv->dims[2] != 3) return false;
            if (!dio_tensor_list_find(tensors, "layer%d.%d.bn2.running_mean", stage + 1, i)) return false;
            if (dio_tensor_list_find(tensors, "layer%d.%d.conv3.weight", stage + 1, i)) return false;
        }
        if (dio_tensor_list_find(tensors, "layer%d.%d.conv1.weight", stage + 1, layout->blocks)) return false;
        bool projected = dio_tensor_list_find(tensors, "layer%d.0.%s.0.weight", stage + 1, shortcut_name(naming)) != NULL;
        if (projected != (layout->projected && stage > 0)) return false;
    }
    return !dio_tensor_list_find(tensors, "layer4.0.conv1.weight");
}

static bool recognise(const struct dio_arch *arch, const struct dio_tensor_list *tensors,
                      const struct dio_arch_variant *hint, struct dio_arch_match *match)
{
    (void)hint; /* no two variants have the same names and shapes */
    const struct dio_shape *stem = dio_tensor_list_find(tensors, "conv1.weight");
    if (!stem || stem->rank != 4 || stem->dims[2] != 3 || stem->dims[3] != 3) return false;
    /* Without a head nothing tells the namings apart but the shortcuts. */
    bool as_torchvision = dio_tensor_list_find(tensors, "fc.weight") || dio_tensor_list_find(tensors, "layer2.0.downsample.0.weight");
    enum dio_naming naming = as_torchvision ? DIO_NAMES_TORCHVISION : DIO_NAMES_AKAMASTER;
    for (const struct dio_arch_variant *variant = arch->variants; variant->name; variant++) {
        const struct layout *layout = variant->data;
        if (stem->dims[0] != layout->width || !fits(tensors, layout, naming)) continue;
        const struct dio_shape *head = dio_tensor_list_find(tensors, "%s.weight", head_name(naming));
        *match = (struct dio_arch_match){
            .arch = arch,
            .variant = variant,
            .naming = naming,
            .classes = dio_head_classes(head, 2, layout->width * 4),
            .channels = stem->dims[1],
            .by_names = head && !as_torchvision,
        };
        return true;
    }
    return false;
}

static const char *const anchors[] = {"conv1.weight", NULL};

const struct dio_arch dio_arch_resnet_cifar = {
    .family = "resnet_cifar",
    .about = "small ResNets for pictures of 32 pixels",
    .variants = variants,
    .namings = {DIO_NAMES_AKAMASTER, DIO_NAMES_TORCHVISION},
    .not_in_torchvision = true,
    .anchors = anchors,
    .build = build,
    .recognise = recognise,
    .defaults = dio_defaults_pytorch,
};
