/* Vision transformers with timm's names: ViT (AugReg and its ancestors) and DeiT without distillation, class token.
 *
 * The two have the same names and shapes; they differ in what their pictures are normalised with. */
#include "arch/build.h"

#include <stdio.h>
#include <string.h>

struct layout {
    int64_t width, depth, heads, patch;
};

static const struct layout tiny16 = {192, 12, 3, 16};
static const struct layout small16 = {384, 12, 6, 16}, small32 = {384, 12, 6, 32};
static const struct layout base16 = {768, 12, 12, 16}, base32 = {768, 12, 12, 32};
static const struct layout large16 = {1024, 24, 16, 16}, large32 = {1024, 24, 16, 32};

/* resize = floor(size / crop_pct): .9 at 224, 1 at 384. */
#define VIT(tag, size, resize, layout) {tag, NULL, size, resize, "bicubic", dio_half, dio_half, tag, &layout}
#define DEIT(tag, size, resize, layout) {tag, NULL, size, resize, "bicubic", dio_imagenet_mean, dio_imagenet_std, tag, &layout}

/* ViT first: without a hint it is taken. */
static const struct dio_arch_variant variants[] = {
    VIT("vit_tiny_patch16_224", 224, 248, tiny16),
    VIT("vit_tiny_patch16_384", 384, 384, tiny16),
    VIT("vit_small_patch16_224", 224, 248, small16),
    VIT("vit_small_patch16_384", 384, 384, small16),
    VIT("vit_small_patch32_224", 224, 248, small32),
    VIT("vit_small_patch32_384", 384, 384, small32),
    VIT("vit_base_patch16_224", 224, 248, base16),
    VIT("vit_base_patch16_384", 384, 384, base16),
    VIT("vit_base_patch32_224", 224, 248, base32),
    VIT("vit_base_patch32_384", 384, 384, base32),
    VIT("vit_large_patch16_224", 224, 248, large16),
    VIT("vit_large_patch16_384", 384, 384, large16),
    VIT("vit_large_patch32_224", 224, 248, large32),
    VIT("vit_large_patch32_384", 384, 384, large32),
    DEIT("deit_tiny_patch16_224", 224, 248, tiny16),
    DEIT("deit_small_patch16_224", 224, 248, small16),
    DEIT("deit_base_patch16_224", 224, 248, base16),
    DEIT("deit_base_patch16_384", 384, 384, base16),
    {.name = NULL},
};

struct block {
    struct dio_graph *graph;
    int64_t index;
    const struct layout *layout;
};

static const char *name_in(const struct block *block, char out[64], const char *part)
{
    snprintf(out, 64, "blocks.%lld.%s", (long long)block->index, part);
    return out;
}

static int norm(struct dio_graph *graph, const char *name, int x) { return dio_node1(graph, "layer_norm", name, x, "eps=1e-06"); }

static int linear(const struct block *block, const char *part, int x, int64_t out)
{
    char name[64];
    return dio_node1(block->graph, "linear", name_in(block, name, part), x, "out=%lld", (long long)out);
}

static int build_block(const struct block *block, int x)
{
    struct dio_graph *graph = block->graph;
    const int64_t width = block->layout->width;
    char name[64];
    int y = norm(graph, name_in(block, name, "norm1"), x);
    y = linear(block, "attn.qkv", y, 3 * width);
    y = dio_node1(graph, "attention", name_in(block, name, "attn"), y, "heads=%lld", (long long)block->layout->heads);
    y = linear(block, "attn.proj", y, width);
    x = dio_node2(graph, "add", name_in(block, name, "add1"), y, x, "%s", "");
    y = norm(graph, name_in(block, name, "norm2"), x);
    y = linear(block, "mlp.fc1", y, 4 * width);
    y = dio_node1(graph, "activation", name_in(block, name, "mlp.act"), y, "kind=gelu");
    y = linear(block, "mlp.fc2", y, width);
    return dio_node2(graph, "add", name_in(block, name, "add2"), y, x, "%s", "");
}

static bool divides(struct dio_graph *graph, const struct layout *layout, const struct dio_arch_config *config)
{
    if (config->height % layout->patch == 0 && config->width % layout->patch == 0) return true;
    const struct dio_place place = {.hint = "--image-size"};
    if (graph->status != DIO_OK) return false;
    graph->status = dio_fail(graph->ctx, DIO_ERR_USAGE, NULL, &place, "%s cuts pictures into patches of %lld pixels, which %lld x %lld are not a multiple of",
                             config->variant, (long long)layout->patch, (long long)config->height, (long long)config->width);
    return false;
}

