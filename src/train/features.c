#include "train/features.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/threads.h"
#include "data/workers.h"

enum { COVER_BATCH = 16 };

/* One view's file, and where each item's row is in it. */
struct view {
    struct dio_cache cache;
    char *path;
    struct dio_digest key;
    int64_t *rows; /* by item; -1: not there */
};

struct dio_features {
    struct dio_ctx *ctx;
    struct dio_features_options options;
    char *folder;
    struct dio_frontier frontier;
    int64_t sizes[DIO_FRONTIER_MAX]; /* floats of each frontier value, one picture */
    uint64_t floats;                 /* of all */
    bool prefixed, fixed, cached;
    char words[320];
    struct dio_plan *prefix;
    float *in[DIO_FRONTIER_MAX];     /* a batch of each value */
    int32_t *labels;
    uint32_t *batch_items;
    size_t batch;
    struct view *views;              /* [0]: plain; then the random ones */
    size_t n_views;
    struct dio_digest *digests;      /* by item, where known */
    bool *known;
    struct dio_picture_facts *facts; /* by item; width 0: not known */
    uint32_t *bad;
    size_t n_bad, bad_capacity;
    /* the pass under way */
    struct dio_loader *loader;
    const uint32_t *order;
    size_t count, at;
    const struct view *view;
};

/* ---- opening ---- */

static dio_status measure(struct dio_features *features)
{
    const struct dio_graph *graph = features->options.graph;
    const struct dio_frontier *frontier = &features->frontier;
    for (int i = 0; i < frontier->n_values; i++) {
        const struct dio_shape *shape = &graph->values[frontier->values[i]].type.shape;
        features->sizes[i] = 1;
        for (int d = 1; d < shape->rank; d++) features->sizes[i] *= shape->dims[d];
        features->floats += (uint64_t)features->sizes[i];
        if (graph->values[frontier->values[i]].producer >= 0) features->prefixed = true;
    }
    for (int i = 0; features->prefixed && i < frontier->n_values; i++) {
        if (graph->values[frontier->values[i]].producer < 0) {
            return dio_fail(features->ctx, DIO_ERR_INTERNAL, NULL, NULL, "the network's input is read in and behind its frozen part");
        }
    }
    return DIO_OK;
}

/* Features much larger than the picture they were made of are not worth keeping: little was frozen. */
static void decide(struct dio_features *features)
{
    const struct dio_features_options *options = &features->options;
    const struct dio_image_recipe *recipe = &options->prepare->recipe;
    uint64_t picture = (uint64_t)recipe->height * (uint64_t)recipe->width * (uint64_t)recipe->channels;
    features->fixed = features->prefixed && features->floats <= 2 * picture;
    bool views = options->views > 1 && dio_augment_any(options->augment);
    uint64_t pictures = dio_dataset_count(options->dataset), each = features->floats * sizeof(float);
    uint64_t copies = views ? (uint64_t)options->views + 1 : 1, total;
    bool fits = dio_mul_u64(pictures * copies, each, &total) && total <= options->limit;
    features->cached = features->fixed && fits && !options->no_cache;
    features->n_views = views && features->fixed ? (size_t)options->views + 1 : 1;
    char *words = features->words;
    size_t room = sizeof features->words;
    if (!features->prefixed) {
        snprintf(words, room, "no features to keep: nothing in front of what learns stays the same");
    } else if (!features->fixed) {
        snprintf(words, room, "features are not kept: at the end of the frozen part they are larger than the pictures "
                 "(%" PRIu64 " numbers each)", features->floats);
    } else if (!fits) {
        snprintf(words, room, "features are not kept: %.1f GB, above --cache-limit; they are computed again in each epoch",
                 (double)total / 1e9);
    } else {
        snprintf(words, room, "features: %" PRIu64 " numbers a picture%s", features->floats,
                 features->cached ? ", computed once" : ", computed again in each epoch (--no-cache)");
    }
}

