/* Fine-tuning and training. */
#ifndef DIOPTER_TRAIN_H
#define DIOPTER_TRAIN_H

#include <diopter/options.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct diopter_train_result {
    size_t size;
    char run[1024];             /* the run folder */
    int epochs;                 /* done in all */
    int best_epoch;             /* from 1; 0: none */
    double validation_accuracy; /* 0 to 1, of the chosen model; NAN: no validation */
    uint64_t skipped;           /* pictures that could not be read */
    bool complete;              /* false: cancelled, and saved */
    int stopped_epoch;          /* cancelled: in this epoch (from 1), */
    int64_t stopped_step;       /* after this step of it; 0: before the first */
    bool already_complete;      /* resume of a finished run: nothing was done */
} diopter_train_result;

/* Trains `model` (as in diopter_model_open) on `data` (folder, manifest, tar, record folder) into the new folder `run`.
 * result may be NULL.  DIOPTER_PARTIAL: done, with pictures skipped.  DIOPTER_CANCELLED: a checkpoint was written. */
DIOPTER_API diopter_status diopter_train(diopter_context *context, const char *model, const char *data, const char *run,
                                         const diopter_options *options, diopter_train_result *result);

/* A recipe file says all; options that were set override it, as do model, data, run when they are not NULL. */
DIOPTER_API diopter_status diopter_train_recipe(diopter_context *context, const char *recipe, const char *model,
                                                const char *data, const char *run, const diopter_options *options,
                                                diopter_train_result *result);

/* Goes on with an interrupted run, to the bits that it would have had.  options: only those that may differ (epochs,
 * new_recipe, new_data, weights_only); NULL: none. */
DIOPTER_API diopter_status diopter_train_resume(diopter_context *context, const char *run, const diopter_options *options,
                                                diopter_train_result *result);

/* What train would refuse or warn of: decodes each picture once.  One of data and recipe may be NULL.
 * Looking at pictures needs no model; the option "model" names one to open, too.
 * *report (owned by the caller, diopter_free): text for people; NULL when it failed. */
DIOPTER_API diopter_status diopter_check(diopter_context *context, const char *data, const char *recipe,
                                         const diopter_options *options, char **report);

#ifdef __cplusplus
}
#endif
#endif
