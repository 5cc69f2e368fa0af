#include "arch/build.h"
#include "base/str.h"

#include <stdio.h>

const double dio_imagenet_mean[3] = {0.485, 0.456, 0.406};
const double dio_imagenet_std[3] = {0.229, 0.224, 0.225};
const double dio_half[3] = {0.5, 0.5, 0.5};

int dio_build_residual(struct dio_graph *graph, const char *prefix, int branch, int shortcut)
{
    char name[64];
    snprintf(name, sizeof name, "%s.add", prefix);
    int sum = dio_node2(graph, "add", name, branch, shortcut, "%s", "");
    snprintf(name, sizeof name, "%s.relu", prefix);
    return dio_node1(graph, "activation", name, sum, "kind=relu");
}

void dio_build_pooled_head(struct dio_graph *graph, int x, const char *head, int64_t classes, int *features, int *logits)
{
    *features = dio_node1(graph, "global_avg_pool", "avgpool", x, "%s", "");
    *logits = -1;
    if (classes > 0) {
        dio_graph_stage(graph, "head");
        *logits = dio_node1(graph, "linear", head, *features, "out=%lld", (long long)classes);
    }
}

void dio_defaults_pytorch(const struct dio_arch_variant *variant, struct dio_arch_config *config)
{
    (void)variant;
    config->bn_eps = 1e-5;
}

int64_t dio_head_classes(const struct dio_shape *weight, int rank, int64_t features)
{
    enum { MANY = 1 << 16 };
    if (!weight || weight->rank != rank || weight->dims[0] < 1 || weight->dims[0] > DIO_MAX_CLASSES) return 0;
    /* A wrong width is said as a wrong shape when the weights are compared, but must not make us book memory first. */
    bool fits = weight->dims[1] == features;
    return fits || weight->dims[0] <= MANY ? weight->dims[0] : 0;
}

int dio_build_input(struct dio_graph *graph, const struct dio_arch_config *config)
{
    struct dio_shape shape = dio_shape_4(0, config->height, config->width, config->channels);
    return dio_graph_input(graph, "input", DIO_F32, &shape);
}

int dio_build_conv(const struct dio_build *build, int x, const char *name, const struct dio_build_conv *conv)
{
    long long out = conv->out, kernel = conv->kernel, stride = conv->stride, groups = conv->groups ? conv->groups : 1;
    if (conv->padding < 0 && build->same) {
        return dio_node1(build->graph, "conv", name, x, "out=%lld kernel=%lld stride=%lld groups=%lld pad_mode=same bias=%d",
                         out, kernel, stride, groups, conv->bias ? 1 : 0);
    }
    long long padding = conv->padding < 0 ? (kernel - 1) / 2 : conv->padding;
    return dio_node1(build->graph, "conv", name, x, "out=%lld kernel=%lld stride=%lld groups=%lld padding=%lld bias=%d", out,
                     kernel, stride, groups, padding, conv->bias ? 1 : 0);
}

int dio_build_conv_bn(const struct dio_build *build, int x, const char *conv_name, const char *bn_name,
                      const struct dio_build_conv *conv, const char *activation)
{
    x = dio_build_conv(build, x, conv_name, conv);
    char eps[32];
    dio_format_double(eps, sizeof eps, build->bn_eps);
    x = dio_node1(build->graph, "batch_norm", bn_name, x, "eps=%s", eps);
    if (activation) {
        char name[160];
        snprintf(name, sizeof name, "%s.act", bn_name);
        x = dio_node1(build->graph, "activation", name, x, "kind=%s", activation);
    }
    return x;
}
