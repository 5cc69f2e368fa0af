#include "predict/predict.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/hash.h"
#include "data/bad.h"
#include "data/loader.h"
#include "graph/plan.h"
#include "data/walk.h"
#include "predict/calibrate.h"
#include "predict/output.h"

enum { DEFAULT_BATCH = 16 };

struct job {
    struct dio_ctx *ctx;
    const struct dio_predict_options *options;
    struct dio_predict_result *result;
    struct dio_records records;
    struct dio_output output;
    bool output_open;
    bool replaces;          /* the output is a file that exists */
    struct dio_prepare prepare;
    struct dio_batcher *batcher;
    struct dio_walk *walk;
    struct dio_plan *plan;
    struct dio_value_range *ranges; /* int8 */
    struct dio_arena names; /* of one batch */
    struct dio_bad bad;
    size_t batch, slot;     /* pictures; floats of one */
    struct dio_ref *refs;
    struct dio_old_record *old; /* of each, its record in a finished file */
    size_t compared;            /* so many of them were computed again */
    struct dio_batch_result *outcomes;
    struct dio_message unscored; /* of the last picture whose scores are not finite */
    float *pixels, *logits;
};

dio_status dio_predict_check(struct dio_ctx *ctx, const struct dio_predict_options *options)
{
    if (options->n_paths == 0) return dio_fail(ctx, DIO_ERR_USAGE, "A3", NULL, "no pictures given");
    return dio_output_check(ctx, options);
}

static void short_hash(struct dio_sha256 *hash, char out[DIO_PART_HASH])
{
    char hex[65];
    struct dio_digest digest = dio_sha256_end(hash);
    dio_digest_hex(&digest, hex);
    snprintf(out, DIO_PART_HASH, "%.8s", hex);
}

/* Everything that decides what is written: an interrupted file is gone on with by the same key alone. */
static dio_status make_key(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_predict_options *options,
                           const struct dio_records *records, struct dio_part_key *key)
{
    struct dio_sha256 hash;
    struct dio_str text;
    *key = (struct dio_part_key){.json = records->json, .top = records->top, .scores = records->scores};
    dio_sha256_init(&hash);
    for (size_t i = 0; i < model->classes.count; i++) dio_sha256_add_text(&hash, model->classes.names[i]);
    for (int i = 0; options->output && i < model->graph->n_params; i++) { /* standard output is never gone on with */
        const struct dio_param *param = &model->graph->params[i];
        size_t bytes;
        if (!param->data || !dio_shape_bytes(&param->shape, param->dtype, &bytes)) continue;
        dio_sha256_add(&hash, param->data, bytes);
        if (param->mapped) dio_drop_pages(param->data, bytes);
    }
    if (options->exact) dio_sha256_add_text(&hash, "exact"); /* other last digits */
    if (options->precision != DIO_PRECISION_F32) dio_sha256_add_text(&hash, dio_precision_name(options->precision));
    short_hash(&hash, key->model);
    dio_str_init(&text, ctx);
    dio_str_addf(&text, "%d ", options->allow_damaged);
    dio_image_recipe_write(&text, &model->recipe);
    dio_status status = dio_str_status(&text);
    dio_sha256_init(&hash);
    if (status == DIO_OK) dio_sha256_add(&hash, text.data, text.length);
    short_hash(&hash, key->pixels);
    dio_str_free(&text);
    dio_sha256_init(&hash);
    for (size_t i = 0; i < options->n_paths; i++) dio_sha256_add_text(&hash, options->paths[i]);
    if (options->root) dio_sha256_add_text(&hash, options->root);
    if (options->columns) dio_sha256_add_text(&hash, options->columns);
    short_hash(&hash, key->paths);
    return status;
}

static dio_status open_output(struct job *job, const struct dio_model *model)
{
    const struct dio_predict_options *options = job->options;
    const char *dot = options->output ? strrchr(dio_path_base(options->output), '.') : NULL;
    bool json = options->format == DIO_PREDICT_JSONL ||
                (options->format == DIO_PREDICT_BY_NAME && dot && (strcmp(dot, ".jsonl") == 0 || strcmp(dot, ".ndjson") == 0));
    struct dio_part_key key;
    DIO_PASS(dio_records_init(job->ctx, model, options, json, &job->records));
    DIO_PASS(make_key(job->ctx, model, options, &job->records, &key));
    DIO_PASS(dio_output_open(job->ctx, options, &key, &job->records, &job->output));
    job->output_open = true;
    return DIO_OK;
}

