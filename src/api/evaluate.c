#include <math.h>
#include <string.h>

#include "api/private.h"
#include "eval/tables.h"
#include "predict/evaluate.h"

struct diopter_evaluation {
    diopter_context *context;
    struct dio_metrics metrics;
};

void diopter_evaluation_destroy(diopter_evaluation *evaluation)
{
    if (!evaluation) return;
    dio_metrics_free(&evaluation->metrics);
    dio_free(&evaluation->context->ctx, evaluation);
}

/* The model's class names, or the indices as names when it has none. */
static dio_status class_names(struct dio_ctx *ctx, const struct dio_model *model, struct dio_arena *arena,
                              const char *const **names)
{
    const char **list = dio_arena_alloc(arena, (size_t)model->n_classes * sizeof *list);
    if (!list) return DIO_ERR_ENV;
    for (int64_t i = 0; i < model->n_classes; i++) {
        char buffer[24];
        const char *name = dio_model_class_name(model, (size_t)i, buffer);
        list[i] = dio_arena_strndup(arena, name, strlen(name));
        if (!list[i]) return DIO_ERR_ENV;
    }
    (void)ctx;
    *names = list;
    return DIO_OK;
}

static dio_status positive_class(struct dio_ctx *ctx, const char *wanted, const char *const *names, int64_t count, int *out)
{
    *out = -1;
    if (!wanted) return DIO_OK;
    for (int64_t i = 0; i < count; i++) {
        if (strcmp(names[i], wanted) == 0) {
            *out = (int)i;
            return DIO_OK;
        }
    }
    char shown[256];
    dio_escape(shown, sizeof shown, wanted, strlen(wanted), 200);
    return dio_fail(ctx, DIO_ERR_USAGE, "A4", NULL, "--positive: the model has no class \"%s\"", shown);
}

static size_t top_of(const struct dio_evaluation *rows, size_t row)
{
    const float *logits = rows->logits + row * rows->n_classes;
    size_t best = 0;
    for (size_t i = 1; i < rows->n_classes; i++) {
        if (logits[i] > logits[best]) best = i;
    }
    return best;
}

/* Probability of the first class. */
static double confidence_of(const struct dio_evaluation *rows, size_t row)
{
    const float *logits = rows->logits + row * rows->n_classes, most = logits[top_of(rows, row)];
    double sum = 0;
    for (size_t i = 0; i < rows->n_classes; i++) sum += exp((double)(logits[i] - most));
    return 1 / sum;
}

/* What bytes cost on these pictures: the same in f32 beside it. */
static dio_status tell_cost(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_dataset *dataset, const uint32_t *items,
                            size_t count, const struct dio_evaluate_options *how, const struct dio_evaluation *rows,
                            const struct dio_metrics_options *measures, const struct dio_metrics *metrics)
{
    dio_status status;
    struct dio_evaluation exact = {0};
    struct dio_metrics of_exact = {0};
    struct dio_evaluate_options f32 = *how;
    f32.precision = DIO_PRECISION_F32;
    DIO_TRY(dio_evaluate(ctx, model, dataset, items, count, &f32, &exact));
    DIO_TRY(dio_metrics_compute(ctx, exact.logits, exact.labels, exact.count, measures, &of_exact));
    size_t same = 0;
    double surer = 0;
    for (size_t i = 0; i < rows->count && i < exact.count; i++) {
        same += top_of(rows, i) == top_of(&exact, i);
        surer += confidence_of(rows, i) - confidence_of(&exact, i);
    }
    dio_say(ctx, DIO_LEVEL_NOTE, NULL, NULL,
            "int8: top-1 %.4f, f32 %.4f; calibration error %.4f, f32 %.4f; the same first class on %zu of %zu; confidence differs by %+.4f in the mean",
            metrics->top1, of_exact.top1, metrics->ece, of_exact.ece, same, rows->count, rows->count ? surer / (double)rows->count : 0.0);
fail:
    dio_metrics_free(&of_exact);
    dio_evaluation_free(ctx, &exact);
    return status;
}

