#include <stdio.h>

#include "cli/cli.h"

static int run(struct cli *cli)
{
    diopter_model *model = NULL;
    diopter_status status = DIOPTER_OK;
    char *text = NULL;
    if (cli->n_names) status = diopter_model_open(cli->context, cli->names[0], cli->options, &model);
    if (status == DIOPTER_OK) {
        status = diopter_bench(cli->context, model, cli->options, cli->json, &text);
    }
    if (text) (void)fputs(text, stdout);
    diopter_free(text);
    diopter_model_close(model);
    return cli_finish(cli, status);
}

const struct cli_verb cli_verb_bench = {
    .name = "bench",
    .synopsis = "[MODEL]",
    .summary = "this machine's ceilings, then each layer's share of them",
    .about = "Peaks of arithmetic and bandwidth are measured in the same run as the layers. Other programs on the machine disturb it.",
    .examples = "diopter bench\n"
                "diopter bench arch:resnet50 --batch-size 1 --precision bf16\n"
                "diopter bench arch:resnet18 --train-step\n"
                "diopter bench --pictures xrays --threads 1",
    .uses = DIOPTER_FOR_BENCH,
    .min_names = 0,
    .max_names = 1,
    .run = run};
