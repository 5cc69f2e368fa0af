#include "predict/calibrate.h"

#include <math.h>
#include <string.h>

#include "data/loader.h"
#include "data/walk.h"

enum { BATCH = 16, MOST_NAMES = 1 << 20 };

/* An f32 plan that watches every value. */
struct watch {
    struct dio_ctx *ctx;
    struct dio_plan *plan;
    struct dio_value_range *ranges;
    float *logits;
    int64_t pictures;
};

static dio_status open_watch(struct dio_ctx *ctx, const struct dio_model *model, struct watch *w)
{
    const struct dio_plan_options options = {.batch = BATCH, .memory_limit = ctx->cpu.memory_limit, .exact = true, .keep_values = true};
    const struct dio_shape *shape = &model->graph->values[model->logits].type.shape;
    int64_t elements = 1;
    for (int d = 1; d < shape->rank; d++) elements *= shape->dims[d];
    *w = (struct watch){.ctx = ctx};
    w->ranges = dio_alloc_array(ctx, (size_t)model->graph->n_values, sizeof *w->ranges, "the ranges of values");
    w->logits = dio_alloc_array(ctx, (size_t)(BATCH * elements), sizeof *w->logits, "a batch of scores");
    if (!w->ranges || !w->logits) return DIO_ERR_ENV;
    for (int i = 0; i < model->graph->n_values; i++) w->ranges[i] = (struct dio_value_range){INFINITY, -INFINITY};
    return dio_plan_infer(ctx, model->graph, model->graph->inputs, 1, &model->logits, 1, &options, &w->plan);
}

static void see(struct watch *w, const float *pixels, int64_t n)
{
    const void *in[] = {pixels};
    void *out[] = {w->logits};
    if (n > 0) dio_plan_observe(w->plan, n, in, out, w->ranges);
    w->pictures += n;
}

/* Frees all but the ranges, which the caller gets when all went well. */
static dio_status close_watch(struct watch *w, dio_status status, struct dio_value_range **ranges)
{
    dio_plan_free(w->plan);
    dio_free(w->ctx, w->logits);
    if (status == DIO_OK) {
        *ranges = w->ranges;
    } else {
        dio_free(w->ctx, w->ranges);
    }
    return status;
}

static size_t picture_floats(const struct dio_model *model)
{
    return (size_t)model->recipe.height * (size_t)model->recipe.width * (size_t)model->recipe.channels;
}

dio_status dio_calibrate_pixels(struct dio_ctx *ctx, const struct dio_model *model, const float *pixels, int64_t n,
                                struct dio_value_range **ranges)
{
    struct watch w;
    *ranges = NULL;
    dio_status status = open_watch(ctx, model, &w);
    for (int64_t i = 0; status == DIO_OK && i < n; i += BATCH) {
        see(&w, pixels + (size_t)i * picture_floats(model), n - i < BATCH ? n - i : BATCH);
    }
    return close_watch(&w, status, ranges);
}

/* ---- from files ---- */

static dio_status list_pictures(struct dio_ctx *ctx, const char *path, struct dio_arena *names, struct dio_walk **walk, struct dio_ref **refs,
                                size_t *count)
{
    size_t capacity = 0;
    bool found = true;
    DIO_PASS(dio_walk_open(ctx, &path, 1, &(struct dio_walk_options){0}, walk));
    while (*count < MOST_NAMES) {
        DIO_PASS(dio_grow(ctx, (void **)refs, &capacity, *count + 1, sizeof **refs, "a list of pictures"));
        DIO_PASS(dio_walk_next(*walk, names, &(*refs)[*count], &found));
        if (!found) break;
        ++*count;
    }
    return DIO_OK;
}

/* Pictures that can be read, one behind the other. */
static int64_t move_up(float *pixels, size_t floats, const struct dio_batch_result *results, size_t n)
{
    size_t good = 0;
    for (size_t i = 0; i < n; i++) {
        if (results[i].status != DIO_OK) continue;
        if (i != good) memmove(pixels + good * floats, pixels + i * floats, floats * sizeof *pixels);
        good++;
    }
    return (int64_t)good;
}

static dio_status see_files(struct watch *w, const struct dio_model *model, const struct dio_ref *refs, size_t count)
{
    dio_status status;
    struct dio_ctx *ctx = w->ctx;
    struct dio_prepare prepare = {0};
    struct dio_batcher *batcher = NULL;
    struct dio_ref chosen[BATCH];
    struct dio_batch_result results[BATCH];
    const struct dio_decode_options decode = {.ignore_exif = model->recipe.ignore_exif};
    const size_t floats = picture_floats(model), wanted = count < DIO_CALIBRATE_PICTURES ? count : DIO_CALIBRATE_PICTURES;
    float *pixels = dio_alloc_array(ctx, BATCH * floats, sizeof *pixels, "a batch of pictures");
    if (!pixels) return DIO_ERR_ENV;
    DIO_TRY(dio_prepare_init(ctx, &model->recipe, &prepare));
    DIO_TRY(dio_batcher_open(ctx, &prepare, &decode, &batcher));
    for (size_t first = 0; first < wanted; first += BATCH) {
        const size_t n = wanted - first < BATCH ? wanted - first : BATCH;
        for (size_t i = 0; i < n; i++) chosen[i] = refs[(first + i) * count / wanted];
        DIO_TRY(dio_batcher_run(batcher, ctx, chosen, n, NULL, pixels, results));
        see(w, pixels, move_up(pixels, floats, results, n));
    }
fail:
    if (batcher) dio_batcher_close(batcher);
    dio_prepare_free(ctx, &prepare);
    dio_free(ctx, pixels);
    return status;
}

dio_status dio_calibrate(struct dio_ctx *ctx, const struct dio_model *model, const char *path, struct dio_value_range **ranges)
{
    struct watch w;
    struct dio_walk *walk = NULL;
    struct dio_ref *refs = NULL;
    struct dio_arena names;
    size_t count = 0;
    *ranges = NULL;
    dio_arena_init(&names, ctx);
    dio_status status = open_watch(ctx, model, &w);
    if (status == DIO_OK) status = list_pictures(ctx, path, &names, &walk, &refs, &count);
    if (status == DIO_OK) status = see_files(&w, model, refs, count);
    if (status == DIO_OK && w.pictures == 0) {
        status = dio_fail(ctx, DIO_ERR_INPUT, "D2", &(struct dio_place){.file = path}, "no picture to calibrate with");
    }
    if (status == DIO_OK) {
        dio_say(ctx, DIO_LEVEL_NOTE, NULL, &(struct dio_place){.file = path}, "int8: ranges of values taken from %lld pictures",
                (long long)w.pictures);
    }
    dio_walk_close(walk);
    dio_free(ctx, refs);
    dio_arena_free(&names);
    return close_watch(&w, status, ranges);
}