static dio_status name_views(struct dio_features *features)
{
    struct dio_ctx *ctx = features->ctx;
    const struct dio_features_options *options = &features->options;
    features->views = dio_alloc_zeroed(ctx, features->n_views, sizeof *features->views, "feature views");
    if (!features->views) return DIO_ERR_ENV;
    for (size_t v = 0; v < features->n_views && features->fixed; v++) {
        struct view *view = &features->views[v];
        struct dio_feature_key what = {options->graph, &features->frontier, &options->prepare->recipe,
                                       v ? options->augment : NULL, options->seed, v ? (uint32_t)v - 1 : 0,
                                       options->decode.allow_damaged, options->exact};
        char hex[65];
        view->cache.blob.fd = -1;
        DIO_PASS(dio_feature_key(ctx, &what, &view->key));
        dio_digest_hex(&view->key, hex);
        hex[24] = 0;
        view->path = options->folder ? dio_sprintf(ctx, "%s/%s.features", options->folder, hex) : NULL;
        if (options->folder && !view->path) return DIO_ERR_ENV;
    }
    return DIO_OK;
}

static dio_status make_prefix(struct dio_features *features)
{
    const struct dio_graph *graph = features->options.graph;
    struct dio_plan_options plan = {.batch = (int64_t)features->batch, .memory_limit = features->options.memory_limit,
                                    .exact = features->options.exact};
    if (!features->prefixed) return DIO_OK;
    return dio_plan_infer(features->ctx, graph, graph->inputs, graph->n_inputs, features->frontier.values,
                          features->frontier.n_values, &plan, &features->prefix);
}

dio_status dio_features_open(struct dio_ctx *ctx, const struct dio_features_options *options, struct dio_features **out)
{
    dio_status status = DIO_ERR_ENV;
    struct dio_features *features = dio_alloc_zeroed(ctx, 1, sizeof *features, "features");
    *out = NULL;
    if (!features) return status;
    features->ctx = ctx;
    features->options = *options;
    features->folder = options->folder ? dio_strdup(ctx, options->folder) : NULL;
    if (options->folder && !features->folder) goto fail;
    features->options.folder = features->folder;
    features->batch = (size_t)options->batch > COVER_BATCH ? (size_t)options->batch : COVER_BATCH;
    size_t items = dio_dataset_count(options->dataset);
    DIO_TRY(dio_graph_frontier(options->graph, &features->frontier));
    DIO_TRY(measure(features));
    decide(features);
    DIO_TRY(name_views(features));
    DIO_TRY(make_prefix(features));
    status = DIO_ERR_ENV;
    for (int i = 0; i < features->frontier.n_values; i++) {
        size_t size;
        if (!dio_mul_size(features->batch, (size_t)features->sizes[i] * sizeof(float), &size)) goto fail;
        if (!features->prefixed) continue; /* the loader's own buffer */
        features->in[i] = dio_alloc_aligned(ctx, size, "a batch of features");
        if (!features->in[i]) goto fail;
    }
    features->labels = dio_alloc_array(ctx, features->batch, sizeof *features->labels, "labels");
    features->batch_items = dio_alloc_array(ctx, features->batch, sizeof *features->batch_items, "items of a batch");
    features->digests = dio_alloc_zeroed(ctx, items, sizeof *features->digests, "hashes of pictures");
    features->known = dio_alloc_zeroed(ctx, items, sizeof *features->known, "hashes of pictures");
    features->facts = dio_alloc_zeroed(ctx, items, sizeof *features->facts, "sizes of pictures");
    if (!features->labels || !features->batch_items || !features->digests || !features->known || !features->facts) goto fail;
    *out = features;
    return DIO_OK;
fail:
    dio_features_close(features);
    return status;
}

void dio_features_close(struct dio_features *features)
{
    if (!features) return;
    struct dio_ctx *ctx = features->ctx;
    if (features->loader) dio_loader_close(features->loader);
    if (features->prefix) dio_plan_free(features->prefix);
    for (size_t v = 0; features->views && v < features->n_views; v++) {
        dio_cache_close(ctx, &features->views[v].cache);
        dio_free(ctx, features->views[v].path);
        dio_free(ctx, features->views[v].rows);
    }
    for (int i = 0; i < DIO_FRONTIER_MAX; i++) dio_free(ctx, features->in[i]);
    dio_frontier_free(ctx, &features->frontier);
    dio_free(ctx, features->views);
    dio_free(ctx, features->labels);
    dio_free(ctx, features->batch_items);
    dio_free(ctx, features->digests);
    dio_free(ctx, features->known);
    dio_free(ctx, features->facts);
    dio_free(ctx, features->bad);
    dio_free(ctx, features->folder);
    dio_free(ctx, features);
}

const struct dio_frontier *dio_features_frontier(const struct dio_features *features) { return &features->frontier; }
bool dio_features_fixed(const struct dio_features *features) { return features->fixed; }
const char *dio_features_words(const struct dio_features *features) { return features->words; }

