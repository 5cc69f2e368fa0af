#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

static int print(struct cli *cli, const diopter_evaluation *evaluation)
{
    char *text = cli->json ? diopter_evaluation_json(evaluation) : diopter_evaluation_text(evaluation);
    if (!text) return 4;
    printf("%s%s", text, cli->json ? "\n" : "");
    diopter_free(text);
    const char *plot = cli_value(cli, "plot");
    if (!plot) return 0;
    char *svg = diopter_evaluation_svg(evaluation);
    if (!svg) return 4;
    int code = cli_write_file(plot, svg);
    diopter_free(svg);
    return code;
}

/* The ending is asked for so that a slip never writes over a picture or the model. */
static int check_plot(struct cli *cli, const char *plot)
{
    size_t length = strlen(plot);
    struct stat st;
    bool special = strcmp(plot, "-") == 0 || (stat(plot, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode));
    if (special) return 0;
    if (length < 4 || strcmp(plot + length - 4, ".svg") != 0) {
        return cli_usage_error(cli, "A4", "--plot %s: a plot's name ends in .svg", cli_escaped(plot));
    }
    return cli_check_output(cli, plot, cli->names + 1, 1);
}

static int run(struct cli *cli)
{
    diopter_model *model = NULL;
    diopter_evaluation *evaluation = NULL;
    const char *plot = cli_value(cli, "plot");
    if (plot) {
        int refused = check_plot(cli, plot);
        if (refused) return refused;
    }
    diopter_status status = diopter_model_open(cli->context, cli->names[0], cli->options, &model);
    if (status == DIOPTER_OK && plot) status = diopter_model_check_output(model, plot);
    if (status == DIOPTER_OK) status = diopter_evaluate(model, cli->names[1], cli->options, &evaluation);
    int code = 0;
    if (evaluation) code = print(cli, evaluation);
    int finished = cli_finish(cli, status);
    diopter_evaluation_destroy(evaluation);
    diopter_model_close(model);
    return code > finished ? code : finished;
}

static const struct cli_option options[] = {
    {"plot", 0, "FILE.svg", NULL, "draw the confusion matrix, and for two classes the ROC curve", false},
    {NULL, 0, NULL, NULL, NULL, false}};

const struct cli_verb cli_verb_eval = {
    .name = "eval",
    .synopsis = "MODEL DATA",
    .summary = "how good a model is on labelled pictures",
    .about = "Top-1 with its interval, precision, recall and F1 of each class, the confusion matrix; for two classes AUROC,\n"
             "sensitivity and specificity as well. DATA is as for train; its test split is judged where there is one.",
    .examples = "diopter eval run1 tiles\n"
                "diopter eval run1 tiles --split all --json\n"
                "diopter eval run1 tiles --plot confusion.svg",
    .uses = DIOPTER_FOR_EVALUATE,
    .options = options,
    .min_names = 2,
    .max_names = 2,
    .run = run};
