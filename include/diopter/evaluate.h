/* How good a model is on labelled pictures. */
#ifndef DIOPTER_EVALUATE_H
#define DIOPTER_EVALUATE_H

#include <diopter/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct diopter_evaluation diopter_evaluation;

/* Runs the model over a split of `data` (option split: test where there is one, else val, else all).
 * DIOPTER_PARTIAL: done, with pictures skipped, or below min_accuracy; *evaluation is then valid, too. */
DIOPTER_API diopter_status diopter_evaluate(diopter_model *model, const char *data, const diopter_options *options,
                                            diopter_evaluation **evaluation);
DIOPTER_API void diopter_evaluation_destroy(diopter_evaluation *evaluation);

typedef struct diopter_evaluation_info {
    size_t size;
    uint64_t pictures, skipped;
    size_t classes;
    double top1, top1_low, top1_high; /* with its 95 % Wilson interval */
    double balanced_accuracy, macro_f1;
    double auroc, sensitivity, specificity; /* two classes; else NAN */
} diopter_evaluation_info;
DIOPTER_API diopter_status diopter_evaluation_describe(const diopter_evaluation *evaluation, diopter_evaluation_info *info);

/* Pictures of class `truth` that were taken for `predicted`; 0 outside the range. */
DIOPTER_API uint64_t diopter_evaluation_confusion(const diopter_evaluation *evaluation, size_t truth, size_t predicted);

/* Text for people, one JSON object, an SVG plot.  The caller owns the string (diopter_free); NULL: out of memory. */
DIOPTER_API char *diopter_evaluation_text(const diopter_evaluation *evaluation);
DIOPTER_API char *diopter_evaluation_json(const diopter_evaluation *evaluation);
DIOPTER_API char *diopter_evaluation_svg(const diopter_evaluation *evaluation);

#ifdef __cplusplus
}
#endif
#endif
