#include "graph/passes.h"

#include <math.h>
#include <string.h>

#include "graph/plan.h"
#include "ops/known.h"

/* ---- what all passes ask and do ---- */

bool dio_pass_is_output(const struct dio_graph *graph, int value)
{
    for (int i = 0; i < graph->n_outputs; i++) {
        if (graph->outputs[i] == value) return true;
    }
    return false;
}

int dio_pass_readers(const struct dio_graph *graph, int value)
{
    int readers = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        for (int j = 0; j < graph->nodes[i].n_inputs; j++) readers += graph->nodes[i].inputs[j] == value;
    }
    return readers;
}

void dio_pass_remove(struct dio_graph *graph, int node)
{
    graph->n_nodes--;
    memmove(graph->nodes + node, graph->nodes + node + 1, (size_t)(graph->n_nodes - node) * sizeof *graph->nodes);
    for (int i = 0; i < graph->n_values; i++) {
        if (graph->values[i].producer == node) graph->values[i].producer = -1;
        if (graph->values[i].producer > node) graph->values[i].producer--;
    }
    for (int i = 0; i < graph->n_params; i++) {
        if (graph->params[i].node == node) graph->params[i].node = -1;
        if (graph->params[i].node > node) graph->params[i].node--;
    }
}

/* Of DIO_FUSE_*: what the kind of plan lets an op take. */
static unsigned fusions_of(const struct dio_op *op, bool training) { return training ? op->fuses_in_training : op->fuses; }

/* The node that makes `value` for one reader alone, takes `fusion`, and has no activation yet; NULL: there is none. */
static struct dio_node *fusing_producer(struct dio_graph *graph, int value, unsigned fusion, bool training)
{
    int producer = graph->values[value].producer;
    if (producer < 0 || dio_pass_is_output(graph, value) || dio_pass_readers(graph, value) != 1) return NULL;
    struct dio_node *node = &graph->nodes[producer];
    const unsigned fusions = fusions_of(node->op, training);
    if (!(fusions & fusion)) return NULL;
    bool plain = !(fusions & DIO_FUSE_ACTIVATION) || dio_attr_is(node->op, node->attrs, "activation", "none");
    return plain ? node : NULL;
}

static bool has_residual(const struct dio_node *node)
{
    return ((node->op->fuses | node->op->fuses_in_training) & DIO_FUSE_ADD) && node->n_inputs == node->op->max_inputs;
}

/* `into` takes over the output of node `from`, which goes. */
static dio_status absorb(struct dio_graph *graph, struct dio_node *into, int from, const char *what)
{
    into->fused = into->fused ? dio_arena_sprintf(&graph->arena, "%s %s", into->fused, what)
                              : dio_arena_strndup(&graph->arena, what, strlen(what));
    if (!into->fused) return DIO_ERR_ENV;
    int value = graph->nodes[from].outputs[0];
    into->outputs[0] = value;
    graph->values[value].producer = (int)(into - graph->nodes);
    graph->nodes[from].n_outputs = 0;
    dio_pass_remove(graph, from);
    return DIO_OK;
}

/* ---- passes ---- */

static dio_status mark_needed(struct dio_graph *graph, bool *needed)
{
    for (int i = 0; i < graph->n_outputs; i++) {
        int producer = graph->values[graph->outputs[i]].producer;
        if (producer >= 0) needed[producer] = true;
    }
    for (int i = graph->n_nodes - 1; i >= 0; i--) {
        for (int j = 0; needed[i] && j < graph->nodes[i].n_inputs; j++) {
            int value = graph->nodes[i].inputs[j], producer = graph->values[value].producer;
            if (producer >= 0) needed[producer] = true;
            bool given = producer >= 0;
            for (int k = 0; k < graph->n_inputs; k++) given |= graph->inputs[k] == value;
            if (!given) {
                return dio_fail(graph->ctx, DIO_ERR_INTERNAL, NULL, NULL, "node %s reads %s, which is not given", graph->nodes[i].name,
                                graph->values[value].name);
            }
        }
    }
    return DIO_OK;
}

