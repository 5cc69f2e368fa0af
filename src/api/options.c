/* The table of options as the public interface shows it: train's table, and what other calls add. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/private.h"
#include "base/file.h"

enum {
    INFO = DIOPTER_FOR_INFO,
    TRAIN = DIOPTER_FOR_TRAIN,
    EVALUATE = DIOPTER_FOR_EVALUATE,
    PREDICT = DIOPTER_FOR_PREDICT,
    EXPORT = DIOPTER_FOR_EXPORT,
    CHECK = DIOPTER_FOR_CHECK,
    BENCH = DIOPTER_FOR_BENCH,
    MODELS = INFO | EVALUATE | PREDICT | EXPORT | BENCH, /* calls that open a model, train apart */
    ALL = MODELS | TRAIN | CHECK
};

struct extra {
    const char *name;
    enum dio_option_type type;
    const char *value, *initial, *choices;
    double min, max;
    const char *group, *help;
    unsigned uses;
};

#define NUMBER_OF(array) (sizeof(array) / sizeof *(array))
static const struct extra extras[] = {
    {"split", DIO_OPTION_T_CHOICE, "SPLIT", NULL, "train|val|test|all", 0, 0, "Pictures",
     "which pictures are judged (default: test where there is one, else val, else all)", EVALUATE},
    {"batch_size", DIO_OPTION_T_INT, "N", "16", NULL, 1, 65536, "Pictures", "pictures that go through the model at once (info: with --plan)",
     EVALUATE | PREDICT | BENCH | INFO},
    {"min_accuracy", DIO_OPTION_T_NUMBER, "SHARE", NULL, NULL, 0, 1, "Pictures",
     "finish with exit code 1 when top-1 is below this", EVALUATE},
    {"positive", DIO_OPTION_T_TEXT, "CLASS", NULL, NULL, 0, 0, "Pictures",
     "two classes: the one that sensitivity speaks of (default: the second)", EVALUATE},
    {"threshold", DIO_OPTION_T_NUMBER, "P", "0.5", NULL, 0, 1, "Pictures",
     "two classes: probability from which a picture counts as positive", EVALUATE},
    {"top", DIO_OPTION_T_INT, "K", "1", NULL, 1, 1000000, "Output", "classes named for each picture", PREDICT},
    {"scores", DIO_OPTION_T_CHOICE, "WHAT", NULL, "probs|logits", 0, 0, "Output", "write the score of every class, too",
     PREDICT},
    {"format", DIO_OPTION_T_CHOICE, "FORMAT", NULL, "csv|jsonl", 0, 0, "Output",
     "of what is written (default: by the output's name; on standard output CSV)", PREDICT},
    {"resume", DIO_OPTION_T_FLAG, NULL, "false", NULL, 0, 0, "Output",
     "go on with an interrupted output, or give a finished one the rows it lacks; same model, settings and paths", PREDICT},
    {"overwrite", DIO_OPTION_T_FLAG, NULL, "false", NULL, 0, 0, "Output", "replace an existing output", EVALUATE | PREDICT | EXPORT},
    {"bad", DIO_OPTION_T_CHOICE, "WHAT", "skip", "skip|stop", 0, 0, "Pictures",
     "what to do at a picture that cannot be read", PREDICT},
    {"max_bad", DIO_OPTION_T_NUMBER, "SHARE", "1", NULL, 0, 1, "Pictures",
     "fail when more than this share of the pictures is bad", PREDICT},
    {"pictures", DIO_OPTION_T_TEXT, "FOLDER", NULL, NULL, 0, 0, "Pictures",
     "time how pictures are read, decoded and prepared, too", BENCH},
    {"train_step", DIO_OPTION_T_FLAG, NULL, "false", NULL, 0, 0, "Pictures",
     "time a full training step, too: forward, backward, SGD with momentum", BENCH},
    {"precision", DIO_OPTION_T_CHOICE, "TYPE", "f32", "f32|bf16x3|bf16|int8", 0, 0, "Output",
     "of the arithmetic; bf16: products of bfloat16 summed in f32, faster where the CPU has AVX512_BF16 or AMX; int8: of bytes, with "
     "--calibrate; bf16x3: three products of split halves, nearly as exact as f32, faster than it where the CPU has AMX",
     EVALUATE | PREDICT | BENCH | INFO},
    {"calibrate", DIO_OPTION_T_TEXT, "PATH", NULL, NULL, 0, 0, "Output",
     "pictures whose numbers give an int8 model its ranges; 128 are taken (bench makes some up); or what --save-calibration wrote",
     EVALUATE | PREDICT | BENCH},
    {"save_calibration", DIO_OPTION_T_TEXT, "FILE.json", NULL, NULL, 0, 0, "Output",
     "write the ranges and which layers stay wide, for --calibrate FILE.json", EVALUATE | PREDICT},
    {"int8_loss", DIO_OPTION_T_NUMBER, "SHARE", "0.2", NULL, 0, 1000, "Output",
     "how much int8 may change the scores of calibration pictures, of their standard deviation: beyond it the layers that lose the "
     "most stay in bf16, and are named", EVALUATE | PREDICT},
    {"exact", DIO_OPTION_T_FLAG, NULL, "false", NULL, 0, 0, "Output",
     "convolutions term by term: no algorithm that is faster and changes the last digits (Winograd)", EVALUATE | PREDICT | BENCH | INFO},
    {"precision", DIO_OPTION_T_CHOICE, "TYPE", "f32", "f32|f16|bf16", 0, 0, "Output", "of the written weights", EXPORT},
    {"names", DIO_OPTION_T_CHOICE, "NAMES", NULL, "origin|timm|torchvision", 0, 0, "Output",
     "how the tensors are called: as in the file that the model came from, or as a library does (default: origin; in a folder "
     "timm, where timm has the model)", EXPORT},
    {"strict", DIO_OPTION_T_FLAG, NULL, "false", NULL, 0, 0, "Pictures", "finish with exit code 1 when there are warnings",
     CHECK},
};
_Static_assert(NUMBER_OF(extras) <= API_EXTRA_OPTIONS, "diopter_options.extra is too small");

