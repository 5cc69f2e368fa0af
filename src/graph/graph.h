/* A network: nodes in order, values named by their producers, parameters with the model's weight names.
 *
 * Built through dio_node with attributes as text, by the families in arch/, by tests, and by stored graphs. */
#ifndef DIO_GRAPH_GRAPH_H
#define DIO_GRAPH_GRAPH_H

#include "base/memory.h"
#include "ops/op.h"

struct dio_param {
    char *name;                 /* "layer1.0.conv1.weight" */
    enum dio_param_role role;
    enum dio_param_init init;
    int64_t fan_in;
    enum dio_dtype dtype;       /* f32; i64 for counters */
    struct dio_shape shape;
    bool added;                 /* of dio_param_def */
    int node, index;            /* owner, and which of its parameters */
    bool trainable;             /* false: frozen.  Statistics: false means that they stay as they are */
    void *data;                 /* set by whoever owns the weights (model/, tests); never owned by the graph */
    bool mapped;                /* data lies in a file's private mapping: its pages may be dropped and are read again */
    const double *row_scale;    /* by passes: what each row of the first axis is multiplied by before it is used; or NULL */
};

struct dio_value {
    const char *name;           /* of the producing node, ":1" behind it for a second output */
    int producer;               /* node, or -1 for an input of the graph */
    struct dio_value_type type; /* shape.dims[0] is 0 */
};

struct dio_node {
    const struct dio_op *op;
    char *name;
    int n_inputs, inputs[DIO_OP_MAX_INPUTS];    /* values */
    int n_outputs, outputs[DIO_OP_MAX_OUTPUTS]; /* values */
    int n_params, params[DIO_OP_MAX_PARAMS];    /* graph parameters */
    void *attrs;
    int64_t macs;
    int stage;                                  /* 0 stem, 1..n, the head last */
    const char *fused;                          /* by passes: "batch_norm add relu"; NULL: nothing */
};

enum { DIO_GRAPH_MAX_ENDS = 12 };
struct dio_graph {
    struct dio_arena arena;
    struct dio_node *nodes;
    struct dio_value *values;
    struct dio_param *params;
    char **stages;              /* names: "stem", "layer1", ..., "head" */
    int n_nodes, n_values, n_params, n_stages;
    int n_inputs, inputs[DIO_GRAPH_MAX_ENDS];
    int n_outputs, outputs[DIO_GRAPH_MAX_ENDS];
    int current_stage;
    dio_status status;          /* of the first call that failed: later ones do nothing, so that it is asked once */
    struct dio_ctx *ctx;
    size_t nodes_capacity, values_capacity, params_capacity, stages_capacity;
};

dio_status dio_graph_new(struct dio_ctx *ctx, struct dio_graph **graph);
void dio_graph_free(struct dio_graph *graph);
/* A copy with its own nodes; parameters' data pointers are taken over as they are. */
dio_status dio_graph_clone(const struct dio_graph *graph, struct dio_graph **copy);


/* All return a value's index, or -1 once the graph has failed (asked with graph->status).
 * `name` doubles as the prefix of the parameters' names ("fc" gives "fc.weight"). */
int dio_graph_input(struct dio_graph *graph, const char *name, enum dio_dtype dtype, const struct dio_shape *shape);
int dio_node_n(struct dio_graph *graph, const char *op, const char *name, const int *inputs, int n_inputs,
               const char *attrs_format, ...) DIO_PRINTF(6, 7);
#define dio_node1(graph, op, name, x, ...) dio_node_n(graph, op, name, (const int[]){x}, 1, __VA_ARGS__)
#define dio_node2(graph, op, name, x, y, ...) dio_node_n(graph, op, name, (const int[]){x, y}, 2, __VA_ARGS__)
/* Nodes added from here on belong to this stage: a new one, or one that was there before. */
void dio_graph_stage(struct dio_graph *graph, const char *name);
void dio_graph_output(struct dio_graph *graph, int value);

int dio_graph_find_node(const struct dio_graph *graph, const char *name);   /* -1: none */
int dio_graph_find_param(const struct dio_graph *graph, const char *name);  /* -1: none */
int dio_graph_find_value(const struct dio_graph *graph, const char *name);  /* -1: none */

/* Cuts the graph behind `value`: what it does not need goes, and `value` becomes the only output (a new head is then
 * built on it).  Values, nodes and parameters are numbered anew, in their old order: the cut is outputs[0]. */
dio_status dio_graph_truncate(struct dio_graph *graph, int value);

/* Fills data of every parameter that has some from scratch, keyed by (seed, parameter name). */
void dio_graph_init_params(struct dio_graph *graph, uint64_t seed);
void dio_param_init(struct dio_param *param, uint64_t seed);

/* ---- text form (a model that no family describes carries it in its file) ---- */
dio_status dio_graph_store(const struct dio_graph *graph, struct dio_str *out);
dio_status dio_graph_load(struct dio_ctx *ctx, const char *text, size_t length, struct dio_graph **graph);

/* ---- frontier: where what can be cached ends ---- */

/* The prefix is every node that depends on no trainable parameter and on no training-time behaviour (a batch norm whose
 * statistics move, a dropout that drops).  Its values that the rest reads (or that are outputs) are the features.  With
 * more than DIO_FRONTIER_MAX of them there is no prefix. */
enum { DIO_FRONTIER_MAX = 8 };
struct dio_frontier {
    int n_values, values[DIO_FRONTIER_MAX];
    int prefix_nodes;   /* how many nodes are in the prefix; 0: nothing can be cached, values are the graph's inputs */
    bool *in_prefix;    /* per node */
};
dio_status dio_graph_frontier(const struct dio_graph *graph, struct dio_frontier *frontier);
void dio_frontier_free(struct dio_ctx *ctx, struct dio_frontier *frontier);

#endif
