/* A plan: a graph prepared for fixed shapes.  Everything that can fail happens in prepare; running cannot fail.
 *
 * Inference plan: batch norms folded, activations and residual additions fused into the convolution before them, buffers
 * reused, weights packed once.  Training plan: from given values (the features) to a loss, forward and backward. */
#ifndef DIO_GRAPH_PLAN_H
#define DIO_GRAPH_PLAN_H

#include "graph/graph.h"

struct dio_plan;

/* What numbers a value has; low above high: none were seen. */
struct dio_value_range {
    float low, high;
};

struct dio_plan_options {
    int64_t batch;         /* largest number of images of a run */
    uint64_t memory_limit; /* bytes; 0: none.  Beyond it prepare refuses with the sum and what to do */
    bool no_fusion;        /* node by node, as built (tests, observers) */
    bool exact;            /* no algorithm that changes the last digits for speed (Winograd's convolutions) */
    bool keep_values;      /* no pass that makes new values or moves nodes: for dio_plan_observe, whose ranges go by value */
    enum dio_precision precision; /* inference; training is f32 */
    const struct dio_value_range *ranges; /* INT8: of each value of the graph, from dio_plan_observe */
};

/* Where the memory goes, known before anything runs. */
struct dio_plan_memory {
    uint64_t activations; /* values, and in training what is saved for backward and the values' gradients, by lifetimes */
    uint64_t saved;       /* of these: what is kept when forward ends */
    uint64_t gradients;   /* of parameters */
    uint64_t packed;      /* weights of the plan's own */
    uint64_t scratch;     /* of all threads */
    uint64_t total;
};

/* ---- inference ---- */

/* From `inputs` (values; usually the graph's input, or features) to `outputs`.  Parameters are read now, and not needed
 * afterwards.  Runs on the team that the context has now. */
dio_status dio_plan_infer(struct dio_ctx *ctx, const struct dio_graph *graph, const int *inputs, int n_inputs,
                          const int *outputs, int n_outputs, const struct dio_plan_options *options,
                          struct dio_plan **plan);

/* n images, 1 to options->batch.  in[i], out[i]: f32, n times the value's elements, the caller's memory.  The same
 * picture gives the same bits at every batch size, place in the batch, and thread count. */
void dio_plan_run(struct dio_plan *plan, int64_t n, const void *const *in, void *const *out);

/* The same, step by step; widens the ranges of its inputs (f32) and of the values that the steps make (as many as the graph has).  The plan was made
 * with keep_values. */
void dio_plan_observe(struct dio_plan *plan, int64_t n, const void *const *in, void *const *out, struct dio_value_range *ranges);

/* ---- training ---- */

struct dio_train_plan_options {
    struct dio_plan_options plan;
    bool train_stats;       /* trainable batch norms use batch statistics (their parameters' trainable flag says which) */
    bool drop;              /* dropout active */
};

/* `loss`: a value with one element (the loss op's output), `inputs` as above, labels among them.  `watch`: values whose
 * numbers the caller wants after a forward (logits); they stay readable until the next run.  The graph's parameters are
 * read and (statistics) written where they lie, so they have to outlive the plan; the graph itself does not. */
dio_status dio_plan_train(struct dio_ctx *ctx, struct dio_graph *graph, const int *inputs, int n_inputs, int loss,
                          const int *watch, int n_watch, const struct dio_train_plan_options *options,
                          struct dio_plan **plan);

/* Forward in training mode (statistics move), then backward of the same batch, for which `in` has to stay as it was.
 * Gradients land in dio_plan_grad.  Returns the loss, which may be no finite number. */
float dio_plan_forward(struct dio_plan *plan, int64_t n, const void *const *in, uint64_t seed, uint64_t step_index);
/* add: gradients are added to what is there (accumulation); loss_scale multiplies the loss's own gradient of 1. */
void dio_plan_backward(struct dio_plan *plan, bool add, float loss_scale);
/* Gradient of graph parameter i, in its shape; NULL when it is frozen or not reached. */
float *dio_plan_grad(struct dio_plan *plan, int param);
const void *dio_plan_watched(const struct dio_plan *plan, int i);
/* After the optimiser wrote parameters: packs the changed weights again. */
void dio_plan_weights_changed(struct dio_plan *plan);

/* ---- both ---- */
struct dio_plan_memory dio_plan_memory(const struct dio_plan *plan);
void dio_plan_free(struct dio_plan *plan);

/* One line for each step: name, op, shapes, algorithm, bytes (info --plan, bench). */
struct dio_plan_step_info {
    const char *name, *op;
    const char *path;   /* the op's word for the way that it takes, or "" */
    struct dio_value_type in, out;
    int64_t macs; /* of one image */
    size_t packed_bytes, saved_bytes;
    const char *fused; /* "batch_norm relu add", or "" */
    int stage;
    int chain;          /* inference: steps from this one on that run row by row together; 0 inside of a chain */
    enum dio_precision precision; /* of its products */
    bool depth_first;   /* inference: runs image by image with the steps around it, while weights are small */
};
int dio_plan_steps(const struct dio_plan *plan);
void dio_plan_step(const struct dio_plan *plan, int i, struct dio_plan_step_info *info);
/* Seconds that each step took in one run of n images, at most the batch (the steps timed one by one); for bench. */
void dio_plan_time(struct dio_plan *plan, int64_t n, const void *const *in, void *const *out, double *seconds);
void dio_plan_time_train(struct dio_plan *plan, int64_t n, const void *const *in, double *forward, double *backward);

#endif
