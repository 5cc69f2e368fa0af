/* Ceilings of the machine, and what each layer of a model reaches of them. */
#include <math.h>

#include "api/bench.h"
#include "api/private.h"
#include "arch/arch.h"
#include "base/clock.h"
#include "predict/calibrate.h"

enum { RUNS = 5 };

struct layers {
    struct dio_plan *plan;
    double *seconds;   /* best of the runs, a step each */
    double whole;      /* median of whole runs */
    struct api_bench_step step; /* of training; whole 0: not asked for */
    enum dio_precision precision;
    struct dio_calibrate_options calibrate;
    struct api_bench_pictures_result pictures;
    int64_t batch;
    bool exact;        /* dio_plan_options.exact */
    int steps;
};

double api_bench_median(double *values, int count)
{
    for (int i = 1; i < count; i++) {
        const double value = values[i];
        int j = i;
        for (; j > 0 && value < values[j - 1]; j--) values[j] = values[j - 1];
        values[j] = value;
    }
    return values[count / 2];
}

float *api_bench_input(struct dio_ctx *ctx, const struct dio_model *model, int64_t batch)
{
    const struct dio_image_recipe *recipe = &model->recipe;
    const size_t samples = (size_t)recipe->height * (size_t)recipe->width * (size_t)recipe->channels * (size_t)batch;
    float *pictures = dio_alloc_array(ctx, samples, sizeof *pictures, "pictures");
    for (size_t i = 0; pictures && i < samples; i++) pictures[i] = (float)((double)(i * 7919 % 1009) / 504.5 - 1);
    return pictures;
}

static dio_status time_layers(struct dio_ctx *ctx, struct layers *l, const float *in, float *out)
{
    const void *ins = in;
    void *outs = out;
    double *once = dio_alloc_zeroed(ctx, (size_t)l->steps + 1, sizeof *once, "timings");
    if (!once) return DIO_ERR_ENV;
    double whole[RUNS];
    dio_plan_run(l->plan, l->batch, &ins, &outs);
    for (int run = 0; run < RUNS; run++) {
        double start = dio_clock_seconds();
        dio_plan_run(l->plan, l->batch, &ins, &outs);
        whole[run] = dio_clock_seconds() - start;
        dio_plan_time(l->plan, l->batch, &ins, &outs, once);
        for (int i = 0; i < l->steps; i++) {
            if (run == 0 || once[i] < l->seconds[i]) l->seconds[i] = once[i];
        }
    }
    l->whole = api_bench_median(whole, RUNS);
    dio_free(ctx, once);
    return DIO_OK;
}

static dio_status bench_model(struct dio_ctx *ctx, const struct dio_model *m, struct layers *l)
{
    dio_status status = DIO_OK;
    float *in = NULL, *out = NULL;
    struct dio_value_range *ranges = NULL;
    struct dio_plan_options options = {.batch = l->batch, .exact = l->exact, .precision = l->precision};
    int output = m->logits;
    int64_t elements = 1;
    const struct dio_shape *shape = &m->graph->values[output].type.shape;
    for (int d = 1; d < shape->rank; d++) elements *= shape->dims[d];
    in = api_bench_input(ctx, m, l->batch);
    if (!in) return DIO_ERR_ENV;
    if (l->precision == DIO_PRECISION_INT8) {
        DIO_TRY(l->calibrate.path ? dio_calibrate(ctx, m, &l->calibrate, &ranges) : dio_calibrate_pixels(ctx, m, in, l->batch, &ranges));
    }
    options.ranges = ranges;
    DIO_TRY(dio_plan_infer(ctx, m->graph, m->graph->inputs, 1, &output, 1, &options, &l->plan));
    l->steps = dio_plan_steps(l->plan);
    l->seconds = dio_alloc_zeroed(ctx, (size_t)l->steps + 1, sizeof *l->seconds, "timings");
    out = dio_alloc_array(ctx, (size_t)elements * (size_t)l->batch, sizeof *out, "outputs");
    if (!l->seconds || !out) {
        status = DIO_ERR_ENV;
        goto fail;
    }
    DIO_TRY(time_layers(ctx, l, in, out));
fail:
    dio_free(ctx, ranges);
    dio_free(ctx, in);
    dio_free(ctx, out);
    return status;
}

static void write_text(struct dio_str *out, const struct api_ceilings *c, const struct layers *l)
{
    api_ceilings_text(out, c);
    if (l->pictures.count) {
        const double rate = (double)l->pictures.count / l->pictures.seconds;
        dio_str_addf(out, "pictures          %8.1f a second, %.1f a thread: read, decoded, resized, cropped, normalised (%zu, %zu good)\n",
                     rate, rate / c->threads, l->pictures.count, l->pictures.good);
    }
    if (!l->plan) return;
    dio_str_addf(out, "\n%-34s %-12s %8s %9s %8s %6s\n", "layer", "op", "MMACs", "ms", "GF", "peak");
    double macs = 0;
    const double ceiling = api_ceiling_of(c, l->precision);
    for (int i = 0; i < l->steps; i++) {
        struct dio_plan_step_info info;
        dio_plan_step(l->plan, i, &info);
        double flops = 2.0 * (double)info.macs * (double)l->batch / l->seconds[i];
        macs += (double)info.macs;
        dio_str_addf(out, "%-34.34s %-12.12s %8.1f %9.3f", info.name, info.op, (double)info.macs / 1e6, l->seconds[i] * 1e3);
        if (info.macs) dio_str_addf(out, " %8.1f %4.0f %%", flops / 1e9, 100 * flops / api_ceiling_of(c, info.precision));
        dio_str_add(out, "\n");
    }
    double flops = 2 * macs * (double)l->batch / l->whole;
    dio_str_addf(out, "\nwhole, %s, batch %lld: %.2f ms, %.1f pictures/s, %.1f GF, %.0f %% of the peak (median of %d runs)\n",
                 dio_precision_name(l->precision), (long long)l->batch, l->whole * 1e3, (double)l->batch / l->whole, flops / 1e9,
                 100 * flops / ceiling, RUNS);
    if (l->step.whole > 0) api_bench_step_text(out, &l->step, l->batch);
}