/* What speaks of two classes says nothing of ten. */
static dio_status two_classes_only(struct dio_ctx *ctx, const diopter_options *options, int64_t classes)
{
    static const char *const names[] = {"positive", "threshold"};
    for (size_t i = 0; i < 2 && classes != 2; i++) {
        if (!api_extra_given(options, names[i])) continue;
        return dio_fail(ctx, DIO_ERR_USAGE, "A4", NULL, "--%s is for models of two classes; this one has %lld", names[i],
                        (long long)classes);
    }
    return DIO_OK;
}

static dio_status judge(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_dataset *dataset,
                        const char *const *names, const diopter_options *options, diopter_evaluation *out)
{
    const unsigned use = DIOPTER_FOR_EVALUATE;
    dio_status status = DIO_OK;
    uint32_t *items = NULL;
    size_t count = 0;
    struct dio_evaluation rows = {0};
    enum dio_precision precision;
    struct dio_calibrate_options calibrate;
    DIO_PASS(api_precision_of(ctx, options, use, &precision, &calibrate));
    const struct dio_evaluate_options how = {.batch = api_extra_whole(options, "batch_size", use), .precision = precision,
                                             .calibrate = calibrate,
                                             .stop_at_bad = strcmp(options->train.bad, "stop") == 0,
                                             .allow_damaged = options->train.allow_damaged,
                                             .max_bad = options->train.max_bad,
                                             .exact = api_extra_flag(options, "exact", use)};
    struct dio_metrics_options measures = {.classes = names,
                                           .n_classes = (size_t)model->n_classes,
                                           .threshold = api_extra_number(options, "threshold", use),
                                           .seed = DIO_BOOTSTRAP_SEED,
                                           .bootstrap = DIO_BOOTSTRAP_RESAMPLES};
    DIO_TRY(positive_class(ctx, api_extra(options, "positive", use), names, model->n_classes, &measures.positive));
    DIO_TRY(dio_evaluate_items(ctx, dataset, api_extra(options, "split", use), &items, &count));
    DIO_TRY(dio_evaluate(ctx, model, dataset, items, count, &how, &rows));
    DIO_TRY(dio_metrics_compute(ctx, rows.logits, rows.labels, rows.count, &measures, &out->metrics));
    out->metrics.skipped = rows.skipped;
    if (precision == DIO_PRECISION_INT8) DIO_TRY(tell_cost(ctx, model, dataset, items, count, &how, &rows, &measures, &out->metrics));
fail:
    dio_evaluation_free(ctx, &rows);
    dio_free(ctx, items);
    return status;
}

static dio_status evaluate(struct dio_ctx *ctx, const struct dio_model *model, const char *data,
                           const diopter_options *options, diopter_evaluation *out)
{
    dio_status status = DIO_OK;
    struct dio_dataset *dataset = NULL;
    struct dio_arena arena;
    const char *const *names = NULL;
    /* Data without a val: the pictures that train cuts off with the same share and seed. */
    const char *split = api_extra(options, "split", DIOPTER_FOR_EVALUATE);
    bool cut = split && strcmp(split, "val") == 0;
    dio_arena_init(&arena, ctx);
    DIO_TRY(two_classes_only(ctx, options, model->n_classes));
    DIO_TRY(class_names(ctx, model, &arena, &names));
    const struct dio_dataset_options layout = {.root = options->train.root,
                                               .columns = options->train.columns,
                                               .labels_wanted = true,
                                               .allow_empty = true,
                                               .allow_leak = options->train.allow_leak,
                                               .allow_one_class = true,
                                               .val_share = cut ? options->train.val_share : 0,
                                               .seed = (uint64_t)options->train.seed,
                                               .model_classes = names,
                                               .n_model_classes = (size_t)model->n_classes};
    DIO_TRY(dio_dataset_open(ctx, data, &layout, &dataset));
    if (dio_dataset_val_was_cut(dataset)) {
        dio_say(ctx, DIO_LEVEL_NOTE, NULL, &(struct dio_place){.file = data},
                "no val: judged on what train cuts off with this --val-share and --seed; a head refitted on all pictures has "
                "seen these (the run's report has the figures from before)");
    }
    bool whole = !dio_dataset_split_count(dataset, DIO_SPLIT_VAL) && !dio_dataset_split_count(dataset, DIO_SPLIT_TEST);
    if (!split && whole) {
        dio_say(ctx, DIO_LEVEL_NOTE, NULL, &(struct dio_place){.file = data},
                "no test and no val: judged on all pictures; those that the model was trained on say nothing about new ones");
    }
    DIO_TRY(judge(ctx, model, dataset, names, options, out));
fail:
    dio_dataset_free(dataset);
    dio_arena_free(&arena);
    return status;
}

