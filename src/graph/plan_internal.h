/* What the two kinds of plan share; seen by graph/ alone. */
#ifndef DIO_GRAPH_PLAN_INTERNAL_H
#define DIO_GRAPH_PLAN_INTERNAL_H

#include "base/memory.h"
#include "base/threads.h"
#include "graph/lifetimes.h"
#include "graph/plan.h"

/* Where the bytes of a value lie in a run. */
enum dio_home {
    DIO_HOME_NONE,   /* not in the plan */
    DIO_HOME_INPUT,  /* the caller's, in[index] */
    DIO_HOME_OUTPUT, /* the caller's, out[index] */
    DIO_HOME_SHARED, /* the plan's block of activations, all images of a chunk */
    DIO_HOME_LOCAL   /* inference, steps that run depth first: a slot for each thread, one group of images */
};

struct dio_plan_value {
    enum dio_home home;
    int index;           /* of in or out */
    int root;            /* value whose memory this one takes over (itself: none) */
    size_t image_bytes;  /* of one image; of the whole for rank 0 */
    int first, last;     /* moments */
    size_t offset;       /* in its block */
    size_t grad_offset;  /* training; SIZE_MAX: no gradient */
    int grad_root;       /* value whose gradient's memory this one's takes over (itself: none) */
};

struct dio_plan_step {
    struct dio_step step;
    const char *name, *fused;
    int stage;
    int64_t macs;
    int inputs[DIO_OP_MAX_INPUTS], outputs[DIO_OP_MAX_OUTPUTS]; /* values */
    int params[DIO_OP_MAX_PARAMS];                              /* of the graph; -1: none */
    uint64_t seed_key;      /* mixed into the run's seed: two dropouts draw differently */
    size_t packed_offset, saved_offset;
    bool backward;          /* has a part in backward */
    bool repack;            /* a parameter that it packs is trained */
    int chain;              /* inference: steps from here on that run row by row together (chains.c); 0 inside of one */
    bool in_chain;          /* of more than one step */
};

enum { DIO_CHAIN_MAX = 4 };

/* One phase of one step, or a chain that starts with it, as the thread team calls it. */
struct dio_phase_call {
    const struct dio_plan *plan;
    const struct dio_step *step;
    dio_op_fn *run;
};

struct dio_plan {
    struct dio_ctx *ctx;
    struct dio_team *team;
    int threads;
    struct dio_arena arena;          /* names, attributes */
    struct dio_plan_step *steps;
    int n_steps;
    struct dio_plan_value *values;   /* as many as the graph has */
    int n_values;
    int n_inputs, n_outputs;
    int inputs[DIO_GRAPH_MAX_ENDS], outputs[DIO_GRAPH_MAX_ENDS];
    int64_t batch;                   /* images of a run, at most */
    int64_t chunk;                   /* images that are under way at a time; in training the batch */
    struct dio_plan_memory memory;

    /* Blocks, one owner: the plan. */
    unsigned char *activations, *packed, *params, *shared, *scratch, *grads;
    size_t activations_bytes, packed_bytes, params_bytes, shared_bytes, scratch_bytes; /* the last two: of one thread */

    /* Lists for the team, large enough for any run. */
    struct dio_phase *phases;
    struct dio_phase_call *calls;
    int max_phases;

    /* Inference: steps 0..n_deep run depth first. */
    bool inference;
    int n_deep;
    int64_t group;                   /* images of a piece of the deep part, at most */
    int64_t slot_images;             /* all slots together */
    size_t chain_offset;             /* of the rings of chains, in a thread's scratch */
    unsigned char *slots;
    size_t slot_bytes;               /* one image of all local values */
    struct dio_step *deep_steps;     /* threads x n_deep copies, bound while a thread runs a piece */
    const void *const *in;           /* of the run, moved on by chunks */
    void *const *out;
    int64_t chunk_begin, chunk_images, piece_images;

    /* Training. */
    int loss;
    int n_watch, watch[DIO_GRAPH_MAX_ENDS];
    float loss_gradient;
    int64_t n;                       /* of the last forward */
    int n_graph_params;
    size_t *param_grad;              /* offset in grads by graph parameter; SIZE_MAX: none */
    size_t grads_bytes;
};

#define DIO_NO_OFFSET SIZE_MAX

/* plan_build.c: makes the plan's skeleton and one step for each node of `graph`. */
struct dio_step_flags {
    enum dio_mode mode;
    enum dio_precision precision;
    bool train_stats, drop, exact;
};
dio_status dio_plan_new(struct dio_ctx *ctx, const struct dio_graph *graph, int64_t batch, struct dio_plan **plan);
dio_status dio_plan_add_step(struct dio_plan *plan, const struct dio_graph *graph, const struct dio_node *node,
                             const struct dio_step_flags *flags, const struct dio_step_wants *wants);
/* After all steps: sizes of packed, shared and scratch, phase lists. */
dio_status dio_plan_size_steps(struct dio_plan *plan, const struct dio_graph *graph);
/* Sums memory up, holds it against the limit, allocates the blocks. */
dio_status dio_plan_allocate(struct dio_plan *plan, uint64_t limit);
/* Runs `pack` of all steps, or of those that have trained parameters. */
void dio_plan_pack(struct dio_plan *plan, bool trained_only);
void dio_plan_pack_step(struct dio_plan *plan, const struct dio_plan_step *slot);
/* Lets outputs lie over inputs where steps allow it and lifetimes end; then places what has a home in the block. */
void dio_plan_share_memory(struct dio_plan *plan);
dio_status dio_plan_place(struct dio_plan *plan, enum dio_home home, int64_t images, struct dio_lifetime *extra, int n_extra,
                          size_t *total);

/* chains.c: marks chains and makes room for them, after the depth is chosen and before memory is placed. */
void dio_plan_choose_chains(struct dio_plan *plan);
/* `steps` are bound for their images.  A piece is a band of rows of one of them; or one image whole. */
int64_t dio_chain_pieces(const struct dio_step *last);
void dio_chain_run(const struct dio_plan *plan, const struct dio_step *const *steps, int n, int64_t piece, unsigned char *scratch);
void dio_chain_run_image(const struct dio_plan *plan, const struct dio_step *const *steps, int n, int64_t image, unsigned char *scratch);

/* plan.c: appends a step's phases to plan->phases[*count...]. */
void dio_plan_list(struct dio_plan *plan, const struct dio_step *step, const struct dio_op_phase *phases, int n, size_t *count);

void dio_plan_time_infer(struct dio_plan *plan, int64_t n, const void *const *in, void *const *out, double *seconds);

#endif
