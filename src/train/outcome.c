#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval/metrics.h"
#include "format/save.h"
#include "report/report.h"
#include "train/run.h"

enum { MISTAKES = 24, SAMPLES = 8, FACTS = 24, SPLITS = 2, SKIPPED_SHOWN = 10 };

/* ---- what the model carries ---- */

static dio_status add_facts(struct dio_run *run)
{
    struct dio_model *model = run->model;
    const struct dio_train_options *options = run->options;
    struct dio_str receipt;
    char hex[65];
    const char *data = options->data ? options->data : options->train;
    DIO_PASS(dio_model_add_fact(model, "fine_tuned_from", dio_path_base(options->model)));
    DIO_PASS(dio_model_add_fact(model, "trained_on", dio_path_base(data)));
    dio_digest_hex(&run->data, hex);
    DIO_PASS(dio_model_add_fact(model, "data_sha256", hex));
    if (model->recipe.fast_decode) DIO_PASS(dio_model_add_fact(model, "decode", "fast: large JPEGs were decoded smaller"));
    DIO_PASS(dio_model_add_fact(model, "frozen", options->train_only ? "all but what --train-only names" : options->freeze));
    dio_str_init(&receipt, run->ctx);
    dio_run_receipt_words(run, &receipt);
    dio_status status = dio_str_status(&receipt);
    if (status == DIO_OK) status = dio_model_add_fact(model, "freeze_receipt", receipt.data);
    dio_str_free(&receipt);
    if (status == DIO_OK) status = dio_model_add_fact(model, "trained_by", "Diopter " DIOPTER_VERSION);
    return status;
}

static dio_status save_model(struct dio_run *run)
{
    char *path = dio_run_path(run, "model.safetensors");
    bool written;
    if (!path) return DIO_ERR_ENV;
    dio_status status = dio_model_save(run->ctx, run->model, path);
    dio_free(run->ctx, path);
    DIO_PASS(status);
    return dio_model_save_config(run->ctx, run->model, DIO_NAMES_ORIGIN, run->folder, &written);
}

/* ---- scores ---- */

/* Validation by the weights that validation chose, also when a refit has replaced them. */
static dio_status score_validation(struct dio_run *run, struct dio_scores_set *set)
{
    struct dio_loop *loop = &run->loop;
    struct dio_snapshot kept;
    *set = (struct dio_scores_set){0};
    if (run->n_val == 0) return DIO_OK;
    DIO_PASS(dio_snapshot_take(run->ctx, loop->graph, &kept));
    dio_snapshot_restore(loop->graph, &loop->best);
    dio_status status = dio_loop_scores(loop, run->val, run->n_val, set);
    dio_snapshot_restore(loop->graph, &kept);
    dio_snapshot_free(run->ctx, &kept);
    return status;
}

static dio_status measure(struct dio_run *run, const struct dio_scores_set *set, struct dio_metrics *metrics)
{
    size_t classes = dio_dataset_classes(run->dataset);
    const char **names = dio_alloc_array(run->ctx, classes, sizeof *names, "class names");
    if (!names) return DIO_ERR_ENV;
    for (size_t i = 0; i < classes; i++) names[i] = dio_dataset_class(run->dataset, i);
    struct dio_metrics_options options = {.classes = names, .n_classes = classes, .positive = -1,
                                          .seed = DIO_BOOTSTRAP_SEED, .bootstrap = DIO_BOOTSTRAP_RESAMPLES};
    dio_status status = dio_metrics_compute(run->ctx, set->logits, set->labels, set->count, &options, metrics);
    /* The names belong to the dataset, which outlives the metrics; the array does not. */
    for (size_t i = 0; status == DIO_OK && i < classes; i++) metrics->per_class[i].name = names[i];
    dio_free(run->ctx, names);
    return status;
}

/* ---- report ---- */

struct page {
    struct dio_run *run;
    struct dio_report report;
    struct dio_report_fact facts[FACTS], provenance[FACTS];
    struct dio_report_split splits[SPLITS];
    struct dio_metrics metrics[SPLITS];
    struct dio_report_epoch *epochs;
    struct dio_report_picture *mistakes;
    struct dio_report_picture samples[SAMPLES];
    const char *skipped[SKIPPED_SHOWN];
    struct dio_audit audit;
    struct dio_arena arena;
};

static void add_fact(struct page *page, const char *key, const char *value)
{
    if (page->report.n_facts == FACTS || !value) return;
    page->facts[page->report.n_facts++] = (struct dio_report_fact){key, value};
}

