#include "arch/inverted.h"
#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STAGES = 7, NAME = 64 };

enum part {
    STEM_CONV, STEM_BN, EXPAND_CONV, EXPAND_BN, DEPTHWISE_CONV, DEPTHWISE_BN, PROJECT_CONV, PROJECT_BN, LAST_CONV, LAST_BN,
    CLASSIFIER, SQUEEZE, EXCITE
};

struct block {
    int index, stage, in_stage; /* index counts through all stages */
    int kernel, stride, expand;
    int64_t in, out;
};

/* Widths are multiples of 8 and lose at most a tenth. */
static int64_t round_width(int64_t channels, double width)
{
    double wanted = (double)channels * width;
    int64_t rounded = (int64_t)(wanted + 4) / 8 * 8;
    if (rounded < 8) rounded = 8;
    if ((double)rounded < 0.9 * wanted) rounded += 8;
    return rounded;
}

static int repeats_of(const struct dio_inverted *net, int stage)
{
    int repeats = net->stages[stage].repeats;
    if (net->fixed_ends && (stage == 0 || stage == STAGES - 1)) return repeats;
    return (int)ceil((double)repeats * net->depth);
}

static const char *activation_of(const struct dio_inverted *net) { return net->activation ? net->activation : "relu6"; }

static int64_t stem_width(const struct dio_inverted *net) { return net->fixed_ends ? 32 : round_width(32, net->width); }

static int64_t last_width(const struct dio_inverted *net)
{
    if (net->fixed_ends || net->width < 1) return 1280;
    return round_width(1280, net->width);
}

/* Goes to the next block; starts with all zero.  False behind the last one. */
static bool next_block(const struct dio_inverted *net, struct block *block)
{
    if (block->out == 0) {
        block->in = stem_width(net);
    } else {
        block->index++;
        block->in = block->out;
        if (++block->in_stage == repeats_of(net, block->stage)) {
            block->in_stage = 0;
            if (++block->stage == STAGES) return false;
        }
    }
    const struct dio_inverted_stage *stage = &net->stages[block->stage];
    block->kernel = stage->kernel;
    block->stride = block->in_stage == 0 ? stage->stride : 1;
    block->expand = stage->expand;
    block->out = round_width(stage->channels, net->width);
    return true;
}

static void timm_name(char *out, enum part part, const struct block *block)
{
    const char *plain = NULL, *inner = NULL;
    bool expanded = block && block->expand != 1;
    switch (part) {
    case STEM_CONV: plain = "conv_stem"; break;
    case STEM_BN: plain = "bn1"; break;
    case LAST_CONV: plain = "conv_head"; break;
    case LAST_BN: plain = "bn2"; break;
    case CLASSIFIER: plain = "classifier"; break;
    case EXPAND_CONV: inner = "conv_pw"; break;
    case EXPAND_BN: inner = "bn1"; break;
    case DEPTHWISE_CONV: inner = "conv_dw"; break;
    case DEPTHWISE_BN: inner = expanded ? "bn2" : "bn1"; break;
    case SQUEEZE: inner = "se.conv_reduce"; break;
    case EXCITE: inner = "se.conv_expand"; break;
    case PROJECT_CONV: inner = expanded ? "conv_pwl" : "conv_pw"; break;
    case PROJECT_BN: inner = expanded ? "bn3" : "bn2"; break;
    }
    if (plain) snprintf(out, NAME, "%s", plain);
    else snprintf(out, NAME, "blocks.%d.%d.%s", block->stage, block->in_stage, inner);
}

static void lukemelas_name(char *out, enum part part, const struct block *block)
{
    const char *plain = NULL, *inner = NULL;
    switch (part) {
    case STEM_CONV: plain = "_conv_stem"; break;
    case STEM_BN: plain = "_bn0"; break;
    case LAST_CONV: plain = "_conv_head"; break;
    case LAST_BN: plain = "_bn1"; break;
    case CLASSIFIER: plain = "_fc"; break;
    case EXPAND_CONV: inner = "_expand_conv"; break;
    case EXPAND_BN: inner = "_bn0"; break;
    case DEPTHWISE_CONV: inner = "_depthwise_conv"; break;
    case DEPTHWISE_BN: inner = "_bn1"; break;
    case SQUEEZE: inner = "_se_reduce"; break;
    case EXCITE: inner = "_se_expand"; break;
    case PROJECT_CONV: inner = "_project_conv"; break;
    case PROJECT_BN: inner = "_bn2"; break;
    }
    if (plain) snprintf(out, NAME, "%s", plain);
    else snprintf(out, NAME, "_blocks.%d.%s", block->index, inner);
}