/* ---- bad pictures ---- */

const uint32_t *dio_features_bad(const struct dio_features *features, size_t *count)
{
    *count = features->n_bad;
    return features->bad;
}

static bool is_bad(const struct dio_features *features, uint32_t item)
{
    for (size_t i = 0; i < features->n_bad; i++) {
        if (features->bad[i] == item) return true;
    }
    return false;
}

static dio_status note_bad(struct dio_features *features, uint32_t item)
{
    void *bad = features->bad;
    DIO_PASS(dio_grow(features->ctx, &bad, &features->bad_capacity, features->n_bad + 1, sizeof item, "bad pictures"));
    features->bad = bad;
    size_t at = features->n_bad++;
    for (; at > 0 && features->bad[at - 1] > item; at--) features->bad[at] = features->bad[at - 1];
    features->bad[at] = item;
    return DIO_OK;
}

dio_status dio_features_known_bad(struct dio_features *features, const uint32_t *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_bad(features, items[i])) DIO_PASS(note_bad(features, items[i]));
    }
    return DIO_OK;
}

static dio_status report_bad(struct dio_features *features, const struct dio_batch *batch, struct dio_bad *bad)
{
    for (size_t i = 0; i < batch->n_bad; i++) {
        if (is_bad(features, batch->bad[i])) continue;
        DIO_PASS(dio_bad_report(bad, features->ctx, batch->why[i]));
        DIO_PASS(note_bad(features, batch->bad[i]));
    }
    return DIO_OK;
}

/* ---- what pictures are like ---- */

const struct dio_picture_facts *dio_features_facts(const struct dio_features *features, uint32_t item)
{
    return &features->facts[item];
}

struct looking {
    struct dio_features *features;
    struct dio_workers workers;
    const uint32_t *items;
};

static void look_at(void *arg, int64_t piece, int thread)
{
    struct looking *looking = arg;
    struct dio_features *features = looking->features;
    struct dio_worker *worker = &looking->workers.workers[thread];
    struct dio_decode_options quiet = features->options.decode;
    uint32_t item = looking->items[piece];
    if (features->facts[item].width > 0 || is_bad(features, item) || dio_cancelled(features->ctx)) return;
    quiet.quiet = true;
    if (dio_dataset_decode(features->options.dataset, &worker->ctx, item, &quiet, &worker->picture) == DIO_OK) {
        features->facts[item] = dio_picture_facts(&worker->picture);
    } else {
        dio_ctx_clear_error(&worker->ctx);
    }
}

dio_status dio_features_look_at(struct dio_features *features, const uint32_t *items, size_t count)
{
    struct dio_ctx *ctx = features->ctx;
    struct looking looking = {.features = features, .items = items};
    DIO_PASS(dio_workers_open(ctx, dio_team_size(ctx->team), &looking.workers));
    dio_team_for(ctx->team, (int64_t)count, look_at, &looking);
    dio_workers_close(ctx, &looking.workers);
    return dio_cancelled(ctx) ? DIO_CANCELLED : DIO_OK;
}

/* ---- filling the cache ---- */

static struct dio_cache_entry entry_of(const struct dio_features *features, const struct view *view, uint32_t item)
{
    bool plain = view == &features->views[0];
    return (struct dio_cache_entry){features->digests[item], plain ? 0 : (uint64_t)item + 1, features->facts[item]};
}

struct hashing {
    struct dio_features *features;
    const uint32_t *items;
};

static void hash_picture(void *arg, int64_t piece, int thread)
{
    (void)thread;
    const struct hashing *job = arg;
    uint32_t item = job->items[piece];
    struct dio_features *features = job->features;
    if (features->known[item]) return;
    struct dio_ctx worker = dio_ctx_child(features->ctx);
    struct dio_blob blob;
    if (dio_dataset_read(features->options.dataset, &worker, item, &blob) != DIO_OK) return; /* said when it is decoded */
    features->digests[item] = dio_sha256_of(blob.data, blob.size);
    features->known[item] = true;
    dio_blob_free(&worker, &blob);
}