static void build(struct dio_graph *graph, const struct dio_arch_variant *variant, const struct dio_arch_config *config,
                  int *features, int *logits)
{
    const struct layout *layout = variant->data;
    *features = *logits = -1;
    if (!divides(graph, layout, config)) return;
    int x = dio_build_input(graph, config);
    dio_graph_stage(graph, "stem");
    x = dio_node1(graph, "conv", "patch_embed.proj", x, "out=%lld kernel=%lld stride=%lld bias=1", (long long)layout->width,
                  (long long)layout->patch, (long long)layout->patch);
    x = dio_node1(graph, "prepend_token", "cls_token", x, "%s", "");
    x = dio_node1(graph, "add_embedding", "pos_embed", x, "%s", "");
    for (int64_t i = 0; i < layout->depth; i++) {
        char stage[32];
        snprintf(stage, sizeof stage, "block%lld", (long long)i + 1);
        dio_graph_stage(graph, stage);
        x = build_block(&(struct block){graph, i, layout}, x);
    }
    /* A norm looks at one token at a time, so the others can go before it. */
    dio_graph_stage(graph, "last");
    x = dio_node1(graph, "select_token", "class_token", x, "%s", "");
    *features = norm(graph, "norm", x);
    if (config->classes > 0) {
        dio_graph_stage(graph, "head");
        *logits = dio_node1(graph, "linear", "head", *features, "out=%lld", (long long)config->classes);
    }
}

/* ---- recognition ---- */

static bool has(const struct dio_tensor_list *tensors, int64_t block, const char *part, int64_t out, int64_t in)
{
    const struct dio_shape *shape = dio_tensor_list_find(tensors, "blocks.%lld.%s.weight", (long long)block, part);
    return shape && shape->rank == 2 && shape->dims[0] == out && shape->dims[1] == in
           && dio_tensor_list_find(tensors, "blocks.%lld.%s.bias", (long long)block, part);
}

static bool fits(const struct dio_tensor_list *tensors, const struct dio_arch_variant *variant)
{
    const struct layout *layout = variant->data;
    const int64_t width = layout->width, side = variant->size / layout->patch;
    const struct dio_shape *patch = dio_tensor_list_find(tensors, "patch_embed.proj.weight");
    const struct dio_shape *token = dio_tensor_list_find(tensors, "cls_token"), *position = dio_tensor_list_find(tensors, "pos_embed");
    if (!patch || patch->rank != 4 || patch->dims[0] != width || patch->dims[2] != layout->patch || patch->dims[3] != layout->patch) return false;
    if (!token || token->rank != 3 || token->dims[1] != 1) return false;
    if (!position || position->rank != 3 || position->dims[1] != side * side + 1 || position->dims[2] != width) return false;
    for (int64_t i = 0; i < layout->depth; i++) {
        if (!has(tensors, i, "attn.qkv", 3 * width, width) || !has(tensors, i, "attn.proj", width, width)) return false;
        if (!has(tensors, i, "mlp.fc1", 4 * width, width) || !has(tensors, i, "mlp.fc2", width, 4 * width)) return false;
    }
    return !dio_tensor_list_find(tensors, "blocks.%lld.attn.qkv.weight", (long long)layout->depth);
}

/* Relatives: DeiT's second token and head, CLIP's norm before the blocks, pooling over tokens, registers. */
static bool is_relative(const struct dio_tensor_list *tensors)
{
    static const char *const theirs[] = {"dist_token", "head_dist.weight", "norm_pre.weight", "fc_norm.weight", "reg_token", "attn_pool.latent"};
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) {
        if (dio_tensor_list_find(tensors, "%s", theirs[i])) return true;
    }
    return !dio_tensor_list_find(tensors, "norm.weight") || !dio_tensor_list_find(tensors, "patch_embed.proj.bias");
}

static bool recognise(const struct dio_arch *arch, const struct dio_tensor_list *tensors,
                      const struct dio_arch_variant *hint, struct dio_arch_match *match)
{
    if (is_relative(tensors)) return false;
    *match = (struct dio_arch_match){.arch = arch, .naming = DIO_NAMES_TIMM};
    for (const struct dio_arch_variant *variant = arch->variants; variant->name; variant++) {
        if (!fits(tensors, variant)) continue;
        if (!match->variant || variant == hint) match->variant = variant;
    }
    if (!match->variant) return false;
    match->classes = dio_head_classes(dio_tensor_list_find(tensors, "head.weight"), 2, ((const struct layout *)match->variant->data)->width);
    match->channels = dio_tensor_list_find(tensors, "patch_embed.proj.weight")->dims[1];
    if (match->variant != hint) {
        match->assumed = "ViT with mean and deviation 0.5, layer norm eps 1e-06, gelu by erf (DeiT wants ImageNet's mean: --arch "
                         "deit_tiny_patch16_224 and its like, or --mean and --std)";
    }
    return true;
}

static void defaults(const struct dio_arch_variant *variant, struct dio_arch_config *config)
{
    (void)variant; /* no batch norm, and nothing to choose */
    (void)config;
}

static const char *const anchors[] = {"patch_embed.proj.weight", NULL};

const struct dio_arch dio_arch_vit = {
    .family = "vit",
    .about = "ViT and DeiT with a class token (timm)",
    .variants = variants,
    .namings = {DIO_NAMES_TIMM},
    .anchors = anchors,
    .build = build,
    .recognise = recognise,
    .defaults = defaults,
};
