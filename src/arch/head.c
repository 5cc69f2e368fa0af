/* A new head on an old backbone. */
#include "arch/arch.h"

/* What PyTorch gives a fresh Linear or Conv2d, and timm's reset_classifier with it: weight and bias uniform within
 * 1 / sqrt(fan_in); or what the family's record says. */
static void init_head(struct dio_graph *graph, bool normal, uint64_t seed)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct dio_node *node = &graph->nodes[i];
        if (node->stage != graph->n_stages - 1 || node->n_params == 0) continue;
        const struct dio_shape *weight = &graph->params[node->params[0]].shape;
        int64_t fan_in = weight->dims[0] > 0 ? dio_shape_elements(weight) / weight->dims[0] : 1;
        for (int p = 0; p < node->n_params; p++) {
            struct dio_param *param = &graph->params[node->params[p]];
            if (param->role != DIO_PARAM_TRAINED) continue;
            param->init = !normal ? DIO_INIT_LINEAR_UNIFORM : p == 0 ? DIO_INIT_NORMAL_HUNDREDTH : DIO_INIT_ZERO;
            param->fan_in = fan_in;
            dio_param_init(param, seed);
        }
    }
}

/* The model keeps its identity (pointers to it stay good) and takes over what it is made of. */
static void swap_body(struct dio_model *model, struct dio_model *made)
{
    struct dio_model old = *model;
    model->graph = made->graph;
    model->weights = made->weights;
    model->weights_bytes = made->weights_bytes;
    model->logits = made->logits;
    model->features = made->features;
    model->n_classes = made->n_classes;
    made->graph = old.graph;
    made->weights = old.weights;
}

/* A graph of no family: cut behind the features, and a linear layer put there. */
static dio_status build_on_features(struct dio_model *model, int64_t classes, struct dio_model **made)
{
    struct dio_ctx *ctx = model->ctx;
    int features = model->features;
    if (features < 0 || model->graph->values[features].type.shape.rank != 2) {
        return dio_fail(ctx, DIO_ERR_INPUT, NULL, NULL, "the model has no pooled features to put a head of %lld classes on",
                        (long long)classes);
    }
    struct dio_graph *graph = NULL;
    dio_status status = dio_graph_clone(model->graph, &graph);
    if (status != DIO_OK) return status;
    const char *name = model->graph->values[features].name;
    DIO_TRY(dio_graph_truncate(graph, features));
    features = dio_graph_find_value(graph, name);
    dio_graph_stage(graph, "head");
    int logits = dio_node1(graph, "linear", dio_graph_find_node(graph, "head") < 0 ? "head" : "new_head", features, "out=%lld",
                           (long long)classes);
    graph->n_outputs = 0;
    dio_graph_output(graph, logits);
    DIO_TRY(graph->status);
    struct dio_graph *taken = graph;
    graph = NULL;
    DIO_TRY(dio_model_new(ctx, taken, made));
    (*made)->features = features;
    (*made)->logits = logits;
    (*made)->n_classes = classes;
    return DIO_OK;
fail:
    dio_graph_free(graph);
    return status;
}

dio_status dio_arch_new_head(struct dio_model *model, int64_t classes, uint64_t seed)
{
    struct dio_ctx *ctx = model->ctx;
    if (classes < 1 || classes > DIO_MAX_CLASSES) {
        return dio_fail(ctx, DIO_ERR_INPUT, NULL, NULL, "a head of %lld classes; 1 to %d are possible", (long long)classes,
                        (int)DIO_MAX_CLASSES);
    }
    const struct dio_arch_variant *variant = NULL;
    struct dio_arch_config config;
    const struct dio_arch *arch = dio_arch_of(model, &variant, &config);
    struct dio_model *made = NULL;
    if (arch) {
        config.classes = classes;
        DIO_PASS(dio_arch_model(ctx, arch, variant, &config, &made));
    } else {
        DIO_PASS(build_on_features(model, classes, &made));
    }
    dio_status status = dio_model_copy_weights(made, model, NULL);
    if (status == DIO_OK) {
        init_head(made->graph, arch && arch->head_normal, seed);
        dio_model_set_classes(model, NULL, 0);
        swap_body(model, made);
    }
    dio_model_free(made);
    return status;
}
