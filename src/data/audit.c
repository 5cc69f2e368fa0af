#include "data/audit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/workers.h"

enum { BLOCK = 256 };

/* What is kept of each picture. */
struct fact {
    struct dio_digest digest;
    uint32_t item;
    int32_t width, height;
    bool good;
};

struct outcome {
    bool bad;
    struct dio_message why;
    const char *codec;
    struct dio_picture_facts facts;
};

struct audit_run {
    struct dio_ctx *ctx;
    const struct dio_dataset *dataset;
    const struct dio_audit_options *options;
    struct dio_audit *audit;
    struct dio_workers workers;
    struct fact *facts;
    struct outcome *outcomes; /* of one block */
    size_t first;             /* of the block */
};

/* No model is at hand: twice the 256 pixels that most resize the short side to are left. */
static int32_t usual_shrink(void *arg, int32_t width, int32_t height)
{
    (void)arg;
    const int32_t side = width < height ? width : height;
    return dio_picture_shrink((int64_t)width * height, side, side, 256, 256);
}

static void look_at(void *arg, int64_t piece, int thread)
{
    struct audit_run *run = arg;
    struct dio_worker *worker = &run->workers.workers[thread];
    size_t i = run->first + (size_t)piece;
    struct fact *fact = &run->facts[i];
    struct outcome *outcome = &run->outcomes[piece];
    fact->item = (uint32_t)i;
    if (dio_cancelled(run->ctx)) return;
    char name[DIO_REF_NAME_MAX];
    struct dio_ref ref = dio_dataset_ref(run->dataset, i, name);
    const struct dio_picture *picture = &worker->picture;
    const struct dio_window fast = {.shrink = usual_shrink};
    struct dio_decode_options decode = run->options->decode;
    if (run->options->fast_decode) decode.window = &fast;
    outcome->bad = dio_ref_decode(&worker->ctx, &ref, &decode, &worker->picture, &fact->digest) != DIO_OK;
    if (outcome->bad) {
        outcome->why = worker->ctx.error;
        dio_ctx_clear_error(&worker->ctx);
        return;
    }
    fact->good = true;
    fact->width = picture->full_width;
    fact->height = picture->full_height;
    outcome->codec = picture->codec;
    outcome->facts = dio_picture_facts(picture);
}

static void count_codec(struct dio_audit *audit, const char *codec)
{
    size_t n = sizeof audit->codecs / sizeof *audit->codecs;
    for (size_t i = 0; i < n && codec; i++) {
        struct dio_audit_count *slot = &audit->codecs[i];
        if (slot->count == 0) snprintf(slot->name, sizeof slot->name, "%s", codec);
        if (strcmp(slot->name, codec) != 0) continue;
        slot->count++;
        return;
    }
}

static void add_outcome(struct dio_audit *audit, const struct outcome *outcome)
{
    count_codec(audit, outcome->codec);
    dio_audit_add(audit, &outcome->facts);
}

static dio_status look_at_all(struct audit_run *run, struct dio_bad *bad)
{
    size_t n = dio_dataset_count(run->dataset);
    for (run->first = 0; run->first < n; run->first += BLOCK) {
        size_t pieces = n - run->first < BLOCK ? n - run->first : BLOCK;
        memset(run->outcomes, 0, pieces * sizeof *run->outcomes);
        dio_team_for(run->ctx->team, (int64_t)pieces, look_at, run);
        if (dio_cancelled(run->ctx)) return DIO_CANCELLED;
        for (size_t i = 0; i < pieces; i++) {
            const struct outcome *outcome = &run->outcomes[i];
            if (outcome->bad) DIO_PASS(dio_bad_report(bad, run->ctx, &outcome->why));
            if (!outcome->bad) add_outcome(run->audit, outcome);
        }
        struct dio_progress progress = {.stage = "check", .unit = "pictures", .done = run->first + pieces, .total = n,
                                        .loss = NAN, .accuracy = NAN};
        dio_report_progress(run->ctx, &progress);
    }
    return DIO_OK;
}

