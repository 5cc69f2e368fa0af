/* What the builders of several families share.  Names are whole node names; failures stay in graph->status. */
#ifndef DIO_ARCH_BUILD_H
#define DIO_ARCH_BUILD_H

#include "arch/arch.h"

struct dio_build {
    struct dio_graph *graph;
    double bn_eps;
    bool same; /* TensorFlow's SAME padding; else (kernel - 1) / 2 on every side */
};

struct dio_build_conv {
    int64_t out, kernel, stride, groups; /* groups 0: 1 */
    int64_t padding;                     /* -1: by dio_build.same */
    bool bias;
};

/* Input of the graph: f32, height x width x channels. */
int dio_build_input(struct dio_graph *graph, const struct dio_arch_config *config);
int dio_build_conv(const struct dio_build *build, int x, const char *name, const struct dio_build_conv *conv);
/* conv, batch norm, and an activation called BN.act (NULL: none). */
int dio_build_conv_bn(const struct dio_build *build, int x, const char *conv_name, const char *bn_name,
                      const struct dio_build_conv *conv, const char *activation);

/* The end of a residual block: PREFIX.add of branch and shortcut, PREFIX.relu. */
int dio_build_residual(struct dio_graph *graph, const char *prefix, int branch, int shortcut);

/* Global pooling to the features and, where classes are wanted, a linear layer in the stage "head": names as PyTorch's
 * ResNets have them.  logits -1: no head. */
void dio_build_pooled_head(struct dio_graph *graph, int x, const char *head, int64_t classes, int *features, int *logits);
/* dio_arch.defaults of families whose batch norm has PyTorch's own epsilon and that have no other choices. */
void dio_defaults_pytorch(const struct dio_arch_variant *variant, struct dio_arch_config *config);

/* Outputs of a head whose weight has this shape; 0 for no head, and for one that asks for more than the features have. */
int64_t dio_head_classes(const struct dio_shape *weight, int rank, int64_t features);

/* Mean and deviation of three channels. */
extern const double dio_imagenet_mean[3], dio_imagenet_std[3], dio_half[3];

#endif
