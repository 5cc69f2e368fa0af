/* The parts of diopter_bench. */
#ifndef DIO_API_BENCH_H
#define DIO_API_BENCH_H

#include "model/model.h"

/* Seconds of a full training step: medians of several. */
struct api_bench_step {
    double whole, forward, backward, update;
};

/* All parameters learn by SGD with momentum, on made-up pictures; the model keeps its weights. */
dio_status api_bench_train(struct dio_ctx *ctx, const struct dio_model *model, int64_t batch, struct api_bench_step *out);

/* Up to 512 pictures of a folder (tar, manifest) through a recipe, on the whole team. */
struct api_bench_pictures_result {
    size_t count, good; /* good 0: not asked for */
    double seconds;     /* median of several passes over all */
};
dio_status api_bench_pictures(struct dio_ctx *ctx, const struct dio_image_recipe *recipe, const char *path,
                              struct api_bench_pictures_result *out);

/* Of an odd number of figures; sorts them. */
double api_bench_median(double *values, int count);
/* Pictures for a plan: made up, the same in every run. */
float *api_bench_input(struct dio_ctx *ctx, const struct dio_model *model, int64_t batch);

#endif
