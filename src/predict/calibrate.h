/* What ranges a model's values have on some pictures: what 8-bit plans are made from. */
#ifndef DIO_PREDICT_CALIBRATE_H
#define DIO_PREDICT_CALIBRATE_H

#include "graph/plan.h"
#include "model/model.h"

enum { DIO_CALIBRATE_PICTURES = 128 }; /* at most, taken evenly from all that are there */

/* path: a file, folder, tar or manifest of pictures; those that cannot be read do not count.  *ranges: one for each value of
 * the model's graph; the caller's (dio_free). */
dio_status dio_calibrate(struct dio_ctx *ctx, const struct dio_model *model, const char *path, struct dio_value_range **ranges);
/* The same from n prepared pictures. */
dio_status dio_calibrate_pixels(struct dio_ctx *ctx, const struct dio_model *model, const float *pixels, int64_t n,
                                struct dio_value_range **ranges);

#endif
