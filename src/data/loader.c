#include "data/loader.h"

#include <string.h>

#include "base/checked.h"
#include "data/workers.h"

/* ---- the core ---- */

struct dio_batcher {
    struct dio_ctx *ctx;
    const struct dio_prepare *prepare;
    struct dio_decode_options options;
    struct dio_workers workers;
    struct dio_message *messages; /* one a picture of the batch */
    size_t messages_capacity;
};

/* One batch under way: pictures come as refs, or as items of a dataset. */
struct batch_job {
    struct dio_batcher *batcher;
    const struct dio_ref *refs;
    const struct dio_dataset *dataset;
    const uint32_t *items;
    struct dio_view_source views;
    bool digests;
    float *out;
    size_t slot; /* floats a picture */
    struct dio_batch_result *results;
};

static size_t slot_size(const struct dio_prepare *prepare)
{
    const struct dio_image_recipe *recipe = &prepare->recipe;
    return (size_t)recipe->height * (size_t)recipe->width * (size_t)recipe->channels;
}

/* The view of one picture, drawn when its size is known. */
struct chosen {
    const struct batch_job *job;
    size_t i;
    bool drawn;
    struct dio_view view;
};

static const struct dio_view *view_of(struct chosen *chosen, int32_t width, int32_t height)
{
    const struct dio_view_source *views = &chosen->job->views;
    if (!views->augment) return NULL;
    if (!chosen->drawn) {
        dio_augment_draw(views->augment, &chosen->job->batcher->prepare->recipe, width, height, views->seed, views->epoch,
                         views->index[chosen->i], &chosen->view);
    }
    chosen->drawn = true;
    return &chosen->view;
}

static struct dio_region choose_window(void *arg, int32_t width, int32_t height)
{
    struct chosen *chosen = arg;
    return dio_prepare_window(chosen->job->batcher->prepare, view_of(chosen, width, height), width, height);
}

static int32_t choose_shrink(void *arg, int32_t width, int32_t height)
{
    struct chosen *chosen = arg;
    return dio_prepare_shrink(chosen->job->batcher->prepare, view_of(chosen, width, height), width, height);
}

static dio_status load(const struct batch_job *job, struct dio_worker *worker, size_t i, struct dio_batch_result *result)
{
    char name[DIO_REF_NAME_MAX];
    struct dio_ref ref = job->refs ? job->refs[i] : dio_dataset_ref(job->dataset, job->items[i], name);
    const struct dio_prepare *prepare = job->batcher->prepare;
    struct chosen chosen = {.job = job, .i = i};
    const struct dio_window window = {choose_window, choose_shrink, &chosen};
    struct dio_decode_options options = job->batcher->options;
    options.window = &window;
    DIO_PASS(dio_ref_decode(&worker->ctx, &ref, &options, &worker->picture, job->digests ? &result->digest : NULL));
    result->facts = dio_picture_facts(&worker->picture);
    const struct dio_view *view = view_of(&chosen, worker->picture.full_width, worker->picture.full_height);
    return dio_prepare_run(&worker->ctx, prepare, view, ref.name, &worker->picture, &worker->scratch, job->out + i * job->slot);
}

static void load_piece(void *arg, int64_t piece, int thread)
{
    const struct batch_job *job = arg;
    struct dio_worker *worker = &job->batcher->workers.workers[thread];
    struct dio_batch_result *result = &job->results[piece];
    *result = (struct dio_batch_result){.status = DIO_CANCELLED};
    if (dio_cancelled(job->batcher->ctx)) return;
    result->status = load(job, worker, (size_t)piece, result);
    if (result->status == DIO_OK) return;
    result->why = &job->batcher->messages[piece];
    *result->why = worker->ctx.error;
    dio_ctx_clear_error(&worker->ctx);
}

/* What is not about one picture ends the whole: the first in order, whoever met it first. */
static dio_status machinery(struct dio_ctx *ctx, const struct dio_batch_result *results, size_t n)
{
    if (dio_cancelled(ctx)) return DIO_CANCELLED;
    for (size_t i = 0; i < n; i++) {
        if (results[i].status == DIO_OK || results[i].status == DIO_ERR_INPUT) continue;
        if (ctx->error.status == DIO_OK && results[i].why) ctx->error = *results[i].why;
        return results[i].status;
    }
    return DIO_OK;
}

static dio_status run_job(struct dio_ctx *ctx, struct batch_job *job, size_t n)
{
    struct dio_batcher *batcher = job->batcher;
    DIO_PASS(dio_grow(ctx, (void **)&batcher->messages, &batcher->messages_capacity, n, sizeof *batcher->messages, "a batch"));
    job->slot = slot_size(batcher->prepare);
    dio_team_for(ctx->team, (int64_t)n, load_piece, job);
    return machinery(ctx, job->results, n);
}

dio_status dio_batcher_open(struct dio_ctx *ctx, const struct dio_prepare *prepare,
                            const struct dio_decode_options *options, struct dio_batcher **out)
{
    *out = NULL;
    struct dio_batcher *batcher = dio_alloc_zeroed(ctx, 1, sizeof *batcher, "decoding");
    if (!batcher) return DIO_ERR_ENV;
    batcher->ctx = ctx;
    batcher->prepare = prepare;
    if (options) batcher->options = *options;
    dio_status status = dio_workers_open(ctx, dio_team_size(ctx->team), &batcher->workers);
    if (status != DIO_OK) {
        dio_free(ctx, batcher);
        return status;
    }
    *out = batcher;
    return DIO_OK;
}

