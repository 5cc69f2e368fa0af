/* ConvNeXt with timm's names: depthwise 7 x 7, layer norm over the channels, two linear layers with GELU between them, layer
 * scale, shortcut. */
#include "arch/build.h"

#include <stdio.h>

struct layout {
    int depth[4];
    int64_t width; /* of the first stage; each stage doubles it */
};

static const struct layout tiny = {{3, 3, 9, 3}, 96}, small = {{3, 3, 27, 3}, 96}, base = {{3, 3, 27, 3}, 128}, large = {{3, 3, 27, 3}, 192};

#define VARIANT(tag, resize, layout) {tag, NULL, 224, resize, "bicubic", dio_imagenet_mean, dio_imagenet_std, tag, &layout}

/* resize = floor(224 / crop_pct): .95 and .875. */
static const struct dio_arch_variant variants[] = {
    VARIANT("convnext_tiny", 235, tiny),
    VARIANT("convnext_small", 235, small),
    VARIANT("convnext_base", 256, base),
    VARIANT("convnext_large", 256, large),
    {.name = NULL},
};

static int64_t width_of(const struct layout *layout, int stage) { return layout->width << stage; }

static int norm(struct dio_graph *graph, const char *name, int x) { return dio_node1(graph, "layer_norm", name, x, "eps=1e-06"); }

/* A patch of `side` pixels becomes one. */
static int patches(struct dio_graph *graph, const char *name, int x, int64_t out, int side)
{
    return dio_node1(graph, "conv", name, x, "out=%lld kernel=%d stride=%d bias=1", (long long)out, side, side);
}

static const char *name_in(char out[64], int stage, int block, const char *part)
{
    snprintf(out, 64, "stages.%d.blocks.%d.%s", stage, block, part);
    return out;
}

static int build_block(struct dio_graph *graph, int x, int stage, int block, int64_t width)
{
    char name[64];
    int y = dio_node1(graph, "conv", name_in(name, stage, block, "conv_dw"), x, "out=%lld kernel=7 padding=3 groups=%lld bias=1",
                      (long long)width, (long long)width);
    y = norm(graph, name_in(name, stage, block, "norm"), y);
    y = dio_node1(graph, "linear", name_in(name, stage, block, "mlp.fc1"), y, "out=%lld", 4 * (long long)width);
    y = dio_node1(graph, "activation", name_in(name, stage, block, "mlp.act"), y, "kind=gelu");
    y = dio_node1(graph, "linear", name_in(name, stage, block, "mlp.fc2"), y, "out=%lld", (long long)width);
    y = dio_node1(graph, "layer_scale", name_in(name, stage, block, "gamma"), y, "%s", "");
    return dio_node2(graph, "add", name_in(name, stage, block, "add"), y, x, "%s", "");
}

static void build(struct dio_graph *graph, const struct dio_arch_variant *variant, const struct dio_arch_config *config,
                  int *features, int *logits)
{
    const struct layout *layout = variant->data;
    int x = dio_build_input(graph, config);
    dio_graph_stage(graph, "stem");
    x = patches(graph, "stem.0", x, layout->width, 4);
    x = norm(graph, "stem.1", x);
    for (int stage = 0; stage < 4; stage++) {
        char name[64];
        snprintf(name, sizeof name, "stage%d", stage + 1);
        dio_graph_stage(graph, name);
        if (stage > 0) {
            snprintf(name, sizeof name, "stages.%d.downsample.0", stage);
            x = norm(graph, name, x);
            snprintf(name, sizeof name, "stages.%d.downsample.1", stage);
            x = patches(graph, name, x, width_of(layout, stage), 2);
        }
        for (int block = 0; block < layout->depth[stage]; block++) x = build_block(graph, x, stage, block, width_of(layout, stage));
    }
    dio_graph_stage(graph, "last");
    x = dio_node1(graph, "global_avg_pool", "pool", x, "%s", "");
    *features = norm(graph, "head.norm", x);
    *logits = -1;
    if (config->classes > 0) {
        dio_graph_stage(graph, "head");
        *logits = dio_node1(graph, "linear", "head.fc", *features, "out=%lld", (long long)config->classes);
    }
}

/* ---- recognition ---- */

static bool is_2d(const struct dio_shape *shape, int64_t out, int64_t in)
{
    return shape && shape->rank == 2 && shape->dims[0] == out && shape->dims[1] == in;
}

static bool fits(const struct dio_tensor_list *tensors, const struct layout *layout)
{
    for (int stage = 0; stage < 4; stage++) {
        const int64_t width = width_of(layout, stage);
        for (int block = 0; block < layout->depth[stage]; block++) {
            const struct dio_shape *conv = dio_tensor_list_find(tensors, "stages.%d.blocks.%d.conv_dw.weight", stage, block);
            if (!conv || conv->rank != 4 || conv->dims[0] != width || conv->dims[1] != 1 || conv->dims[2] != 7) return false;
            if (!is_2d(dio_tensor_list_find(tensors, "stages.%d.blocks.%d.mlp.fc1.weight", stage, block), 4 * width, width)) return false;
            if (!is_2d(dio_tensor_list_find(tensors, "stages.%d.blocks.%d.mlp.fc2.weight", stage, block), width, 4 * width)) return false;
            if (!dio_tensor_list_find(tensors, "stages.%d.blocks.%d.gamma", stage, block)) return false; /* version 2 has none */
        }
        if (dio_tensor_list_find(tensors, "stages.%d.blocks.%d.gamma", stage, layout->depth[stage])) return false;
    }
    const struct dio_shape *norm = dio_tensor_list_find(tensors, "head.norm.weight");
    return norm && norm->rank == 1 && norm->dims[0] == width_of(layout, 3);
}

static bool recognise(const struct dio_arch *arch, const struct dio_tensor_list *tensors,
                      const struct dio_arch_variant *hint, struct dio_arch_match *match)
{
    (void)hint; /* no two variants have the same shapes */
    const struct dio_shape *stem = dio_tensor_list_find(tensors, "stem.0.weight");
    if (!stem || stem->rank != 4 || stem->dims[2] != 4 || !dio_tensor_list_find(tensors, "stem.0.bias")) return false;
    if (dio_tensor_list_find(tensors, "head.pre_logits.fc.weight")) return false; /* CLIP's wider head */
    for (const struct dio_arch_variant *variant = arch->variants; variant->name; variant++) {
        if (!fits(tensors, variant->data)) continue;
        *match = (struct dio_arch_match){
            .arch = arch,
            .variant = variant,
            .naming = DIO_NAMES_TIMM,
            .classes = dio_head_classes(dio_tensor_list_find(tensors, "head.fc.weight"), 2, width_of(variant->data, 3)),
            .channels = stem->dims[1],
            .assumed = "layer norm eps 1e-06, gelu by erf; without a config.json the crop of timm's first weights (--resize)",
        };
        return true;
    }
    return false;
}

static void defaults(const struct dio_arch_variant *variant, struct dio_arch_config *config)
{
    (void)variant; /* no batch norm, and nothing to choose */
    (void)config;
}

static const char *const anchors[] = {"stem.0.weight", NULL};

const struct dio_arch dio_arch_convnext = {
    .family = "convnext",
    .about = "ConvNeXt (timm)",
    .variants = variants,
    .namings = {DIO_NAMES_TIMM},
    .anchors = anchors,
    .build = build,
    .recognise = recognise,
    .defaults = defaults,
};
