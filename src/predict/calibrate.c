#include "predict/calibrate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/loader.h"
#include "data/walk.h"

enum { BATCH = 16, MOST_NAMES = 1 << 20, FEW_PICTURES = 8 };

/* An f32 plan that watches every value, and keeps some of the pictures with their scores. */
struct watch {
    struct dio_ctx *ctx;
    struct dio_plan *plan;
    struct dio_value_range *ranges;
    double *lost;
    float *logits;
    size_t picture, scores; /* floats of one */
    int64_t pictures;
    struct dio_calibration_sample sample;
};

static size_t picture_floats(const struct dio_model *model)
{
    return (size_t)model->recipe.height * (size_t)model->recipe.width * (size_t)model->recipe.channels;
}

static dio_status open_ranges(struct dio_ctx *ctx, const struct dio_model *model, struct watch *w)
{
    const size_t values = (size_t)model->graph->n_values;
    *w = (struct watch){.ctx = ctx, .picture = picture_floats(model), .scores = 1};
    w->ranges = dio_alloc_array(ctx, values, sizeof *w->ranges, "the ranges of values");
    w->lost = dio_alloc_zeroed(ctx, values, sizeof *w->lost, "losses of values");
    if (!w->ranges || !w->lost) return DIO_ERR_ENV;
    for (size_t i = 0; i < values; i++) w->ranges[i] = dio_range_none();
    return DIO_OK;
}

static dio_status open_watch(struct dio_ctx *ctx, const struct dio_model *model, int64_t judged, struct watch *w)
{
    const struct dio_plan_options options = {.batch = BATCH, .memory_limit = ctx->cpu.memory_limit, .exact = true, .keep_values = true};
    const struct dio_shape *shape = &model->graph->values[model->logits].type.shape;
    for (int d = 1; d < shape->rank; d++) w->scores *= (size_t)shape->dims[d];
    w->logits = dio_alloc_array(ctx, BATCH * w->scores, sizeof *w->logits, "a batch of scores");
    w->sample.pixels = dio_alloc_array(ctx, (size_t)judged * w->picture, sizeof(float), "pictures");
    w->sample.logits = dio_alloc_array(ctx, (size_t)judged * w->scores, sizeof(float), "scores");
    if (!w->logits || !w->sample.pixels || !w->sample.logits) return DIO_ERR_ENV;
    return dio_plan_infer(ctx, model->graph, model->graph->inputs, 1, &model->logits, 1, &options, &w->plan);
}

static void see(struct watch *w, const float *pixels, int64_t n)
{
    const void *in[] = {pixels};
    void *out[] = {w->logits};
    if (n > 0) dio_plan_observe(w->plan, n, in, out, w->ranges);
    w->pictures += n;
}

/* From all over the pictures: folders go by class. */
static void keep_some(struct watch *w, const float *pixels, int64_t n, int64_t wanted)
{
    for (int64_t i = 0; i < n && w->sample.count < DIO_CALIBRATE_JUDGED; i++) {
        const int64_t seen = w->pictures - n + i;
        if (wanted > DIO_CALIBRATE_JUDGED && seen * DIO_CALIBRATE_JUDGED / wanted == (seen - 1) * DIO_CALIBRATE_JUDGED / wanted && seen > 0) continue;
        memcpy(w->sample.pixels + (size_t)w->sample.count * w->picture, pixels + (size_t)i * w->picture, w->picture * sizeof(float));
        memcpy(w->sample.logits + (size_t)w->sample.count * w->scores, w->logits + (size_t)i * w->scores, w->scores * sizeof(float));
        w->sample.count++;
    }
}

/* Frees all but the ranges, which the caller gets when all went well. */
static dio_status close_watch(struct watch *w, dio_status status, struct dio_value_range **ranges)
{
    dio_plan_free(w->plan);
    dio_free(w->ctx, w->logits);
    dio_free(w->ctx, w->lost);
    dio_free(w->ctx, w->sample.pixels);
    dio_free(w->ctx, w->sample.logits);
    if (status == DIO_OK) {
        *ranges = w->ranges;
    } else {
        dio_free(w->ctx, w->ranges);
    }
    return status;
}

dio_status dio_calibrate_pixels(struct dio_ctx *ctx, const struct dio_model *model, const float *pixels, int64_t n,
                                struct dio_value_range **ranges)
{
    struct watch w;
    *ranges = NULL;
    dio_status status = open_ranges(ctx, model, &w);
    if (status == DIO_OK) status = open_watch(ctx, model, 0, &w);
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

/* A picture that is left out is named, as where it is predicted for. */
static void say_unread(struct dio_ctx *ctx, const struct dio_batch_result *result)
{
    if (!result->why) return;
    struct dio_message message = *result->why;
    message.level = DIO_LEVEL_WARNING;
    message.status = DIO_OK;
    dio_emit_message(ctx, &message);
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
        for (size_t i = 0; i < n; i++) say_unread(ctx, &results[i]);
        const int64_t good = move_up(pixels, floats, results, n);
        see(w, pixels, good);
        keep_some(w, pixels, good, (int64_t)wanted);
    }
fail:
    if (batcher) dio_batcher_close(batcher);
    dio_prepare_free(ctx, &prepare);
    dio_free(ctx, pixels);
    return status;
}

