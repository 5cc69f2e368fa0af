/* Predictions over folders and files: a stream of lines, in order, in constant memory. */
#ifndef DIO_PREDICT_PREDICT_H
#define DIO_PREDICT_PREDICT_H

#include "model/model.h"
#include "predict/calibrate.h"

enum dio_scores { DIO_SCORES_NONE, DIO_SCORES_PROBS, DIO_SCORES_LOGITS };
enum dio_predict_format { DIO_PREDICT_BY_NAME, DIO_PREDICT_CSV, DIO_PREDICT_JSONL }; /* BY_NAME: .jsonl, else CSV */

struct dio_predict_options {
    const char *const *paths; /* files, folders, tars */
    size_t n_paths;
    const char *root, *columns; /* how manifests are read, as in dio_dataset_options; NULL: the usual way */
    const char *output;       /* NULL or "-": standard output, CSV */
    enum dio_predict_format format;
    int64_t top;              /* 0: 1 */
    enum dio_scores scores;   /* the whole vector too */
    int64_t batch;            /* 0: 16 */
    enum dio_precision precision;
    struct dio_calibrate_options calibrate; /* INT8 */
    bool stop_at_bad;         /* --bad stop */
    bool allow_damaged;       /* --allow-damaged: cut pictures are filled with grey */
    double max_bad;           /* --max-bad: share beyond which the run fails; 1: only when every picture was bad */
    bool overwrite, resume;
    bool exact;               /* dio_plan_options.exact */
};

struct dio_predict_result {
    uint64_t n, bad, resumed; /* lines in all; those with an error; those taken over from an interrupted run */
};

/* What can be refused before the model is read: an output that exists (row A6), is one of the inputs or lies among them
 * (A7), cannot be written (A8), a folder. */
dio_status dio_predict_check(struct dio_ctx *ctx, const struct dio_predict_options *options);

/* result->bad of result->n pictures could not be read: their lines hold the error.  All bad: DIO_ERR_INPUT.
 * DIO_CANCELLED: what is done lies in OUTPUT.part, and --resume goes on from there. */
dio_status dio_predict_run(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_predict_options *options,
                           struct dio_predict_result *result);

#endif
