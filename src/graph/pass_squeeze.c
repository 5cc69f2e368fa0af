/* Squeeze and excitation without passes over memory of its own: the mean over a map is begun where the map is written, while a
 * line is in the nearest cache, and the gate goes into the weights of the convolution that reads the gated map, where these are
 * much fewer than the map's numbers. */
#include "graph/passes.h"
#include "ops/known.h"

static bool has_a_filter_each(const struct dio_graph *graph, const struct dio_node *node)
{
    const struct dio_shape *weight = &graph->params[node->params[0]].shape, *in = &graph->values[node->inputs[0]].type.shape;
    return weight->rank == 4 && weight->dims[0] > 1 && weight->dims[0] == in->dims[3] && weight->dims[1] == 1
           && weight->dims[2] <= DIO_OP_MAX_ROWS && weight->dims[3] <= DIO_OP_MAX_ROWS;
}

static dio_status take_line_means(struct dio_graph *graph)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        struct dio_node *pool = &graph->nodes[i];
        if (pool->op != &dio_op_global_avg_pool) continue;
        const struct dio_value_type map = graph->values[pool->inputs[0]].type;
        const int producer = graph->values[pool->inputs[0]].producer;
        struct dio_node *node = producer < 0 ? NULL : &graph->nodes[producer];
        if (!node || !(node->op->fuses & DIO_FUSE_LINE_MEANS) || node->n_outputs != 1 || !has_a_filter_each(graph, node)) continue;
        DIO_PASS(dio_grow(graph->ctx, (void **)&graph->values, &graph->values_capacity, (size_t)graph->n_values + 1, sizeof *graph->values,
                          "values of a graph"));
        char *name = dio_arena_sprintf(&graph->arena, "%s:1", node->name);
        if (!name) return DIO_ERR_ENV;
        graph->values[graph->n_values] = (struct dio_value){
            .name = name, .producer = producer,
            .type = {.dtype = DIO_F32, .shape = dio_shape_4(map.shape.dims[0], map.shape.dims[1], 1, map.shape.dims[3])}};
        node->outputs[node->n_outputs++] = pool->inputs[0] = graph->n_values++;
    }
    return DIO_OK;
}

enum { MOST_GATED = 64, PIXELS_EACH = 8 }; /* outputs of a gated convolution; pixels of the map for each of them */

/* The 1 x 1 convolution that alone reads `value`, or NULL. */
static struct dio_node *gated_by(struct dio_graph *graph, int value)
{
    if (dio_pass_is_output(graph, value) || dio_pass_readers(graph, value) != 1) return NULL;
    for (int i = graph->values[value].producer + 1; i < graph->n_nodes; i++) {
        struct dio_node *node = &graph->nodes[i];
        if (node->inputs[0] != value || !(node->op->fuses & DIO_FUSE_GATE) || node->n_inputs == DIO_OP_MAX_INPUTS) continue;
        const struct dio_shape *in = &graph->values[value].type.shape, *out = &graph->values[node->outputs[0]].type.shape;
        const struct dio_shape *weight = &graph->params[node->params[0]].shape;
        const bool pointwise = weight->rank == 4 && weight->dims[1] == in->dims[3] && weight->dims[2] == 1 && weight->dims[3] == 1
                               && out->dims[1] == in->dims[1] && out->dims[2] == in->dims[2];
        const bool small = out->dims[3] <= MOST_GATED && out->dims[3] * PIXELS_EACH <= in->dims[1] * in->dims[2];
        return pointwise && small ? node : NULL;
    }
    return NULL;
}

static bool is_gate(const struct dio_graph *graph, const struct dio_node *mul)
{
    const struct dio_shape *map = &graph->values[mul->inputs[0]].type.shape, *gate = &graph->values[mul->inputs[1]].type.shape;
    return map->rank == 4 && gate->rank == 4 && gate->dims[1] == 1 && gate->dims[2] == 1 && gate->dims[3] == map->dims[3];
}

static void move_gates(struct dio_graph *graph)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct dio_node *mul = &graph->nodes[i];
        if (mul->op != &dio_op_mul || !is_gate(graph, mul)) continue;
        struct dio_node *node = gated_by(graph, mul->outputs[0]);
        if (!node) continue;
        node->inputs[0] = mul->inputs[0];
        node->inputs[node->n_inputs++] = mul->inputs[1];
        dio_pass_remove(graph, i--);
    }
}

dio_status dio_pass_squeeze(struct dio_graph *graph)
{
    DIO_PASS(take_line_means(graph));
    move_gates(graph);
    return DIO_OK;
}
