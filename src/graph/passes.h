/* Rewrites of a graph that is about to become a plan.  Each works in place on a graph of its own (a clone);
 * its outputs are the values that stay asked for.  Values keep their numbers (only dio_pass_select_early and dio_pass_squeeze add some);
 * nodes that go are taken out. */
#ifndef DIO_GRAPH_PASSES_H
#define DIO_GRAPH_PASSES_H

#include "graph/graph.h"

/* What passes ask: is the value one of the graph's outputs, and how many inputs of nodes read it? */
bool dio_pass_is_output(const struct dio_graph *graph, int value);
int dio_pass_readers(const struct dio_graph *graph, int value);
/* Takes out a node that nobody reads. */
void dio_pass_remove(struct dio_graph *graph, int node);

/* The graph between the two: `inputs` are given, `outputs` asked for, nodes that they do not need go. */
dio_status dio_pass_cut(struct dio_graph *graph, const int *inputs, int n_inputs, const int *outputs, int n_outputs);
/* Ops that act in training only (dropout): their readers read what they read. */
dio_status dio_pass_remove_idle(struct dio_graph *graph);
/* What reads one token goes before what computes token by token (pass_select.c). */
dio_status dio_pass_select_early(struct dio_graph *graph);
/* A batch norm behind an op that takes a scale (DIO_FUSE_SCALE) goes into its weight and bias: the weight gets a
 * row_scale, w / sqrt(var + eps), that a plan applies as it packs; the bias is (b - mean) * w / sqrt(var + eps) + bias, in the
 * graph's arena.  A layer scale likewise. */
dio_status dio_pass_fold_norm(struct dio_graph *graph);
/* A sum goes into the later of its two producers that takes one more input (DIO_FUSE_ADD); `training`: for a training plan. */
dio_status dio_pass_fuse_add(struct dio_graph *graph, bool training);
/* An activation goes into its producer, where that knows the kind (DIO_FUSE_ACTIVATION). */
dio_status dio_pass_fuse_activation(struct dio_graph *graph, bool training);
/* Squeeze and excite: a mean over a map reads means of its lines that the map's producer takes as it writes them
 * (DIO_FUSE_LINE_MEANS), and a gate goes into the 1 x 1 convolution that reads the gated map (DIO_FUSE_GATE).  Changes the last digits
 * (pass_squeeze.c). */
dio_status dio_pass_squeeze(struct dio_graph *graph);
/* Values become bf16 where the op that makes them can write it and every op that reads them can read it; inputs and outputs
 * of the graph stay as they are. */
void dio_pass_bf16(struct dio_graph *graph);
/* Values with a range become bytes likewise; the last product reads none.  To be followed by dio_pass_bf16. */
struct dio_value_range;
void dio_pass_int8(struct dio_graph *graph, const struct dio_value_range *ranges);

#endif
