/* Work that runs beside the team: reading and decoding the next batch while this step computes.
 *
 * One or more helper threads take pieces of a job in order.  They run at a lower priority (nice value, where the system
 * has one per thread), so that on the same cores computing goes first and decoding takes what is left; whoever needs the
 * job's result helps to finish it.  Use:
 *
 *     dio_background_start(ctx, dio_team_size(team), &background);
 *     dio_background_submit(background, &job);      // decode batch k+1
 *     dio_team_run(...);                            // step k
 *     dio_background_wait(background, &job, team);  // the caller, with the whole team, takes the pieces that are left
 */
#ifndef DIO_BASE_BACKGROUND_H
#define DIO_BASE_BACKGROUND_H

#include "base/threads.h"

/* The caller's memory, to be left alone from submit to wait.  `thread` of run is 0..dio_background_threads-1 and no two
 * pieces run with the same one at once: for scratch memory. */
struct dio_job {
    dio_piece_fn *run;
    void *arg;
    int64_t pieces;
    /* Private: */
    int64_t next, done;
    struct dio_job *following;
};

struct dio_background;

/* Fewer helpers than asked for (even none: then wait does all the work) when threads cannot start; a warning says so. */
dio_status dio_background_start(struct dio_ctx *ctx, int helpers, struct dio_background **background);
/* Distinct values of `thread` that pieces see, with a team of `team` threads helping in wait. */
int dio_background_threads(const struct dio_background *background, const struct dio_team *team);
void dio_background_submit(struct dio_background *background, struct dio_job *job);
/* Returns when all pieces of the job have run.  `team` may be NULL: then only the caller helps. */
void dio_background_wait(struct dio_background *background, struct dio_job *job, struct dio_team *team);
/* Pieces that were not begun are dropped; those running are waited for. */
void dio_background_stop(struct dio_ctx *ctx, struct dio_background *background);

#endif