static void torchvision_name(char *out, enum part part, const struct block *block, int blocks)
{
    const char *inner = NULL;
    bool expanded = block && block->expand != 1;
    switch (part) {
    case STEM_CONV: snprintf(out, NAME, "features.0.0"); return;
    case STEM_BN: snprintf(out, NAME, "features.0.1"); return;
    case LAST_CONV: snprintf(out, NAME, "features.%d.0", blocks + 1); return;
    case LAST_BN: snprintf(out, NAME, "features.%d.1", blocks + 1); return;
    case CLASSIFIER: snprintf(out, NAME, "classifier.1"); return;
    case EXPAND_CONV: inner = "0.0"; break;
    case EXPAND_BN: inner = "0.1"; break;
    case DEPTHWISE_CONV: inner = expanded ? "1.0" : "0.0"; break;
    case DEPTHWISE_BN: inner = expanded ? "1.1" : "0.1"; break;
    case SQUEEZE: case EXCITE: break; /* torchvision's MobileNetV2 has none */
    case PROJECT_CONV: inner = expanded ? "2" : "1"; break;
    case PROJECT_BN: inner = expanded ? "3" : "2"; break;
    }
    snprintf(out, NAME, "features.%d.conv.%s", block->index + 1, inner ? inner : "squeeze");
}

struct namer {
    enum dio_naming naming;
    int blocks;
};

static struct namer namer_of(const struct dio_inverted *net, enum dio_naming naming)
{
    struct namer namer = {naming, 0};
    for (int stage = 0; stage < STAGES; stage++) namer.blocks += repeats_of(net, stage);
    return namer;
}

static const char *name_of(const struct namer *namer, char out[NAME], enum part part, const struct block *block)
{
    if (namer->naming == DIO_NAMES_LUKEMELAS) lukemelas_name(out, part, block);
    else if (namer->naming == DIO_NAMES_TORCHVISION) torchvision_name(out, part, block, namer->blocks);
    else timm_name(out, part, block);
    return out;
}

static int conv_bn(const struct dio_build *nodes, const struct namer *namer, const struct block *block, int x,
                   enum part conv_part, const struct dio_build_conv *conv, const char *activation)
{
    char conv_name[NAME], bn_name[NAME];
    name_of(namer, conv_name, conv_part, block);
    name_of(namer, bn_name, (enum part)(conv_part + 1), block);
    return dio_build_conv_bn(nodes, x, conv_name, bn_name, conv, activation);
}

static int64_t squeeze_width(const struct dio_inverted *net, const struct block *block)
{
    return (int64_t)lround((double)block->in * net->squeeze);
}

/* The map times a gate for each channel, made from the channels' means. */
static int squeeze_and_excite(const struct dio_build *nodes, const struct dio_inverted *net, const struct namer *namer,
                              const struct block *block, int x)
{
    struct dio_graph *graph = nodes->graph;
    const int64_t middle = block->in * block->expand;
    char name[NAME], inner[NAME + 8];
    snprintf(name, sizeof name, "block%d.squeeze", block->index);
    int gate = dio_node1(graph, "global_avg_pool", name, x, "keep_dims=1");
    gate = dio_build_conv(nodes, gate, name_of(namer, name, SQUEEZE, block), &(struct dio_build_conv){squeeze_width(net, block), 1, 1, 1, 0, true});
    snprintf(inner, sizeof inner, "%s.act", name);
    gate = dio_node1(graph, "activation", inner, gate, "kind=%s", net->activation);
    gate = dio_build_conv(nodes, gate, name_of(namer, name, EXCITE, block), &(struct dio_build_conv){middle, 1, 1, 1, 0, true});
    snprintf(inner, sizeof inner, "%s.gate", name);
    gate = dio_node1(graph, "activation", inner, gate, "kind=sigmoid");
    snprintf(name, sizeof name, "block%d.excite", block->index);
    return dio_node2(graph, "mul", name, x, gate, "%s", "");
}

static int build_block(const struct dio_build *nodes, const struct dio_inverted *net, const struct namer *namer,
                       const struct block *block, int x)
{
    int y = x;
    int64_t middle = block->in * block->expand;
    const char *activation = activation_of(net);
    if (block->expand != 1) {
        y = conv_bn(nodes, namer, block, y, EXPAND_CONV, &(struct dio_build_conv){middle, 1, 1, 1, -1, false}, activation);
    }
    y = conv_bn(nodes, namer, block, y, DEPTHWISE_CONV,
                &(struct dio_build_conv){middle, block->kernel, block->stride, middle, -1, false}, activation);
    if (net->squeeze > 0) y = squeeze_and_excite(nodes, net, namer, block, y);
    y = conv_bn(nodes, namer, block, y, PROJECT_CONV, &(struct dio_build_conv){block->out, 1, 1, 1, -1, false}, NULL);
    if (block->stride == 1 && block->in == block->out) {
        char name[NAME];
        snprintf(name, sizeof name, "block%d.add", block->index);
        y = dio_node2(nodes->graph, "add", name, y, x, "%s", "");
    }
    return y;
}

