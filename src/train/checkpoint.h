/* Checkpoints of a run: RUN/checkpoints/ckpt-STEPS, written whole at every epoch's end and on cancellation.
 *
 * One holds all that the rest of a run depends on, so that going on gives the same bits: what learns (now, and at the best
 * epoch), the optimiser's state, where the loop stands, what was measured so far, and of what the run was made (data,
 * recipe, frozen weights).  Random numbers are functions of these positions and need no state.  A SHA-256 over all
 * closes the file. */
#ifndef DIO_TRAIN_CHECKPOINT_H
#define DIO_TRAIN_CHECKPOINT_H

#include "base/file.h"
#include "base/hash.h"
#include "graph/graph.h"
#include "train/optimizer.h"

enum { DIO_CHECKPOINT_VERSION = 1, DIO_CHECKPOINTS_KEPT = 2 };

enum dio_train_phase { DIO_PHASE_SEARCH, DIO_PHASE_REFIT, DIO_PHASE_DONE };

/* What one epoch gave; NAN: not measured. */
struct dio_epoch_record {
    uint32_t phase, epoch; /* epoch from 1 */
    uint64_t steps, pictures;
    double lr;             /* of its last step */
    double train_loss, train_accuracy;
    double val_loss, val_accuracy, val_balanced, val_auroc;
};

/* Where the loop stands. */
struct dio_train_position {
    enum dio_train_phase phase;
    uint64_t epoch;          /* epochs finished in this phase */
    uint64_t step;           /* batches finished in the epoch under way */
    uint64_t steps;          /* batches in all, both phases */
    uint64_t optimizer_t;
    double loss_sum;         /* of the epoch under way, over its pictures */
    uint64_t hits, pictures; /* likewise */
    uint64_t best_epoch;     /* of the search, from 1; 0: none yet */
    double best_score;       /* larger is better */
    uint64_t refit_epochs;   /* how long the refit goes */
    bool early_stopped;
};

/* A set of numbers beside the graph: trained parameters, moving statistics and their counters, in graph order. */
struct dio_snapshot {
    int count;
    int *params;    /* graph indices */
    float *block;   /* their numbers, one after another; a counter (i64) takes the place of two */
    size_t floats;
};
size_t dio_snapshot_size(const struct dio_param *param); /* of one, in places of 4 bytes */
/* The parameters that a run changes; copies their numbers. */
dio_status dio_snapshot_take(struct dio_ctx *ctx, const struct dio_graph *graph, struct dio_snapshot *snapshot);
void dio_snapshot_update(const struct dio_graph *graph, struct dio_snapshot *snapshot);  /* graph -> snapshot */
void dio_snapshot_restore(const struct dio_graph *graph, const struct dio_snapshot *snapshot); /* snapshot -> graph */
void dio_snapshot_free(struct dio_ctx *ctx, struct dio_snapshot *snapshot);

/* Everything of a checkpoint.  For writing all is borrowed; after reading texts point into `blob`, and numbers were copied
 * into the places given. */
struct dio_checkpoint {
    struct dio_train_position position;
    const struct dio_epoch_record *records;
    size_t n_records;
    const uint32_t *bad;     /* dataset items that could not be read, sorted */
    size_t n_bad;
    const char *program;     /* version and kernels that wrote it */
    const char *model;       /* family, variant, options, number of classes: "resnet resnet18 classes=4" */
    const char *classes;     /* names, for messages */
    const char *recipe;      /* resolved */
    struct dio_digest data, frozen, class_list; /* fingerprints: dataset, tensors that stay, class names */
};

/* Writes FOLDER/ckpt-STEPS and removes all but the newest DIO_CHECKPOINTS_KEPT; or FOLDER/NAME, which stays. */
dio_status dio_checkpoint_write(struct dio_ctx *ctx, const char *folder, const char *name,
                                const struct dio_checkpoint *checkpoint,
                                const struct dio_graph *graph, const struct dio_snapshot *best,
                                const struct dio_optimizer_state *optimizer);

/* A checkpoint file that was found sound: header read, checksum right. */
struct dio_checkpoint_file {
    char *path;
    struct dio_blob blob;
    struct dio_checkpoint head;
    struct dio_epoch_record *records; /* owned; head.records */
    uint32_t *bad;                    /* owned; head.bad */
    size_t numbers_at;                /* offset of the numbers */
    const char *optimizer;            /* name */
};

/* The newest good one in the folder.  Damaged ones are named in a warning ("checksum differs; the newest good one is ...",
 * row R1), and so are those that hold NaN (R9); of a newer version: refused (R2).  None at all: DIO_ERR_INPUT. */
dio_status dio_checkpoint_open(struct dio_ctx *ctx, const char *folder, struct dio_checkpoint_file *file);
/* That file and no other. */
dio_status dio_checkpoint_open_at(struct dio_ctx *ctx, const char *path, struct dio_checkpoint_file *file);
/* Copies the numbers into graph, snapshot and optimiser.  Other shapes or names: row R5; another optimiser or no state:
 * R8 (not with weights_only); NaN: R9. */
dio_status dio_checkpoint_load(struct dio_ctx *ctx, const struct dio_checkpoint_file *file, const struct dio_graph *graph,
                               struct dio_snapshot *best, struct dio_optimizer_state *optimizer, bool weights_only);
void dio_checkpoint_close(struct dio_ctx *ctx, struct dio_checkpoint_file *file);

/* Removes every checkpoint (an overwritten run). */
dio_status dio_checkpoint_remove_all(struct dio_ctx *ctx, const char *folder, int keep);

#endif
