/* Where predictions go: standard output, a device, or a file that gets its name when it is complete; private to predict/.
 *
 * A file grows as its part (part.h).  --resume goes on with a part of the very same prediction, or with a finished file:
 * that is then held against this prediction (columns, pictures in their order, the first records computed again), is
 * complete when nothing is missing, and gets the missing records through a part of its own. */
#ifndef DIO_PREDICT_OUTPUT_H
#define DIO_PREDICT_OUTPUT_H

#include "base/file.h"
#include "predict/part.h"
#include "predict/records.h"

struct dio_output {
    struct dio_ctx *ctx;
    struct dio_stream stream;
    char *path, *part;      /* part NULL: written directly */
    int lock;               /* the part, open and locked; -1: it is not ours */
    struct dio_blob before; /* records of an earlier prediction that are complete */
    size_t before_at, before_end;
    bool finished;          /* resume: they are those of a file that has its name */
    struct dio_str held;    /* not written yet: nothing is, before there is a good picture */
    bool writing;
};

/* "-" or NULL: standard output. */
dio_status dio_output_check(struct dio_ctx *ctx, const struct dio_predict_options *options);
dio_status dio_output_open(struct dio_ctx *ctx, const struct dio_predict_options *options, const struct dio_part_key *key,
                           const struct dio_records *records, struct dio_output *output);

/* The record of an earlier prediction; its bytes belong to the output. */
struct dio_old_record {
    const char *text; /* NULL: there is none */
    size_t length;
    bool bad;
};
/* The picture's record, if it is there already.  A record of another picture is refused. */
dio_status dio_output_take(struct dio_output *output, const struct dio_records *records, const char *path,
                           struct dio_old_record *old);
/* A record of a finished file must be what is computed now. */
dio_status dio_output_compare(struct dio_output *output, const struct dio_old_record *old, const struct dio_str *record);
/* All pictures have been seen: records of others must not be left over. */
dio_status dio_output_end(struct dio_output *output);
/* Was the file complete before this prediction? */
bool dio_output_was_complete(const struct dio_output *output);
/* Records are written in order, each whole.  good: of a picture that could be read. */
dio_status dio_output_put(struct dio_output *output, const struct dio_str *record, bool good);
dio_status dio_output_commit(struct dio_output *output);
/* keep: the part stays, for resume; what an earlier prediction left stays in any case. */
void dio_output_abort(struct dio_output *output, bool keep);

#endif
