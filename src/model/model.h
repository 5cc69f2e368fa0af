/* A model: a graph, the weights it owns, the classes, how its pictures are prepared, and where it came from. */
#ifndef DIO_MODEL_MODEL_H
#define DIO_MODEL_MODEL_H

#include "base/hash.h"
#include "graph/graph.h"
#include "image/recipe.h"

/* How a family's parameters are called by others.  ORIGIN: as the file had them. */
enum dio_naming { DIO_NAMES_ORIGIN, DIO_NAMES_TIMM, DIO_NAMES_TORCHVISION, DIO_NAMES_LUKEMELAS, DIO_NAMES_AKAMASTER };

struct dio_classes {
    size_t count;   /* 0: no names known */
    char **names;   /* class order = logits order */
};

struct dio_fact {
    char *key, *value;
};

struct dio_arch; /* arch/arch.h; model/ only keeps the pointer and the names */

struct dio_model {
    struct dio_ctx *ctx;
    struct dio_graph *graph;
    float *weights;              /* one block: every f32 parameter, in graph order; counters follow */
    size_t weights_bytes;
    char *family, *variant;      /* "resnet", "resnet18"; what a stored model is found again by */
    char *options;               /* what names and shapes cannot show: "bn_eps=0.001 pad_mode=same stem_padding=3" */
    enum dio_naming naming;      /* of the origin */
    char *origin_prefix;         /* "module." or "", put back by --names origin */
    int logits;                  /* graph value; -1: a backbone without a head */
    int features;                /* graph value that the head reads: pooled, [N, D] (SqueezeNet: its map) */
    struct dio_classes classes;
    int64_t n_classes;           /* outputs of the head; 0 for a backbone */
    struct dio_image_recipe recipe;
    struct dio_fact *provenance; /* source, sha256 of its file, licence, trained by, ... in order */
    size_t n_provenance;
};

/* Takes the graph over, also when it fails.  Weights are zero until loaded or initialised. */
dio_status dio_model_new(struct dio_ctx *ctx, struct dio_graph *graph, struct dio_model **model);
void dio_model_free(struct dio_model *model);

dio_status dio_model_set_classes(struct dio_model *model, const char *const *names, size_t count);
dio_status dio_model_add_fact(struct dio_model *model, const char *key, const char *value); /* replaces an equal key */
const char *dio_model_fact(const struct dio_model *model, const char *key);
/* Name of class i; the index as text, in `buffer`, when no names are known. */
const char *dio_model_class_name(const struct dio_model *model, size_t i, char buffer[24]);

/* ---- freezing (model/freeze.h keeps the policy as text so that runs can record it) ----
 * "backbone": all but the head.  "stage:K": stem and stages 1..K.  "none".  Else a glob over parameter names: what
 * matches is frozen; only_train turns it round.  train_stats: batch norms with a trained scale move their statistics;
 * frozen ones do so only under "stats". */
struct dio_freeze_policy {
    const char *freeze;      /* NULL: "backbone" */
    const char *train_only;  /* glob, or NULL */
    bool frozen_stats_move;  /* --bn stats */
};
dio_status dio_model_freeze(struct dio_model *model, const struct dio_freeze_policy *policy);

/* SHA-256 over each frozen tensor: the freeze receipt.  One line a tensor is for the caller to write. */
struct dio_receipt_line {
    const char *name;
    struct dio_digest digest;
};
dio_status dio_model_receipt(const struct dio_model *model, struct dio_receipt_line **lines, size_t *count);

/* Per stage, for info: parameters, trained parameters, multiply-adds. */
struct dio_stage_summary {
    const char *name;
    int64_t parameters, trainable, macs;
    int nodes;
};
dio_status dio_model_stages(const struct dio_model *model, struct dio_stage_summary *stages, int *count);

#endif
