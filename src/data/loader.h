/* Pictures prepared for a model, batch by batch, on the team's threads.
 *
 * What comes out is a function of (dataset, order, seed, epoch) alone, whatever the number of threads.  Memory is one
 * batch and one picture a worker. */
#ifndef DIO_DATA_LOADER_H
#define DIO_DATA_LOADER_H

#include "data/dataset.h"
#include "image/prepare.h"

/* ---- the core: some pictures at once ---- */

struct dio_batcher;

/* `prepare` is borrowed. */
dio_status dio_batcher_open(struct dio_ctx *ctx, const struct dio_prepare *prepare,
                            const struct dio_decode_options *options, struct dio_batcher **batcher);
void dio_batcher_close(struct dio_batcher *batcher);

struct dio_view_source {
    const struct dio_augment *augment; /* NULL: the evaluation transform */
    uint64_t seed;
    uint32_t epoch;                    /* or the number of the cached view */
    const uint32_t *index;             /* per picture: what its view is keyed by (the dataset's item index) */
};

/* Reads, decodes and prepares refs[0..n): picture i goes to out + i * slot floats, its outcome to results[i].  The
 * status is only that of the machinery (memory, cancel); a bad picture is a result. */
struct dio_batch_result {
    dio_status status;          /* DIO_OK, or why this picture was refused */
    struct dio_message *why;    /* belongs to the batcher, until its next run; NULL when status is DIO_OK */
    struct dio_digest digest;   /* SHA-256 of the picture's bytes (for cache keys); the loader's, zero in batches of refs */
    struct dio_picture_facts facts;
};
dio_status dio_batcher_run(struct dio_batcher *batcher, struct dio_ctx *ctx, const struct dio_ref *refs, size_t n,
                           const struct dio_view_source *views, float *out, struct dio_batch_result *results);

/* ---- over a dataset ---- */

struct dio_loader;

struct dio_loader_options {
    const struct dio_dataset *dataset; /* borrowed */
    const struct dio_prepare *prepare; /* borrowed */
    const struct dio_augment *augment; /* borrowed; NULL or nothing random: the evaluation transform */
    struct dio_decode_options decode;
    const uint32_t *order;             /* item indices, borrowed */
    size_t count, batch;
    uint64_t seed;
    uint32_t epoch;
    bool no_digests;                   /* nobody asks for batch->digests */
};

struct dio_batch {
    size_t n;               /* good pictures; bad ones are left out, the others move up */
    const float *pixels;    /* n x height x width x channels */
    const int32_t *labels;
    const uint32_t *items;  /* item index of each */
    const struct dio_digest *digests;
    const struct dio_picture_facts *facts;
    size_t first, taken;    /* the batch covers order[first .. first+taken) */
    size_t n_bad;
    const uint32_t *bad;    /* item index, in order */
    const struct dio_message *const *why;
};

dio_status dio_loader_open(struct dio_ctx *ctx, const struct dio_loader_options *options, struct dio_loader **loader);
/* The next batch, decoded on the whole team, valid until the next call; taken 0 at the end. */
dio_status dio_loader_next(struct dio_loader *loader, struct dio_ctx *ctx, struct dio_batch *batch);
void dio_loader_close(struct dio_loader *loader);

#endif