void dio_batcher_close(struct dio_batcher *batcher)
{
    if (!batcher) return;
    dio_workers_close(batcher->ctx, &batcher->workers);
    dio_free(batcher->ctx, batcher->messages);
    dio_free(batcher->ctx, batcher);
}

dio_status dio_batcher_run(struct dio_batcher *batcher, struct dio_ctx *ctx, const struct dio_ref *refs, size_t n,
                           const struct dio_view_source *views, float *out, struct dio_batch_result *results)
{
    struct batch_job job = {.batcher = batcher, .refs = refs, .out = out, .results = results};
    if (views) job.views = *views;
    return run_job(ctx, &job, n);
}

/* ---- over a dataset ---- */

struct dio_loader {
    struct dio_ctx *ctx;
    struct dio_loader_options options;
    struct dio_batcher *batcher;
    size_t next;        /* place in the order */
    float *pixels;
    int32_t *labels;
    uint32_t *items, *bad;
    struct dio_digest *digests;
    struct dio_picture_facts *facts;
    const struct dio_message **why;
    struct dio_batch_result *results;
};

dio_status dio_loader_open(struct dio_ctx *ctx, const struct dio_loader_options *options, struct dio_loader **out)
{
    *out = NULL;
    struct dio_loader *loader = dio_alloc_zeroed(ctx, 1, sizeof *loader, "the loader");
    if (!loader) return DIO_ERR_ENV;
    loader->ctx = ctx;
    loader->options = *options;
    if (options->augment && !dio_augment_any(options->augment)) loader->options.augment = NULL;
    size_t n = options->batch, floats, bytes;
    if (!dio_mul_size(slot_size(options->prepare), n, &floats) || !dio_mul_size(floats, sizeof(float), &bytes)) bytes = SIZE_MAX / 2;
    dio_status status;
    DIO_TRY(dio_batcher_open(ctx, options->prepare, &options->decode, &loader->batcher));
    loader->pixels = dio_alloc_aligned(ctx, bytes, "a batch of pictures");
    loader->labels = dio_alloc_array(ctx, n, sizeof *loader->labels, "a batch of pictures");
    loader->items = dio_alloc_array(ctx, n, sizeof *loader->items, "a batch of pictures");
    loader->bad = dio_alloc_array(ctx, n, sizeof *loader->bad, "a batch of pictures");
    loader->digests = dio_alloc_array(ctx, n, sizeof *loader->digests, "a batch of pictures");
    loader->facts = dio_alloc_array(ctx, n, sizeof *loader->facts, "a batch of pictures");
    loader->why = dio_alloc_array(ctx, n, sizeof *loader->why, "a batch of pictures");
    loader->results = dio_alloc_array(ctx, n, sizeof *loader->results, "a batch of pictures");
    bool whole = loader->pixels && loader->labels && loader->items && loader->bad && loader->digests && loader->facts && loader->why && loader->results;
    status = whole ? DIO_OK : DIO_ERR_ENV;
    if (whole) *out = loader;
fail:
    if (status != DIO_OK) dio_loader_close(loader);
    return status;
}

void dio_loader_close(struct dio_loader *loader)
{
    if (!loader) return;
    struct dio_ctx *ctx = loader->ctx;
    dio_batcher_close(loader->batcher);
    dio_free(ctx, loader->pixels);
    dio_free(ctx, loader->labels);
    dio_free(ctx, loader->items);
    dio_free(ctx, loader->bad);
    dio_free(ctx, loader->digests);
    dio_free(ctx, loader->facts);
    dio_free(ctx, loader->why);
    dio_free(ctx, loader->results);
    dio_free(ctx, loader);
}

/* Good pictures move up over bad ones; both stay in order. */
static void compact(struct dio_loader *loader, size_t first, size_t taken, struct dio_batch *batch)
{
    size_t slot = slot_size(loader->options.prepare);
    const uint32_t *items = loader->options.order + first;
    for (size_t i = 0; i < taken; i++) {
        const struct dio_batch_result *result = &loader->results[i];
        if (result->status != DIO_OK) {
            loader->bad[batch->n_bad] = items[i];
            loader->why[batch->n_bad++] = result->why;
            continue;
        }
        if (batch->n != i) memcpy(loader->pixels + batch->n * slot, loader->pixels + i * slot, slot * sizeof(float));
        loader->labels[batch->n] = dio_dataset_item(loader->options.dataset, items[i])->label;
        loader->items[batch->n] = items[i];
        loader->facts[batch->n] = result->facts;
        loader->digests[batch->n++] = result->digest;
    }
}

dio_status dio_loader_next(struct dio_loader *loader, struct dio_ctx *ctx, struct dio_batch *batch)
{
    const struct dio_loader_options *options = &loader->options;
    size_t first = loader->next, left = options->count - first;
    size_t taken = left < options->batch ? left : options->batch;
    *batch = (struct dio_batch){.pixels = loader->pixels, .labels = loader->labels, .items = loader->items, .digests = loader->digests,
                                .facts = loader->facts, .first = first, .taken = taken, .bad = loader->bad, .why = loader->why};
    if (taken == 0) return DIO_OK;
    struct batch_job job = {.batcher = loader->batcher, .dataset = options->dataset, .items = options->order + first,
                            .views = {options->augment, options->seed, options->epoch, options->order + first},
                            .digests = !options->no_digests, .out = loader->pixels, .results = loader->results};
    DIO_PASS(run_job(ctx, &job, taken));
    compact(loader, first, taken, batch);
    loader->next += taken;
    return DIO_OK;
}
