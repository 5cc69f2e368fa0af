/* ResNet, wide ResNet and ResNeXt with the names of torchvision and timm, which are the same.  Stride on the 3x3
 * (torchvision's V1.5). */
#include "arch/build.h"
#include "base/str.h"

#include <stdio.h>

struct layout {
    int blocks[4];
    bool bottleneck;
    int groups, group_width; /* of a bottleneck at 64 planes */
};

static const struct layout layout_18 = {{2, 2, 2, 2}, false, 1, 64};
static const struct layout layout_26 = {{2, 2, 2, 2}, true, 1, 64};
static const struct layout layout_34 = {{3, 4, 6, 3}, false, 1, 64};
static const struct layout layout_50 = {{3, 4, 6, 3}, true, 1, 64};
static const struct layout layout_101 = {{3, 4, 23, 3}, true, 1, 64};
static const struct layout layout_152 = {{3, 8, 36, 3}, true, 1, 64};
static const struct layout layout_wide_50 = {{3, 4, 6, 3}, true, 1, 128};
static const struct layout layout_wide_101 = {{3, 4, 23, 3}, true, 1, 128};
static const struct layout layout_next_50 = {{3, 4, 6, 3}, true, 32, 4};
static const struct layout layout_next_101_4 = {{3, 4, 23, 3}, true, 32, 4};
static const struct layout layout_next_101_8 = {{3, 4, 23, 3}, true, 32, 8};
static const struct layout layout_next_101_16 = {{3, 4, 23, 3}, true, 32, 16};
static const struct layout layout_next_101_32 = {{3, 4, 23, 3}, true, 32, 32};
static const struct layout layout_next_101_64 = {{3, 4, 23, 3}, true, 64, 4};

/* torchvision's first weights; timm's own were trained otherwise, and say so in their config.json. */
#define VARIANT(tag, layout) \
    {tag, NULL, 224, 256, "bilinear", dio_imagenet_mean, dio_imagenet_std, tag, &layout}

static const struct dio_arch_variant variants[] = {
    VARIANT("resnet18", layout_18),
    VARIANT("resnet26", layout_26),
    VARIANT("resnet34", layout_34),
    VARIANT("resnet50", layout_50),
    VARIANT("resnet101", layout_101),
    VARIANT("resnet152", layout_152),
    VARIANT("wide_resnet50_2", layout_wide_50),
    VARIANT("wide_resnet101_2", layout_wide_101),
    VARIANT("resnext50_32x4d", layout_next_50),
    VARIANT("resnext101_32x4d", layout_next_101_4),
    VARIANT("resnext101_32x8d", layout_next_101_8),
    VARIANT("resnext101_32x16d", layout_next_101_16),
    VARIANT("resnext101_32x32d", layout_next_101_32),
    VARIANT("resnext101_64x4d", layout_next_101_64),
    {.name = NULL},
};

static int64_t planes_of(int stage) { return (int64_t)64 << stage; }

static int64_t width_of(const struct layout *layout, int stage)
{
    return planes_of(stage) * layout->group_width / 64 * layout->groups;
}

struct block {
    char prefix[32];
    int64_t in, planes, width, stride;
};

static int shortcut(const struct dio_build *build, int x, const struct block *block, int64_t out)
{
    if (block->stride == 1 && block->in == out) return x;
    char conv[64], bn[64];
    snprintf(conv, sizeof conv, "%s.downsample.0", block->prefix);
    snprintf(bn, sizeof bn, "%s.downsample.1", block->prefix);
    return dio_build_conv_bn(build, x, conv, bn, &(struct dio_build_conv){out, 1, block->stride, 1, -1, false}, NULL);
}

static int unit(const struct dio_build *build, int x, const struct block *block, int i,
                const struct dio_build_conv *conv, const char *activation)
{
    char conv_name[64], bn_name[64];
    snprintf(conv_name, sizeof conv_name, "%s.conv%d", block->prefix, i);
    snprintf(bn_name, sizeof bn_name, "%s.bn%d", block->prefix, i);
    return dio_build_conv_bn(build, x, conv_name, bn_name, conv, activation);
}

static int residual_block(const struct dio_build *build, int x, const struct layout *layout, const struct block *block)
{
    int y = x;
    int64_t out = block->planes;
    if (layout->bottleneck) {
        out = block->planes * 4;
        y = unit(build, y, block, 1, &(struct dio_build_conv){block->width, 1, 1, 1, -1, false}, "relu");
        y = unit(build, y, block, 2,
                 &(struct dio_build_conv){block->width, 3, block->stride, layout->groups, -1, false}, "relu");
        y = unit(build, y, block, 3, &(struct dio_build_conv){out, 1, 1, 1, -1, false}, NULL);
    } else {
        y = unit(build, y, block, 1, &(struct dio_build_conv){out, 3, block->stride, 1, -1, false}, "relu");
        y = unit(build, y, block, 2, &(struct dio_build_conv){out, 3, 1, 1, -1, false}, NULL);
    }
    return dio_build_residual(build->graph, block->prefix, y, shortcut(build, x, block, out));
}