static void add_settings(struct page *page, const struct dio_epoch_record *best)
{
    struct dio_run *run = page->run;
    const struct dio_train_options *o = run->options;
    const struct dio_train_position *position = &run->loop.position;
    struct dio_arena *arena = &page->arena;
    int64_t all = 0, learning = 0;
    for (int i = 0; i < run->model->graph->n_params; i++) {
        const struct dio_param *param = &run->model->graph->params[i];
        if (param->role != DIO_PARAM_TRAINED) continue;
        all += dio_shape_elements(&param->shape);
        if (param->trainable) learning += dio_shape_elements(&param->shape);
    }
    char lr[40], decay[40];
    dio_format_double(lr, sizeof lr, o->lr);
    dio_format_double(decay, sizeof decay, o->weight_decay);
    add_fact(page, "architecture", run->model->variant ? run->model->variant : "a graph of its own");
    add_fact(page, "parameters", dio_arena_sprintf(arena, "%lld, of which %lld learn", (long long)all, (long long)learning));
    add_fact(page, "frozen", o->train_only ? dio_arena_sprintf(arena, "all but %s", o->train_only) : o->freeze);
    add_fact(page, "head", run->new_head ? dio_arena_sprintf(arena, "new, %lld classes", (long long)run->model->n_classes) : "kept");
    add_fact(page, "pictures", dio_arena_sprintf(arena, "%zu training, %zu validation%s, %zu test", run->n_train, run->n_val,
                                                 dio_dataset_val_was_cut(run->dataset) ? " (cut from training)" : "", run->n_test));
    add_fact(page, "optimizer", dio_arena_sprintf(arena, "%s, lr %s (%s), weight decay %s, batches of %lld", o->optimizer, lr,
                                                  o->schedule, decay, (long long)o->batch_size));
    add_fact(page, "epochs", dio_arena_sprintf(arena, "%lld%s", (long long)o->epochs, position->early_stopped ? ", stopped early" : ""));
    if (best && run->n_val > 0) {
        add_fact(page, "best epoch", dio_arena_sprintf(arena, "%u, by %s on validation", best->epoch, o->select));
    }
    if (position->refit_epochs > 0) {
        add_fact(page, "refit", dio_arena_sprintf(arena, "the head was trained again on all %zu training and validation pictures for %llu epochs",
                                                  run->n_all, (unsigned long long)position->refit_epochs));
    }
    add_fact(page, "features", dio_features_words(run->features));
}

static dio_status add_epochs(struct page *page)
{
    struct dio_loop *loop = &page->run->loop;
    page->epochs = dio_alloc_array(page->run->ctx, loop->n_records, sizeof *page->epochs, "report");
    if (!page->epochs) return DIO_ERR_ENV;
    size_t n = 0;
    for (size_t i = 0; i < loop->n_records; i++) {
        const struct dio_epoch_record *r = &loop->records[i];
        if (r->phase != DIO_PHASE_SEARCH) continue;
        page->epochs[n++] = (struct dio_report_epoch){r->epoch, r->train_loss, r->train_accuracy, r->val_loss, r->val_accuracy, r->lr};
    }
    page->report.epochs = page->epochs;
    page->report.n_epochs = n;
    return DIO_OK;
}

static dio_status add_split(struct page *page, const char *name, const struct dio_scores_set *set, bool first)
{
    if (set->count == 0) return DIO_OK;
    size_t at = page->report.n_splits;
    DIO_PASS(measure(page->run, set, &page->metrics[at]));
    page->splits[at] = (struct dio_report_split){name, &page->metrics[at]};
    page->report.n_splits++;
    if (!first) return DIO_OK;
    return dio_report_mistakes(page->run->ctx, set->logits, set->labels, set->items, set->count, (size_t)set->n_classes, MISTAKES,
                               &page->mistakes, &page->report.n_mistakes);
}

static void add_pictures(struct page *page)
{
    struct dio_run *run = page->run;
    for (size_t i = 0; i < SAMPLES && i < run->n_train; i++) {
        uint32_t item = run->train[i * run->n_train / SAMPLES];
        if (run->n_train < SAMPLES) item = run->train[i];
        page->samples[i] = (struct dio_report_picture){item, dio_dataset_item(run->dataset, item)->label, -1, NAN};
        page->report.n_samples = i + 1;
    }
    size_t bad;
    const uint32_t *items = dio_features_bad(run->features, &bad);
    for (size_t i = 0; i < bad && i < SKIPPED_SHOWN; i++) {
        page->skipped[i] = dio_dataset_path(run->dataset, items[i]);
        page->report.n_skipped_lines = i + 1;
    }
    page->report.n_skipped = bad;
}

