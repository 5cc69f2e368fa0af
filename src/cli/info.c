#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/cli.h"
#include "text/json_write.h"

static void print_count(const char *label, int64_t value, const char *unit)
{
    double v = (double)value;
    if (value >= 1000000000) printf("%s%.2f G %s", label, v / 1e9, unit);
    else if (value >= 1000000) printf("%s%.2f M %s", label, v / 1e6, unit);
    else printf("%s%" PRId64 "%s%s", label, value, unit[0] ? " " : "", unit);
}

static void print_shape(const diopter_tensor_info *tensor)
{
    printf("[");
    for (int d = 0; d < tensor->rank; d++) printf("%s%" PRId64, d ? ", " : "", tensor->shape[d]);
    printf("]");
}

static void print_tensors(const diopter_model *model, size_t count, size_t most)
{
    diopter_tensor_info tensor = {.size = sizeof tensor};
    for (size_t i = 0; i < count && i < most && diopter_model_tensor(model, i, &tensor); i++) {
        printf("  %-48s %-5s ", cli_escaped(tensor.name), tensor.dtype);
        print_shape(&tensor);
        printf("\n");
    }
    if (count > most) printf("  and %zu more; --tensors lists all\n", count - most);
}

static void print_lines(const char *label, const char *lines)
{
    while (*lines) {
        size_t length = strcspn(lines, "\n");
        printf("%s%.*s\n", label, (int)length, lines);
        lines += length + (lines[length] == '\n');
    }
}

static void print_classes(const diopter_model *model, const diopter_model_info *info, bool all)
{
    printf("classes        %" PRId64, info->classes);
    if (!info->class_names) {
        printf(info->classes ? ", without names (--classes FILE gives them)\n" : ": no head, a backbone\n");
        return;
    }
    size_t most = all ? SIZE_MAX : 8;
    printf(": ");
    const char *name;
    for (size_t i = 0; i < most && (name = diopter_model_class(model, i)); i++) {
        printf("%s%s", i ? ", " : "", cli_escaped(name));
    }
    printf("%s\n", diopter_model_class(model, most) && !all ? ", ... (--all-classes)" : "");
}

static void print_stages(const diopter_model *model, const diopter_model_info *info)
{
    printf("\n%-16s %14s %12s\n", "stage", "parameters", "MACs");
    diopter_stage_info stage = {.size = sizeof stage};
    for (size_t i = 0; diopter_model_stage(model, i, &stage); i++) {
        printf("%-16s %14" PRId64 " %10.2f M\n", cli_escaped(stage.name), stage.parameters, (double)stage.macs / 1e6);
    }
    printf("%-16s %14" PRId64 " %10.2f M\n", "all", info->parameters, (double)info->macs / 1e6);
}

static void print_text(const struct cli *cli, const diopter_model *model, const diopter_model_info *info)
{
    if (info->architecture[0]) {
        printf("architecture   %s (%s)", info->architecture, info->family);
        print_count(", ", info->parameters, "parameters");
        print_count(", ", info->macs, "MACs a picture");
        printf("\n");
    } else {
        printf("architecture   unknown\n");
    }
    if (info->format[0]) printf("file           %s, %zu tensors%s%s\n", info->format, info->tensors, info->names[0] ? ", names of " : "", info->names);
    if (info->architecture[0]) {
        printf("input          %" PRId64 " x %" PRId64 ", %" PRId64 " channels\n", info->height, info->width, info->channels);
        printf("preprocessing  %s\n", info->preprocessing);
        print_classes(model, info, cli_flag(cli, "all_classes"));
    }
    print_lines("note           ", info->notes);
    const char *key, *value;
    for (size_t i = 0; diopter_model_fact(model, i, &key, &value); i++) {
        printf("%-14s %s\n", cli_escaped(key), cli_escaped(value));
    }
    print_lines("frozen         ", diopter_model_receipt(model));
    if (info->stages) print_stages(model, info);
    if (!info->architecture[0] || cli_flag(cli, "tensors")) {
        printf("\ntensors\n");
        print_tensors(model, info->tensors, cli_flag(cli, "tensors") ? SIZE_MAX : 40);
    }
}

static void json_text(struct dio_str *out, const char *key, const char *value)
{
    dio_str_addf(out, "\"%s\":", key);
    dio_json_quote(out, value, strlen(value));
}