/* Which calls beside train know an option of train's table. */
static unsigned uses_of(const struct dio_option *option)
{
    static const char *const loading[] = {"classes", "image_size", "resize", "fit", "crop", "interpolation", "mean", "std",
                                          "pillow", "arch", "bn_eps", "padding", "stem_padding", "key", "allow_opaque"};
    static const char *const manifests[] = {"root", "columns"};
    static const char *const labelled[] = {"bad", "max_bad", "allow_empty", "allow_leak"};
    static const char *const arguments[] = {"output", "threads", "cpu", "linear"}; /* of the calls and of the context */
    static const char *const weights[] = {"max_header", "max_tensors", "max_elements", "max_opcodes", "max_unpack"};
    static const char *const pictures[] = {"max_pixels", "max_file", "max_scans"};
    if (option->flags & DIO_OPTION_POSITIONAL) return 0;
    for (size_t i = 0; i < NUMBER_OF(arguments); i++) {
        if (strcmp(option->name, arguments[i]) == 0) return 0;
    }
    for (size_t i = 0; i < NUMBER_OF(weights); i++) {
        if (strcmp(option->name, weights[i]) == 0) return MODELS | TRAIN;
    }
    for (size_t i = 0; i < NUMBER_OF(pictures); i++) {
        if (strcmp(option->name, pictures[i]) == 0) return TRAIN | EVALUATE | PREDICT | CHECK;
    }
    if (strcmp(option->name, "exif") == 0 || strcmp(option->name, "decode") == 0) return MODELS | TRAIN | CHECK;
    if (strcmp(option->name, "allow_damaged") == 0) return TRAIN | EVALUATE | PREDICT | CHECK;
    if (strcmp(option->name, "val_share") == 0 || strcmp(option->name, "seed") == 0) return TRAIN | EVALUATE | CHECK;
    for (size_t i = 0; i < NUMBER_OF(loading); i++) {
        if (strcmp(option->name, loading[i]) == 0) return MODELS | TRAIN;
    }
    for (size_t i = 0; i < NUMBER_OF(manifests); i++) {
        if (strcmp(option->name, manifests[i]) == 0) return TRAIN | EVALUATE | PREDICT | CHECK;
    }
    for (size_t i = 0; i < NUMBER_OF(labelled); i++) {
        if (strcmp(option->name, labelled[i]) == 0) return TRAIN | EVALUATE | CHECK;
    }
    return TRAIN;
}

