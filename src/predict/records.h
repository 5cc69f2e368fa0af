/* What predict writes about one picture: a row of CSV or a line of JSON; private to predict/. */
#ifndef DIO_PREDICT_RECORDS_H
#define DIO_PREDICT_RECORDS_H

#include "base/str.h"
#include "predict/predict.h"

struct dio_records {
    const struct dio_model *model;
    bool json;
    size_t top, classes;
    enum dio_scores scores;
    double *probabilities; /* room for `classes` */
    size_t *order;         /* room for `top` */
};
dio_status dio_records_init(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_predict_options *options,
                            bool json, struct dio_records *records);
void dio_records_free(struct dio_ctx *ctx, struct dio_records *records);

void dio_record_header(const struct dio_records *records, struct dio_str *out); /* CSV; nothing for JSON */
/* How every record of this picture begins: with this an interrupted file is held against the pictures. */
void dio_record_begin(const struct dio_records *records, const char *path, struct dio_str *out);
void dio_record_good(struct dio_records *records, const char *path, const float *logits, struct dio_str *out);
void dio_record_bad(const struct dio_records *records, const char *path, const struct dio_message *why, struct dio_str *out);
/* Does the record, behind its beginning, hold an error? */
bool dio_record_is_bad(const struct dio_records *records, const char *rest, size_t length);

/* Length of the first record in a text, its line end included; 0: it is not complete. */
size_t dio_record_length(const struct dio_records *records, const char *text, size_t length);

#endif