void dio_inverted_build(struct dio_graph *graph, const struct dio_arch_variant *variant, const struct dio_arch_config *config,
                        int *features, int *logits)
{
    const struct dio_inverted *net = variant->data;
    const struct dio_build nodes = {graph, config->bn_eps, config->pad_mode && strcmp(config->pad_mode, "same") == 0};
    const struct namer namer = namer_of(net, config->naming);
    int x = dio_build_input(graph, config);
    dio_graph_stage(graph, "stem");
    x = conv_bn(&nodes, &namer, NULL, x, STEM_CONV, &(struct dio_build_conv){stem_width(net), 3, 2, 1, -1, false}, activation_of(net));
    struct block block = {0};
    while (next_block(net, &block)) {
        if (block.in_stage == 0) {
            char name[32];
            snprintf(name, sizeof name, "stage%d", block.stage + 1);
            dio_graph_stage(graph, name);
        }
        x = build_block(&nodes, net, &namer, &block, x);
    }
    dio_graph_stage(graph, "last");
    x = conv_bn(&nodes, &namer, NULL, x, LAST_CONV, &(struct dio_build_conv){last_width(net), 1, 1, 1, -1, false}, activation_of(net));
    *features = x = dio_node1(graph, "global_avg_pool", "pool", x, "%s", "");
    *logits = -1;
    if (config->classes > 0) {
        dio_graph_stage(graph, "head");
        if (net->dropout > 0) {
            char p[32];
            dio_format_double(p, sizeof p, net->dropout);
            x = dio_node1(graph, "dropout", "dropout", x, "p=%s", p);
        }
        char name[NAME];
        *logits = dio_node1(graph, "linear", name_of(&namer, name, CLASSIFIER, NULL), x, "out=%lld", (long long)config->classes);
    }
}

static bool has_conv(const struct dio_tensor_list *tensors, const struct namer *namer, const struct block *block,
                     enum part part, int64_t out, int64_t in, int64_t kernel)
{
    char name[NAME];
    const struct dio_shape *shape = dio_tensor_list_find(tensors, "%s.weight", name_of(namer, name, part, block));
    if (!shape || shape->rank != 4 || shape->dims[0] != out || (in > 0 && shape->dims[1] != in)) return false;
    if (shape->dims[2] != kernel || shape->dims[3] != kernel) return false;
    return dio_tensor_list_find(tensors, "%s.running_mean", name_of(namer, name, (enum part)(part + 1), block)) != NULL;
}

bool dio_inverted_fits(const struct dio_tensor_list *tensors, const struct dio_inverted *net, enum dio_naming naming,
                       int64_t *classes, int64_t *channels)
{
    const struct namer namer = namer_of(net, naming);
    char name[NAME];
    if (!has_conv(tensors, &namer, NULL, STEM_CONV, stem_width(net), 0, 3)) return false;
    struct block block = {0};
    while (next_block(net, &block)) {
        int64_t middle = block.in * block.expand;
        if (block.expand != 1 && !has_conv(tensors, &namer, &block, EXPAND_CONV, middle, block.in, 1)) return false;
        if (!has_conv(tensors, &namer, &block, DEPTHWISE_CONV, middle, 1, block.kernel)) return false;
        if (!has_conv(tensors, &namer, &block, PROJECT_CONV, block.out, middle, 1)) return false;
        const struct dio_shape *squeeze = dio_tensor_list_find(tensors, "%s.weight", name_of(&namer, name, SQUEEZE, &block));
        if ((squeeze != NULL) != (net->squeeze > 0)) return false;
        if (squeeze && (squeeze->dims[0] != squeeze_width(net, &block) || squeeze->dims[1] != middle)) return false;
    }
    if (!has_conv(tensors, &namer, NULL, LAST_CONV, last_width(net), block.out, 1)) return false;
    *channels = dio_tensor_list_find(tensors, "%s.weight", name_of(&namer, name, STEM_CONV, NULL))->dims[1];
    const struct dio_shape *head = dio_tensor_list_find(tensors, "%s.weight", name_of(&namer, name, CLASSIFIER, NULL));
    *classes = dio_head_classes(head, 2, last_width(net));
    return true;
}