static dio_status see_path(struct watch *w, const struct dio_model *model, const char *path)
{
    dio_status status;
    struct dio_ctx *ctx = w->ctx;
    struct dio_walk *walk = NULL;
    struct dio_ref *refs = NULL;
    struct dio_arena names;
    size_t count = 0;
    dio_arena_init(&names, ctx);
    DIO_TRY(list_pictures(ctx, path, &names, &walk, &refs, &count));
    DIO_TRY(see_files(w, model, refs, count));
    if (w->pictures == 0) status = dio_fail(ctx, DIO_ERR_INPUT, "D2", &(struct dio_place){.file = path}, "no picture to calibrate with");
fail:
    dio_walk_close(walk);
    dio_free(ctx, refs);
    dio_arena_free(&names);
    return status;
}

/* ---- what is said of it ---- */

/* The layers that compute with a value; its own name where none does. */
static const char *readers_of(const struct dio_graph *graph, int value, char *out, size_t size)
{
    size_t used = 0;
    out[0] = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        bool reads = false;
        for (int j = 0; j < graph->nodes[i].n_inputs; j++) reads |= graph->nodes[i].inputs[j] == value;
        if (!reads || !graph->nodes[i].macs || used >= size) continue;
        used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", graph->nodes[i].name);
    }
    return used ? out : graph->values[value].name;
}

static void tell(struct dio_ctx *ctx, const struct dio_model *model, const char *path, int64_t pictures, const double *lost, double loss)
{
    const struct dio_place place = {.file = path};
    char layers[256];
    for (int v = 0; v < model->graph->n_values; v++) {
        if (!(lost[v] > 0)) continue;
        dio_say(ctx, DIO_LEVEL_NOTE, NULL, &place, "int8: what %s reads stays wide: as bytes it alone changes scores by %.1f %% of their deviation",
                readers_of(model->graph, v, layers, sizeof layers), 100 * lost[v]);
    }
    if (pictures) {
        dio_say(ctx, DIO_LEVEL_NOTE, NULL, &place, "int8: ranges of values taken from %lld pictures; scores change by %.1f %% of their deviation",
                (long long)pictures, 100 * loss);
    } else {
        dio_say(ctx, DIO_LEVEL_NOTE, NULL, &place, "int8: ranges of values as saved; scores changed by %.1f %% of their deviation", 100 * loss);
    }
}

bool dio_calibration_is_file(const char *path)
{
    const size_t length = strlen(path);
    return length > 5 && strcmp(path + length - 5, ".json") == 0;
}

static dio_status calibrate(struct watch *w, const struct dio_model *model, const struct dio_calibrate_options *options)
{
    double loss = 0;
    int64_t pictures; /* that the ranges come from, now or when they were saved */
    if (dio_calibration_is_file(options->path)) {
        DIO_PASS(dio_calibration_read(w->ctx, model, options->path, w->ranges, w->lost, &loss, &pictures));
        if (loss > options->most_loss) {
            dio_say(w->ctx, DIO_LEVEL_WARNING, NULL, &(struct dio_place){.file = options->path, .hint = "calibrate again with pictures"},
                    "int8: saved with a change of %.1f %%, above --int8-loss %g; what stays wide was settled then", 100 * loss, options->most_loss);
        }
    } else {
        DIO_PASS(open_watch(w->ctx, model, DIO_CALIBRATE_JUDGED, w));
        DIO_PASS(see_path(w, model, options->path));
        if (w->pictures < FEW_PICTURES) {
            dio_say(w->ctx, DIO_LEVEL_WARNING, NULL, &(struct dio_place){.file = options->path},
                    "int8: %lld picture%s; other pictures may have numbers that these ranges cut off (a few dozen do)",
                    (long long)w->pictures, w->pictures == 1 ? " is few" : "s are few");
        }
        DIO_PASS(dio_calibration_check(w->ctx, model, options->path, &w->sample));
        dio_plan_free(w->plan); /* its memory is wanted for those to come */
        w->plan = NULL;
        DIO_PASS(dio_calibration_widen(w->ctx, model, &w->sample, options->most_loss, w->ranges, w->lost, &loss));
        pictures = w->pictures;
    }
    tell(w->ctx, model, options->path, w->pictures, w->lost, loss);
    return options->save ? dio_calibration_write(w->ctx, model, options->save, pictures, w->ranges, w->lost, loss) : DIO_OK;
}

dio_status dio_calibrate(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_calibrate_options *options,
                         struct dio_value_range **ranges)
{
    struct watch w;
    *ranges = NULL;
    dio_status status = open_ranges(ctx, model, &w);
    if (status == DIO_OK) status = calibrate(&w, model, options);
    return close_watch(&w, status, ranges);
}