static diopter_option_kind kind_of(enum dio_option_type type, unsigned flags)
{
    switch (type) {
    case DIO_OPTION_T_FLAG: return DIOPTER_OPTION_FLAG;
    case DIO_OPTION_T_INT: return DIOPTER_OPTION_WHOLE;
    case DIO_OPTION_T_NUMBER: return DIOPTER_OPTION_NUMBER;
    case DIO_OPTION_T_CHOICE: return DIOPTER_OPTION_CHOICE;
    case DIO_OPTION_T_NUMBERS: return DIOPTER_OPTION_NUMBERS;
    case DIO_OPTION_T_TEXT:
    case DIO_OPTION_T_AUGMENT: break;
    }
    return flags & DIO_OPTION_PATH ? DIOPTER_OPTION_PATH : DIOPTER_OPTION_TEXT;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

bool diopter_option_at(size_t i, diopter_option_info *info)
{
    diopter_option_info out = {.size = info->size};
    if (i < dio_option_count()) {
        const struct dio_option *option = dio_option_at(i);
        out.name = option->name;
        out.kind = kind_of(option->type, option->flags);
        out.value = or_empty(option->value);
        out.initial = or_empty(option->initial);
        out.choices = or_empty(option->choices);
        out.min = option->min;
        out.max = option->max;
        out.group = or_empty(option->group);
        out.help = option->help;
        out.uses = uses_of(option);
        out.above_min = (option->flags & DIO_OPTION_ABOVE) != 0;
    } else if (i - dio_option_count() < NUMBER_OF(extras)) {
        const struct extra *extra = &extras[i - dio_option_count()];
        out.name = extra->name;
        out.kind = kind_of(extra->type, 0);
        out.value = or_empty(extra->value);
        out.initial = or_empty(extra->initial);
        out.choices = or_empty(extra->choices);
        out.min = extra->min;
        out.max = extra->max;
        out.group = extra->group;
        out.help = extra->help;
        out.uses = extra->uses;
    } else {
        return false;
    }
    memcpy(info, &out, info->size < sizeof out ? info->size : sizeof out);
    return true;
}

diopter_status diopter_options_create(diopter_context *context, diopter_options **options)
{
    api_begin(context, NULL);
    *options = dio_alloc_zeroed(&context->ctx, 1, sizeof **options, "options");
    if (!*options) return DIOPTER_ERROR_SYSTEM;
    (*options)->context = context;
    dio_status status = dio_train_options_init(&context->ctx, &(*options)->train);
    if (status != DIO_OK) {
        diopter_options_destroy(*options);
        *options = NULL;
    }
    return api_status(status);
}

void diopter_options_destroy(diopter_options *options)
{
    if (!options) return;
    struct dio_ctx *ctx = &options->context->ctx;
    dio_train_options_free(&options->train);
    for (size_t i = 0; i < NUMBER_OF(extras); i++) dio_free(ctx, options->extra[i]);
    dio_free(ctx, options->shown);
    dio_free(ctx, options);
}

static dio_status refuse(struct dio_ctx *ctx, const char *name, const char *wanted, const char *value)
{
    char spelled[64], shown[256];
    dio_option_spelling(spelled, sizeof spelled, name);
    dio_escape(shown, sizeof shown, value, strlen(value), 200);
    return dio_fail(ctx, DIO_ERR_USAGE, "A4", NULL, "--%s must be %s, not \"%s\"", spelled, wanted, shown);
}

static dio_status check_extra(struct dio_ctx *ctx, const struct extra *extra, const char *value)
{
    char wanted[128], low[32], high[32];
    (void)dio_format_double(low, sizeof low, extra->min);
    (void)dio_format_double(high, sizeof high, extra->max);
    int64_t whole;
    double number;
    switch (extra->type) {
    case DIO_OPTION_T_FLAG:
        if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0) return DIO_OK;
        return refuse(ctx, extra->name, "true or false", value);
    case DIO_OPTION_T_INT:
        if (dio_parse_i64(value, strlen(value), &whole) && (double)whole >= extra->min && (double)whole <= extra->max) {
            return DIO_OK;
        }
        (void)snprintf(wanted, sizeof wanted, "a whole number from %s to %s", low, high);
        return refuse(ctx, extra->name, wanted, value);
    case DIO_OPTION_T_NUMBER:
        if (dio_parse_double(value, strlen(value), &number) && number >= extra->min && number <= extra->max) return DIO_OK;
        (void)snprintf(wanted, sizeof wanted, "a number from %s to %s", low, high);
        return refuse(ctx, extra->name, wanted, value);
    case DIO_OPTION_T_CHOICE:
        if (dio_is_choice(extra->choices, value, strlen(value))) return DIO_OK;
        (void)snprintf(wanted, sizeof wanted, "one of %s", extra->choices);
        return refuse(ctx, extra->name, wanted, value);
    case DIO_OPTION_T_TEXT:
    case DIO_OPTION_T_NUMBERS:
    case DIO_OPTION_T_AUGMENT: break;
    }
    return value[0] ? DIO_OK : refuse(ctx, extra->name, "a text", value);
}