diopter_status diopter_evaluate(diopter_model *model, const char *data, const diopter_options *options,
                                diopter_evaluation **evaluation)
{
    struct dio_ctx *ctx = &model->context->ctx;
    api_begin(model->context, options);
    diopter_options *made = NULL;
    *evaluation = NULL;
    dio_status status = api_default_options(model->context, &options, &made);
    if (status == DIO_OK) status = api_need_head(model);
    if (status == DIO_OK) {
        *evaluation = dio_alloc_zeroed(ctx, 1, sizeof **evaluation, "an evaluation");
        status = *evaluation ? DIO_OK : DIO_ERR_ENV;
    }
    double least = NAN;
    if (status == DIO_OK) {
        (*evaluation)->context = model->context;
        least = api_extra_number(options, "min_accuracy", DIOPTER_FOR_EVALUATE);
        status = evaluate(ctx, model->loaded.model, data, options, *evaluation);
    }
    diopter_options_destroy(made);
    if (status != DIO_OK) {
        diopter_evaluation_destroy(*evaluation);
        *evaluation = NULL;
        return api_status(status);
    }
    const struct dio_metrics *m = &(*evaluation)->metrics;
    return m->skipped > 0 || m->top1 < least ? DIOPTER_PARTIAL : DIOPTER_OK;
}

diopter_status diopter_evaluation_describe(const diopter_evaluation *evaluation, diopter_evaluation_info *info)
{
    const struct dio_metrics *m = &evaluation->metrics;
    const diopter_evaluation_info out = {
        .size = info->size,
        .pictures = m->n,
        .skipped = m->skipped,
        .classes = m->n_classes,
        .top1 = m->top1,
        .top1_low = m->top1_interval.low,
        .top1_high = m->top1_interval.high,
        .balanced_accuracy = m->balanced_accuracy,
        .macro_f1 = m->f1_macro,
        .auroc = m->binary ? m->auroc : NAN,
        .sensitivity = m->binary ? m->sensitivity : NAN,
        .specificity = m->binary ? m->specificity : NAN,
    };
    memcpy(info, &out, info->size < sizeof out ? info->size : sizeof out);
    return DIOPTER_OK;
}

uint64_t diopter_evaluation_confusion(const diopter_evaluation *evaluation, size_t truth, size_t predicted)
{
    const struct dio_metrics *m = &evaluation->metrics;
    if (truth >= m->n_classes || predicted >= m->n_classes) return 0;
    return m->confusion[truth * m->n_classes + predicted];
}

static char *made_by(const diopter_evaluation *evaluation, void (*make)(struct dio_str *, const struct dio_metrics *))
{
    struct dio_str text;
    dio_str_init(&text, &evaluation->context->ctx);
    make(&text, &evaluation->metrics);
    return api_take_text(&text);
}

char *diopter_evaluation_text(const diopter_evaluation *evaluation)
{
    return made_by(evaluation, dio_metrics_text);
}

char *diopter_evaluation_json(const diopter_evaluation *evaluation)
{
    return made_by(evaluation, dio_metrics_json);
}

char *diopter_evaluation_svg(const diopter_evaluation *evaluation)
{
    return made_by(evaluation, dio_metrics_svg);
}
