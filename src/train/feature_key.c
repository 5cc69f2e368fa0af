#include <inttypes.h>

#include "base/str.h"
#include "train/features.h"

/* Arithmetic of the kernels: raised whenever a change of theirs changes bits. */
enum { KERNEL_VERSION = 2 };

static void add_node(struct dio_sha256 *hash, struct dio_str *text, const struct dio_graph *graph,
                     const struct dio_node *node)
{
    text->length = 0;
    dio_str_addf(text, "%s ", node->op->name);
    dio_attrs_print(node->op, node->attrs, text);
    for (int i = 0; i < node->n_inputs; i++) dio_str_addf(text, " %d", node->inputs[i]);
    if (!text->failed) dio_sha256_add(hash, text->data, text->length);
    for (int i = 0; i < node->n_params; i++) {
        const struct dio_param *param = &graph->params[node->params[i]];
        size_t bytes = 0;
        if (param->role == DIO_PARAM_COUNTER || !dio_shape_bytes(&param->shape, param->dtype, &bytes)) continue;
        dio_sha256_add(hash, param->data, bytes);
    }
}

dio_status dio_feature_key(struct dio_ctx *ctx, const struct dio_feature_key *what, struct dio_digest *key)
{
    struct dio_sha256 hash;
    struct dio_str text;
    dio_sha256_init(&hash);
    dio_str_init(&text, ctx);
    dio_str_addf(&text, "diopter features 2, f32, kernels %d at %s, linear %d %s\n", KERNEL_VERSION,
                 ctx->kernels ? dio_isa_name(ctx->kernels->level) : "", ctx->kernels ? (int)ctx->kernels->linear : 0,
                 ctx->kernels ? ctx->kernels->blas.core : "");
    if (what->exact) dio_str_add(&text, "exact\n");
    dio_image_recipe_write(&text, what->recipe);
    if (what->allow_damaged) dio_str_add(&text, "\ncut pictures filled");
    if (what->augment) {
        dio_str_addf(&text, "\nview %u seed %" PRIu64 " ", what->view, what->seed);
        dio_augment_write(&text, what->augment);
    }
    for (int i = 0; i < what->frontier->n_values; i++) dio_str_addf(&text, "\nvalue %d", what->frontier->values[i]);
    if (!text.failed) dio_sha256_add(&hash, text.data, text.length);
    for (int i = 0; i < what->graph->n_nodes; i++) {
        if (what->frontier->in_prefix[i]) add_node(&hash, &text, what->graph, &what->graph->nodes[i]);
    }
    *key = dio_sha256_end(&hash);
    dio_status status = dio_str_status(&text);
    dio_str_free(&text);
    return status;
}
