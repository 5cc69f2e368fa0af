/* SqueezeNet 1.0 and 1.1 with torchvision's names.  The head is a 1x1 convolution, ReLU, and the mean over space. */
#include "arch/build.h"
#include "base/str.h"

#include <stdio.h>

/* features.3 to features.12 in order; squeeze 0: a pool. */
struct layout {
    int kernel, stem;
    int squeeze[10];
};

static const struct layout layout_1_0 = {7, 96, {16, 16, 32, 0, 32, 48, 48, 64, 0, 64}};
static const struct layout layout_1_1 = {3, 64, {16, 16, 0, 32, 32, 0, 48, 48, 64, 64}};

static const struct dio_arch_variant variants[] = {
    {"squeezenet1_0", NULL, 224, 256, "bilinear", dio_imagenet_mean, dio_imagenet_std, NULL, &layout_1_0},
    {"squeezenet1_1", NULL, 224, 256, "bilinear", dio_imagenet_mean, dio_imagenet_std, NULL, &layout_1_1},
    {.name = NULL},
};

static int conv_relu(const struct dio_build *build, int x, const char *prefix, const char *part,
                     const struct dio_build_conv *conv)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", prefix, part);
    x = dio_build_conv(build, x, name, conv);
    snprintf(name, sizeof name, "%s.%s_activation", prefix, part);
    return dio_node1(build->graph, "activation", name, x, "kind=relu");
}

static int fire(const struct dio_build *build, int x, const char *prefix, int64_t squeeze)
{
    x = conv_relu(build, x, prefix, "squeeze", &(struct dio_build_conv){squeeze, 1, 1, 1, 0, true});
    int one = conv_relu(build, x, prefix, "expand1x1", &(struct dio_build_conv){squeeze * 4, 1, 1, 1, 0, true});
    int three = conv_relu(build, x, prefix, "expand3x3", &(struct dio_build_conv){squeeze * 4, 3, 1, 1, 1, true});
    char name[64];
    snprintf(name, sizeof name, "%s.concat", prefix);
    return dio_node2(build->graph, "concat", name, one, three, "%s", "");
}

static int pool(struct dio_graph *graph, int x, int index)
{
    char name[32];
    snprintf(name, sizeof name, "features.%d", index);
    return dio_node1(graph, "max_pool", name, x, "kernel=3 stride=2 ceil_mode=1");
}

static void build(struct dio_graph *graph, const struct dio_arch_variant *variant, const struct dio_arch_config *config,
                  int *features, int *logits)
{
    const struct layout *layout = variant->data;
    const struct dio_build nodes = {graph, 0, false};
    int x = dio_build_input(graph, config);
    dio_graph_stage(graph, "stem");
    x = dio_build_conv(&nodes, x, "features.0",
                       &(struct dio_build_conv){layout->stem, layout->kernel, 2, 1, config->stem_padding, true});
    x = dio_node1(graph, "activation", "features.1", x, "kind=relu");
    x = pool(graph, x, 2);
    int stage = 0;
    bool opened = false;
    for (int i = 0; i < 10; i++) {
        char name[32];
        if (!opened) {
            snprintf(name, sizeof name, "stage%d", ++stage);
            dio_graph_stage(graph, name);
        }
        opened = layout->squeeze[i] != 0; /* a stage ends with its pool */
        snprintf(name, sizeof name, "features.%d", i + 3);
        x = opened ? fire(&nodes, x, name, layout->squeeze[i]) : pool(graph, x, i + 3);
    }
    *features = x;
    *logits = -1;
    if (config->classes > 0) {
        dio_graph_stage(graph, "head");
        x = dio_node1(graph, "dropout", "classifier.0", x, "p=0.5");
        x = dio_build_conv(&nodes, x, "classifier.1", &(struct dio_build_conv){config->classes, 1, 1, 1, 0, true});
        x = dio_node1(graph, "activation", "classifier.2", x, "kind=relu");
        *logits = dio_node1(graph, "global_avg_pool", "classifier.3", x, "%s", "");
    }
}

static bool fits(const struct dio_tensor_list *tensors, const struct layout *layout)
{
    for (int i = 0; i < 10; i++) {
        const struct dio_shape *squeeze = dio_tensor_list_find(tensors, "features.%d.squeeze.weight", i + 3);
        if (!!squeeze != (layout->squeeze[i] != 0)) return false;
        if (squeeze && (squeeze->rank != 4 || squeeze->dims[0] != layout->squeeze[i])) return false;
    }
    return true;
}

static bool recognise(const struct dio_arch *arch, const struct dio_tensor_list *tensors,
                      const struct dio_arch_variant *hint, struct dio_arch_match *match)
{
    (void)hint; /* the two differ in their shapes */
    const struct dio_shape *stem = dio_tensor_list_find(tensors, "features.0.weight");
    if (!stem || stem->rank != 4) return false;
    for (const struct dio_arch_variant *variant = arch->variants; variant->name; variant++) {
        const struct layout *layout = variant->data;
        if (stem->dims[0] != layout->stem || stem->dims[2] != layout->kernel || !fits(tensors, layout)) continue;
        const struct dio_shape *head = dio_tensor_list_find(tensors, "classifier.1.weight");
        *match = (struct dio_arch_match){
            .arch = arch,
            .variant = variant,
            .naming = DIO_NAMES_TORCHVISION,
            .classes = dio_head_classes(head, 4, 512),
            .channels = stem->dims[1],
            .by_names = true,
            .assumed = "no padding in the first convolution, as in torchvision (--stem-padding N)",
        };
        return true;
    }
    return false;
}

static void defaults(const struct dio_arch_variant *variant, struct dio_arch_config *config)
{
    (void)variant;
    config->stem_padding = 0;
}

static const char *const anchors[] = {"features.0.weight", NULL};

const struct dio_arch dio_arch_squeezenet = {
    .family = "squeezenet",
    .about = "SqueezeNet 1.0 and 1.1 (torchvision)",
    .variants = variants,
    .namings = {DIO_NAMES_TORCHVISION},
    .anchors = anchors,
    .head_normal = true, /* torchvision's final convolution; its output passes a ReLU, so that wide weights leave dead classes */
    .build = build,
    .recognise = recognise,
    .defaults = defaults,
};