static dio_status make_room(struct job *job, const struct dio_model *model)
{
    struct dio_ctx *ctx = job->ctx;
    const struct dio_image_recipe *recipe = &model->recipe;
    size_t bytes;
    job->batch = job->options->batch > 0 ? (size_t)job->options->batch : DEFAULT_BATCH;
    job->slot = (size_t)recipe->height * (size_t)recipe->width * (size_t)recipe->channels;
    if (!dio_mul_size(job->batch, job->slot * sizeof(float), &bytes)) {
        return dio_fail(ctx, DIO_ERR_ENV, "E3", NULL, "a batch of %zu pictures does not fit in memory", job->batch);
    }
    job->refs = dio_alloc_array(ctx, job->batch, sizeof *job->refs, "a batch");
    job->old = dio_alloc_array(ctx, job->batch, sizeof *job->old, "a batch");
    job->outcomes = dio_alloc_array(ctx, job->batch, sizeof *job->outcomes, "a batch");
    job->pixels = dio_alloc_aligned(ctx, bytes, "a batch of pictures");
    job->logits = dio_alloc_array(ctx, job->batch * (size_t)model->n_classes, sizeof *job->logits, "a batch of scores");
    return job->refs && job->old && job->outcomes && job->pixels && job->logits ? DIO_OK : DIO_ERR_ENV;
}

static dio_status open_job(struct job *job, const struct dio_model *model)
{
    struct dio_ctx *ctx = job->ctx;
    const struct dio_predict_options *options = job->options;
    if (model->logits < 0) {
        return dio_fail(ctx, DIO_ERR_INPUT, "J5", &(struct dio_place){.hint = "train gives it one"}, "the model has no head");
    }
    job->replaces = options->output && options->overwrite && dio_path_is_file(options->output);
    DIO_PASS(dio_walk_open(ctx, options->paths, options->n_paths, &(struct dio_walk_options){options->root, options->columns}, &job->walk));
    DIO_PASS(make_room(job, model));
    struct dio_plan_options plan = {.batch = (int64_t)job->batch, .memory_limit = ctx->cpu.memory_limit, .exact = options->exact,
                                    .precision = options->precision};
    if (options->precision == DIO_PRECISION_INT8) DIO_PASS(dio_calibrate(ctx, model, &options->calibrate, &job->ranges));
    plan.ranges = job->ranges;
    DIO_PASS(dio_plan_infer(ctx, model->graph, model->graph->inputs, 1, &model->logits, 1, &plan, &job->plan));
    DIO_PASS(dio_prepare_init(ctx, &model->recipe, &job->prepare));
    struct dio_decode_options decode = {.ignore_exif = model->recipe.ignore_exif, .allow_damaged = options->allow_damaged};
    DIO_PASS(dio_batcher_open(ctx, &job->prepare, &decode, &job->batcher));
    bool share = options->max_bad > 0 && options->max_bad < 1;
    dio_bad_init(&job->bad, &(struct dio_bad_options){.stop = options->stop_at_bad, .max_share = share ? options->max_bad : 1,
                                                      .total = dio_walk_total(job->walk)});
    return open_output(job, model);
}

/* Row A7: a manifest names pictures anywhere. */
static dio_status check_picture(struct job *job, const struct dio_ref *ref)
{
    const char *output = job->options->output;
    if (!job->replaces || !ref->path || !dio_same_file(ref->path, output)) return DIO_OK;
    return dio_fail(job->ctx, DIO_ERR_USAGE, "A7", &(struct dio_place){.file = output}, "output and input are the same file");
}

/* The next pictures that have no record yet; of a finished file the first ones are computed again, to see that it is this
 * model's. */
static dio_status fill_batch(struct job *job, size_t *n)
{
    dio_arena_free(&job->names);
    dio_arena_init(&job->names, job->ctx);
    *n = 0;
    while (*n < job->batch) {
        bool found = false;
        struct dio_old_record *old = &job->old[*n];
        DIO_PASS(dio_walk_next(job->walk, &job->names, &job->refs[*n], &found));
        if (!found) break;
        DIO_PASS(check_picture(job, &job->refs[*n]));
        DIO_PASS(dio_output_take(&job->output, &job->records, job->refs[*n].name, old));
        if (old->text) {
            job->result->resumed++;
            job->result->n++;
            job->result->bad += old->bad;
            if (old->bad) dio_bad_known(&job->bad, 1);
            if (!job->output.finished || job->compared == job->batch) continue;
            job->compared++;
        }
        ++*n;
    }
    return DIO_OK;
}

/* Weights with NaN or infinity, or too large ones, give scores that say nothing. */
static bool all_finite(const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) return false;
    }
    return true;
}

static const struct dio_message *why_bad(struct job *job, size_t i, const float *logits)
{
    const struct dio_batch_result *outcome = &job->outcomes[i];
    if (outcome->status != DIO_OK) return outcome->why;
    if (all_finite(logits, job->records.classes)) return NULL;
    struct dio_ctx told = dio_ctx_child(job->ctx);
    (void)dio_fail(&told, DIO_ERR_INPUT, "S18", &(struct dio_place){.file = job->refs[i].name}, "the scores are not finite");
    job->unscored = told.error;
    return &job->unscored;
}