static dio_status keep(struct dio_ctx *ctx, char **slot, const char *value)
{
    char *copy = dio_strdup(ctx, value);
    if (!copy) return DIO_ERR_ENV;
    dio_free(ctx, *slot);
    *slot = copy;
    return DIO_OK;
}

static dio_status set_train_option(diopter_options *options, size_t index, const char *value)
{
    char shown[64] = "--";
    dio_option_spelling(shown + 2, sizeof shown - 2, dio_option_at(index)->name);
    const struct dio_place nowhere = {0};
    return dio_option_set(&options->context->ctx, &options->train, index, value, strlen(value), DIO_FROM_COMMAND,
                          DIO_ERR_USAGE, &nowhere, shown);
}

/* A name may stand in the table several times, for different calls: every entry that can take the value takes it. */
diopter_status diopter_options_set(diopter_options *options, const char *name, const char *value)
{
    api_begin(options->context, NULL);
    struct dio_ctx *ctx = &options->context->ctx;
    int index = dio_option_find(name);
    bool known = false, taken = false;
    for (size_t i = 0; i < NUMBER_OF(extras); i++) {
        if (strcmp(extras[i].name, name) != 0) continue;
        known = true;
        dio_status status = check_extra(ctx, &extras[i], value);
        if (status == DIO_OK) {
            status = keep(ctx, &options->extra[i], value);
            if (status != DIO_OK) return api_status(status);
            taken = true;
        }
    }
    if (index >= 0) {
        known = true;
        if (taken) dio_ctx_clear_error(ctx);
        dio_status status = set_train_option(options, (size_t)index, value);
        if (status == DIO_OK) taken = true;
    }
    if (taken) {
        dio_ctx_clear_error(ctx);
        return DIOPTER_OK;
    }
    if (known) return api_status(ctx->error.status);
    char shown[256];
    dio_escape(shown, sizeof shown, name, strlen(name), 200);
    const char *near = dio_option_nearest(name);
    if (near) {
        return api_status(dio_fail(ctx, DIO_ERR_USAGE, "A2", NULL, "unknown option %s; did you mean %s?", shown, near));
    }
    return api_status(dio_fail(ctx, DIO_ERR_USAGE, "A2", NULL, "unknown option %s", shown));
}

