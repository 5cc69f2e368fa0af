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
    int32_t channels, orientation;
    bool sixteen, alpha, icc, gamma, damaged;
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
    outcome->bad = dio_ref_decode(&worker->ctx, &ref, &run->options->decode, &worker->picture, &fact->digest) != DIO_OK;
    if (outcome->bad) {
        outcome->why = worker->ctx.error;
        dio_ctx_clear_error(&worker->ctx);
        return;
    }
    fact->good = true;
    fact->width = picture->width;
    fact->height = picture->height;
    outcome->codec = picture->codec;
    outcome->channels = picture->channels;
    outcome->orientation = picture->orientation;
    outcome->sixteen = picture->sample == DIO_SAMPLE_U16;
    outcome->alpha = picture->had_alpha;
    outcome->icc = picture->had_icc;
    outcome->gamma = picture->had_gamma;
    outcome->damaged = picture->damaged;
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

static void add_outcome(struct dio_audit *audit, const struct fact *fact, const struct outcome *outcome)
{
    if (audit->good++ == 0) {
        audit->min_width = audit->max_width = fact->width;
        audit->min_height = audit->max_height = fact->height;
    }
    if (fact->width < audit->min_width) audit->min_width = fact->width;
    if (fact->width > audit->max_width) audit->max_width = fact->width;
    if (fact->height < audit->min_height) audit->min_height = fact->height;
    if (fact->height > audit->max_height) audit->max_height = fact->height;
    count_codec(audit, outcome->codec);
    audit->grey += outcome->channels == 1;
    audit->sixteen_bit += outcome->sixteen;
    audit->alpha += outcome->alpha;
    audit->icc += outcome->icc;
    audit->gamma += outcome->gamma;
    audit->turned += outcome->orientation > 1;
    audit->damaged += outcome->damaged;
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
            if (!outcome->bad) add_outcome(run->audit, &run->facts[run->first + i], outcome);
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

static int by_int(const void *a, const void *b)
{
    return (*(const int32_t *)a > *(const int32_t *)b) - (*(const int32_t *)a < *(const int32_t *)b);
}

static int by_float(const void *a, const void *b)
{
    return (*(const float *)a > *(const float *)b) - (*(const float *)a < *(const float *)b);
}

/* Share of the area that a centre crop to the input's shape cuts off. */
static float lost_area(const struct fact *fact, const struct dio_image_recipe *recipe)
{
    double aspect = recipe ? (double)recipe->width / recipe->height : 1;
    double own = (double)fact->width / fact->height;
    return (float)(1 - (own > aspect ? aspect / own : own / aspect));
}

static dio_status measure_sizes(struct audit_run *run)
{
    size_t n = dio_dataset_count(run->dataset), good = 0;
    int32_t *sides = dio_alloc_array(run->ctx, n, sizeof *sides, "sizes");
    float *losses = dio_alloc_array(run->ctx, n, sizeof *losses, "sizes");
    if (sides && losses && run->audit->good) {
        for (size_t i = 0; i < n; i++) {
            if (run->facts[i].good) sides[good] = run->facts[i].width, losses[good++] = lost_area(&run->facts[i], run->options->recipe);
        }
        qsort(losses, good, sizeof *losses, by_float);
        qsort(sides, good, sizeof *sides, by_int);
        run->audit->crop_loss = (double)losses[good / 2];
        run->audit->median_width = sides[good / 2];
        good = 0;
        for (size_t i = 0; i < n; i++) {
            if (run->facts[i].good) sides[good++] = run->facts[i].height;
        }
        qsort(sides, good, sizeof *sides, by_int);
        run->audit->median_height = sides[good / 2];
    }
    dio_status status = sides && losses ? DIO_OK : DIO_ERR_ENV;
    dio_free(run->ctx, sides);
    dio_free(run->ctx, losses);
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
            dio_say(run->ctx, DIO_LEVEL_WARNING, "D2", NULL, "class \"%s\" has only %llu pictures to learn from",
                    dio_dataset_class(run->dataset, smallest), (unsigned long long)counts[smallest]);
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
    const struct dio_image_recipe *recipe = run->options->recipe;
    bool crops = !recipe || recipe->fit == DIO_FIT_CROP;
    if (!crops || run->audit->crop_loss <= 0.15) return;
    run->audit->warnings++;
    if (run->options->quiet) return;
    struct dio_place place = {.hint = "--fit pad or --fit squash keep what lies at the edges"};
    dio_say(run->ctx, DIO_LEVEL_WARNING, NULL, &place, "the centre crop loses %.0f %% of the area of half of the pictures or more",
            100 * run->audit->crop_loss);
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
