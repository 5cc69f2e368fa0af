/* A training run: freeze, features, loop, run folder. */
#ifndef DIO_TRAIN_TRAIN_H
#define DIO_TRAIN_TRAIN_H

#include "train/options.h"
#include "train/recipe.h"

struct dio_train_result {
    char *run;                /* the run folder; freed by dio_train_result_free */
    char *model;              /* RUN/model.safetensors */
    int64_t epochs, best_epoch; /* done in all; the one that was kept, counted from 1 */
    uint64_t n_train, n_val, n_bad; /* pictures; bad ones were skipped (exit code 1) */
    double val_loss, val_accuracy; /* of the kept model before a refit; NAN without validation */
    double train_loss;
    bool refitted;
    bool early_stopped;
    bool already_complete;    /* resume of a finished run (row R7): nothing was done */
    int64_t stopped_epoch, stopped_step; /* status DIO_CANCELLED: where; from 1 */
};
void dio_train_result_free(struct dio_ctx *ctx, struct dio_train_result *result);

/* A whole run.  Settings that were left open (lr, epochs, ...) are filled in.
 * DIO_CANCELLED: the cancel flag was seen; the step was finished and a checkpoint written. */
dio_status dio_train_run(struct dio_ctx *ctx, struct dio_train_options *options, struct dio_train_result *result);

/* Goes on with the run in options->output, or folder `run`, from its newest good checkpoint, to the same bits as if it had
 * never stopped.  `options` holds what was given beside --resume. */
dio_status dio_train_resume(struct dio_ctx *ctx, const char *run, struct dio_train_options *options,
                            struct dio_train_result *result);

/* What `info RUN` shows of the freeze receipt: one line of text, in words. */
dio_status dio_train_receipt_text(struct dio_ctx *ctx, const char *run, struct dio_str *out);

#endif
