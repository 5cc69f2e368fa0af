#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static int run(struct cli *cli)
{
    const char *output = cli_value(cli, "output");
    if (!output) return cli_usage_error(cli, "A3", "-o FILE is missing: a name ending in .safetensors or .pth, or a folder");
    diopter_model *model = NULL;
    diopter_status status = diopter_model_open(cli->context, cli->names[0], cli->options, &model);
    if (status == DIOPTER_OK) status = diopter_model_export(model, output, cli->options);
    bool to_stdout = strcmp(output, "-") == 0;
    if (status == DIOPTER_OK && !cli->quiet && !cli->json && !to_stdout) printf("%s written\n", cli_escaped(output));
    diopter_model_close(model);
    return cli_finish(cli, status);
}

static const struct cli_option options[] = {
    {"output", 'o', "FILE|DIR", NULL, "a .safetensors or .pth file, a folder (model.safetensors and config.json), or - for standard output",
     false},
    {NULL, 0, NULL, NULL, NULL, false}};

const struct cli_verb cli_verb_export = {
    .name = "export",
    .synopsis = "MODEL -o FILE|DIR",
    .summary = "write the weights for PyTorch, torchvision and timm",
    .about = "A .safetensors file, a .pth file that torch.load(weights_only=True) opens, or a folder that\n"
             "timm.create_model(\"local-dir:DIR\", pretrained=True) opens. Where timm has no such model (SqueezeNet, the ResNets for\n"
             "CIFAR) the folder's config.json has the same keys under the architecture's own name, for Diopter to open.",
    .examples = "diopter export run1 -o model.pth\n"
                "diopter export run1 -o model.safetensors --precision f16",
    .uses = DIOPTER_FOR_EXPORT,
    .options = options,
    .min_names = 1,
    .max_names = 1,
    .run = run};