dio_status dio_pass_cut(struct dio_graph *graph, const int *inputs, int n_inputs, const int *outputs, int n_outputs)
{
    if (n_inputs > DIO_GRAPH_MAX_ENDS || n_outputs > DIO_GRAPH_MAX_ENDS) {
        return dio_fail(graph->ctx, DIO_ERR_INTERNAL, NULL, NULL, "a plan has more than %d inputs or outputs", DIO_GRAPH_MAX_ENDS);
    }
    for (int i = 0; i < n_inputs; i++) {
        graph->inputs[i] = inputs[i];
        graph->values[inputs[i]].producer = -1;
    }
    for (int i = 0; i < n_outputs; i++) graph->outputs[i] = outputs[i];
    graph->n_inputs = n_inputs;
    graph->n_outputs = n_outputs;
    bool *needed = dio_alloc_zeroed(graph->ctx, (size_t)graph->n_nodes, sizeof *needed, "a pass");
    if (!needed) return DIO_ERR_ENV;
    dio_status status = mark_needed(graph, needed);
    for (int i = graph->n_nodes - 1; status == DIO_OK && i >= 0; i--) {
        if (!needed[i]) dio_pass_remove(graph, i);
    }
    dio_free(graph->ctx, needed);
    return status;
}

dio_status dio_pass_remove_idle(struct dio_graph *graph)
{
    for (int i = graph->n_nodes - 1; i >= 0; i--) {
        const struct dio_node *node = &graph->nodes[i];
        if (!node->op->only_in_training) continue;
        int from = node->outputs[0], to = node->inputs[0];
        for (int j = 0; j < graph->n_nodes; j++) {
            for (int k = 0; k < graph->nodes[j].n_inputs; k++) {
                if (graph->nodes[j].inputs[k] == from) graph->nodes[j].inputs[k] = to;
            }
        }
        for (int j = 0; j < graph->n_outputs; j++) {
            if (graph->outputs[j] == from) graph->outputs[j] = to;
        }
        dio_pass_remove(graph, i);
    }
    return DIO_OK;
}

static dio_status add_bias(struct dio_graph *graph, struct dio_node *node, int64_t channels)
{
    dio_attr_set(node->op, node->attrs, "bias", "1");
    DIO_PASS(dio_grow(graph->ctx, (void **)&graph->params, &graph->params_capacity, (size_t)graph->n_params + 1,
                      sizeof *graph->params, "parameters of a graph"));
    char *name = dio_arena_sprintf(&graph->arena, "%s.bias", node->name);
    if (!name) return DIO_ERR_ENV;
    graph->params[graph->n_params] = (struct dio_param){.name = name, .role = DIO_PARAM_TRAINED, .dtype = DIO_F32,
        .shape = dio_shape_1(channels), .node = (int)(node - graph->nodes), .index = 1};
    node->params[1] = graph->n_params++;
    node->n_params = 2;
    return DIO_OK;
}

/* What a node does to each channel of what it reads, as multiplication and addition; false: it is not such a node. */
struct affine {
    const float *scale, *shift, *mean, *var; /* NULL but for the first: 0, 0, 1 */
    double eps;
};

static bool affine_of(const struct dio_graph *graph, const struct dio_node *node, struct affine *affine)
{
    const float *data[4] = {0};
    const bool norm = node->op == &dio_op_batch_norm;
    if (!norm && node->op != &dio_op_layer_scale) return false;
    for (int i = 0; i < (norm ? 4 : 1); i++) { /* a norm's weight, bias, running mean, running variance */
        data[i] = graph->params[node->params[i]].data;
        if (!data[i]) return false;
    }
    *affine = (struct affine){data[0], data[1], data[2], data[3], norm ? dio_batch_norm_eps(node->attrs) : 0};
    return true;
}