/* Opens the view's file, if there is one, and finds the rows of the items.  *missing gets those without. */
static dio_status look_up(struct dio_features *features, struct view *view, const uint32_t *items, size_t count,
                          uint32_t *missing, size_t *n_missing)
{
    struct dio_ctx *ctx = features->ctx;
    size_t all = dio_dataset_count(features->options.dataset);
    bool found = view->cache.blob.data != NULL;
    if (!view->rows) {
        view->rows = dio_alloc_array(ctx, all, sizeof *view->rows, "feature rows");
        if (!view->rows) return DIO_ERR_ENV;
        for (size_t i = 0; i < all; i++) view->rows[i] = -1;
    }
    if (!found) DIO_PASS(dio_cache_open(ctx, view->path, &view->key, features->floats, &view->cache, &found));
    if (found) {
        struct hashing job = {features, items};
        dio_team_for(ctx->team, (int64_t)count, hash_picture, &job);
    }
    *n_missing = 0;
    for (size_t i = 0; i < count; i++) {
        struct dio_cache_entry entry = entry_of(features, view, items[i]);
        view->rows[items[i]] = found && features->known[items[i]] ? dio_cache_find(&view->cache, &entry) : -1;
        if (view->rows[items[i]] >= 0) {
            dio_cache_entry_at(&view->cache, view->rows[items[i]], &entry);
            features->facts[items[i]] = entry.facts;
        }
        if (view->rows[items[i]] < 0 && !is_bad(features, items[i])) missing[(*n_missing)++] = items[i];
    }
    return DIO_OK;
}

/* Rows of the file as it was.  Those that this run has no use for stay behind where they would go over the limit. */
static dio_status copy_old_rows(struct dio_features *features, struct view *view, size_t more, struct dio_cache_writer *writer)
{
    dio_status status;
    struct dio_cache_entry entry;
    uint64_t old = view->cache.count;
    bool all = dio_cache_bytes(old + more, features->floats) <= features->options.limit;
    bool *used = dio_alloc_zeroed(features->ctx, (size_t)old + 1, sizeof *used, "feature rows");
    DIO_TRY(used ? DIO_OK : DIO_ERR_ENV);
    for (size_t i = 0; i < dio_dataset_count(features->options.dataset); i++) {
        if (view->rows[i] >= 0) used[view->rows[i]] = true;
    }
    for (uint64_t row = 0; row < old; row++) {
        if (!all && !used[row]) continue;
        dio_cache_entry_at(&view->cache, (int64_t)row, &entry);
        DIO_TRY(dio_cache_add(writer, &entry, dio_cache_row(&view->cache, (int64_t)row)));
    }
fail:
    dio_free(features->ctx, used);
    return status;
}

/* The limit holds for the folder, whoever filled it. */
static dio_status make_room(struct dio_features *features, const struct view *view, size_t more)
{
    struct dio_ctx *ctx = features->ctx;
    const char **keep = dio_alloc_array(ctx, features->n_views, sizeof *keep, "feature views");
    if (!keep) return DIO_ERR_ENV;
    for (size_t v = 0; v < features->n_views; v++) keep[v] = features->views[v].path;
    uint64_t bytes = dio_cache_bytes(view->cache.count + more, features->floats);
    bool there = view->cache.blob.data != NULL; /* its own bytes are counted already, and it is replaced */
    if (there) bytes -= dio_cache_bytes(view->cache.count, features->floats);
    dio_status status = dio_cache_make_room(ctx, features->options.folder, features->options.limit, bytes, keep, features->n_views);
    dio_free(ctx, keep);
    return status;
}

static void run_prefix(struct dio_features *features, size_t n, const float *pixels)
{
    const void *in[] = {pixels};
    void *out[DIO_FRONTIER_MAX];
    for (int i = 0; i < features->frontier.n_values; i++) out[i] = features->in[i];
    dio_plan_run(features->prefix, (int64_t)n, in, out);
}

static bool all_finite(const float *values, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) return false;
    }
    return true;
}

static dio_status add_batch(struct dio_features *features, struct view *view, const struct dio_batch *batch, float *row,
                            struct dio_cache_writer *writer)
{
    if (batch->n > 0) run_prefix(features, batch->n, batch->pixels);
    for (size_t i = 0; i < batch->n; i++) {
        float *to = row;
        for (int v = 0; v < features->frontier.n_values; v++) {
            size_t size = (size_t)features->sizes[v];
            memcpy(to, features->in[v] + i * size, size * sizeof *to);
            to += size;
        }
        if (!all_finite(row, features->floats)) {
            return dio_fail(features->ctx, DIO_ERR_INPUT, "R9", &(struct dio_place){.file = dio_dataset_path(features->options.dataset, batch->items[i])},
                            "the frozen part of the model gives NaN or infinity for this picture");
        }
        features->digests[batch->items[i]] = batch->digests[i];
        features->known[batch->items[i]] = true;
        features->facts[batch->items[i]] = batch->facts[i];
        struct dio_cache_entry entry = entry_of(features, view, batch->items[i]);
        DIO_PASS(dio_cache_add(writer, &entry, row));
    }
    return DIO_OK;
}

