#include "graph/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

dio_status dio_graph_new(struct dio_ctx *ctx, struct dio_graph **graph)
{
    *graph = dio_alloc_zeroed(ctx, 1, sizeof **graph, "a graph");
    if (!*graph) return DIO_ERR_ENV;
    (*graph)->ctx = ctx;
    dio_arena_init(&(*graph)->arena, ctx);
    return DIO_OK;
}

void dio_graph_free(struct dio_graph *graph)
{
    if (!graph) return;
    struct dio_ctx *ctx = graph->ctx;
    dio_free(ctx, graph->nodes);
    dio_free(ctx, graph->values);
    dio_free(ctx, graph->params);
    dio_free(ctx, graph->stages);
    dio_arena_free(&graph->arena);
    dio_free(ctx, graph);
}

static dio_status fail_with(struct dio_graph *graph, dio_status status)
{
    if (graph->status == DIO_OK) graph->status = status;
    return graph->status;
}

#define REFUSE(graph, place, ...) fail_with(graph, dio_fail((graph)->ctx, DIO_ERR_INPUT, "O7", place, __VA_ARGS__))

/* ---- lookup ---- */

int dio_graph_find_node(const struct dio_graph *graph, const char *name)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        if (strcmp(graph->nodes[i].name, name) == 0) return i;
    }
    return -1;
}

int dio_graph_find_param(const struct dio_graph *graph, const char *name)
{
    for (int i = 0; i < graph->n_params; i++) {
        if (strcmp(graph->params[i].name, name) == 0) return i;
    }
    return -1;
}

int dio_graph_find_value(const struct dio_graph *graph, const char *name)
{
    for (int i = 0; i < graph->n_values; i++) {
        if (strcmp(graph->values[i].name, name) == 0) return i;
    }
    return -1;
}

/* ---- growing ---- */