static dio_status fold(struct dio_graph *graph, struct dio_node *node, const struct affine *affine)
{
    const struct dio_param *weight = &graph->params[node->params[0]];
    int64_t channels = weight->shape.dims[0];
    const float *old_bias = node->n_params > 1 ? graph->params[node->params[1]].data : NULL;
    double *scale = dio_arena_alloc(&graph->arena, (size_t)channels * sizeof(double));
    float *new_bias = dio_arena_alloc(&graph->arena, (size_t)channels * sizeof(float));
    if (!scale || !new_bias) return DIO_ERR_ENV;
    for (int64_t k = 0; k < channels; k++) {
        scale[k] = affine->var ? affine->scale[k] / sqrt((double)affine->var[k] + affine->eps) : (double)affine->scale[k];
        double bias = (old_bias ? old_bias[k] : 0.0) - (affine->mean ? affine->mean[k] : 0.0);
        new_bias[k] = (float)(bias * scale[k] + (affine->shift ? affine->shift[k] : 0.0));
    }
    if (node->n_params == 1) DIO_PASS(add_bias(graph, node, channels));
    graph->params[node->params[0]].row_scale = scale; /* applied when a plan packs it: no second copy of all weights */
    graph->params[node->params[1]].data = new_bias;
    return DIO_OK;
}

static bool all_have_data(const struct dio_graph *graph, const struct dio_node *node, int count)
{
    for (int i = 0; i < node->n_params && i < count; i++) {
        if (!graph->params[node->params[i]].data) return false;
    }
    return true;
}

dio_status dio_pass_fold_norm(struct dio_graph *graph)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        struct affine affine;
        if (!affine_of(graph, &graph->nodes[i], &affine)) continue;
        struct dio_node *node = fusing_producer(graph, graph->nodes[i].inputs[0], DIO_FUSE_SCALE, false);
        if (!node || has_residual(node) || !all_have_data(graph, node, 2) || graph->params[node->params[0]].row_scale) continue;
        DIO_PASS(fold(graph, node, &affine));
        DIO_PASS(absorb(graph, node, i, graph->nodes[i].op->name));
        i--;
    }
    return DIO_OK;
}

/* May `value`'s producer take the other operand?  That one has to be there before.  In training no value comes in twice: its
 * gradients would be written in the order of the inputs. */
static struct dio_node *adding_producer(struct dio_graph *graph, int value, int other, bool training)
{
    struct dio_node *node = fusing_producer(graph, value, DIO_FUSE_ADD, training);
    if (!node || has_residual(node) || (training && node->inputs[0] == other) || graph->values[other].producer >= graph->values[value].producer) return NULL;
    return node;
}

dio_status dio_pass_fuse_add(struct dio_graph *graph, bool training)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct dio_node *add = &graph->nodes[i];
        if (add->op != &dio_op_add) continue;
        int a = add->inputs[0], b = add->inputs[1], residual = b;
        struct dio_node *node = adding_producer(graph, a, b, training);
        if (!node) {
            node = adding_producer(graph, b, a, training);
            residual = a;
        }
        if (!node) continue;
        node->inputs[node->n_inputs++] = residual;
        DIO_PASS(absorb(graph, node, i--, "add"));
    }
    return DIO_OK;
}

dio_status dio_pass_fuse_activation(struct dio_graph *graph, bool training)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct dio_node *activation = &graph->nodes[i];
        if (activation->op != &dio_op_activation) continue;
        struct dio_node *node = fusing_producer(graph, activation->inputs[0], DIO_FUSE_ACTIVATION, training);
        const char *kind = dio_activation_kind(activation->attrs);
        if (!node || !dio_attr_set(node->op, node->attrs, "activation", kind)) continue;
        DIO_PASS(absorb(graph, node, i--, kind));
    }
    return DIO_OK;
}

void dio_pass_bf16(struct dio_graph *graph)
{
    for (int value = 0; value < graph->n_values; value++) {
        const int producer = graph->values[value].producer;
        if (producer < 0 || dio_pass_is_output(graph, value) || graph->values[value].type.dtype != DIO_F32) continue;
        bool able = graph->nodes[producer].op->narrow & DIO_BF16_WRITES;
        for (int i = producer + 1; i < graph->n_nodes; i++) {
            for (int j = 0; j < graph->nodes[i].n_inputs; j++) {
                if (graph->nodes[i].inputs[j] == value) able = able && (graph->nodes[i].op->narrow & DIO_BF16_READS);
            }
        }
        if (able) graph->values[value].type.dtype = DIO_BF16;
    }
}

/* ---- bytes ---- */

