/* Fine-tunes a model on a folder of pictures and says how good it became.
 *
 *     fine_tune WEIGHTS PICTURES RUN
 *
 * cc fine_tune.c $(pkg-config --cflags --libs diopter) -o fine_tune */
#include <stdio.h>

#include <diopter/diopter.h>

static void on_message(void *user, const diopter_message *message)
{
    (void)user;
    (void)fprintf(stderr, "%s\n", message->human);
}

static void on_progress(void *user, const diopter_progress *progress)
{
    const char **stage = user;
    if (*stage && progress->done < progress->total) return;
    *stage = progress->stage;
    (void)fprintf(stderr, "%s: %llu of %llu %s\n", progress->stage, (unsigned long long)progress->done,
                  (unsigned long long)progress->total, progress->unit);
}

static diopter_status judge(diopter_context *context, const char *run, const char *pictures)
{
    diopter_model *model = NULL;
    diopter_evaluation *evaluation = NULL;
    diopter_status status = diopter_model_open(context, run, NULL, &model);
    if (status == DIOPTER_OK) status = diopter_evaluate(model, pictures, NULL, &evaluation);
    if (evaluation) {
        diopter_evaluation_info info = {.size = sizeof info};
        (void)diopter_evaluation_describe(evaluation, &info);
        printf("%llu pictures, %.1f %% right (%.1f to %.1f)\n", (unsigned long long)info.pictures, 100 * info.top1,
               100 * info.top1_low, 100 * info.top1_high);
    }
    diopter_evaluation_destroy(evaluation);
    diopter_model_close(model);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: fine_tune WEIGHTS PICTURES RUN\n");
        return 2;
    }
    const char *stage = NULL;
    diopter_settings settings = DIOPTER_SETTINGS_INIT;
    settings.on_message = on_message;
    settings.on_progress = on_progress;
    settings.user = &stage;

    diopter_context *context = NULL;
    diopter_options *options = NULL;
    diopter_status status = diopter_context_create(&settings, &context);
    if (status == DIOPTER_OK) status = diopter_options_create(context, &options);
    if (status == DIOPTER_OK) status = diopter_options_set(options, "freeze", "backbone");
    if (status == DIOPTER_OK) status = diopter_train(context, argv[1], argv[2], argv[3], options, NULL);
    if (status == DIOPTER_OK || status == DIOPTER_PARTIAL) status = judge(context, argv[3], argv[2]);
    if (context && diopter_error_text(context)[0]) (void)fprintf(stderr, "fine_tune: %s\n", diopter_error_text(context));
    diopter_options_destroy(options);
    diopter_context_destroy(context);
    return (int)status;
}
