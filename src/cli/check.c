#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/cli.h"
#include "text/json_write.h"

static void print_json(const char *report, diopter_status status)
{
    struct dio_ctx ctx;
    struct dio_alloc_stats stats = {0};
    struct dio_str out;
    struct dio_json_writer json;
    dio_ctx_init(&ctx, &stats);
    dio_str_init(&out, &ctx);
    dio_json_begin(&json, &out, 0);
    dio_json_map(&json, NULL);
    dio_json_i64(&json, "exit", (int)status);
    dio_json_text(&json, "report", report);
    dio_json_end_map(&json);
    if (dio_str_status(&out) == DIO_OK) printf("%s\n", out.data);
    dio_str_free(&out);
}

static int run(struct cli *cli)
{
    const char *data = cli_value(cli, "data"), *recipe = cli_value(cli, "recipe");
    if (data && cli->n_names) return cli_usage_error(cli, "A3", "the data is given twice");
    if (!data && cli->n_names) data = cli->names[0];
    if (!data && !recipe) return cli_usage_error(cli, "A3", "too few arguments; usage: diopter check %s", cli->verb->synopsis);
    char *report = NULL;
    const char *model = cli_value(cli, "model");
    diopter_status status = model ? diopter_options_set(cli->options, "model", model) : DIOPTER_OK;
    if (status != DIOPTER_OK) return cli_finish(cli, status);
    status = diopter_check(cli->context, data, recipe, cli->options, &report);
    if (report && cli->json) print_json(report, status);
    else if (report) (void)fputs(report, stdout);
    diopter_free(report);
    return cli_finish(cli, status);
}

static const struct cli_option options[] = {
    {"data", 0, "DATA", NULL, "the pictures, in place of the argument", false},
    {"recipe", 0, "FILE", NULL, "a recipe to check, with the data that it names, or with the data given beside it", false},
    {"model", 0, "MODEL", NULL, "open this model, too, in place of the recipe's; pictures alone need none", false},
    {NULL, 0, NULL, NULL, NULL, false}};

const struct cli_verb cli_verb_check = {
    .name = "check",
    .synopsis = "DATA | --recipe FILE",
    .summary = "what train would refuse or warn of",
    .about = "Decodes each picture once: sizes, kinds, duplicates, classes, splits, damage. Exit code 0: good (warnings apart),\n"
             "1: pictures would be skipped, or --strict and there are warnings, 3: train would refuse.",
    .examples = "diopter check tiles\n"
                "diopter check --recipe configs/tiles.yaml",
    .uses = DIOPTER_FOR_CHECK,
    .options = options,
    .min_names = 0,
    .max_names = 1,
    .run = run};
