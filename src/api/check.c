/* What train would refuse or warn of, without training. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "api/private.h"
#include "base/file.h"
#include "data/audit.h"
#include "train/recipe.h"

static void add_splits(struct dio_str *out, const struct dio_dataset *dataset)
{
    static const enum dio_split splits[] = {DIO_SPLIT_TRAIN, DIO_SPLIT_VAL, DIO_SPLIT_TEST, DIO_SPLIT_NONE};
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        size_t count = splits[i] == DIO_SPLIT_NONE ? 0 : dio_dataset_split_count(dataset, splits[i]);
        if (count == 0) continue;
        bool cut = splits[i] == DIO_SPLIT_VAL && dio_dataset_val_was_cut(dataset);
        dio_str_addf(out, "  %-6s %zu pictures%s\n", dio_split_name(splits[i]), count,
                     cut ? " (cut from train by seed)" : "");
    }
}

static dio_status add_classes(struct dio_ctx *ctx, struct dio_str *out, const struct dio_dataset *dataset)
{
    enum { SHOWN = 50 };
    size_t classes = dio_dataset_classes(dataset);
    uint64_t *counts = dio_alloc_zeroed(ctx, classes + 1, sizeof *counts, "class counts");
    if (!counts) return DIO_ERR_ENV;
    dio_dataset_class_counts(dataset, DIO_SPLIT_NONE, counts);
    dio_str_addf(out, "classes: %zu\n", classes);
    for (size_t i = 0; i < classes && i < SHOWN; i++) {
        char name[256];
        const char *raw = dio_dataset_class(dataset, i);
        dio_escape(name, sizeof name, raw, strlen(raw), 60);
        dio_str_addf(out, "  %-24s %llu\n", name, (unsigned long long)counts[i]);
    }
    if (classes > SHOWN) dio_str_addf(out, "  and %zu more\n", classes - SHOWN);
    dio_free(ctx, counts);
    return DIO_OK;
}

static void add_pictures(struct dio_str *out, const struct dio_audit *audit)
{
    dio_str_addf(out, "pictures: %llu, readable %llu\n", (unsigned long long)audit->pictures,
                 (unsigned long long)audit->good);
    if (audit->good == 0) return;
    dio_str_addf(out, "  sizes %d x %d to %d x %d, median %d x %d\n", audit->min_width, audit->min_height,
                 audit->max_width, audit->max_height, audit->median_width, audit->median_height);
    const char *separator = "  kinds ";
    for (size_t i = 0; i < sizeof audit->codecs / sizeof *audit->codecs && audit->codecs[i].count; i++) {
        dio_str_addf(out, "%s%s %llu", separator, audit->codecs[i].name, (unsigned long long)audit->codecs[i].count);
        separator = ", ";
    }
    dio_str_add(out, "\n");
    const struct {
        const char *what;
        uint64_t count;
    } oddities[] = {{"grey", audit->grey}, {"CMYK", audit->cmyk}, {"16-bit", audit->sixteen_bit}, {"with alpha (dropped)", audit->alpha},
                    {"with a colour profile (ignored)", audit->icc}, {"with gamma (ignored)", audit->gamma},
                    {"turned by EXIF", audit->turned}, {"damaged but readable", audit->damaged},
                    {"exact duplicates", audit->duplicates_within + audit->duplicates_across}};
    for (size_t i = 0; i < sizeof oddities / sizeof *oddities; i++) {
        if (oddities[i].count) {
            dio_str_addf(out, "  %llu %s\n", (unsigned long long)oddities[i].count, oddities[i].what);
        }
    }
}

static dio_status open_data(struct dio_ctx *ctx, const struct dio_train_options *o, struct dio_dataset **dataset)
{
    const struct dio_dataset_options layout = {.root = o->root,
                                               .columns = o->columns,
                                               .labels_wanted = true,
                                               .allow_empty = o->allow_empty,
                                               .allow_leak = o->allow_leak,
                                               .val_share = o->val_share,
                                               .seed = (uint64_t)o->seed};
    if (o->train) return dio_dataset_open_parts(ctx, o->train, o->val, NULL, &layout, dataset);
    return dio_dataset_open(ctx, o->data, &layout, dataset);
}

/* Warnings of all that is read are counted on their way to the caller's sink. */
struct counted {
    dio_message_fn *next;
    void *arg;
    atomic_uint_fast64_t warnings;
};

static void count_message(void *arg, const struct dio_message *message)
{
    struct counted *counted = arg;
    if (message->level == DIO_LEVEL_WARNING) atomic_fetch_add_explicit(&counted->warnings, 1, memory_order_relaxed);
    if (counted->next) counted->next(counted->arg, message);
}

static dio_status check_pictures(struct dio_ctx *ctx, const struct dio_train_options *o, struct dio_str *out,
                                 uint64_t *bad_pictures)
{
    dio_status status = DIO_OK;
    struct dio_dataset *dataset = NULL;
    struct dio_audit audit;
    bool audited = false;
    DIO_TRY(open_data(ctx, o, &dataset));
    struct dio_bad bad;
    dio_bad_init(&bad, &(struct dio_bad_options){.stop = strcmp(o->bad, "stop") == 0, .max_share = o->max_bad,
                                                 .total = dio_dataset_count(dataset), .all = true});
    struct dio_audit_options how = {.decode = {.ignore_exif = o->exif && strcmp(o->exif, "ignore") == 0,
                                               .allow_damaged = o->allow_damaged},
                                    .fast_decode = o->decode && strcmp(o->decode, "fast") == 0};
    audited = true;
    DIO_TRY(dio_audit_run(ctx, dataset, &how, &bad, &audit));
    dio_str_addf(out, "layout: %s%s\n", dio_dataset_layout(dataset), dio_dataset_in_tar(dataset) ? " in a tar" : "");
    add_splits(out, dataset);
    DIO_TRY(add_classes(ctx, out, dataset));
    add_pictures(out, &audit);
    *bad_pictures = bad.bad;
fail:
    if (audited) dio_audit_free(ctx, &audit);
    dio_dataset_free(dataset);
    return status;
}

