/* The training loop: epochs of steps over features, validation, the best epoch, checkpoints in between. */
#ifndef DIO_TRAIN_LOOP_H
#define DIO_TRAIN_LOOP_H

#include "train/checkpoint.h"
#include "train/features.h"
#include "train/options.h"
#include "train/schedule.h"

enum dio_select { DIO_SELECT_LOSS, DIO_SELECT_ACCURACY, DIO_SELECT_BALANCED, DIO_SELECT_AUROC, DIO_SELECT_LAST };

/* Everything that a loop needs; made by the run, which owns it all. */
struct dio_loop {
    struct dio_ctx *ctx;
    struct dio_ctx *compute;    /* what plans of the learning part run in: ctx, or `alone` where threads would only wait */
    struct dio_ctx alone;
    const struct dio_train_options *options; /* resolved: nothing open */
    struct dio_graph *graph;    /* the network with its loss */
    int logits, loss, labels;   /* values */
    int64_t n_classes;
    struct dio_features *features;
    struct dio_bad *bad;
    const uint32_t *train, *val; /* items, sorted */
    size_t n_train, n_val;
    enum dio_select select;
    struct dio_snapshot initial; /* what learns, as it was at the start: a refit begins there */
    struct dio_snapshot best;
    struct dio_optimizer_state optimizer;
    struct dio_train_position position;
    struct dio_epoch_record *records;
    size_t n_records, records_capacity;
    /* Called at each epoch's end and when cancelled: writes the checkpoint.  `record` is the epoch's, or NULL. */
    dio_status (*save)(void *arg, const struct dio_epoch_record *record);
    void *save_arg;
};

/* Chooses `compute` once features are known: a step of a head costs less than waking the team for it. */
void dio_loop_choose_threads(struct dio_loop *loop);

/* Scores over some items by the network as it is now, from features. */
struct dio_scores_set {
    size_t count;
    int64_t n_classes;
    float *logits;
    int32_t *labels;
    uint32_t *items;
};
dio_status dio_loop_scores(struct dio_loop *loop, const uint32_t *items, size_t count, struct dio_scores_set *set);
void dio_scores_free(struct dio_ctx *ctx, struct dio_scores_set *set);
/* Mean cross entropy, accuracy, mean recall, AUROC (two classes; else NAN). */
void dio_scores_measure(struct dio_ctx *ctx, const struct dio_scores_set *set, struct dio_epoch_record *record);

/* From the position on to the end of its phase: `epochs` epochs over the items.  DIO_CANCELLED after save. */
dio_status dio_loop_run(struct dio_loop *loop, const uint32_t *items, size_t count, int64_t epochs);

#endif