static dio_status compute(struct dio_features *features, struct view *view, const uint32_t *items, size_t count,
                          struct dio_bad *bad, struct dio_cache_writer *writer)
{
    dio_status status;
    struct dio_ctx *ctx = features->ctx;
    const struct dio_features_options *options = &features->options;
    bool plain = view == &features->views[0];
    struct dio_loader *loader = NULL;
    struct dio_batch batch;
    char stage[64];
    snprintf(stage, sizeof stage, plain ? "features" : "features, view %zu of %zu", (size_t)(view - features->views),
             features->n_views - 1);
    float *row = dio_alloc_array(ctx, (size_t)features->floats, sizeof *row, "a picture's features");
    struct dio_loader_options loading = {.dataset = options->dataset, .prepare = options->prepare, .decode = options->decode,
                                         .augment = plain ? NULL : options->augment, .order = items, .count = count,
                                         .batch = COVER_BATCH, .seed = options->seed,
                                         .epoch = plain ? 0 : (uint32_t)(view - features->views) - 1};
    DIO_TRY(row ? DIO_OK : DIO_ERR_ENV);
    DIO_TRY(dio_loader_open(ctx, &loading, &loader));
    for (;;) {
        if (dio_cancelled(ctx)) DIO_TRY(DIO_CANCELLED);
        DIO_TRY(dio_loader_next(loader, ctx, &batch));
        if (batch.taken == 0) break;
        DIO_TRY(report_bad(features, &batch, bad));
        DIO_TRY(add_batch(features, view, &batch, row, writer));
        dio_report_progress(ctx, &(struct dio_progress){stage, "pictures", batch.first + batch.taken, count, NAN, NAN});
    }
fail:
    if (loader) dio_loader_close(loader);
    dio_free(ctx, row);
    return status;
}

/* After the file was replaced: rows that were found before may stand elsewhere. */
static dio_status find_again(struct dio_features *features, struct view *view, const uint32_t *items, size_t count,
                             uint32_t *missing, size_t *n_missing)
{
    size_t all = dio_dataset_count(features->options.dataset);
    DIO_PASS(look_up(features, view, items, count, missing, n_missing));
    for (size_t i = 0; i < all && view->cache.blob.data; i++) {
        struct dio_cache_entry entry = entry_of(features, view, (uint32_t)i);
        if (view->rows[i] >= 0) view->rows[i] = dio_cache_find(&view->cache, &entry);
    }
    return DIO_OK;
}

static dio_status cover_view(struct dio_features *features, struct view *view, const uint32_t *items, size_t count,
                             struct dio_bad *bad)
{
    dio_status status;
    struct dio_ctx *ctx = features->ctx;
    struct dio_cache_writer writer = {.writer = {.ctx = ctx, .fd = -1}};
    size_t n_missing = 0;
    uint32_t *missing = dio_alloc_array(ctx, count, sizeof *missing, "missing features");
    DIO_TRY(missing ? DIO_OK : DIO_ERR_ENV);
    DIO_TRY(look_up(features, view, items, count, missing, &n_missing));
    if (n_missing > 0) {
        DIO_TRY(dio_mkdirs(ctx, features->options.folder));
        DIO_TRY(make_room(features, view, n_missing));
        DIO_TRY(dio_cache_begin(ctx, view->path, &view->key, features->floats, &writer));
        DIO_TRY(copy_old_rows(features, view, n_missing, &writer));
        size_t before = writer.count;
        dio_status computed = compute(features, view, missing, n_missing, bad, &writer);
        /* What was computed until an interruption is a cache as any other: the rest is missing in it, and made later. */
        bool keep = computed == DIO_OK || computed == DIO_CANCELLED;
        if (keep && writer.count > before) {
            DIO_TRY(dio_cache_commit(&writer));
            dio_cache_close(ctx, &view->cache);
            if (computed == DIO_OK) DIO_TRY(find_again(features, view, items, count, missing, &n_missing));
            if (computed == DIO_OK && n_missing > 0) {
                DIO_TRY(dio_fail(ctx, DIO_ERR_ENV, "R1", &(struct dio_place){.file = view->path},
                                 "features that were just written cannot be read back"));
            }
        } else {
            dio_cache_abort(&writer);
        }
        DIO_TRY(computed);
    }
    dio_free(ctx, missing);
    return DIO_OK;
fail:
    dio_cache_abort(&writer);
    dio_free(ctx, missing);
    return status;
}

