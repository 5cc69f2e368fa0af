/* A model over a split of a dataset, down to the scores that eval/ makes metrics of. */
#ifndef DIO_PREDICT_EVALUATE_H
#define DIO_PREDICT_EVALUATE_H

#include "data/dataset.h"
#include "model/model.h"
#include "predict/calibrate.h"

/* One row a picture that could be read, in the order of the dataset. */
struct dio_evaluation {
    size_t count, n_classes, skipped;
    uint32_t *items;   /* dataset index of each row */
    int32_t *labels;
    float *logits;     /* [count, n_classes] */
};

struct dio_evaluate_options {
    int64_t batch;     /* 0: 16 */
    enum dio_precision precision;
    struct dio_calibrate_options calibrate; /* INT8 */
    bool stop_at_bad, allow_damaged;
    bool exact;        /* dio_plan_options.exact */
    double max_bad;    /* share; 1: any */
};

/* The items given (dataset indices, each with a label).  Nothing readable at all: DIO_ERR_INPUT. */
dio_status dio_evaluate(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_dataset *dataset,
                        const uint32_t *items, size_t n_items, const struct dio_evaluate_options *options,
                        struct dio_evaluation *evaluation);
void dio_evaluation_free(struct dio_ctx *ctx, struct dio_evaluation *evaluation);

/* Indices of a split: "train", "val", "test", "all", or NULL (test; else val; else all).  A named split that is not there is
 * refused. */
dio_status dio_evaluate_items(struct dio_ctx *ctx, const struct dio_dataset *dataset, const char *split,
                              uint32_t **items, size_t *count);

#endif