/* ---- duplicates ---- */

static int by_digest(const void *a, const void *b)
{
    const struct fact *x = a, *y = b;
    if (x->good != y->good) return x->good ? -1 : 1;
    int order = memcmp(x->digest.bytes, y->digest.bytes, sizeof x->digest.bytes);
    return order ? order : (x->item > y->item) - (x->item < y->item);
}

static int by_second(const void *a, const void *b)
{
    const struct dio_audit_pair *x = a, *y = b;
    return (x->second > y->second) - (x->second < y->second);
}

/* The facts are left sorted by content. */
static dio_status find_duplicates(struct audit_run *run)
{
    struct dio_audit *audit = run->audit;
    size_t n = dio_dataset_count(run->dataset), capacity = 0;
    qsort(run->facts, n, sizeof *run->facts, by_digest);
    for (size_t i = 1, first = 0; i < n && run->facts[i].good; i++) {
        if (memcmp(run->facts[i].digest.bytes, run->facts[first].digest.bytes, sizeof run->facts[i].digest.bytes) != 0) {
            first = i;
            continue;
        }
        const struct dio_item *a = dio_dataset_item(run->dataset, run->facts[first].item);
        const struct dio_item *b = dio_dataset_item(run->dataset, run->facts[i].item);
        struct dio_audit_pair pair = {run->facts[first].item, run->facts[i].item, a->split != b->split, a->label != b->label};
        *(pair.across_splits ? &audit->duplicates_across : &audit->duplicates_within) += 1;
        if (audit->n_duplicates >= DIO_AUDIT_PAIRS) continue;
        DIO_PASS(dio_grow(run->ctx, (void **)&audit->duplicates, &capacity, audit->n_duplicates + 1,
                          sizeof *audit->duplicates, "duplicates"));
        audit->duplicates[audit->n_duplicates++] = pair;
    }
    if (audit->n_duplicates) qsort(audit->duplicates, audit->n_duplicates, sizeof *audit->duplicates, by_second);
    return DIO_OK;
}

/* ---- sizes ---- */

static dio_status measure_sizes(struct audit_run *run)
{
    size_t n = dio_dataset_count(run->dataset), good = 0;
    struct dio_picture_facts *sizes = dio_alloc_array(run->ctx, n, sizeof *sizes, "sizes");
    if (!sizes) return DIO_ERR_ENV;
    for (size_t i = 0; i < n; i++) {
        if (run->facts[i].good) sizes[good++] = (struct dio_picture_facts){run->facts[i].width, run->facts[i].height, 0};
    }
    dio_status status = dio_audit_medians(run->ctx, sizes, good, run->options->recipe, run->audit);
    dio_free(run->ctx, sizes);
    return status;
}

/* ---- what is said ---- */

static void warn_duplicates(struct audit_run *run)
{
    struct dio_audit *audit = run->audit;
    char first[DIO_REF_NAME_MAX];
    int said = 0;
    for (size_t i = 0; i < audit->n_duplicates; i++) {
        const struct dio_audit_pair *pair = &audit->duplicates[i];
        if (!pair->across_splits && !pair->across_classes) continue;
        audit->warnings++;
        if (run->options->quiet || said++ >= DIO_PROBLEMS_SHOWN) continue;
        dio_dataset_display(run->dataset, pair->second, first, sizeof first);
        struct dio_place place = {.file = first};
        const struct dio_item *a = dio_dataset_item(run->dataset, pair->first), *b = dio_dataset_item(run->dataset, pair->second);
        if (pair->across_classes) {
            dio_say(run->ctx, DIO_LEVEL_WARNING, "C7", &place, "same content as %s, which has another label (\"%s\", here \"%s\")",
                    dio_dataset_path(run->dataset, pair->first), dio_dataset_class(run->dataset, (size_t)a->label),
                    dio_dataset_class(run->dataset, (size_t)b->label));
        } else {
            dio_say(run->ctx, DIO_LEVEL_WARNING, "C7", &place, "same content as %s, which is in %s (here %s)",
                    dio_dataset_path(run->dataset, pair->first), dio_split_name((enum dio_split)a->split),
                    dio_split_name((enum dio_split)b->split));
        }
    }
    if (said > DIO_PROBLEMS_SHOWN) {
        dio_say(run->ctx, DIO_LEVEL_WARNING, "C7", NULL, "and %d more pictures with the same content", said - DIO_PROBLEMS_SHOWN);
    }
}

