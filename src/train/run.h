/* One run, from settings to files; private to train/. */
#ifndef DIO_TRAIN_RUN_H
#define DIO_TRAIN_RUN_H

#include <pthread.h>

#include "data/audit.h"
#include "train/load_options.h"
#include "train/loop.h"
#include "train/train.h"

enum { DIO_RUN_WARNINGS = 20 };

struct dio_run {
    struct dio_ctx *ctx;
    struct dio_train_options *options;
    char *folder;
    bool folder_is_new;   /* nothing of an earlier run in it */
    bool folder_is_default; /* runs/<recipe>-N beside the recipe; `runs` is made when it is claimed */
    bool folder_was_made, runs_was_made; /* by this run, with `runs` for a default name */
    bool claimed, cache_was_there;
    int lock;             /* -1: not held */

    struct dio_dataset *dataset;
    uint32_t *train, *val, *test, *all; /* items; `all`: train and val, for a refit */
    size_t n_train, n_val, n_test, n_all;
    uint64_t loaded_classes;            /* of the model as it was loaded; 0: no head */
    bool new_head;

    struct dio_loaded loaded;
    struct dio_model *model;            /* loaded.model */
    bool head_only;                     /* nothing but the head learns */
    struct dio_prepare prepare;
    float *class_weights;               /* NULL: all weigh the same */
    uint64_t *class_counts;

    struct dio_receipt_line *receipt;   /* of the frozen tensors, before */
    size_t n_receipt;
    struct dio_digest frozen;           /* over all of them */
    struct dio_digest data, class_list;
    struct dio_str recipe;              /* resolved, as text */
    struct dio_str class_text;          /* names, for messages */
    char *model_text;

    struct dio_kernels kernels;         /* where the settings choose others than the context's */
    const struct dio_kernels *usual_kernels; /* NULL: they do not */
    struct dio_features *features;
    struct dio_bad bad;
    struct dio_loop loop;
    bool fresh;                         /* not a continuation */
    bool loop_made, trouble_said;
    bool resumable;                     /* recipe and a checkpoint are in the folder: --resume can go on */

    /* What is said on the way goes into log.txt too. */
    struct dio_stream log, metrics;
    bool logging;
    dio_message_fn *outer_message;
    void *outer_arg;
    pthread_mutex_t lock_messages;
    char *warnings[DIO_RUN_WARNINGS];
    size_t n_warnings;
};

/* ---- run_folder.c ---- */

/* Settles the folder's name and refuses what can be refused before any work (rows A6 to A8). */
dio_status dio_run_check_folder(struct dio_run *run, bool resume);
/* Row A7, with the model loaded: no file that an overwritten run would lose is one that this run reads. */
dio_status dio_run_check_inputs(struct dio_run *run);
/* Makes and locks it (E10), and takes away what an overwritten run left. */
dio_status dio_run_claim(struct dio_run *run, bool resume);
/* log.txt and metrics.jsonl; from here on messages are logged.  Records of an earlier part are written again. */
dio_status dio_run_open_logs(struct dio_run *run, bool resume);
void dio_run_log(struct dio_run *run, const char *format, ...) DIO_PRINTF(2, 3); /* one line, with the time in front */
/* Where the folder is: by this a run that was moved finds what its recipe names. */
void dio_run_log_place(struct dio_run *run);
/* The folder that the log names last; NULL: none.  Freed by dio_free. */
char *dio_run_logged_place(struct dio_run *run);
dio_status dio_run_put_metrics(struct dio_run *run, const struct dio_epoch_record *record);
/* A run that was refused before its first step: takes away what it had made, features apart. */
void dio_run_leave_nothing(struct dio_run *run);
char *dio_run_path(struct dio_run *run, const char *name); /* NULL: error recorded */
dio_status dio_run_write(struct dio_run *run, const char *name, const struct dio_str *text);
void dio_run_release(struct dio_run *run);

/* ---- machine.c ---- */

/* Limits, and kernels other than the context's, as the settings want them: until the run is closed. */
dio_status dio_run_choose_machine(struct dio_run *run);
void dio_run_release_machine(struct dio_run *run);

/* ---- setup.c ---- */

dio_status dio_run_open_data(struct dio_run *run);
/* Loads the model, gives it the head that the data wants, freezes, and fills in what settings left open. */
dio_status dio_run_open_model(struct dio_run *run);
/* The network with its loss, features, optimiser, snapshots. */
dio_status dio_run_make_loop(struct dio_run *run);
/* Balanced class weights as these items ask for: the refit's are not the search's.  N / (K n_k): each class weighs the same. */
void dio_run_weigh_classes(struct dio_run *run, const uint32_t *items, size_t count);
/* Features of all that will be needed. */
dio_status dio_run_cover(struct dio_run *run);

/* ---- survey.c ---- */

/* Warns when the centre crop loses much of the training pictures: once their sizes are known, before the first step.  By a
 * fixed sample of them, so that runs that read all of them first and those that do not say the same. */
dio_status dio_run_warn_crop(struct dio_run *run);
/* What all pictures of the run are like: the same however they came to be known. */
dio_status dio_run_survey(struct dio_run *run, struct dio_audit *audit);

/* ---- receipt.c ---- */

/* Are the frozen tensors what they were?  A difference is a bug (DIO_ERR_INTERNAL).  Writes freeze.txt. */
dio_status dio_run_check_receipt(struct dio_run *run);
void dio_run_receipt_words(const struct dio_run *run, struct dio_str *out);

/* ---- outcome.c ---- */

/* Receipt, model, config, report, of the network as it is to be kept.  best: the record of the best epoch, or NULL. */
dio_status dio_run_finish(struct dio_run *run, const struct dio_epoch_record *best);

#endif
