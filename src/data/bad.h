/* What happens to pictures that cannot be read (--bad, --max-bad): named, counted, and the run's verdict.
 *
 * Up to ten are named as warnings, the rest is a count.  The one that goes over the limit is the failure itself, so that
 * a set with a single bad picture gives a single line. */
#ifndef DIO_DATA_BAD_H
#define DIO_DATA_BAD_H

#include "data/problems.h"

struct dio_bad_options {
    bool stop;         /* --bad stop: the first one ends the run */
    double max_share;  /* --max-bad: 0.01 for train, eval, check; 1 for predict */
    uint64_t total;    /* pictures in all; 0: not known before the end (predict), the share is then judged by finish */
    bool all;          /* check: go through all of them, and let finish decide */
};

struct dio_bad {
    struct dio_bad_options options;
    uint64_t bad;  /* so far */
    struct dio_problems problems;
};

void dio_bad_init(struct dio_bad *bad, const struct dio_bad_options *options);

/* Pictures that an earlier part of the work found bad, and named: they count. */
void dio_bad_known(struct dio_bad *bad, uint64_t count);

/* One picture was refused with `why` (the error record of the worker that met it).  Report in the order of the pictures.
 * Fails when the run has to end, and always when `why` is not about a picture (out of memory and the like). */
dio_status dio_bad_report(struct dio_bad *bad, struct dio_ctx *ctx, const struct dio_message *why);

/* At the end: "and N more", and the verdict: DIO_OK (then a count above 0 means exit code 1), or DIO_ERR_INPUT when more
 * than max_share, or all of `seen`, were bad. */
dio_status dio_bad_finish(struct dio_bad *bad, struct dio_ctx *ctx, uint64_t seen);

#endif
