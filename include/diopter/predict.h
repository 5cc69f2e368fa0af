/* Prediction over files, folders and tars, streaming: constant memory for any number of pictures. */
#ifndef DIOPTER_PREDICT_H
#define DIOPTER_PREDICT_H

#include <diopter/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct diopter_predict_result {
    size_t size;
    uint64_t pictures, failed;  /* predicted; not readable */
    uint64_t resumed;           /* rows found in an interrupted file */
} diopter_predict_result;

/* Predicts every picture under `paths` in sorted order.  output: a name ending in .csv or .jsonl; NULL or "-":
 * standard output, CSV unless option format says jsonl.  result may be NULL.  DIOPTER_PARTIAL: some pictures could not be
 * read (their rows say why). */
DIOPTER_API diopter_status diopter_predict(diopter_model *model, const char *const *paths, size_t count,
                                           const char *output, const diopter_options *options,
                                           diopter_predict_result *result);

#ifdef __cplusplus
}
#endif
#endif
