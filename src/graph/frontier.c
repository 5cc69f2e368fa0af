#include "graph/graph.h"

/* Does the node itself learn, or behave otherwise in training? */
static bool node_moves(const struct dio_graph *graph, const struct dio_node *node)
{
    if (node->op->only_in_training && node->op->only_in_training(node->attrs)) return true;
    for (int i = 0; i < node->n_params; i++) {
        const struct dio_param *param = &graph->params[node->params[i]];
        bool counts = param->role == DIO_PARAM_TRAINED || param->role == DIO_PARAM_STATISTIC;
        if (counts && param->trainable) return true;
    }
    return false;
}

static int mark_prefix(const struct dio_graph *graph, bool *in_prefix)
{
    int count = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        bool still = !node_moves(graph, &graph->nodes[i]);
        for (int j = 0; still && j < graph->nodes[i].n_inputs; j++) {
            int producer = graph->values[graph->nodes[i].inputs[j]].producer;
            still = producer < 0 || in_prefix[producer];
        }
        in_prefix[i] = still;
        count += still;
    }
    return count;
}

static bool read_outside(const struct dio_graph *graph, const bool *in_prefix, int value)
{
    for (int i = 0; i < graph->n_outputs; i++) {
        if (graph->outputs[i] == value && graph->values[value].producer >= 0) return true;
    }
    for (int i = 0; i < graph->n_nodes; i++) {
        for (int j = 0; !in_prefix[i] && j < graph->nodes[i].n_inputs; j++) {
            if (graph->nodes[i].inputs[j] == value) return true;
        }
    }
    return false;
}

/* False: there are more than fit. */
static bool collect(const struct dio_graph *graph, struct dio_frontier *frontier)
{
    frontier->n_values = 0;
    for (int value = 0; value < graph->n_values; value++) {
        int producer = graph->values[value].producer;
        if (producer >= 0 && !frontier->in_prefix[producer]) continue;
        if (!read_outside(graph, frontier->in_prefix, value)) continue;
        if (frontier->n_values == DIO_FRONTIER_MAX) return false;
        frontier->values[frontier->n_values++] = value;
    }
    return true;
}

dio_status dio_graph_frontier(const struct dio_graph *graph, struct dio_frontier *frontier)
{
    *frontier = (struct dio_frontier){0};
    if (graph->status != DIO_OK) return graph->status;
    frontier->in_prefix = dio_alloc_zeroed(graph->ctx, (size_t)graph->n_nodes, sizeof *frontier->in_prefix, "the frontier");
    if (!frontier->in_prefix) return DIO_ERR_ENV;
    frontier->prefix_nodes = mark_prefix(graph, frontier->in_prefix);
    if (!collect(graph, frontier)) {
        for (int i = 0; i < graph->n_nodes; i++) frontier->in_prefix[i] = false;
        frontier->prefix_nodes = 0;
        collect(graph, frontier);
    }
    return DIO_OK;
}

void dio_frontier_free(struct dio_ctx *ctx, struct dio_frontier *frontier)
{
    dio_free(ctx, frontier->in_prefix);
    frontier->in_prefix = NULL;
}
