#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"
#include "cli/cli.h"
#include "text/json_write.h"

static void print_json(const diopter_train_result *result)
{
    struct dio_ctx ctx;
    struct dio_alloc_stats stats = {0};
    struct dio_str out;
    struct dio_json_writer json;
    dio_ctx_init(&ctx, &stats);
    dio_str_init(&out, &ctx);
    dio_json_begin(&json, &out, 0);
    dio_json_map(&json, NULL);
    dio_json_text(&json, "run", result->run);
    dio_json_i64(&json, "epochs", result->epochs);
    dio_json_i64(&json, "best_epoch", result->best_epoch);
    dio_json_double(&json, "validation_accuracy", result->validation_accuracy);
    dio_json_u64(&json, "skipped", result->skipped);
    dio_json_end_map(&json);
    if (dio_str_status(&out) == DIO_OK) printf("%s\n", out.data);
    dio_str_free(&out);
}

static void print_result(const struct cli *cli, const diopter_train_result *result)
{
    if (cli->json) {
        print_json(result);
        return;
    }
    if (result->already_complete) {
        printf("%s: all %d epochs are done\n", cli_escaped(result->run), result->epochs);
    } else {
        printf("%s: %d epochs", cli_escaped(result->run), result->epochs);
        if (!isnan(result->validation_accuracy)) {
            printf(", best epoch %d, validation accuracy %.1f %%", result->best_epoch, 100 * result->validation_accuracy);
        }
        printf("\n");
    }
    if (result->skipped) printf("skipped: %llu pictures that could not be read\n", (unsigned long long)result->skipped);
    printf("model    %s/model.safetensors\nreport   %s/report.html\n", cli_escaped(result->run), cli_escaped(result->run));
    printf("next     diopter predict %s PICTURES -o predictions.csv\n", cli_escaped(result->run));
}

/* Row E4: where it stopped, and how to go on. */
static void print_interrupted(const diopter_train_result *result)
{
    cli_console_end();
    if (!result->run[0]) {
        (void)fprintf(stderr, "diopter: interrupted before anything was worth keeping\n");
    } else if (result->stopped_epoch) {
        (void)fprintf(stderr, "diopter: interrupted at epoch %d step %lld; resume with: diopter train --resume %s\n",
                      result->stopped_epoch, (long long)result->stopped_step, cli_escaped(result->run));
    } else {
        (void)fprintf(stderr, "diopter: interrupted; resume with: diopter train --resume %s\n", cli_escaped(result->run));
    }
}

/* A reader that went away (row E8) takes nothing from the run: only the last lines found nobody. */
static void flush_result(const diopter_train_result *result)
{
    if (fflush(stdout) == 0 || errno != EPIPE) return;
    if (!freopen("/dev/null", "w", stdout)) clearerr(stdout);
    struct dio_ctx ctx;
    struct dio_alloc_stats stats = {0};
    struct dio_stream log;
    char line[160], now[40];
    dio_ctx_init(&ctx, &stats);
    dio_clock_utc(now, sizeof now);
    (void)snprintf(line, sizeof line, "%s standard output was closed before the result was printed; the run is complete\n", now);
    char *path = result->run[0] ? dio_path_join(&ctx, result->run, "log.txt") : NULL;
    if (path && dio_stream_open(&ctx, path, true, &log) == DIO_OK) {
        (void)dio_stream_put(&log, line, strlen(line));
        (void)dio_stream_close(&log);
    }
    dio_free(&ctx, path);
}

static int check_names(struct cli *cli, const char *recipe, const char *resume, const char *output)
{
    if (resume) {
        if (recipe || cli->n_names || output) {
            return cli_usage_error(cli, "A3", "--resume RUN stands alone: the run knows its model, data and settings (--model and --data say where they are now)");
        }
        return 0;
    }
    if (recipe) return 0;
    bool parts = diopter_options_get(cli->options, "train") != NULL;
    size_t given = cli->n_names + (cli_value(cli, "model") != NULL) + (cli_value(cli, "data") != NULL);
    if (given < (parts ? 1 : 2)) {
        return cli_usage_error(cli, "A3", "too few arguments; usage: diopter train %s", cli->verb->synopsis);
    }
    if (!output) return cli_usage_error(cli, "A3", "-o RUN is missing: the folder to make");
    return 0;
}

static int run(struct cli *cli)
{
    const char *recipe = cli_value(cli, "recipe"), *resume = cli_value(cli, "resume"), *output = cli_value(cli, "output");
    int code = check_names(cli, recipe, resume, output);
    if (code) return code;
    cli_signals_ignore_pipe();
    const char *model = cli_value(cli, "model"), *data = cli_value(cli, "data");
    size_t next = 0;
    if (!model && next < cli->n_names) model = cli->names[next++];
    if (!data && next < cli->n_names) data = cli->names[next++];
    if (next < cli->n_names) return cli_usage_error(cli, "A3", "model and data are given twice");
    diopter_train_result result = {.size = sizeof result};
    diopter_status status;
    if (resume) {
        status = model ? diopter_options_set(cli->options, "model", model) : DIOPTER_OK;
        if (status == DIOPTER_OK && data) status = diopter_options_set(cli->options, "data", data);
        if (status == DIOPTER_OK) status = diopter_train_resume(cli->context, resume, cli->options, &result);
    }
    else if (recipe) status = diopter_train_recipe(cli->context, recipe, model, data, output, cli->options, &result);
    else status = diopter_train(cli->context, model, data, output, cli->options, &result);
    if (status == DIOPTER_OK || status == DIOPTER_PARTIAL) {
        print_result(cli, &result);
        flush_result(&result);
    }
    if (status == DIOPTER_CANCELLED) print_interrupted(&result);
    return cli_finish(cli, status);
}

static const struct cli_option options[] = {
    {"output", 'o', "RUN", NULL, "run folder to make", false},
    {"recipe", 0, "FILE", NULL, "YAML file whose keys are the options' names; options on the command line override it", false},
    {"resume", 0, "RUN", NULL, "go on with an interrupted run, to the bits it would have had", false},
    {"model", 0, "MODEL", NULL, "the same as the first name; with --resume: where the model is now", false},
    {"data", 0, "DATA", NULL, "the same as the second name; with --resume: where the pictures are now", false},
    {NULL, 0, NULL, NULL, NULL, false}};

const struct cli_verb cli_verb_train = {
    .name = "train",
    .synopsis = "MODEL DATA -o RUN",
    .summary = "fine-tune a model on your pictures",
    .about = "DATA is a folder with a folder for each class (or train/ and val/ and test/ with such folders), a CSV manifest\n"
             "(path,label[,split][,group]), an uncompressed tar of either, or CIFAR's binary records. By default the backbone\n"
             "stays frozen and a new head learns. Ctrl-C finishes the step, saves, and says how to go on.",
    .examples = "diopter train samples/tiles_base.safetensors tiles -o run1\n"
                "diopter train --recipe configs/tiles.yaml\n"
                "diopter train --resume run1",
    .uses = DIOPTER_FOR_TRAIN,
    .options = options,
    .min_names = 0,
    .max_names = 2,
    .run = run};
