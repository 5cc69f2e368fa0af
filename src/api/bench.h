/* The parts of diopter_bench. */
#ifndef DIO_API_BENCH_H
#define DIO_API_BENCH_H

#include "graph/plan.h"
#include "model/model.h"
#include "text/json_write.h"

/* Operations or bytes a second, of one thread and of all together. */
struct api_rate {
    double one, all;
};
struct api_bandwidth {
    struct api_rate read, write;
};
struct api_ceilings {
    int threads;
    struct api_rate f32, f32_cached;                /* registers alone; operands from the first-level cache */
    struct api_rate bf16, int8, amx_bf16, amx_int8; /* 0: no instructions for it, or below the level asked for */
    struct api_bandwidth l2, memory;
};
dio_status api_bench_ceilings(struct dio_ctx *ctx, struct api_ceilings *out);
/* Of all threads, for products of that precision. */
double api_ceiling_of(const struct api_ceilings *ceilings, enum dio_precision precision);
void api_ceilings_text(struct dio_str *out, const struct api_ceilings *ceilings);
void api_ceilings_json(struct dio_json_writer *w, const struct api_ceilings *ceilings);

/* Seconds of a full training step: medians of several; and where forward and backward spend them. */
enum { API_BENCH_MAX_KINDS = 32 };
struct api_bench_kind {
    const char *op;           /* of the plan */
    int steps;
    double forward, backward; /* least of several runs, step by step */
};
struct api_bench_step {
    double whole, forward, backward, update;
    int n_kinds;
    struct api_bench_kind kinds[API_BENCH_MAX_KINDS];
};

/* All parameters learn by SGD with momentum, on made-up pictures; the model keeps its weights.  exact: dio_plan_options.exact. */
dio_status api_bench_train(struct dio_ctx *ctx, const struct dio_model *model, int64_t batch, bool exact, struct api_bench_step *out);
void api_bench_step_text(struct dio_str *out, const struct api_bench_step *step, int64_t batch);
void api_bench_step_json(struct dio_json_writer *w, const struct api_bench_step *step);

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
