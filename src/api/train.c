#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/private.h"
#include "train/train.h"

static dio_status set_text(struct dio_ctx *ctx, struct dio_train_options *options, const char *name, const char *value)
{
    if (!value) return DIO_OK;
    const struct dio_place nowhere = {0};
    int index = dio_option_find(name);
    return dio_option_set(ctx, options, (size_t)index, value, strlen(value), DIO_FROM_COMMAND, DIO_ERR_USAGE, &nowhere,
                          name);
}

static void hand_over(const struct dio_train_result *done, dio_status status, diopter_train_result *result)
{
    if (!result) return;
    diopter_train_result out = {.size = result->size,
                                .epochs = (int)done->epochs,
                                .best_epoch = (int)done->best_epoch,
                                .validation_accuracy = done->val_accuracy,
                                .skipped = done->n_bad,
                                .complete = status == DIO_OK,
                                .stopped_epoch = (int)done->stopped_epoch,
                                .stopped_step = done->stopped_step,
                                .already_complete = done->already_complete};
    (void)snprintf(out.run, sizeof out.run, "%s", done->run ? done->run : "");
    memcpy(result, &out, result->size < sizeof out ? result->size : sizeof out);
}

/* A recipe's `threads`: a team for this run alone, since plans of open models run on the context's. */
static dio_status start_own_team(diopter_context *context, const struct dio_train_options *options, struct dio_team **team)
{
    *team = NULL;
    if (options->threads <= 0 || context->threads_given || options->threads == dio_team_size(context->ctx.team)) return DIO_OK;
    return dio_team_start(&context->ctx, (int)options->threads, team);
}

enum job { FRESH, RESUME };

static diopter_status run_job(diopter_context *context, enum job job, const char *recipe, const char *model,
                              const char *data, const char *run, const diopter_options *options,
                              diopter_train_result *result)
{
    struct dio_ctx *ctx = &context->ctx;
    diopter_options *made = NULL;
    struct dio_train_options own;
    struct dio_train_result done = {.val_accuracy = NAN};
    bool copied = false;
    api_begin(context, options);
    dio_status status = api_default_options(context, &options, &made);
    if (status == DIO_OK) {
        status = dio_train_options_copy(ctx, &options->train, &own);
        copied = status == DIO_OK;
    }
    if (status == DIO_OK) status = set_text(ctx, &own, "model", model);
    if (status == DIO_OK) status = set_text(ctx, &own, "data", data);
    if (status == DIO_OK && job == FRESH) status = set_text(ctx, &own, "output", run);
    bool cpu = context->cpu_given[0] && strcmp(context->cpu_given, "auto") != 0;
    if (status == DIO_OK && cpu) status = set_text(ctx, &own, "cpu", context->cpu_given);
    if (status == DIO_OK && context->linear_given[0]) status = set_text(ctx, &own, "linear", context->linear_given);
    if (status == DIO_OK && recipe) status = dio_recipe_read(ctx, recipe, &own);
    if (status == DIO_OK && recipe) status = dio_recipe_check_paths(ctx, &own);
    struct dio_team *usual = ctx->team, *team = NULL;
    if (status == DIO_OK) status = start_own_team(context, &own, &team);
    if (team) ctx->team = team;
    if (status == DIO_OK) {
        status = job == FRESH ? dio_train_run(ctx, &own, &done) : dio_train_resume(ctx, run, &own, &done);
    }
    ctx->team = usual;
    dio_team_stop(ctx, team);
    hand_over(&done, status, result);
    uint64_t bad = done.n_bad;
    dio_train_result_free(ctx, &done);
    if (copied) dio_train_options_free(&own);
    diopter_options_destroy(made);
    if (status == DIO_OK && bad > 0) return DIOPTER_PARTIAL;
    return api_status(status);
}

diopter_status diopter_train(diopter_context *context, const char *model, const char *data, const char *run,
                             const diopter_options *options, diopter_train_result *result)
{
    return run_job(context, FRESH, NULL, model, data, run, options, result);
}

diopter_status diopter_train_recipe(diopter_context *context, const char *recipe, const char *model, const char *data,
                                    const char *run, const diopter_options *options, diopter_train_result *result)
{
    return run_job(context, FRESH, recipe, model, data, run, options, result);
}

diopter_status diopter_train_resume(diopter_context *context, const char *run, const diopter_options *options,
                                    diopter_train_result *result)
{
    return run_job(context, RESUME, NULL, NULL, NULL, run, options, result);
}
