/* The file in which a prediction grows before it gets its name; private to predict/.
 *
 * NAME.part-MODEL-PIXELS-PATHS-FORMAT-TOP-SCORES: its name says what it was made of, so that resume goes on with what the
 * very same prediction left, and can say what differs in another one. */
#ifndef DIO_PREDICT_PART_H
#define DIO_PREDICT_PART_H

#include "base/context.h"
#include "predict/predict.h"

enum { DIO_PART_HASH = 9 }; /* eight hexadecimal digits and a zero */

struct dio_part_key {
    char model[DIO_PART_HASH];  /* weights and class names */
    char pixels[DIO_PART_HASH]; /* how pictures are read: the image recipe, --allow-damaged */
    char paths[DIO_PART_HASH];
    bool json;
    size_t top;
    enum dio_scores scores;
};


/* The part of the output `path`; freed by the caller, NULL when memory is short (recorded). */
char *dio_part_path(struct dio_ctx *ctx, const char *path, const struct dio_part_key *key);
/* Is `name` that of a part of the output with the base name `base`?  Then *key is what it was made of. */
bool dio_part_read_name(const char *name, const char *base, struct dio_part_key *key);
/* "the model, --top (3, now 1)" */
void dio_part_differences(const struct dio_part_key *then, const struct dio_part_key *now, char *out, size_t out_size);

#endif