/* The record of picture i: into the output, or against what the finished file has. */
static dio_status one_record(struct job *job, size_t i, const float *logits, struct dio_str *record)
{
    const char *name = job->refs[i].name;
    const struct dio_message *why = why_bad(job, i, logits);
    bool good = why == NULL;
    record->length = 0;
    if (good) {
        dio_record_good(&job->records, name, logits, record);
    } else {
        dio_record_bad(&job->records, name, why, record);
    }
    if (job->old[i].text) return dio_output_compare(&job->output, &job->old[i], record);
    job->result->n++;
    job->result->bad += !good;
    if (!good) DIO_PASS(dio_bad_report(&job->bad, job->ctx, why));
    return dio_output_put(&job->output, record, good);
}

/* Decodes, computes, writes; good pictures move together so that the plan sees no gaps. */
static dio_status one_batch(struct job *job, size_t n)
{
    struct dio_ctx *ctx = job->ctx;
    size_t good = 0, classes = job->records.classes;
    DIO_PASS(dio_batcher_run(job->batcher, ctx, job->refs, n, NULL, job->pixels, job->outcomes));
    for (size_t i = 0; i < n; i++) {
        if (job->outcomes[i].status != DIO_OK) continue;
        if (good != i) memcpy(job->pixels + good * job->slot, job->pixels + i * job->slot, job->slot * sizeof(float));
        good++;
    }
    const void *in[] = {job->pixels};
    void *out[] = {job->logits};
    if (good > 0) dio_plan_run(job->plan, (int64_t)good, in, out);
    struct dio_str record;
    dio_str_init(&record, ctx);
    dio_status status = DIO_OK;
    good = 0;
    for (size_t i = 0; i < n && status == DIO_OK; i++) {
        status = one_record(job, i, job->logits + good * classes, &record);
        good += job->outcomes[i].status == DIO_OK;
    }
    dio_str_free(&record);
    return status;
}

static dio_status run_job(struct job *job)
{
    struct dio_ctx *ctx = job->ctx;
    size_t n = 0;
    for (;;) {
        if (dio_cancelled(ctx)) return DIO_CANCELLED;
        DIO_PASS(fill_batch(job, &n));
        if (n == 0) break;
        DIO_PASS(one_batch(job, n));
        /* Nothing is said to go on while every picture was bad: that would be a refusal, and those are one line. */
        if (job->result->n == job->result->bad) continue;
        dio_report_progress(ctx, &(struct dio_progress){"predict", "pictures", job->result->n, dio_walk_total(job->walk), NAN, NAN});
    }
    DIO_PASS(dio_output_end(&job->output));
    if (dio_output_was_complete(&job->output)) {
        dio_say(ctx, DIO_LEVEL_NOTE, "R7", &(struct dio_place){.file = job->options->output}, "is complete already");
    }
    if (job->result->n == 0) {
        return dio_fail(ctx, DIO_ERR_INPUT, "D2", &(struct dio_place){.file = job->options->paths[0]}, "no pictures found");
    }
    return dio_bad_finish(&job->bad, ctx, job->result->n);
}

dio_status dio_predict_run(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_predict_options *options,
                           struct dio_predict_result *result)
{
    struct job job = {.ctx = ctx, .options = options, .result = result, .output = {.ctx = ctx}};
    *result = (struct dio_predict_result){0};
    dio_arena_init(&job.names, ctx);
    dio_status status = open_job(&job, model);
    if (status == DIO_OK) status = run_job(&job);
    if (status == DIO_OK) status = dio_output_commit(&job.output);
    if (status == DIO_CANCELLED && job.output.part) {
        (void)dio_fail(ctx, DIO_CANCELLED, "E4", &(struct dio_place){.file = options->output},
                       "interrupted after %llu pictures; resume with --resume", (unsigned long long)result->n);
    }
    if (status != DIO_OK && job.output_open) dio_output_abort(&job.output, status == DIO_CANCELLED);
    dio_walk_close(job.walk);
    if (job.batcher) dio_batcher_close(job.batcher);
    if (job.plan) dio_plan_free(job.plan);
    dio_free(ctx, job.ranges);
    dio_prepare_free(ctx, &job.prepare);
    dio_records_free(ctx, &job.records);
    dio_arena_free(&job.names);
    dio_free(ctx, job.refs);
    dio_free(ctx, job.old);
    dio_free(ctx, job.outcomes);
    dio_free(ctx, job.pixels);
    dio_free(ctx, job.logits);
    return status;
}