static dio_status fill_page(struct page *page, const struct dio_epoch_record *best, const struct dio_scores_set *val,
                            const struct dio_scores_set *test)
{
    struct dio_run *run = page->run;
    struct dio_report *report = &page->report;
    const struct dio_train_options *options = run->options;
    struct dio_str receipt;
    report->model = dio_path_base(options->model);
    report->data = dio_path_base(options->data ? options->data : options->train);
    report->title = dio_arena_sprintf(&page->arena, "%s on %s", run->model->variant ? run->model->variant : report->model, report->data);
    report->subtitle = run->head_only ? "A new head was trained on the features of the frozen network."
                                      : "The network was fine-tuned.";
    if (run->loaded.scratch) report->subtitle = "The network was trained from scratch.";
    report->facts = page->facts;
    add_settings(page, best);
    DIO_PASS(add_epochs(page));
    report->best_epoch = best && run->n_val > 0 ? best->epoch : 0;
    report->refit_epochs = page->run->loop.position.refit_epochs;
    report->splits = page->splits;
    DIO_PASS(add_split(page, "test", test, true));
    const char *name = dio_dataset_val_was_cut(run->dataset) ? "validation (cut from train)" : "validation";
    DIO_PASS(add_split(page, name, val, test->count == 0));
    report->dataset = run->dataset;
    report->warnings = (const char *const *)run->warnings;
    report->n_warnings = run->n_warnings;
    add_pictures(page);
    DIO_PASS(dio_run_survey(run, &page->audit));
    report->audit = &page->audit;
    report->skipped = page->skipped;
    report->mistakes = page->mistakes;
    report->samples = page->samples;
    report->prepare = &run->prepare;
    report->augment = dio_augment_any(&options->augment) ? &options->augment : NULL;
    report->seed = (uint64_t)options->seed;
    report->recipe = run->recipe.data;
    dio_str_init(&receipt, run->ctx);
    dio_run_receipt_words(run, &receipt);
    report->receipt = receipt.data ? dio_arena_strndup(&page->arena, receipt.data, receipt.length) : NULL;
    dio_str_free(&receipt);
    report->receipt_ok = true;
    for (size_t i = 0; i < run->model->n_provenance && i < FACTS; i++) {
        page->provenance[i] = (struct dio_report_fact){run->model->provenance[i].key, run->model->provenance[i].value};
        report->n_provenance = i + 1;
    }
    report->provenance = page->provenance;
    report->version = DIOPTER_VERSION;
    return report->title && report->receipt ? DIO_OK : DIO_ERR_ENV;
}

static dio_status write_report(struct dio_run *run, const struct dio_epoch_record *best, const struct dio_scores_set *val,
                               const struct dio_scores_set *test)
{
    struct dio_str html;
    struct page *page = dio_alloc_zeroed(run->ctx, 1, sizeof *page, "report");
    if (!page) return DIO_ERR_ENV;
    page->run = run;
    dio_arena_init(&page->arena, run->ctx);
    dio_str_init(&html, run->ctx);
    dio_status status = fill_page(page, best, val, test);
    if (status == DIO_OK) status = dio_report_write(run->ctx, &page->report, &html);
    if (status == DIO_OK) status = dio_run_write(run, "report.html", &html);
    dio_str_free(&html);
    for (size_t i = 0; i < page->report.n_splits; i++) dio_metrics_free(&page->metrics[i]);
    dio_free(run->ctx, page->epochs);
    dio_free(run->ctx, page->mistakes);
    dio_arena_free(&page->arena);
    dio_free(run->ctx, page);
    return status;
}

dio_status dio_run_finish(struct dio_run *run, const struct dio_epoch_record *best)
{
    dio_status status;
    struct dio_scores_set val = {0}, test = {0};
    DIO_TRY(dio_run_check_receipt(run));
    DIO_TRY(add_facts(run));
    DIO_TRY(score_validation(run, &val));
    if (run->n_test > 0) DIO_TRY(dio_loop_scores(&run->loop, run->test, run->n_test, &test));
    DIO_TRY(save_model(run));
    DIO_TRY(write_report(run, best, &val, &test));
fail:
    dio_scores_free(run->ctx, &val);
    dio_scores_free(run->ctx, &test);
    return status;
}
