/* Nets of inverted residual blocks (MobileNetV2, EfficientNet and its Lite kind): the geometry, the names that different libraries give
 * its parts, the builder, and the comparison with a file's tensors. */
#ifndef DIO_ARCH_INVERTED_H
#define DIO_ARCH_INVERTED_H

#include "arch/build.h"

struct dio_inverted_stage {
    int repeats, kernel, stride, expand, channels;
};

struct dio_inverted {
    const struct dio_inverted_stage *stages; /* of seven, at width and depth 1 */
    double width, depth;
    bool fixed_ends; /* stem and last convolution keep their width, first and last stage their depth */
    double dropout;  /* before the classifier; 0: none */
    const char *activation; /* NULL: relu6 */
    double squeeze;  /* squeeze-and-excitation: its width as a share of the block's input; 0: none */
};

/* dio_arch.build of families whose variants' data is a dio_inverted. */
void dio_inverted_build(struct dio_graph *graph, const struct dio_arch_variant *variant, const struct dio_arch_config *config,
                        int *features, int *logits);
/* Every convolution there with its shape, no block too many, squeeze-and-excitation as the net has it.  Fills classes and
 * channels. */
bool dio_inverted_fits(const struct dio_tensor_list *tensors, const struct dio_inverted *net, enum dio_naming naming,
                       int64_t *classes, int64_t *channels);

#endif
