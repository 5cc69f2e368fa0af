/* The context: all that would otherwise be global.  Two contexts in two threads do not meet. */
#ifndef DIO_BASE_CONTEXT_H
#define DIO_BASE_CONTEXT_H

#include <stdatomic.h>

#include "base/cpu.h"
#include "base/limits.h"
#include "base/status.h"

struct dio_team;
struct dio_kernels;

/* Where long work stands.  `total` 0: not known. */
struct dio_progress {
    const char *stage;  /* "features", "epoch 3 of 20", "predict" */
    const char *unit;   /* "pictures", "steps" */
    uint64_t done, total;
    double loss, accuracy; /* NAN where they mean nothing */
};

typedef void dio_message_fn(void *arg, const struct dio_message *message);
typedef void dio_progress_fn(void *arg, const struct dio_progress *progress);

/* Counts allocations so that tests can fail the n-th one; shared by a context and its children. */
struct dio_alloc_stats {
    atomic_int_fast64_t calls, live_blocks, live_bytes, peak_bytes;
    int64_t fail_at; /* 0: never; n: the n-th call fails, and all after it */
};

struct dio_ctx {
    struct dio_message error;      /* error.status is DIO_OK while nothing failed */
    struct dio_limits limits;
    struct dio_cpu cpu;            /* what the machine has, and the ceiling that was asked for */
    struct dio_team *team;         /* worker threads; NULL: everything runs on the caller's thread */
    const struct dio_kernels *kernels;
    struct dio_alloc_stats *alloc;
    atomic_int *cancel;            /* nonzero: stop at the next safe point; may be NULL */
    dio_message_fn *on_message;    /* may be NULL; has to be safe to call from worker threads */
    void *message_arg;
    dio_progress_fn *on_progress;  /* may be NULL; called from the thread that runs the work */
    void *progress_arg;
};

/* Default limits, detected CPU, no team, no kernels (those are set by whoever may include them). */
void dio_ctx_init(struct dio_ctx *ctx, struct dio_alloc_stats *stats);

/* A context for one worker thread: everything shared but the error record, which starts empty.  No team: what a
 * worker calls stays on its thread. */
struct dio_ctx dio_ctx_child(const struct dio_ctx *parent);

/* Takes over a child's error, unless the parent has one already. */
void dio_ctx_adopt_error(struct dio_ctx *parent, const struct dio_ctx *child);

void dio_ctx_clear_error(struct dio_ctx *ctx);

static inline bool dio_cancelled(const struct dio_ctx *ctx)
{
    return ctx->cancel && atomic_load_explicit(ctx->cancel, memory_order_relaxed) != 0;
}

void dio_report_progress(const struct dio_ctx *ctx, const struct dio_progress *progress);

/* Hands a message to the context's sink, if there is one. */
void dio_emit_message(const struct dio_ctx *ctx, const struct dio_message *message);

#endif