const char *diopter_options_get(const diopter_options *options, const char *name)
{
    for (size_t i = 0; i < NUMBER_OF(extras); i++) {
        if (strcmp(extras[i].name, name) == 0 && options->extra[i]) return options->extra[i];
    }
    int index = dio_option_find(name);
    if (index < 0) return api_extra(options, name, ALL);
    diopter_options *own = (diopter_options *)(uintptr_t)options;
    struct dio_str text;
    dio_str_init(&text, &own->context->ctx);
    dio_option_print(&text, &options->train, (size_t)index);
    dio_free(&own->context->ctx, own->shown);
    own->shown = text.length ? text.data : NULL;
    if (!text.length) dio_str_free(&text);
    return own->shown;
}

const char *api_extra(const diopter_options *options, const char *name, unsigned use)
{
    for (size_t i = 0; i < NUMBER_OF(extras); i++) {
        if (strcmp(extras[i].name, name) == 0 && (extras[i].uses & use)) {
            return options->extra[i] ? options->extra[i] : extras[i].initial;
        }
    }
    return NULL;
}

bool api_extra_given(const diopter_options *options, const char *name)
{
    for (size_t i = 0; i < NUMBER_OF(extras); i++) {
        if (strcmp(extras[i].name, name) == 0 && options->extra[i]) return true;
    }
    return false;
}

bool api_extra_flag(const diopter_options *options, const char *name, unsigned use)
{
    const char *text = api_extra(options, name, use);
    return text && strcmp(text, "true") == 0;
}

int64_t api_extra_whole(const diopter_options *options, const char *name, unsigned use)
{
    const char *text = api_extra(options, name, use);
    int64_t value = 0;
    return text && dio_parse_i64(text, strlen(text), &value) ? value : 0;
}

enum dio_precision api_precision(const diopter_options *options, unsigned use)
{
    enum dio_precision precision = DIO_PRECISION_F32;
    const char *text = api_extra(options, "precision", use);
    if (text) dio_precision_parse(text, &precision); /* a choice: checked when it was set */
    return precision;
}

dio_status api_precision_of(struct dio_ctx *ctx, const diopter_options *options, unsigned use, enum dio_precision *precision,
                            struct dio_calibrate_options *calibrate)
{
    *precision = api_precision(options, use);
    *calibrate = (struct dio_calibrate_options){.path = api_extra(options, "calibrate", use), .save = api_extra(options, "save_calibration", use),
                                                .most_loss = api_extra_number(options, "int8_loss", use)};
    if (calibrate->save && !dio_calibration_is_file(calibrate->save)) {
        return dio_fail(ctx, DIO_ERR_USAGE, "A4", NULL, "--save-calibration: the name has to end in .json");
    }
    if (calibrate->save && dio_path_is_file(calibrate->save) && !api_extra_flag(options, "overwrite", use)) {
        return dio_fail(ctx, DIO_ERR_USAGE, "A6", &(struct dio_place){.file = calibrate->save}, "exists; --overwrite replaces it");
    }
    if (*precision != DIO_PRECISION_INT8 && (calibrate->path || calibrate->save)) {
        return dio_fail(ctx, DIO_ERR_USAGE, "A3", NULL, "%s needs --precision int8", calibrate->path ? "--calibrate" : "--save-calibration");
    }
    if (*precision == DIO_PRECISION_INT8 && !calibrate->path) {
        return dio_fail(ctx, DIO_ERR_USAGE, "A3", NULL, "--precision int8 needs --calibrate PATH: pictures like those to come");
    }
    return DIO_OK;
}

double api_extra_number(const diopter_options *options, const char *name, unsigned use)
{
    const char *text = api_extra(options, name, use);
    double value = NAN;
    return text && dio_parse_double(text, strlen(text), &value) ? value : NAN;
}

dio_status api_default_options(diopter_context *context, const diopter_options **options, diopter_options **made)
{
    *made = NULL;
    if (*options) return DIO_OK;
    diopter_status status = diopter_options_create(context, made);
    *options = *made;
    return (dio_status)status;
}
