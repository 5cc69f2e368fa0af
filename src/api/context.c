#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/private.h"

const char *diopter_version(void)
{
    return DIOPTER_VERSION;
}

diopter_status api_status(dio_status status)
{
    return (diopter_status)status;
}

void api_begin(diopter_context *context, const diopter_options *options)
{
    dio_ctx_clear_error(&context->ctx);
    context->error_text[0] = context->error_json[0] = '\0';
    struct dio_limits limits = context->limits;
    if (options) limits = dio_train_limits(&options->train, limits);
    context->ctx.limits = limits;
}

static void on_message(void *arg, const struct dio_message *message)
{
    diopter_context *context = arg;
    if (!context->on_message) return;
    char human[2560], json[DIO_MESSAGE_JSON_SIZE];
    (void)dio_message_format(message, human, sizeof human);
    (void)dio_message_json(message, json, sizeof json);
    const diopter_message shown = {.size = sizeof shown,
                                   .level = (diopter_level)message->level,
                                   .exit_code = (int)message->status,
                                   .code = message->code,
                                   .human = human,
                                   .json = json};
    (void)pthread_mutex_lock(&context->lock);
    context->on_message(context->user, &shown);
    (void)pthread_mutex_unlock(&context->lock);
}

static void on_progress(void *arg, const struct dio_progress *progress)
{
    const diopter_context *context = arg;
    if (!context->on_progress) return;
    const diopter_progress shown = {.size = sizeof shown,
                                    .stage = progress->stage,
                                    .unit = progress->unit,
                                    .done = progress->done,
                                    .total = progress->total,
                                    .loss = progress->loss,
                                    .accuracy = progress->accuracy};
    context->on_progress(context->user, &shown);
}

static dio_status choose_linear(struct dio_ctx *ctx, const char *text, enum dio_linear *linear)
{
    static const struct {
        const char *name;
        enum dio_linear value;
    } choices[] = {{"auto", DIO_LINEAR_AUTO}, {"own", DIO_LINEAR_OWN}, {"blas", DIO_LINEAR_BLAS}};
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        if (strcmp(text, choices[i].name) == 0) {
            *linear = choices[i].value;
            return DIO_OK;
        }
    }
    return dio_fail(ctx, DIO_ERR_USAGE, "A4", NULL, "--linear must be one of auto, blas, own");
}

static dio_status set_up(diopter_context *context, const diopter_settings *settings)
{
    struct dio_ctx *ctx = &context->ctx;
    enum dio_isa ceiling;
    enum dio_linear linear = DIO_LINEAR_AUTO;
    DIO_PASS(dio_kernels_ceiling_parse(ctx, "--cpu or DIOPTER_CPU", settings->cpu, &ceiling));
    DIO_PASS(choose_linear(ctx, settings->linear ? settings->linear : "auto", &linear));
    if (settings->threads < 0 || settings->threads > 1024) {
        return dio_fail(ctx, DIO_ERR_USAGE, "A4", NULL, "--threads must be a whole number from 1 to 1024");
    }
    dio_kernels_select(&ctx->cpu, ceiling, &context->kernels);
    context->linear_asked = linear;
    DIO_PASS(dio_kernels_linear(ctx, &context->kernels, linear));
    ctx->kernels = &context->kernels;
    return dio_team_start(ctx, settings->threads, &ctx->team);
}

diopter_status diopter_context_create(const diopter_settings *settings, diopter_context **context)
{
    static const diopter_settings defaults = DIOPTER_SETTINGS_INIT;
    if (!settings) settings = &defaults;
    *context = calloc(1, sizeof **context);
    if (!*context) return DIOPTER_ERROR_SYSTEM;
    diopter_context *made = *context;
    if (pthread_mutex_init(&made->lock, NULL) != 0) {
        free(made);
        *context = NULL;
        return DIOPTER_ERROR_SYSTEM;
    }
    dio_ctx_init(&made->ctx, &made->stats);
    made->limits = made->ctx.limits;
    made->on_message = settings->on_message;
    made->on_progress = settings->on_progress;
    made->user = settings->user;
    made->threads_given = settings->threads > 0;
    (void)snprintf(made->cpu_given, sizeof made->cpu_given, "%s", settings->cpu ? settings->cpu : "");
    (void)snprintf(made->linear_given, sizeof made->linear_given, "%s", settings->linear ? settings->linear : "");
    made->ctx.cancel = &made->cancel;
    made->ctx.on_message = on_message;
    made->ctx.message_arg = made;
    made->ctx.on_progress = on_progress;
    made->ctx.progress_arg = made;
    return api_status(set_up(made, settings));
}

void diopter_context_destroy(diopter_context *context)
{
    if (!context) return;
    dio_team_stop(&context->ctx, context->ctx.team);
    dio_kernels_close(&context->kernels);
    (void)pthread_mutex_destroy(&context->lock);
    free(context);
}

const char *diopter_error_text(const diopter_context *context)
{
    diopter_context *own = (diopter_context *)(uintptr_t)context;
    if (context->ctx.error.status == DIO_OK) return "";
    (void)dio_message_format(&context->ctx.error, own->error_text, sizeof own->error_text);
    return context->error_text;
}

const char *diopter_error_json(const diopter_context *context)
{
    diopter_context *own = (diopter_context *)(uintptr_t)context;
    if (context->ctx.error.status == DIO_OK) return "";
    (void)dio_message_json(&context->ctx.error, own->error_json, sizeof own->error_json);
    return context->error_json;
}

void diopter_cancel(diopter_context *context)
{
    atomic_store_explicit(&context->cancel, 1, memory_order_relaxed);
}

void diopter_cancel_clear(diopter_context *context)
{
    atomic_store_explicit(&context->cancel, 0, memory_order_relaxed);
}

void diopter_free(void *block)
{
    free(block);
}

char *api_take_text(struct dio_str *text)
{
    char *copy = NULL;
    if (dio_str_status(text) == DIO_OK) copy = strdup(text->data ? text->data : "");
    dio_str_free(text);
    return copy;
}
