#include "model/model.h"
#include "base/checked.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

static const char *const naming_names[] = {"origin", "timm", "torchvision", "lukemelas", "akamaster"};

const char *dio_naming_name(enum dio_naming naming) { return naming_names[naming]; }

bool dio_naming_parse(const char *name, enum dio_naming *naming)
{
    for (size_t i = 0; i < sizeof naming_names / sizeof *naming_names; i++) {
        if (strcmp(name, naming_names[i]) != 0) continue;
        *naming = (enum dio_naming)i;
        return true;
    }
    return false;
}

static bool param_bytes(const struct dio_param *param, size_t *out)
{
    return dio_shape_bytes(&param->shape, param->dtype, out);
}

/* One block for all parameters, each at a 64-byte boundary. */
static dio_status book_weights(struct dio_model *model)
{
    struct dio_graph *graph = model->graph;
    size_t total = 0;
    for (int i = 0; i < graph->n_params; i++) {
        size_t bytes;
        if (!param_bytes(&graph->params[i], &bytes) || !dio_add_size(bytes, 63, &bytes) ||
            !dio_add_size(total, bytes / 64 * 64, &total)) {
            struct dio_place place = {.part = graph->params[i].name};
            return dio_fail(model->ctx, DIO_ERR_INPUT, "S12", &place, "shape is too large");
        }
    }
    model->weights = dio_alloc_aligned(model->ctx, total, "weights");
    if (!model->weights) return DIO_ERR_ENV;
    model->weights_bytes = total;
    unsigned char *at = model->weights;
    for (int i = 0; i < graph->n_params; i++) {
        size_t bytes = 0;
        param_bytes(&graph->params[i], &bytes);
        graph->params[i].data = at;
        at += (bytes + 63) / 64 * 64;
    }
    return DIO_OK;
}

dio_status dio_model_new(struct dio_ctx *ctx, struct dio_graph *graph, struct dio_model **out)
{
    *out = NULL;
    struct dio_model *model = dio_alloc_zeroed(ctx, 1, sizeof *model, "model");
    if (!model) {
        dio_graph_free(graph);
        return DIO_ERR_ENV;
    }
    *model = (struct dio_model){.ctx = ctx, .graph = graph, .logits = -1, .features = -1};
    model->recipe = dio_image_recipe_imagenet(256, 224);
    dio_status status = book_weights(model);
    if (status != DIO_OK) {
        dio_model_free(model);
        return status;
    }
    *out = model;
    return DIO_OK;
}

void dio_model_free(struct dio_model *model)
{
    if (!model) return;
    struct dio_ctx *ctx = model->ctx;
    dio_graph_free(model->graph);
    dio_free(ctx, model->weights);
    dio_free(ctx, model->family);
    dio_free(ctx, model->variant);
    dio_free(ctx, model->options);
    dio_free(ctx, model->origin_prefix);
    for (size_t i = 0; i < model->classes.count; i++) dio_free(ctx, model->classes.names[i]);
    dio_free(ctx, model->classes.names);
    for (size_t i = 0; i < model->n_provenance; i++) {
        dio_free(ctx, model->provenance[i].key);
        dio_free(ctx, model->provenance[i].value);
    }
    dio_free(ctx, model->provenance);
    dio_free(ctx, model);
}

dio_status dio_model_set_classes(struct dio_model *model, const char *const *names, size_t count)
{
    struct dio_ctx *ctx = model->ctx;
    char **copies = NULL;
    if (count > 0) {
        copies = dio_alloc_zeroed(ctx, count, sizeof *copies, "class names");
        if (!copies) return DIO_ERR_ENV;
        for (size_t i = 0; i < count; i++) {
            copies[i] = dio_strdup(ctx, names[i]);
            if (copies[i]) continue;
            while (i > 0) dio_free(ctx, copies[--i]);
            dio_free(ctx, copies);
            return DIO_ERR_ENV;
        }
    }
    for (size_t i = 0; i < model->classes.count; i++) dio_free(ctx, model->classes.names[i]);
    dio_free(ctx, model->classes.names);
    model->classes = (struct dio_classes){count, copies};
    return DIO_OK;
}

