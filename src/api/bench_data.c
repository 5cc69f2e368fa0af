/* How fast pictures become what a model reads: read, decoded, resized, cropped, normalised. */
#include <string.h>

#include "api/bench.h"
#include "base/clock.h"
#include "data/loader.h"
#include "data/walk.h"

enum { MOST_PICTURES = 512, BATCH = 16, RUNS = 3 };

struct gallery {
    struct dio_ctx *ctx;
    struct dio_prepare prepare;
    struct dio_batcher *batcher;
    struct dio_walk *walk;
    struct dio_arena names;
    struct dio_ref refs[MOST_PICTURES];
    size_t count;
    float *pixels;
    size_t slot;
};

static dio_status find_pictures(struct gallery *g, const char *path)
{
    bool found = true;
    DIO_PASS(dio_walk_open(g->ctx, &path, 1, &(struct dio_walk_options){0}, &g->walk));
    while (g->count < MOST_PICTURES) {
        DIO_PASS(dio_walk_next(g->walk, &g->names, &g->refs[g->count], &found));
        if (!found) break;
        g->count++;
    }
    if (g->count == 0) return dio_fail(g->ctx, DIO_ERR_INPUT, "D2", &(struct dio_place){.file = path}, "no pictures found");
    return DIO_OK;
}

static dio_status open_gallery(struct gallery *g, const struct dio_image_recipe *recipe, const char *path)
{
    const struct dio_decode_options decode = {.ignore_exif = recipe->ignore_exif};
    dio_arena_init(&g->names, g->ctx);
    DIO_PASS(dio_prepare_init(g->ctx, recipe, &g->prepare));
    DIO_PASS(dio_batcher_open(g->ctx, &g->prepare, &decode, &g->batcher));
    DIO_PASS(find_pictures(g, path));
    g->slot = (size_t)recipe->height * (size_t)recipe->width * (size_t)recipe->channels;
    g->pixels = dio_alloc_array(g->ctx, g->slot * BATCH, sizeof *g->pixels, "pictures");
    return g->pixels ? DIO_OK : DIO_ERR_ENV;
}

static dio_status one_pass(struct gallery *g, size_t *good)
{
    struct dio_batch_result results[BATCH];
    *good = 0;
    for (size_t first = 0; first < g->count; first += BATCH) {
        const size_t n = g->count - first < BATCH ? g->count - first : BATCH;
        if (dio_cancelled(g->ctx)) return DIO_CANCELLED;
        DIO_PASS(dio_batcher_run(g->batcher, g->ctx, g->refs + first, n, NULL, g->pixels, results));
        for (size_t i = 0; i < n; i++) *good += results[i].status == DIO_OK;
    }
    return DIO_OK;
}

static dio_status time_passes(struct gallery *g, struct api_bench_pictures_result *out)
{
    double seconds[RUNS];
    DIO_PASS(one_pass(g, &out->good)); /* files into the page cache, buffers grown */
    for (int run = 0; run < RUNS; run++) {
        const double start = dio_clock_seconds();
        DIO_PASS(one_pass(g, &out->good));
        seconds[run] = dio_clock_seconds() - start;
    }
    out->count = g->count;
    out->seconds = api_bench_median(seconds, RUNS);
    return DIO_OK;
}

dio_status api_bench_pictures(struct dio_ctx *ctx, const struct dio_image_recipe *recipe, const char *path,
                              struct api_bench_pictures_result *out)
{
    struct gallery *g = dio_alloc_zeroed(ctx, 1, sizeof *g, "pictures to time");
    if (!g) return DIO_ERR_ENV;
    g->ctx = ctx;
    dio_status status = open_gallery(g, recipe, path);
    if (status == DIO_OK) status = time_passes(g, out);
    if (g->batcher) dio_batcher_close(g->batcher);
    dio_walk_close(g->walk);
    dio_prepare_free(ctx, &g->prepare);
    dio_arena_free(&g->names);
    dio_free(ctx, g->pixels);
    dio_free(ctx, g);
    return status;
}
