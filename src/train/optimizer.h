/* Optimisers: one file, one record, one line in list.def each. */
#ifndef DIO_TRAIN_OPTIMIZER_H
#define DIO_TRAIN_OPTIMIZER_H

#include "base/context.h"
#include "graph/plan.h"

enum { DIO_OPTIMIZER_MAX_SLOTS = 2 };

struct dio_optimizer_settings {
    double momentum, weight_decay;
    double beta1, beta2, eps;
    bool nesterov;
    bool decay_1d; /* decay biases, norms, tokens and embeddings too */
};

/* One stretch of one parameter in one step. */
struct dio_optimizer_span {
    float *param;
    const float *grad;
    float *slot[DIO_OPTIMIZER_MAX_SLOTS];
    int64_t count;
    double lr, weight_decay; /* weight_decay 0 where this parameter has none */
    uint64_t t;              /* this step, counted from 1 */
};

struct dio_optimizer {
    const char *name, *about;
    int slots;               /* numbers of state kept for each parameter */
    const char *const *slot_names;
    double lr_head, lr_rest, lr_scratch, weight_decay, weight_decay_head; /* what settings left open become */
    void (*step)(const struct dio_optimizer_settings *settings, const struct dio_optimizer_span *span);
};

extern const struct dio_optimizer *const dio_optimizers[]; /* NULL-terminated */
const struct dio_optimizer *dio_optimizer_find(const char *name);

/* What multiplies decays; biases, scales and shifts of norms, tokens and embeddings do not, as in timm's parameter groups. */
bool dio_optimizer_decays(const struct dio_param *param);

/* The state of all trainable parameters of a graph. */
struct dio_optimizer_state {
    const struct dio_optimizer *optimizer;
    struct dio_optimizer_settings settings;
    uint64_t t;              /* steps done */
    int count;               /* trainable parameters, in graph order */
    int *params;             /* their graph indices */
    float **slots;           /* [count * optimizer->slots] into block */
    float *block;
    size_t block_floats;
};

/* Zeroed.  Frozen parameters have no place in it: no decay, no momentum. */
dio_status dio_optimizer_start(struct dio_ctx *ctx, const struct dio_optimizer *optimizer,
                               const struct dio_optimizer_settings *settings, const struct dio_graph *graph,
                               struct dio_optimizer_state *state);
void dio_optimizer_end(struct dio_ctx *ctx, struct dio_optimizer_state *state);

/* One step with the gradients of the plan, in stretches of fixed size over the team. */
void dio_optimizer_apply(struct dio_team *team, struct dio_optimizer_state *state, const struct dio_graph *graph,
                         struct dio_plan *plan, double lr);

#endif
