/* The thread team: its threads start with it and end with it.
 *
 * Work is cut by shape into pieces, never by the number of threads.  Each thread begins with neighbours of its own, by
 * counters, and goes on with what others have left, so a thread that the system takes away delays only its piece.  Phases run
 * one after another; a thread that finds no piece left spins for some microseconds and then sleeps until the phase is over. */
#ifndef DIO_BASE_THREADS_H
#define DIO_BASE_THREADS_H

#include "base/context.h"

/* `thread` is 0..threads-1, for scratch memory only: results must not depend on it. */
typedef void dio_piece_fn(void *arg, int64_t piece, int thread);

struct dio_phase {
    dio_piece_fn *run;
    void *arg;
    int64_t pieces; /* more than 16 million, or more than 65,534 phases, run on the calling thread */
};

/* threads 0: what affinity mask and cgroup quota allow.  Fewer than asked for, with a warning, when some cannot start. */
dio_status dio_team_start(struct dio_ctx *ctx, int threads, struct dio_team **team);
void dio_team_stop(struct dio_ctx *ctx, struct dio_team *team);
int dio_team_size(const struct dio_team *team); /* NULL: 1 */

/* Runs all pieces of all phases; a NULL team runs them here, in order.  Not reentrant from inside a piece: a call made
 * there runs on the calling thread. */
void dio_team_run(struct dio_team *team, const struct dio_phase *phases, size_t count);

static inline void dio_team_for(struct dio_team *team, int64_t pieces, dio_piece_fn *run, void *arg)
{
    struct dio_phase phase = {run, arg, pieces};
    dio_team_run(team, &phase, 1);
}

#endif
