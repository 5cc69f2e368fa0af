#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static int run(struct cli *cli)
{
    const char *output = cli_value(cli, "output");
    diopter_model *model = NULL;
    diopter_predict_result result = {.size = sizeof result};
    bool unnamed = !output || strcmp(output, "-") == 0;
    diopter_status status = DIOPTER_OK;
    if (cli->json && unnamed && !diopter_options_get(cli->options, "format")) status = diopter_options_set(cli->options, "format", "jsonl");
    if (status == DIOPTER_OK) status = diopter_model_open(cli->context, cli->names[0], cli->options, &model);
    if (status == DIOPTER_OK) {
        status = diopter_predict(model, cli->names + 1, cli->n_names - 1, output, cli->options, &result);
    }
    bool told = (status == DIOPTER_OK || status == DIOPTER_PARTIAL) && !unnamed && !cli->quiet;
    int code = cli_finish(cli, status);
    if (told && !cli->json) {
        (void)fprintf(stderr, "%s: %llu pictures", cli_escaped(output), (unsigned long long)result.pictures);
        if (result.failed) (void)fprintf(stderr, ", %llu could not be read", (unsigned long long)result.failed);
        if (result.resumed) (void)fprintf(stderr, ", %llu of them from before", (unsigned long long)result.resumed);
        (void)fputc('\n', stderr);
    }
    diopter_model_close(model);
    return code;
}

static const struct cli_option options[] = {
    {"output", 'o', "FILE", NULL, "a .csv or .jsonl file to write (default: CSV on standard output)", false},
    {NULL, 0, NULL, NULL, NULL, false}};

const struct cli_verb cli_verb_predict = {
    .name = "predict",
    .synopsis = "MODEL PATH... [-o FILE]",
    .summary = "label files and whole folders, into CSV or JSON lines",
    .about = "PATH is a picture, a folder (all pictures below it, in sorted order; CIFAR records\n"
             "count as pictures), an uncompressed tar or a manifest. Memory stays the same\n"
             "for any number of pictures. A picture that cannot be read gets a line with the error, and exit code 1 at the end.",
    .examples = "diopter predict run1 tiles/test -o predictions.csv\n"
                "diopter predict run1 tiles/test --top 3 -o predictions.jsonl\n"
                "diopter predict run1 tiles/test --scores probs",
    .uses = DIOPTER_FOR_PREDICT,
    .options = options,
    .min_names = 2,
    .max_names = -1,
    .run = run};