static bool reads_bytes(const struct dio_graph *graph, int node, int last_product)
{
    const struct dio_op *op = graph->nodes[node].op;
    if (!(op->narrow & DIO_U8_READS) || node == last_product) return false;
    return !op->reads_u8 || op->reads_u8(graph->nodes[node].attrs, &graph->values[graph->nodes[node].inputs[0]].type.shape);
}

static bool can_be_bytes(const struct dio_graph *graph, int value, int last_product)
{
    const int producer = graph->values[value].producer;
    if (producer < 0 || dio_pass_is_output(graph, value) || graph->values[value].type.dtype != DIO_F32) return false;
    if (!(graph->nodes[producer].op->narrow & DIO_U8_WRITES)) return false;
    for (int i = producer + 1; i < graph->n_nodes; i++) {
        for (int j = 0; j < graph->nodes[i].n_inputs; j++) {
            if (graph->nodes[i].inputs[j] == value && !reads_bytes(graph, i, last_product)) return false;
        }
    }
    return true;
}

static bool is_usable(struct dio_value_range range)
{
    return range.low <= range.high && isfinite(range.low) && isfinite(range.high) && range.high - range.low > 1e-20f;
}

/* 0 is a number of its own: padding and what an activation cut off are exact. */
static void set_scale(struct dio_value_type *type, struct dio_value_range range)
{
    const float low = range.low < 0 ? range.low : 0, high = range.high > 0 ? range.high : 0;
    type->scale = (high - low) / 255;
    type->zero = (int32_t)(-low / type->scale + 0.5f);
}

static bool computes_with_bytes(const struct dio_graph *graph, const struct dio_node *node)
{
    const struct dio_value_type *type = &graph->values[node->inputs[0]].type;
    return type->dtype == DIO_U8 || (type->scale > 0 && node->op->makes_u8 && node->op->makes_u8(node->attrs, &type->shape));
}

/* A product whose first input stayed wide computes in bf16, and takes no residual of bytes. */
static bool widen_residuals(struct dio_graph *graph)
{
    bool changed = false;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct dio_node *node = &graph->nodes[i];
        if (!(node->op->fuses & DIO_FUSE_ADD) || node->n_inputs != 2 || computes_with_bytes(graph, node)) continue;
        struct dio_value_type *residual = &graph->values[node->inputs[1]].type;
        if (residual->dtype != DIO_U8) continue;
        *residual = (struct dio_value_type){.dtype = DIO_F32, .shape = residual->shape};
        changed = true;
    }
    return changed;
}

/* What enters the plan stays f32; an op that copies its input anyway makes bytes of it there. */
static void scale_inputs(struct dio_graph *graph, const struct dio_value_range *ranges, int last_product)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct dio_node *node = &graph->nodes[i];
        struct dio_value_type *type = &graph->values[node->inputs[0]].type;
        if (graph->values[node->inputs[0]].producer >= 0 || type->dtype != DIO_F32 || i == last_product || !node->op->makes_u8) continue;
        if (node->op->makes_u8(node->attrs, &type->shape) && is_usable(ranges[node->inputs[0]])) set_scale(type, ranges[node->inputs[0]]);
    }
}

void dio_pass_int8(struct dio_graph *graph, const struct dio_value_range *ranges)
{
    int last_product = -1;
    for (int i = 0; i < graph->n_nodes; i++) {
        if (graph->nodes[i].macs) last_product = i;
    }
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct dio_node *node = &graph->nodes[i];
        if (node->n_outputs != 1 || !can_be_bytes(graph, node->outputs[0], last_product)) continue;
        struct dio_value_type *type = &graph->values[node->outputs[0]].type;
        const struct dio_value_type *from = &graph->values[node->inputs[0]].type;
        const struct dio_value_range range = ranges[node->outputs[0]];
        if (!is_usable(range)) continue;
        if ((node->op->narrow & DIO_U8_SAME_RANGE) && from->dtype == DIO_U8) {
            type->scale = from->scale;
            type->zero = from->zero;
        } else {
            set_scale(type, range);
        }
        type->dtype = DIO_U8;
    }
    scale_inputs(graph, ranges, last_product);
    while (widen_residuals(graph)) continue;
}
