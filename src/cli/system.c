#include <stdio.h>

#include "cli/cli.h"

static int run(struct cli *cli)
{
    char *text = diopter_system_text(cli->context, cli->json);
    if (!text) return cli_finish(cli, DIOPTER_ERROR_SYSTEM);
    (void)fputs(text, stdout);
    diopter_free(text);
    return cli_finish(cli, DIOPTER_OK);
}

const struct cli_verb cli_verb_system = {
    .name = "system",
    .synopsis = "",
    .summary = "CPU features in use, kernels chosen, BLAS, threads, memory",
    .about = "DIOPTER_CPU or --cpu lowers the instruction set; the table shows which one fills each kernel.",
    .examples = "diopter system\n"
                "diopter system --cpu avx2",
    .min_names = 0,
    .max_names = 0,
    .run = run};
