/* Cutting a graph behind a value: marks what the value needs, then moves nodes, values and parameters together. */
#include <string.h>

#include "graph/graph.h"

struct cut {
    bool *node_stays;
    int *value_to, *param_to; /* new number, -1: gone */
};

static void mark_needed(const struct dio_graph *graph, int value, struct cut *cut)
{
    bool *wanted = cut->node_stays;
    if (graph->values[value].producer >= 0) wanted[graph->values[value].producer] = true;
    for (int i = graph->n_nodes - 1; i >= 0; i--) {
        for (int j = 0; wanted[i] && j < graph->nodes[i].n_inputs; j++) {
            int producer = graph->values[graph->nodes[i].inputs[j]].producer;
            if (producer >= 0) wanted[producer] = true;
        }
    }
}

/* Inputs of the graph stay where a node that stays, or the cut itself, reads them. */
static bool value_stays(const struct dio_graph *graph, const struct cut *cut, int value, int target)
{
    int producer = graph->values[value].producer;
    if (producer >= 0) return cut->node_stays[producer];
    if (value == target) return true;
    for (int i = 0; i < graph->n_nodes; i++) {
        for (int j = 0; cut->node_stays[i] && j < graph->nodes[i].n_inputs; j++) {
            if (graph->nodes[i].inputs[j] == value) return true;
        }
    }
    return false;
}

static void move_nodes(struct dio_graph *graph, const struct cut *cut)
{
    int count = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        if (!cut->node_stays[i]) continue;
        struct dio_node node = graph->nodes[i];
        for (int j = 0; j < node.n_inputs; j++) node.inputs[j] = cut->value_to[node.inputs[j]];
        for (int j = 0; j < node.n_outputs; j++) {
            node.outputs[j] = cut->value_to[node.outputs[j]];
            graph->values[node.outputs[j]].producer = count;
        }
        for (int j = 0; j < node.n_params; j++) {
            node.params[j] = cut->param_to[node.params[j]];
            graph->params[node.params[j]].node = count;
        }
        graph->nodes[count++] = node;
    }
    graph->n_nodes = count;
}

static void move_values(struct dio_graph *graph, struct cut *cut, int target)
{
    int count = 0;
    for (int i = 0; i < graph->n_values; i++) cut->value_to[i] = value_stays(graph, cut, i, target) ? count++ : -1;
    for (int i = 0; i < graph->n_values; i++) {
        if (cut->value_to[i] >= 0) graph->values[cut->value_to[i]] = graph->values[i];
    }
    graph->n_values = count;
    int inputs = 0;
    for (int i = 0; i < graph->n_inputs; i++) {
        int value = cut->value_to[graph->inputs[i]];
        if (value >= 0) graph->inputs[inputs++] = value;
    }
    graph->n_inputs = inputs;
}

static void move_params(struct dio_graph *graph, struct cut *cut)
{
    int count = 0;
    for (int i = 0; i < graph->n_params; i++) {
        bool stays = cut->node_stays[graph->params[i].node];
        cut->param_to[i] = stays ? count : -1;
        if (stays) graph->params[count++] = graph->params[i];
    }
    graph->n_params = count;
}

/* Stages that lost all their nodes go from the end. */
static void trim_stages(struct dio_graph *graph)
{
    int used = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        if (graph->nodes[i].stage >= used) used = graph->nodes[i].stage + 1;
    }
    if (used < graph->n_stages) graph->n_stages = used;
    graph->current_stage = graph->n_stages ? graph->n_stages - 1 : 0;
}

dio_status dio_graph_truncate(struct dio_graph *graph, int value)
{
    if (graph->status != DIO_OK) return graph->status;
    if (value < 0 || value >= graph->n_values) {
        return dio_fail(graph->ctx, DIO_ERR_INTERNAL, NULL, NULL, "a graph cannot be cut behind value %d", value);
    }
    struct dio_ctx *ctx = graph->ctx;
    struct cut cut = {
        .node_stays = dio_alloc_zeroed(ctx, (size_t)graph->n_nodes, sizeof *cut.node_stays, "cutting a graph"),
        .value_to = dio_alloc_zeroed(ctx, (size_t)graph->n_values, sizeof *cut.value_to, "cutting a graph"),
        .param_to = dio_alloc_zeroed(ctx, (size_t)graph->n_params, sizeof *cut.param_to, "cutting a graph"),
    };
    dio_status status = DIO_ERR_ENV;
    if (cut.node_stays && cut.value_to && cut.param_to) {
        mark_needed(graph, value, &cut);
        move_values(graph, &cut, value);
        move_params(graph, &cut);
        move_nodes(graph, &cut);
        graph->outputs[0] = cut.value_to[value];
        graph->n_outputs = 1;
        trim_stages(graph);
        status = DIO_OK;
    }
    dio_free(ctx, cut.node_stays);
    dio_free(ctx, cut.value_to);
    dio_free(ctx, cut.param_to);
    return status;
}
