#include <string.h>

#include "api/private.h"
#include "predict/predict.h"

diopter_status diopter_predict(diopter_model *model, const char *const *paths, size_t count, const char *output,
                               const diopter_options *options, diopter_predict_result *result)
{
    struct dio_ctx *ctx = &model->context->ctx;
    api_begin(model->context, options);
    diopter_options *made = NULL;
    struct dio_predict_result done = {0};
    dio_status status = api_default_options(model->context, &options, &made);
    if (status == DIO_OK) status = api_need_head(model);
    if (status == DIO_OK) {
        const unsigned use = DIOPTER_FOR_PREDICT;
        const char *scores = api_extra(options, "scores", use), *format = api_extra(options, "format", use);
        enum dio_precision precision;
        struct dio_calibrate_options calibrate;
        status = api_precision_of(ctx, options, use, &precision, &calibrate);
        const struct dio_predict_options how = {
            .paths = paths,
            .n_paths = count,
            .root = options->train.root,
            .columns = options->train.columns,
            .output = output,
            .format = !format ? DIO_PREDICT_BY_NAME : strcmp(format, "csv") == 0 ? DIO_PREDICT_CSV : DIO_PREDICT_JSONL,
            .allow_damaged = options->train.allow_damaged,
            .top = api_extra_whole(options, "top", use),
            .scores = !scores ? DIO_SCORES_NONE : strcmp(scores, "probs") == 0 ? DIO_SCORES_PROBS : DIO_SCORES_LOGITS,
            .batch = api_extra_whole(options, "batch_size", use),
            .precision = precision,
            .calibrate = calibrate,
            .stop_at_bad = strcmp(api_extra(options, "bad", use), "stop") == 0,
            .max_bad = api_extra_number(options, "max_bad", use),
            .overwrite = api_extra_flag(options, "overwrite", use),
            .resume = api_extra_flag(options, "resume", use),
            .exact = api_extra_flag(options, "exact", use),
        };
        if (status == DIO_OK) status = dio_predict_check(ctx, &how);
        if (status == DIO_OK && output) status = dio_loaded_check_output(ctx, &model->loaded, output);
        if (status == DIO_OK) status = dio_predict_run(ctx, model->loaded.model, &how, &done);
    }
    diopter_options_destroy(made);
    if (result) {
        const diopter_predict_result out = {.size = result->size, .pictures = done.n - done.bad, .failed = done.bad,
                                            .resumed = done.resumed};
        memcpy(result, &out, result->size < sizeof out ? result->size : sizeof out);
    }
    if (status == DIO_OK && done.bad > 0) return DIOPTER_PARTIAL;
    return api_status(status);
}