dio_status dio_features_cover(struct dio_features *features, const uint32_t *items, size_t count, bool random,
                              struct dio_bad *bad)
{
    if (!features->cached || count == 0) return DIO_OK;
    if (!random || features->n_views == 1) return cover_view(features, &features->views[0], items, count, bad);
    for (size_t v = 1; v < features->n_views; v++) {
        DIO_PASS(cover_view(features, &features->views[v], items, count, bad));
    }
    return DIO_OK;
}

/* ---- batches ---- */

dio_status dio_features_begin(struct dio_features *features, const uint32_t *order, size_t count, size_t start,
                              bool random, uint32_t epoch)
{
    const struct dio_features_options *options = &features->options;
    if (start > count) start = count; /* all steps are done, and the epoch was stopped before its end was written */
    features->order = order + start;
    features->count = count - start;
    features->at = 0;
    if (features->loader) dio_loader_close(features->loader);
    features->loader = NULL;
    bool fixed_views = features->n_views > 1;
    uint32_t view = fixed_views ? epoch % (uint32_t)(features->n_views - 1) : epoch;
    bool augment = random && dio_augment_any(options->augment) && (fixed_views || !features->fixed);
    features->view = features->cached ? &features->views[augment ? view + 1 : 0] : NULL;
    if (features->cached || features->count == 0) return DIO_OK;
    struct dio_loader_options loading = {.dataset = options->dataset, .prepare = options->prepare, .decode = options->decode,
                                         .augment = augment ? options->augment : NULL, .order = features->order,
                                         .count = features->count, .batch = (size_t)options->batch, .seed = options->seed,
                                         .epoch = augment ? view : 0};
    return dio_loader_open(features->ctx, &loading, &features->loader);
}

static void take_cached(struct dio_features *features, struct dio_feature_batch *batch)
{
    size_t end = features->at + (size_t)features->options.batch;
    if (end > features->count) end = features->count;
    batch->taken = end - features->at;
    for (; features->at < end; features->at++) {
        uint32_t item = features->order[features->at];
        int64_t row = features->view->rows ? features->view->rows[item] : -1;
        if (row < 0) continue;
        const float *from = dio_cache_row(&features->view->cache, row);
        for (int v = 0; v < features->frontier.n_values; v++) {
            size_t size = (size_t)features->sizes[v];
            memcpy(features->in[v] + batch->n * size, from, size * sizeof *from);
            from += size;
        }
        features->labels[batch->n] = dio_dataset_item(features->options.dataset, item)->label;
        features->batch_items[batch->n++] = item;
    }
    batch->labels = features->labels;
    batch->items = features->batch_items;
    for (int v = 0; v < features->frontier.n_values; v++) batch->in[v] = features->in[v];
}

static dio_status take_live(struct dio_features *features, struct dio_bad *bad, struct dio_feature_batch *batch)
{
    struct dio_batch pictures;
    DIO_PASS(dio_loader_next(features->loader, features->ctx, &pictures));
    DIO_PASS(report_bad(features, &pictures, bad));
    for (size_t i = 0; i < pictures.n; i++) features->facts[pictures.items[i]] = pictures.facts[i];
    batch->n = pictures.n;
    batch->taken = pictures.taken;
    batch->labels = pictures.labels;
    batch->items = pictures.items;
    batch->in[0] = pictures.pixels;
    if (features->prefixed && pictures.n > 0) {
        run_prefix(features, pictures.n, pictures.pixels);
        for (int v = 0; v < features->frontier.n_values; v++) batch->in[v] = features->in[v];
    }
    return DIO_OK;
}

dio_status dio_features_next(struct dio_features *features, struct dio_bad *bad, struct dio_feature_batch *batch)
{
    *batch = (struct dio_feature_batch){0};
    if (features->cached) {
        take_cached(features, batch);
    } else if (features->loader) {
        DIO_PASS(take_live(features, bad, batch));
    }
    batch->in[features->frontier.n_values] = batch->labels;
    return DIO_OK;
}