static void build(struct dio_graph *graph, const struct dio_arch_variant *variant, const struct dio_arch_config *config,
                  int *features, int *logits)
{
    const struct layout *layout = variant->data;
    const struct dio_build nodes = {graph, config->bn_eps, false};
    int x = dio_build_input(graph, config);
    dio_graph_stage(graph, "stem");
    x = dio_build_conv_bn(&nodes, x, "conv1", "bn1", &(struct dio_build_conv){64, 7, 2, 1, 3, false}, "relu");
    x = dio_node1(graph, "max_pool", "maxpool", x, "kernel=3 stride=2 padding=1");

    int64_t in = 64;
    for (int stage = 0; stage < 4; stage++) {
        char name[32];
        snprintf(name, sizeof name, "layer%d", stage + 1);
        dio_graph_stage(graph, name);
        for (int i = 0; i < layout->blocks[stage]; i++) {
            struct block block = {"", in, planes_of(stage), width_of(layout, stage), stage > 0 && i == 0 ? 2 : 1};
            snprintf(block.prefix, sizeof block.prefix, "layer%d.%d", stage + 1, i);
            x = residual_block(&nodes, x, layout, &block);
            in = block.planes * (layout->bottleneck ? 4 : 1);
        }
    }
    dio_build_pooled_head(graph, x, "fc", config->classes, features, logits);
}

static bool is_4d(const struct dio_shape *shape, int64_t k, int64_t c, int64_t r)
{
    return shape && shape->rank == 4 && shape->dims[0] == k && shape->dims[1] == c && shape->dims[2] == r && shape->dims[3] == r;
}

static bool fits(const struct dio_tensor_list *tensors, const struct layout *layout)
{
    int last = layout->bottleneck ? 3 : 2;
    int64_t expansion = layout->bottleneck ? 4 : 1;
    for (int stage = 0; stage < 4; stage++) {
        int64_t planes = planes_of(stage), width = width_of(layout, stage);
        for (int i = 0; i < layout->blocks[stage]; i++) {
            const struct dio_shape *conv2 = dio_tensor_list_find(tensors, "layer%d.%d.conv2.weight", stage + 1, i);
            bool right = layout->bottleneck ? is_4d(conv2, width, width / layout->groups, 3) : is_4d(conv2, planes, planes, 3);
            if (!right) return false;
            if (!!dio_tensor_list_find(tensors, "layer%d.%d.conv3.weight", stage + 1, i) != layout->bottleneck) return false;
            const struct dio_shape *bn = dio_tensor_list_find(tensors, "layer%d.%d.bn%d.running_mean", stage + 1, i, last);
            if (!bn || bn->rank != 1 || bn->dims[0] != planes * expansion) return false;
        }
        if (dio_tensor_list_find(tensors, "layer%d.%d.conv1.weight", stage + 1, layout->blocks[stage])) return false;
    }
    return true;
}

static bool recognise(const struct dio_arch *arch, const struct dio_tensor_list *tensors,
                      const struct dio_arch_variant *hint, struct dio_arch_match *match)
{
    (void)hint; /* no two variants have the same shapes */
    const struct dio_shape *stem = dio_tensor_list_find(tensors, "conv1.weight");
    if (!stem || stem->rank != 4 || !is_4d(stem, 64, stem->dims[1], 7)) return false;
    if (!dio_tensor_list_find(tensors, "bn1.running_mean")) return false;
    for (const struct dio_arch_variant *variant = arch->variants; variant->name; variant++) {
        if (!fits(tensors, variant->data)) continue;
        const struct dio_shape *head = dio_tensor_list_find(tensors, "fc.weight");
        *match = (struct dio_arch_match){
            .arch = arch,
            .variant = variant,
            .naming = DIO_NAMES_TORCHVISION,
            .classes = dio_head_classes(head, 2, ((const struct layout *)variant->data)->bottleneck ? 2048 : 512),
            .channels = stem->dims[1],
            .assumed = "strides as torchvision has them (not timm's resnetaa or resnetblur); without a config.json torchvision's "
                       "preprocessing, where timm's own weights want bicubic and their own crop",
        };
        return true;
    }
    return false;
}

static const char *const anchors[] = {"conv1.weight", NULL};

const struct dio_arch dio_arch_resnet = {
    .family = "resnet",
    .about = "ResNet, wide ResNet, ResNeXt (torchvision and timm)",
    .variants = variants,
    .namings = {DIO_NAMES_TORCHVISION, DIO_NAMES_TIMM},
    .anchors = anchors,
    .build = build,
    .recognise = recognise,
    .defaults = dio_defaults_pytorch,
};
