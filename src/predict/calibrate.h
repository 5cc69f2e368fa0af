/* What ranges a model's values have on some pictures, and which are better not made bytes: what 8-bit plans are made from. */
#ifndef DIO_PREDICT_CALIBRATE_H
#define DIO_PREDICT_CALIBRATE_H

#include <math.h>

#include "graph/plan.h"
#include "model/model.h"

enum {
    DIO_CALIBRATE_PICTURES = 128, /* at most, taken evenly from all that are there */
    DIO_CALIBRATE_JUDGED = 16     /* of these, on which scores are held against those of f32 */
};

struct dio_calibrate_options {
    const char *path;  /* a file, folder, tar or manifest of pictures; NAME.json: what `save` wrote */
    const char *save;  /* NULL: nowhere */
    double most_loss;  /* of the scores (dio_calibration_loss); values that lose the most stay wide until this holds */
};

/* *ranges: one for each value of the model's graph, none for those that stay wide (they are named in notes); the caller's
 * (dio_free).  Pictures that cannot be read do not count. */
dio_status dio_calibrate(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_calibrate_options *options,
                         struct dio_value_range **ranges);
bool dio_calibration_is_file(const char *path); /* by its name: NAME.json */
/* The ranges alone, from n prepared pictures. */
dio_status dio_calibrate_pixels(struct dio_ctx *ctx, const struct dio_model *model, const float *pixels, int64_t n,
                                struct dio_value_range **ranges);

/* ---- between the files of this part ---- */

static inline struct dio_value_range dio_range_none(void) { return (struct dio_value_range){INFINITY, -INFINITY}; }
static inline bool dio_range_is_none(struct dio_value_range range) { return !(range.low <= range.high); }

/* Some of the pictures, with their scores in f32. */
struct dio_calibration_sample {
    float *pixels, *logits;
    int64_t count;
};

/* Refuses scores in f32 that are not finite: against them every loss would be none. */
dio_status dio_calibration_check(struct dio_ctx *ctx, const struct dio_model *model, const char *path, const struct dio_calibration_sample *sample);

/* What an int8 plan of these ranges does to the scores of the sample: the root mean square of the change over the scores'
 * standard deviation. */
dio_status dio_calibration_loss(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_calibration_sample *sample,
                                const struct dio_value_range *ranges, double *loss);
/* Takes ranges away, of the values that lose the most when they alone are bytes, until the loss is at most `most`; lost[v]:
 * what value v loses alone where its range went, else 0.  *loss: what is left. */
dio_status dio_calibration_widen(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_calibration_sample *sample, double most,
                                 struct dio_value_range *ranges, double *lost, double *loss);

dio_status dio_calibration_write(struct dio_ctx *ctx, const struct dio_model *model, const char *path, int64_t pictures,
                                 const struct dio_value_range *ranges, const double *lost, double loss);
dio_status dio_calibration_read(struct dio_ctx *ctx, const struct dio_model *model, const char *path, struct dio_value_range *ranges,
                                double *lost, double *loss, int64_t *pictures);

#endif