#define GROW(graph, array, name)                                                                                       \
    fail_with(graph, dio_grow((graph)->ctx, (void **)&(graph)->array, &(graph)->array##_capacity,                       \
                              (size_t)(graph)->n_##array + 1, sizeof *(graph)->array, name))

static char *keep_text(struct dio_graph *graph, const char *text)
{
    char *copy = dio_arena_strndup(&graph->arena, text, strlen(text));
    if (!copy) fail_with(graph, DIO_ERR_ENV);
    return copy;
}

static int add_value(struct dio_graph *graph, const char *name, int producer, const struct dio_value_type *type)
{
    if (GROW(graph, values, "values of a graph") != DIO_OK) return -1;
    graph->values[graph->n_values] = (struct dio_value){.name = name, .producer = producer, .type = *type};
    return graph->n_values++;
}

void dio_graph_stage(struct dio_graph *graph, const char *name)
{
    if (graph->status != DIO_OK) return;
    for (int i = 0; i < graph->n_stages; i++) {
        if (strcmp(graph->stages[i], name) == 0) {
            graph->current_stage = i;
            return;
        }
    }
    char *copy = keep_text(graph, name);
    if (!copy || GROW(graph, stages, "stages of a graph") != DIO_OK) return;
    graph->current_stage = graph->n_stages;
    graph->stages[graph->n_stages++] = copy;
}

/* One image of it has to be countable; the batch is checked when a plan is made. */
static bool type_fits(const struct dio_value_type *type)
{
    struct dio_shape one = type->shape;
    size_t bytes;
    if (one.rank > 0) one.dims[0] = 1;
    return dio_shape_bytes(&one, type->dtype, &bytes) && bytes <= (size_t)1 << 40;
}

int dio_graph_input(struct dio_graph *graph, const char *name, enum dio_dtype dtype, const struct dio_shape *shape)
{
    if (graph->status != DIO_OK) return -1;
    struct dio_place place = {.part = name};
    struct dio_value_type type = {.dtype = dtype, .shape = *shape};
    if (shape->rank < 1 || shape->rank > DIO_MAX_RANK) {
        REFUSE(graph, &place, "input has %d axes", shape->rank);
        return -1;
    }
    type.shape.dims[0] = 0;
    for (int i = 1; i < shape->rank; i++) {
        if (shape->dims[i] >= 1) continue;
        REFUSE(graph, &place, "input has an axis of %lld", (long long)shape->dims[i]);
        return -1;
    }
    if (!type_fits(&type)) {
        REFUSE(graph, &place, "shape is too large");
        return -1;
    }
    if ((size_t)graph->n_inputs == sizeof graph->inputs / sizeof *graph->inputs) {
        REFUSE(graph, &place, "too many inputs");
        return -1;
    }
    if (dio_graph_find_value(graph, name) >= 0) {
        REFUSE(graph, &place, "name is used twice");
        return -1;
    }
    char *copy = keep_text(graph, name);
    int value = copy ? add_value(graph, copy, -1, &type) : -1;
    if (value >= 0) graph->inputs[graph->n_inputs++] = value;
    return value;
}

void dio_graph_output(struct dio_graph *graph, int value)
{
    if (graph->status != DIO_OK) return;
    if (value < 0 || value >= graph->n_values || (size_t)graph->n_outputs == sizeof graph->outputs / sizeof *graph->outputs) {
        REFUSE(graph, NULL, "output %d: no such value, or too many outputs", value);
        return;
    }
    graph->outputs[graph->n_outputs++] = value;
}

/* ---- a node ---- */

static dio_status add_params(struct dio_graph *graph, struct dio_node *node, int node_index, const struct dio_place *place,
                             const struct dio_op_shapes *shapes)
{
    for (int i = 0; i < shapes->n_params; i++) {
        const struct dio_param_def *def = &shapes->params[i];
        struct dio_value_type type = {.dtype = DIO_F32, .shape = def->shape};
        if (dio_shape_elements(&def->shape) < 1 || !type_fits(&type)) return REFUSE(graph, place, "%s is too large", def->name);
        char *name = dio_arena_sprintf(&graph->arena, def->name[0] ? "%s.%s" : "%s%s", node->name, def->name);
        if (!name) return fail_with(graph, DIO_ERR_ENV);
        if (dio_graph_find_param(graph, name) >= 0) return REFUSE(graph, place, "parameter %s is there twice", name);
        DIO_PASS(GROW(graph, params, "parameters of a graph"));
        graph->params[graph->n_params] = (struct dio_param){
            .name = name, .role = def->role, .init = def->init, .fan_in = def->fan_in, .shape = def->shape, .added = def->added,
            .dtype = def->role == DIO_PARAM_COUNTER ? DIO_I64 : DIO_F32, .node = node_index, .index = i, .trainable = true};
        node->params[node->n_params++] = graph->n_params++;
    }
    return DIO_OK;
}

static dio_status add_outputs(struct dio_graph *graph, struct dio_node *node, int node_index, const struct dio_place *place,
                              const struct dio_op_shapes *shapes)
{
    for (int i = 0; i < shapes->n_outputs; i++) {
        if (!type_fits(&shapes->outputs[i])) return REFUSE(graph, place, "shape is too large");
        char *name = i == 0 ? node->name : dio_arena_sprintf(&graph->arena, "%s:%d", node->name, i);
        if (!name) return fail_with(graph, DIO_ERR_ENV);
        if (dio_graph_find_value(graph, name) >= 0) return REFUSE(graph, place, "name is used twice");
        int value = add_value(graph, name, node_index, &shapes->outputs[i]);
        if (value < 0) return graph->status;
        node->outputs[node->n_outputs++] = value;
    }
    return DIO_OK;
}

static dio_status infer(struct dio_graph *graph, const struct dio_node *node, struct dio_op_shapes *shapes)
{
    char part[300];
    snprintf(part, sizeof part, "node %s (%s)", node->name, node->op->name);
    struct dio_place place = {.part = part};
    memset(shapes, 0, sizeof *shapes);
    shapes->attrs = node->attrs;
    shapes->n_inputs = node->n_inputs;
    for (int i = 0; i < node->n_inputs; i++) shapes->inputs[i] = graph->values[node->inputs[i]].type;
    return node->op->infer(graph->ctx, &place, shapes);
}

static dio_status add_node(struct dio_graph *graph, const struct dio_op *op, const char *name, const int *inputs, int n_inputs,
                           const char *attrs_text)
{
    char part[300];
    snprintf(part, sizeof part, "node %s (%s)", name, op->name);
    struct dio_place place = {.part = part};
    if (n_inputs < op->min_inputs || n_inputs > op->max_inputs) {
        return REFUSE(graph, &place, "%d inputs, expected %d to %d", n_inputs, op->min_inputs, op->max_inputs);
    }
    struct dio_node node = {.op = op, .stage = graph->current_stage, .n_inputs = n_inputs};
    for (int i = 0; i < n_inputs; i++) {
        if (inputs[i] < 0 || inputs[i] >= graph->n_values) return REFUSE(graph, &place, "input %d is defined nowhere", i);
        node.inputs[i] = inputs[i];
    }
    node.name = keep_text(graph, name);
    if (!node.name) return graph->status;
    node.attrs = dio_arena_alloc(&graph->arena, op->attrs_size ? op->attrs_size : 1);
    if (!node.attrs) return fail_with(graph, DIO_ERR_ENV);
    DIO_PASS(fail_with(graph, dio_attrs_parse(graph->ctx, op, &place, attrs_text, node.attrs)));

    struct dio_op_shapes shapes;
    DIO_PASS(fail_with(graph, infer(graph, &node, &shapes)));
    node.macs = shapes.macs;
    DIO_PASS(add_params(graph, &node, graph->n_nodes, &place, &shapes));
    DIO_PASS(add_outputs(graph, &node, graph->n_nodes, &place, &shapes));
    DIO_PASS(GROW(graph, nodes, "nodes of a graph"));
    graph->nodes[graph->n_nodes++] = node;
    return DIO_OK;
}

int dio_node_n(struct dio_graph *graph, const char *op_name, const char *name, const int *inputs, int n_inputs,
               const char *attrs_format, ...)
{
    if (graph->status != DIO_OK) return -1;
    char attrs[1024];
    va_list args;
    va_start(args, attrs_format);
    int length = vsnprintf(attrs, sizeof attrs, attrs_format, args);
    va_end(args);
    const struct dio_op *op = dio_op_find(op_name);
    struct dio_place place = {.part = name};
    if (!op) {
        REFUSE(graph, &place, "there is no operator %s", op_name);
        return -1;
    }
    if (length < 0 || (size_t)length >= sizeof attrs) {
        REFUSE(graph, &place, "attributes are too long");
        return -1;
    }
    if (add_node(graph, op, name, inputs, n_inputs, attrs) != DIO_OK) return -1;
    return graph->nodes[graph->n_nodes - 1].outputs[0];
}

/* ---- copies ---- */

static dio_status copy_array(struct dio_ctx *ctx, void **to, const void *from, int count, size_t *capacity, size_t size)
{
    *to = dio_alloc_array(ctx, (size_t)count, size, "a copy of a graph");
    if (!*to) return DIO_ERR_ENV;
    *capacity = (size_t)count;
    if (count) memcpy(*to, from, (size_t)count * size);
    return DIO_OK;
}

static dio_status own_texts(struct dio_graph *copy)
{
    for (int i = 0; i < copy->n_nodes; i++) {
        struct dio_node *node = &copy->nodes[i];
        const void *attrs = node->attrs;
        node->name = keep_text(copy, node->name);
        node->attrs = dio_arena_alloc(&copy->arena, node->op->attrs_size ? node->op->attrs_size : 1);
        if (!node->attrs) return fail_with(copy, DIO_ERR_ENV);
        memcpy(node->attrs, attrs, node->op->attrs_size);
    }
    for (int i = 0; i < copy->n_values; i++) copy->values[i].name = keep_text(copy, copy->values[i].name);
    for (int i = 0; i < copy->n_params; i++) copy->params[i].name = keep_text(copy, copy->params[i].name);
    for (int i = 0; i < copy->n_stages; i++) copy->stages[i] = keep_text(copy, copy->stages[i]);
    return copy->status;
}

dio_status dio_graph_clone(const struct dio_graph *graph, struct dio_graph **result)
{
    *result = NULL;
    if (graph->status != DIO_OK) return graph->status;
    struct dio_ctx *ctx = graph->ctx;
    struct dio_graph *copy;
    DIO_PASS(dio_graph_new(ctx, &copy));
    dio_status status;
    DIO_TRY(copy_array(ctx, (void **)&copy->nodes, graph->nodes, graph->n_nodes, &copy->nodes_capacity, sizeof *graph->nodes));
    DIO_TRY(copy_array(ctx, (void **)&copy->values, graph->values, graph->n_values, &copy->values_capacity, sizeof *graph->values));
    DIO_TRY(copy_array(ctx, (void **)&copy->params, graph->params, graph->n_params, &copy->params_capacity, sizeof *graph->params));
    DIO_TRY(copy_array(ctx, (void **)&copy->stages, graph->stages, graph->n_stages, &copy->stages_capacity, sizeof *graph->stages));
    copy->n_nodes = graph->n_nodes;
    copy->n_values = graph->n_values;
    copy->n_params = graph->n_params;
    copy->n_stages = graph->n_stages;
    copy->n_inputs = graph->n_inputs;
    copy->n_outputs = graph->n_outputs;
    copy->current_stage = graph->current_stage;
    memcpy(copy->inputs, graph->inputs, sizeof copy->inputs);
    memcpy(copy->outputs, graph->outputs, sizeof copy->outputs);
    DIO_TRY(own_texts(copy));
    *result = copy;
    return DIO_OK;
fail:
    dio_graph_free(copy);
    return status;
}
