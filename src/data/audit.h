/* Looks at every picture once and says what is odd: for `check`, and for the summary in a run's report. */
#ifndef DIO_DATA_AUDIT_H
#define DIO_DATA_AUDIT_H

#include "data/bad.h"
#include "data/dataset.h"
#include "image/recipe.h"

struct dio_audit_pair {
    uint32_t first, second; /* items with the same bytes; second stands later in the order */
    bool across_splits, across_classes;
};

struct dio_audit_count {
    char name[24];
    uint64_t count;
};

struct dio_audit {
    uint64_t pictures, good;
    int32_t min_width, min_height, max_width, max_height;
    int32_t median_width, median_height;
    struct dio_audit_count codecs[12];  /* "jpeg", ...; count 0 ends */
    uint64_t grey, cmyk, sixteen_bit, alpha, icc, gamma, turned, damaged;
    double crop_loss;                   /* median share of the area that a centre crop to the recipe's shape loses */
    struct dio_audit_pair *duplicates;  /* exact ones, at most DIO_AUDIT_PAIRS kept */
    size_t n_duplicates;
    uint64_t duplicates_within, duplicates_across;
    uint64_t small_classes;             /* with fewer than DIO_AUDIT_FEW training pictures */
    uint64_t warnings;                  /* said by dio_audit_run, unless quiet */
};
enum { DIO_AUDIT_PAIRS = 1000, DIO_AUDIT_FEW = 10 };

struct dio_audit_options {
    const struct dio_image_recipe *recipe; /* for the crop warning; NULL: a square centre crop */
    struct dio_decode_options decode;
    bool fast_decode;                      /* large JPEGs smaller, as a model of the usual size would read them */
    bool quiet;                            /* warnings are left to the caller, who finds them in the record */
};

/* `bad` gets every unreadable picture, in order; its finish is called here.  Progress is reported. */
dio_status dio_audit_run(struct dio_ctx *ctx, const struct dio_dataset *dataset, const struct dio_audit_options *options,
                         struct dio_bad *bad, struct dio_audit *audit);
void dio_audit_free(struct dio_ctx *ctx, struct dio_audit *audit);

/* ---- of pictures that were decoded for another purpose ---- */

/* Counts one good picture: its extent and traits. */
void dio_audit_add(struct dio_audit *audit, const struct dio_picture_facts *facts);
/* Median sizes and crop_loss of these pictures; nothing when there are none. */
dio_status dio_audit_medians(struct dio_ctx *ctx, const struct dio_picture_facts *facts, size_t count,
                             const struct dio_image_recipe *recipe, struct dio_audit *audit);
/* Is crop_loss worth a warning under this recipe (NULL: a square centre crop)?  And the warning. */
bool dio_audit_crops(const struct dio_audit *audit, const struct dio_image_recipe *recipe);
void dio_audit_say_crop(struct dio_ctx *ctx, const struct dio_audit *audit);

#endif