/* plan: a JSON object, or NULL. */
static void print_json(const diopter_model *model, const diopter_model_info *info, const char *plan)
{
    struct dio_str out;
    struct dio_ctx ctx;
    struct dio_alloc_stats stats = {0};
    dio_ctx_init(&ctx, &stats);
    dio_str_init(&out, &ctx);
    dio_str_add(&out, "{");
    json_text(&out, "architecture", info->architecture);
    dio_str_add(&out, ",");
    json_text(&out, "family", info->family);
    dio_str_add(&out, ",");
    json_text(&out, "format", info->format);
    dio_str_add(&out, ",");
    json_text(&out, "names", info->names);
    dio_str_addf(&out, ",\"parameters\":%" PRId64 ",\"macs\":%" PRId64 ",\"input\":[%" PRId64 ",%" PRId64 ",%" PRId64 "]",
                 info->parameters, info->macs, info->channels, info->height, info->width);
    dio_str_addf(&out, ",\"preprocessing\":%s,\"n_classes\":%" PRId64 ",\"classes\":[",
                 info->preprocessing_json[0] ? info->preprocessing_json : "null", info->classes);
    const char *name;
    for (size_t i = 0; info->class_names && (name = diopter_model_class(model, i)); i++) {
        if (i) dio_str_add(&out, ",");
        dio_json_quote(&out, name, strlen(name));
    }
    dio_str_add(&out, "],\"stages\":[");
    diopter_stage_info stage = {.size = sizeof stage};
    for (size_t i = 0; diopter_model_stage(model, i, &stage); i++) {
        dio_str_add(&out, i ? ",{" : "{");
        json_text(&out, "name", stage.name);
        dio_str_addf(&out, ",\"parameters\":%" PRId64 ",\"macs\":%" PRId64 "}", stage.parameters, stage.macs);
    }
    dio_str_add(&out, "],\"tensors\":[");
    diopter_tensor_info tensor = {.size = sizeof tensor};
    for (size_t i = 0; diopter_model_tensor(model, i, &tensor); i++) {
        dio_str_add(&out, i ? ",{" : "{");
        json_text(&out, "name", tensor.name);
        dio_str_addf(&out, ",\"dtype\":\"%s\",\"shape\":[", tensor.dtype);
        for (int d = 0; d < tensor.rank; d++) dio_str_addf(&out, "%s%" PRId64, d ? "," : "", tensor.shape[d]);
        dio_str_add(&out, "]}");
    }
    dio_str_add(&out, "],");
    json_text(&out, "notes", info->notes);
    dio_str_add(&out, ",\"provenance\":{");
    const char *key, *value;
    for (size_t i = 0; diopter_model_fact(model, i, &key, &value); i++) {
        if (i) dio_str_add(&out, ",");
        dio_json_quote(&out, key, strlen(key));
        dio_str_add(&out, ":");
        dio_json_quote(&out, value, strlen(value));
    }
    dio_str_add(&out, "},");
    json_text(&out, "receipt", diopter_model_receipt(model));
    if (plan) dio_str_addf(&out, ",\"plan\":%s", plan);
    dio_str_add(&out, "}\n");
    if (dio_str_status(&out) == DIO_OK) (void)fputs(out.data, stdout);
    dio_str_free(&out);
}

static int run(struct cli *cli)
{
    diopter_model *model = NULL;
    cli_console_no_notes(); /* they stand in the text */
    diopter_status status = diopter_model_open(cli->context, cli->names[0], cli->options, &model);
    if (status != DIOPTER_OK) return cli_finish(cli, status);
    diopter_model_info info = {.size = sizeof info};
    char *plan = NULL;
    status = diopter_model_describe(model, &info);
    if (status == DIOPTER_OK && cli_flag(cli, "plan")) status = diopter_model_plan(model, cli->options, cli->json, &plan);
    if (status == DIOPTER_OK) {
        if (cli->json) print_json(model, &info, plan);
        else print_text(cli, model, &info);
        if (plan && !cli->json) (void)fputs(plan, stdout);
    }
    diopter_free(plan);
    diopter_model_close(model);
    return cli_finish(cli, status);
}

static const struct cli_option options[] = {
    {"tensors", 0, NULL, NULL, "list every tensor of the file", false},
    {"all_classes", 0, NULL, NULL, "list every class", false},
    {"plan", 0, NULL, NULL, "how predict would run it here: algorithm and path of each step, memory", false},
    {NULL, 0, NULL, NULL, NULL, false}};

const struct cli_verb cli_verb_info = {
    .name = "info",
    .synopsis = "MODEL",
    .summary = "architecture, parameters and MACs per stage, input, preprocessing, classes",
    .about = "MODEL is a weights file (.safetensors, or .pth in the zip or the legacy container), a run folder, a Hugging Face\n"
             "or timm folder, or arch:TAG. Files of an unknown architecture are listed tensor by tensor.",
    .examples = "diopter info samples/tiles_base.safetensors\n"
                "diopter info arch:resnet18\n"
                "diopter info samples/tiles_base.safetensors --plan --precision int8\n"
                "diopter info --json samples/tiles_base.safetensors",
    .uses = DIOPTER_FOR_INFO,
    .options = options,
    .min_names = 1,
    .max_names = 1,
    .run = run};