/* The recipe's pictures are not the ones looked at, and neither need its weights be there: train would refuse, but the
 * pictures are looked at all the same. */
static void leave_absent_model(struct dio_ctx *ctx, struct dio_train_options *own)
{
    int model = dio_option_find("model");
    if (!own->model || own->origin[model] != DIO_FROM_RECIPE) return;
    if (strncmp(own->model, "arch:", 5) == 0 || dio_path_exists(own->model)) return;
    char shown[420];
    dio_escape(shown, sizeof shown, own->model, strlen(own->model), 200);
    dio_say(ctx, DIO_LEVEL_WARNING, "Y10", &(struct dio_place){.file = own->recipe, .line = own->line[model]},
            "model: %s: no such file or folder; train would refuse, only the pictures are looked at", shown);
    own->model = NULL;
    own->origin[model] = DIO_FROM_DEFAULT;
}

static dio_status read_settings(struct dio_ctx *ctx, const char *data, const char *recipe, struct dio_train_options *own)
{
    const struct dio_place nowhere = {0};
    if (data) {
        DIO_PASS(dio_option_set(ctx, own, (size_t)dio_option_find("data"), data, strlen(data), DIO_FROM_COMMAND,
                                DIO_ERR_USAGE, &nowhere, "data"));
    }
    if (!recipe) return DIO_OK;
    DIO_PASS(dio_recipe_read(ctx, recipe, own));
    if (data) leave_absent_model(ctx, own);
    /* Looking at pictures needs no model; a recipe with neither is refused as train refuses it. */
    bool pictures = own->data || own->train;
    DIO_PASS(pictures ? dio_train_options_check_but_model(ctx, own) : dio_train_options_check(ctx, own));
    return dio_recipe_check_paths(ctx, own);
}

/* A model named by hand is opened as train would open it. */
static dio_status check_model(diopter_context *context, const diopter_options *options, const struct dio_train_options *own,
                              struct dio_str *out)
{
    if (!own->model) {
        dio_str_add(out, "model: none is named; train wants one, and what depends on its preprocessing is not looked at\n");
        return DIO_OK;
    }
    if (own->origin[dio_option_find("model")] != DIO_FROM_COMMAND) return DIO_OK;
    diopter_model *model = NULL;
    diopter_status opened = diopter_model_open(context, own->model, options, &model);
    if (opened != DIOPTER_OK) return (dio_status)opened;
    dio_status status = dio_loaded_need_model(&context->ctx, &model->loaded);
    if (status == DIO_OK) {
        const struct dio_model *m = model->loaded.model;
        dio_str_addf(out, "model: %s, %lld classes, reads %d x %d\n", m->variant ? m->variant : "a graph of its own",
                     (long long)m->n_classes, m->recipe.width, m->recipe.height);
    }
    diopter_model_close(model);
    return status;
}

diopter_status diopter_check(diopter_context *context, const char *data, const char *recipe,
                             const diopter_options *options, char **report)
{
    struct dio_ctx *ctx = &context->ctx;
    diopter_options *made = NULL;
    struct dio_train_options own;
    bool copied = false, strict = false;
    uint64_t warnings = 0, bad = 0;
    struct dio_str text;
    dio_str_init(&text, ctx);
    *report = NULL;
    api_begin(context, options);
    dio_status status = api_default_options(context, &options, &made);
    if (status == DIO_OK) {
        strict = api_extra_flag(options, "strict", DIOPTER_FOR_CHECK);
        status = dio_train_options_copy(ctx, &options->train, &own);
        copied = status == DIO_OK;
    }
    if (status == DIO_OK) status = read_settings(ctx, data, recipe, &own);
    if (status == DIO_OK) ctx->limits = dio_train_limits(&own, ctx->limits);
    if (status == DIO_OK && recipe) dio_str_add(&text, "recipe: good\n");
    if (status == DIO_OK && (recipe || own.model)) status = check_model(context, options, &own, &text);
    if (status == DIO_OK && (own.data || own.train)) {
        struct counted counted = {ctx->on_message, ctx->message_arg, 0};
        ctx->on_message = count_message;
        ctx->message_arg = &counted;
        status = check_pictures(ctx, &own, &text, &bad);
        ctx->on_message = counted.next;
        ctx->message_arg = counted.arg;
        warnings = atomic_load(&counted.warnings);
    }
    if (copied) dio_train_options_free(&own);
    diopter_options_destroy(made);
    if (status == DIO_OK) {
        if (bad > 0) dio_str_addf(&text, "verdict: train would skip %llu pictures\n", (unsigned long long)bad);
        else if (warnings > 0) dio_str_addf(&text, "verdict: good, with %llu warning%s\n", (unsigned long long)warnings, warnings == 1 ? "" : "s");
        else dio_str_add(&text, "verdict: good\n");
        *report = api_take_text(&text);
        return *report ? (bad > 0 || (strict && warnings > 0) ? DIOPTER_PARTIAL : DIOPTER_OK) : DIOPTER_ERROR_SYSTEM;
    }
    dio_str_free(&text);
    return api_status(status);
}
