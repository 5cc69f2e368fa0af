/* Where predictions go: standard output, a device, or a file that gets its name when it is complete; private to predict/.
 *
 * A file grows as NAME.part-KEY, where KEY stands for model, settings and paths: resume goes on with what the very same
 * prediction left, and with nothing else. */
#ifndef DIO_PREDICT_OUTPUT_H
#define DIO_PREDICT_OUTPUT_H

#include "base/file.h"
#include "base/hash.h"
#include "predict/records.h"

struct dio_output {
    struct dio_ctx *ctx;
    struct dio_stream stream;
    char *path, *part;      /* part NULL: written directly */
    int lock;               /* the part, open and locked; -1: it is not ours */
    struct dio_blob before; /* records of an interrupted prediction that are complete */
    size_t before_at, before_end;
    bool complete;          /* resume: the file was finished before */
};

/* "-" or NULL: standard output. */
dio_status dio_output_check(struct dio_ctx *ctx, const struct dio_predict_options *options);
dio_status dio_output_open(struct dio_ctx *ctx, const struct dio_predict_options *options, const struct dio_digest *key,
                           const struct dio_records *records, struct dio_output *output);
/* Is the picture's record there already?  A record of another picture is refused. */
dio_status dio_output_skip(struct dio_output *output, const struct dio_records *records, const char *path, bool *there,
                           bool *bad);
/* All pictures have been seen: records of others must not be left over. */
dio_status dio_output_end(struct dio_output *output);
/* Of a finished file: its records, and how many hold an error. */
dio_status dio_output_count(struct dio_output *output, const struct dio_records *records, uint64_t *n, uint64_t *bad);
/* Records are written in order, each whole. */
dio_status dio_output_put(struct dio_output *output, const struct dio_str *record);
dio_status dio_output_commit(struct dio_output *output);
/* keep: the part stays, for resume; what an earlier prediction left stays in any case. */
void dio_output_abort(struct dio_output *output, bool keep);

#endif
