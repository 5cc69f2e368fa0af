/* What reads one token of each picture goes before the operators that compute each token by itself, so that these compute
 * that token alone: the last block of a transformer behind its attention, where only the class token is read.  The bits are
 * the same, for no such operator lets a row's result depend on its neighbours. */
#include <string.h>

#include "graph/passes.h"
#include "ops/known.h"

static bool by_token(const struct dio_op *op)
{
    return op == &dio_op_linear || op == &dio_op_layer_norm || op == &dio_op_activation || op == &dio_op_add || op == &dio_op_layer_scale;
}

/* Everything from node `from` on moves by `step`. */
static void renumber(struct dio_graph *graph, int from, int step)
{
    for (int i = 0; i < graph->n_values; i++) {
        if (graph->values[i].producer >= from) graph->values[i].producer += step;
    }
    for (int i = 0; i < graph->n_params; i++) {
        if (graph->params[i].node >= from) graph->params[i].node += step;
    }
}

static void take_out(struct dio_graph *graph, int node)
{
    graph->n_nodes--;
    memmove(graph->nodes + node, graph->nodes + node + 1, (size_t)(graph->n_nodes - node) * sizeof *graph->nodes);
    renumber(graph, node + 1, -1);
}

/* A copy of the selecting node before node `at`, reading `input`; its output is a new value. */
static dio_status put_in(struct dio_graph *graph, int at, const struct dio_node *select, int input, int *output)
{
    struct dio_ctx *ctx = graph->ctx;
    DIO_PASS(dio_grow(ctx, (void **)&graph->values, &graph->values_capacity, (size_t)graph->n_values + 1, sizeof *graph->values,
                      "values of a graph"));
    DIO_PASS(dio_grow(ctx, (void **)&graph->nodes, &graph->nodes_capacity, (size_t)graph->n_nodes + 1, sizeof *graph->nodes,
                      "nodes of a graph"));
    char *name = dio_arena_sprintf(&graph->arena, "%s.%s", graph->values[input].name, select->op->name);
    if (!name) return DIO_ERR_ENV;
    const struct dio_shape *in = &graph->values[input].type.shape;
    renumber(graph, at, 1);
    memmove(graph->nodes + at + 1, graph->nodes + at, (size_t)(graph->n_nodes - at) * sizeof *graph->nodes);
    graph->n_nodes++;
    graph->values[graph->n_values] = (struct dio_value){.name = name, .producer = at, .type = {.dtype = DIO_F32, .shape = dio_shape_2(0, in->dims[2])}};
    graph->nodes[at] = *select;
    graph->nodes[at].name = name;
    graph->nodes[at].inputs[0] = input;
    graph->nodes[at].outputs[0] = *output = graph->n_values++;
    return DIO_OK;
}

/* Node `last` selects what node `node` computes: the selection goes before it. */
static dio_status swap(struct dio_graph *graph, int last, int node)
{
    const struct dio_node select = graph->nodes[last];
    const int64_t tokens = graph->values[select.inputs[0]].type.shape.dims[1];
    take_out(graph, last);
    const int n_inputs = graph->nodes[node].n_inputs;
    for (int i = 0; i < n_inputs; i++) {
        int narrow;
        DIO_PASS(put_in(graph, node, &select, graph->nodes[node].inputs[i], &narrow));
        node++;
        graph->nodes[node].inputs[i] = narrow;
    }
    struct dio_node *moved = &graph->nodes[node];
    graph->values[moved->outputs[0]].producer = -1; /* read by nobody any more */
    moved->outputs[0] = select.outputs[0];
    graph->values[select.outputs[0]].producer = node;
    moved->macs /= tokens;
    return DIO_OK;
}

/* Two nodes that select the same: readers of the second read the first. */
static bool join_equal(struct dio_graph *graph)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct dio_node *first = &graph->nodes[i];
        if (first->op != &dio_op_select_token) continue;
        for (int j = i + 1; j < graph->n_nodes; j++) {
            const struct dio_node *second = &graph->nodes[j];
            if (second->op != first->op || second->inputs[0] != first->inputs[0] || dio_pass_is_output(graph, second->outputs[0])) continue;
            if (memcmp(first->attrs, second->attrs, first->op->attrs_size) != 0) continue;
            const int from = second->outputs[0], to = first->outputs[0];
            for (int k = 0; k < graph->n_nodes; k++) {
                for (int input = 0; input < graph->nodes[k].n_inputs; input++) {
                    if (graph->nodes[k].inputs[input] == from) graph->nodes[k].inputs[input] = to;
                }
            }
            graph->values[from].producer = -1;
            take_out(graph, j);
            return true;
        }
    }
    return false;
}

dio_status dio_pass_select_early(struct dio_graph *graph)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        if (graph->nodes[i].op != &dio_op_select_token) continue;
        const int value = graph->nodes[i].inputs[0], producer = graph->values[value].producer;
        if (producer < 0 || !by_token(graph->nodes[producer].op) || dio_pass_is_output(graph, value) || dio_pass_readers(graph, value) != 1) continue;
        DIO_PASS(swap(graph, i, producer));
        while (join_equal(graph)) {
        }
        i = -1; /* from the start again: the selections stand elsewhere */
    }
    return DIO_OK;
}