static void write_json(struct dio_str *out, const struct api_ceilings *c, const struct layers *l)
{
    struct dio_json_writer w;
    dio_json_begin(&w, out, 0);
    dio_json_map(&w, NULL);
    api_ceilings_json(&w, c);
    if (l->pictures.count) {
        dio_json_map(&w, "pictures");
        dio_json_i64(&w, "count", (int64_t)l->pictures.count);
        dio_json_i64(&w, "good", (int64_t)l->pictures.good);
        dio_json_double(&w, "seconds", l->pictures.seconds);
        dio_json_end_map(&w);
    }
    if (l->plan) {
        dio_json_i64(&w, "batch", l->batch);
        dio_json_text(&w, "precision", dio_precision_name(l->precision));
        dio_json_double(&w, "seconds", l->whole);
        dio_json_list(&w, "layers");
        for (int i = 0; i < l->steps; i++) {
            struct dio_plan_step_info info;
            dio_plan_step(l->plan, i, &info);
            dio_json_map(&w, NULL);
            dio_json_text(&w, "name", info.name);
            dio_json_text(&w, "op", info.op);
            dio_json_text(&w, "precision", dio_precision_name(info.precision));
            dio_json_i64(&w, "macs", info.macs);
            dio_json_double(&w, "seconds", l->seconds[i]);
            dio_json_end_map(&w);
        }
        dio_json_end_list(&w);
    }
    if (l->step.whole > 0) api_bench_step_json(&w, &l->step);
    dio_json_end_map(&w);
    dio_str_add(out, "\n");
}

/* A backbone is timed with the head that its published form has. */
static dio_status complete(diopter_model *model)
{
    enum { IMAGENET_CLASSES = 1000 };
    DIO_PASS(dio_loaded_need_model(&model->context->ctx, &model->loaded));
    DIO_PASS(dio_loaded_check(&model->context->ctx, &model->loaded));
    if (model->loaded.model->logits >= 0) return DIO_OK;
    return dio_arch_new_head(model->loaded.model, IMAGENET_CLASSES, 1);
}

diopter_status diopter_bench(diopter_context *context, diopter_model *model, const diopter_options *options, bool json, char **text)
{
    struct dio_ctx *ctx = &context->ctx;
    struct api_ceilings ceilings = {0};
    struct layers layers = {0};
    diopter_options *made = NULL;
    *text = NULL;
    api_begin(context, options);
    dio_status status = api_default_options(context, &options, &made);
    if (status != DIO_OK) return api_status(status);
    layers.batch = api_extra_whole(options, "batch_size", DIOPTER_FOR_BENCH);
    layers.exact = api_extra_flag(options, "exact", DIOPTER_FOR_BENCH);
    layers.precision = api_precision(options, DIOPTER_FOR_BENCH);
    layers.calibrate = (struct dio_calibrate_options){.path = api_extra(options, "calibrate", DIOPTER_FOR_BENCH), .most_loss = INFINITY};
    const bool step = api_extra_flag(options, "train_step", DIOPTER_FOR_BENCH);
    const char *pictures = api_extra(options, "pictures", DIOPTER_FOR_BENCH);
    if (layers.calibrate.path && layers.precision != DIO_PRECISION_INT8) {
        status = dio_fail(ctx, DIO_ERR_USAGE, "A3", NULL, "--calibrate needs --precision int8");
    }
    if (step && layers.precision != DIO_PRECISION_F32) {
        status = dio_fail(ctx, DIO_ERR_USAGE, "A4", NULL, "--train-step: training computes in f32 alone");
    }
    if (step && !model) status = dio_fail(ctx, DIO_ERR_USAGE, "A3", NULL, "--train-step needs a model");
    if (status == DIO_OK) status = api_bench_ceilings(ctx, &ceilings);
    if (status == DIO_OK && model) status = complete(model);
    if (status == DIO_OK && model) status = bench_model(ctx, model->loaded.model, &layers);
    if (status == DIO_OK && pictures) {
        const struct dio_image_recipe usual = dio_image_recipe_imagenet(256, 224);
        status = api_bench_pictures(ctx, model ? &model->loaded.model->recipe : &usual, pictures, &layers.pictures);
    }
    if (status == DIO_OK && step) status = api_bench_train(ctx, model->loaded.model, layers.batch, layers.exact, &layers.step);
    if (status == DIO_OK) {
        struct dio_str out;
        dio_str_init(&out, ctx);
        if (json) write_json(&out, &ceilings, &layers);
        else write_text(&out, &ceilings, &layers);
        *text = api_take_text(&out);
        if (!*text) status = DIO_ERR_ENV;
    }
    dio_plan_free(layers.plan);
    dio_free(ctx, layers.seconds);
    diopter_options_destroy(made);
    return api_status(status);
}