dio_status dio_model_prefix_facts(struct dio_model *model, const char *prefix)
{
    for (size_t i = 0; i < model->n_provenance; i++) {
        char *key = dio_sprintf(model->ctx, "%s%s", prefix, model->provenance[i].key);
        if (!key) return DIO_ERR_ENV;
        dio_free(model->ctx, model->provenance[i].key);
        model->provenance[i].key = key;
    }
    return DIO_OK;
}

dio_status dio_model_add_fact(struct dio_model *model, const char *key, const char *value)
{
    struct dio_ctx *ctx = model->ctx;
    char *copy = dio_strdup(ctx, value);
    if (!copy) return DIO_ERR_ENV;
    for (size_t i = 0; i < model->n_provenance; i++) {
        if (strcmp(model->provenance[i].key, key) != 0) continue;
        dio_free(ctx, model->provenance[i].value);
        model->provenance[i].value = copy;
        return DIO_OK;
    }
    char *key_copy = dio_strdup(ctx, key);
    struct dio_fact *grown = NULL;
    if (key_copy) {
        grown = dio_realloc_array(ctx, model->provenance, model->n_provenance + 1, sizeof *grown, "provenance");
    }
    if (!grown) {
        dio_free(ctx, copy);
        dio_free(ctx, key_copy);
        return DIO_ERR_ENV;
    }
    model->provenance = grown;
    grown[model->n_provenance++] = (struct dio_fact){key_copy, copy};
    return DIO_OK;
}

const char *dio_model_fact(const struct dio_model *model, const char *key)
{
    for (size_t i = 0; i < model->n_provenance; i++) {
        if (strcmp(model->provenance[i].key, key) == 0) return model->provenance[i].value;
    }
    return NULL;
}

const char *dio_model_class_name(const struct dio_model *model, size_t i, char buffer[24])
{
    if (i < model->classes.count) return model->classes.names[i];
    snprintf(buffer, 24, "%zu", i);
    return buffer;
}

dio_status dio_model_copy_weights(struct dio_model *to, const struct dio_model *from, int *copied)
{
    int count = 0;
    for (int i = 0; i < to->graph->n_params; i++) {
        struct dio_param *param = &to->graph->params[i];
        int other = dio_graph_find_param(from->graph, param->name);
        if (other < 0) continue;
        const struct dio_param *source = &from->graph->params[other];
        size_t bytes;
        if (source->dtype != param->dtype || !dio_shape_equal(&source->shape, &param->shape) || !param_bytes(param, &bytes)) {
            continue;
        }
        memcpy(param->data, source->data, bytes);
        count++;
    }
    if (copied) *copied = count;
    return DIO_OK;
}

dio_status dio_model_stages(const struct dio_model *model, struct dio_stage_summary *stages, int *count)
{
    const struct dio_graph *graph = model->graph;
    for (int i = 0; i < graph->n_stages; i++) stages[i] = (struct dio_stage_summary){.name = graph->stages[i]};
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct dio_node *node = &graph->nodes[i];
        if (node->stage < 0 || node->stage >= graph->n_stages) continue;
        struct dio_stage_summary *stage = &stages[node->stage];
        stage->nodes++;
        stage->macs += node->macs;
        for (int p = 0; p < node->n_params; p++) {
            const struct dio_param *param = &graph->params[node->params[p]];
            if (param->role != DIO_PARAM_TRAINED) continue;
            int64_t elements = dio_shape_elements(&param->shape);
            stage->parameters += elements;
            if (param->trainable) stage->trainable += elements;
        }
    }
    *count = graph->n_stages;
    return DIO_OK;
}
