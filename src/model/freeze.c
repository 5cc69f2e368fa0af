/* What learns and what stays, by name; and the receipt that it stayed. */
#include "base/str.h"
#include "model/model.h"

#include <string.h>

static bool has_head(const struct dio_model *model) { return model->logits >= 0 && model->graph->n_stages > 1; }

/* Every stage by number and name, for refusals. */
static void list_stages(const struct dio_model *model, struct dio_str *out)
{
    const struct dio_graph *graph = model->graph;
    int last = graph->n_stages - (has_head(model) ? 2 : 1);
    for (int i = 0; i <= last; i++) dio_str_addf(out, "%s%d %s", i ? ", " : "", i, graph->stages[i]);
}

/* Frozen up to and with stage `last`; the parameters' owners tell. */
static void freeze_up_to(struct dio_model *model, int last)
{
    struct dio_graph *graph = model->graph;
    for (int i = 0; i < graph->n_params; i++) {
        struct dio_param *param = &graph->params[i];
        if (graph->nodes[param->node].stage <= last) param->trainable = false;
    }
}

static dio_status freeze_stage(struct dio_model *model, const char *number)
{
    int64_t k = -1;
    int last = model->graph->n_stages - (has_head(model) ? 2 : 1);
    if (dio_parse_i64(number, strlen(number), &k) && k >= 0 && k <= last) {
        freeze_up_to(model, (int)k);
        return DIO_OK;
    }
    struct dio_str stages;
    dio_str_init(&stages, model->ctx);
    list_stages(model, &stages);
    dio_status status = dio_fail(model->ctx, DIO_ERR_USAGE, "A4", NULL,
                                 "--freeze stage:K wants K from 0 to %d, not \"%s\"; the stages are %s", last, number,
                                 stages.data ? stages.data : "");
    dio_str_free(&stages);
    return status;
}

/* Freezes what matches (or, turned round, what does not).  Statistics and counters follow the scale beside them. */
static dio_status freeze_glob(struct dio_model *model, const char *option, const char *pattern, bool matching)
{
    struct dio_graph *graph = model->graph;
    int matches = 0;
    for (int i = 0; i < graph->n_params; i++) {
        struct dio_param *param = &graph->params[i];
        bool match = param->role == DIO_PARAM_TRAINED && dio_glob(pattern, param->name);
        matches += match ? 1 : 0;
        if (param->role == DIO_PARAM_TRAINED && match == matching) param->trainable = false;
    }
    if (matches > 0) return DIO_OK;
    const char *first = graph->n_params ? graph->params[0].name : "", *last = first;
    for (int i = 0; i < graph->n_params; i++) {
        if (graph->params[i].role == DIO_PARAM_TRAINED) last = graph->params[i].name;
    }
    struct dio_str stages;
    dio_str_init(&stages, model->ctx);
    list_stages(model, &stages);
    dio_status status = dio_fail(model->ctx, DIO_ERR_USAGE, "A4", NULL,
                                 "%s \"%s\" matches no parameter; they are called %s to %s (diopter info --tensors lists them), and "
                                 "backbone, none and stage:K (%s) are understood too",
                                 option, pattern, first, last, stages.data ? stages.data : "");
    dio_str_free(&stages);
    return status;
}

/* A norm's statistics move when its scale learns, or when asked to. */
static void settle_statistics(struct dio_model *model, bool frozen_move)
{
    struct dio_graph *graph = model->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct dio_node *node = &graph->nodes[i];
        bool learns = false;
        for (int p = 0; p < node->n_params; p++) {
            const struct dio_param *param = &graph->params[node->params[p]];
            learns = learns || (param->role == DIO_PARAM_TRAINED && param->trainable);
        }
        for (int p = 0; p < node->n_params; p++) {
            struct dio_param *param = &graph->params[node->params[p]];
            if (param->role == DIO_PARAM_STATISTIC || param->role == DIO_PARAM_COUNTER) param->trainable = learns || frozen_move;
        }
    }
}

dio_status dio_model_freeze(struct dio_model *model, const struct dio_freeze_policy *policy)
{
    struct dio_graph *graph = model->graph;
    for (int i = 0; i < graph->n_params; i++) graph->params[i].trainable = graph->params[i].role != DIO_PARAM_CONSTANT;
    const char *freeze = policy->freeze ? policy->freeze : policy->train_only ? "none" : "backbone";
    if (strcmp(freeze, "backbone") == 0) {
        if (has_head(model)) freeze_up_to(model, graph->n_stages - 2);
        else freeze_up_to(model, graph->n_stages - 1);
    } else if (strncmp(freeze, "stage:", 6) == 0) {
        DIO_PASS(freeze_stage(model, freeze + 6));
    } else if (strcmp(freeze, "none") != 0) {
        DIO_PASS(freeze_glob(model, "--freeze", freeze, true));
    }
    if (policy->train_only) DIO_PASS(freeze_glob(model, "--train-only", policy->train_only, false));
    settle_statistics(model, policy->frozen_stats_move);
    return DIO_OK;
}

dio_status dio_model_receipt(const struct dio_model *model, struct dio_receipt_line **out, size_t *count)
{
    const struct dio_graph *graph = model->graph;
    struct dio_receipt_line *lines =
        dio_alloc_array(model->ctx, (size_t)graph->n_params + 1, sizeof *lines, "freeze receipt");
    if (!lines) return DIO_ERR_ENV;
    size_t n = 0;
    for (int i = 0; i < graph->n_params; i++) {
        const struct dio_param *param = &graph->params[i];
        size_t bytes;
        if (param->trainable || !dio_shape_bytes(&param->shape, param->dtype, &bytes)) continue;
        lines[n++] = (struct dio_receipt_line){param->name, dio_sha256_of(param->data, bytes)};
    }
    *out = lines;
    *count = n;
    return DIO_OK;
}
