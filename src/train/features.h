/* Batches for the part of a network that learns: what the frozen prefix gives for each picture, from the cache or computed
 * on the way, or the pictures themselves where nothing is frozen.
 *
 * The same bits either way: the prefix is an inference plan whose results do not depend on the batch. */
#ifndef DIO_TRAIN_FEATURES_H
#define DIO_TRAIN_FEATURES_H

#include "data/bad.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "graph/plan.h"
#include "train/cache.h"

struct dio_features_options {
    const struct dio_graph *graph;     /* of the model, frozen as it should be; borrowed for as long as features live */
    const struct dio_dataset *dataset; /* borrowed, as are the others */
    const struct dio_prepare *prepare;
    const struct dio_augment *augment;
    struct dio_decode_options decode;
    uint64_t seed;
    int64_t views;          /* K random views of each picture, where features are cached; 1: the plain picture */
    int64_t batch;
    const char *folder;     /* of the cache */
    uint64_t limit;         /* bytes that the folder's files may take, those of other runs included */
    bool no_cache;
    bool exact;             /* dio_plan_options.exact of the prefix */
    uint64_t memory_limit;
};

struct dio_features;

dio_status dio_features_open(struct dio_ctx *ctx, const struct dio_features_options *options, struct dio_features **out);
void dio_features_close(struct dio_features *features);

/* Where the prefix ends: values of the graph.  The graph's input when nothing is frozen in front. */
const struct dio_frontier *dio_features_frontier(const struct dio_features *features);
/* Can features be kept (then random views are the K of the cache), or are pictures prepared anew in each epoch?  In words,
 * for the log. */
bool dio_features_fixed(const struct dio_features *features);
const char *dio_features_words(const struct dio_features *features);

/* Fills the cache for these items: the plain view, or the K random ones.  Bad pictures are reported once. */
dio_status dio_features_cover(struct dio_features *features, const uint32_t *items, size_t count, bool random,
                              struct dio_bad *bad);

struct dio_feature_batch {
    size_t n;               /* pictures that could be read */
    size_t taken;           /* places of the order that this batch covers; 0 at the end */
    const void *in[9];      /* one for each frontier value, then the labels (int32) */
    const int32_t *labels;
    const uint32_t *items;
};
/* Batches of `order`, from place `start` (a multiple of the batch) on.  random: views as training wants them in this
 * epoch (counted from 0). */
dio_status dio_features_begin(struct dio_features *features, const uint32_t *order, size_t count, size_t start,
                              bool random, uint32_t epoch);
dio_status dio_features_next(struct dio_features *features, struct dio_bad *bad, struct dio_feature_batch *batch);

/* Items that could not be read so far, sorted. */
const uint32_t *dio_features_bad(const struct dio_features *features, size_t *count);
/* Takes over the list of an earlier part of the run: those are not reported again. */
dio_status dio_features_known_bad(struct dio_features *features, const uint32_t *items, size_t count);

/* What a picture was like when it was decoded, by this run or by the one that filled the cache; width 0: it was not, or
 * could not be. */
const struct dio_picture_facts *dio_features_facts(const struct dio_features *features, uint32_t item);
/* Decodes those of the items of which that is not known; what cannot be read is left for the pass that needs it. */
dio_status dio_features_look_at(struct dio_features *features, const uint32_t *items, size_t count);

/* The key of one view's cache: everything that decides the numbers but the picture. */
struct dio_feature_key {
    const struct dio_graph *graph;
    const struct dio_frontier *frontier;
    const struct dio_image_recipe *recipe;
    const struct dio_augment *augment; /* NULL: the plain view */
    uint64_t seed;
    uint32_t view;
    bool allow_damaged;                /* rows of cut pictures are in it */
    bool exact;
};
dio_status dio_feature_key(struct dio_ctx *ctx, const struct dio_feature_key *what, struct dio_digest *key);

#endif