static dio_status warn_small_classes(struct audit_run *run)
{
    size_t n = dio_dataset_classes(run->dataset), smallest = 0;
    uint64_t *counts = dio_alloc_zeroed(run->ctx, n, sizeof *counts, "class counts");
    if (!counts) return DIO_ERR_ENV;
    bool train = dio_dataset_has(run->dataset, DIO_SPLIT_TRAIN);
    dio_dataset_class_counts(run->dataset, train ? DIO_SPLIT_TRAIN : DIO_SPLIT_NONE, counts);
    for (size_t c = 0; c < n; c++) {
        if (counts[c] >= DIO_AUDIT_FEW) continue;
        if (run->audit->small_classes++ == 0 || counts[c] < counts[smallest]) smallest = c;
    }
    if (run->audit->small_classes) {
        run->audit->warnings++;
        if (!run->options->quiet && run->audit->small_classes == 1) {
            dio_say(run->ctx, DIO_LEVEL_WARNING, "D2", NULL, "class \"%s\" has only %llu picture%s to learn from",
                    dio_dataset_class(run->dataset, smallest), (unsigned long long)counts[smallest], counts[smallest] == 1 ? "" : "s");
        } else if (!run->options->quiet) {
            dio_say(run->ctx, DIO_LEVEL_WARNING, "D2", NULL, "%llu classes have fewer than %d pictures to learn from (fewest: \"%s\", %llu)",
                    (unsigned long long)run->audit->small_classes, DIO_AUDIT_FEW, dio_dataset_class(run->dataset, smallest),
                    (unsigned long long)counts[smallest]);
        }
    }
    dio_free(run->ctx, counts);
    return DIO_OK;
}

static void warn_crop(struct audit_run *run)
{
    if (!dio_audit_crops(run->audit, run->options->recipe)) return;
    run->audit->warnings++;
    if (!run->options->quiet) dio_audit_say_crop(run->ctx, run->audit);
}

dio_status dio_audit_run(struct dio_ctx *ctx, const struct dio_dataset *dataset, const struct dio_audit_options *options,
                         struct dio_bad *bad, struct dio_audit *audit)
{
    *audit = (struct dio_audit){0};
    size_t n = dio_dataset_count(dataset);
    struct audit_run run = {.ctx = ctx, .dataset = dataset, .options = options, .audit = audit};
    audit->pictures = n;
    dio_status status = DIO_ERR_ENV;
    run.facts = dio_alloc_zeroed(ctx, n, sizeof *run.facts, "picture facts");
    run.outcomes = dio_alloc_zeroed(ctx, BLOCK, sizeof *run.outcomes, "picture facts");
    if (!run.facts || !run.outcomes) goto fail;
    DIO_TRY(dio_workers_open(ctx, dio_team_size(ctx->team), &run.workers));
    DIO_TRY(look_at_all(&run, bad));
    DIO_TRY(dio_bad_finish(bad, ctx, n));
    DIO_TRY(find_duplicates(&run));
    DIO_TRY(measure_sizes(&run));
    warn_duplicates(&run);
    DIO_TRY(warn_small_classes(&run));
    warn_crop(&run);
fail:
    dio_workers_close(ctx, &run.workers);
    dio_free(ctx, run.facts);
    dio_free(ctx, run.outcomes);
    return status;
}

void dio_audit_free(struct dio_ctx *ctx, struct dio_audit *audit)
{
    dio_free(ctx, audit->duplicates);
    *audit = (struct dio_audit){0};
}
