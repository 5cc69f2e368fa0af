/* A model: a graph, the weights it owns, the classes, how its pictures are prepared, and where it came from. */
#ifndef DIO_MODEL_MODEL_H
#define DIO_MODEL_MODEL_H

#include "base/hash.h"
#include "graph/graph.h"
#include "image/recipe.h"

/* Whose names the parameters carry.  ORIGIN in a request: as the file had them, or the family's own. */
enum dio_naming { DIO_NAMES_ORIGIN, DIO_NAMES_TIMM, DIO_NAMES_TORCHVISION, DIO_NAMES_LUKEMELAS, DIO_NAMES_AKAMASTER };
const char *dio_naming_name(enum dio_naming naming); /* "origin", "timm", ... */
bool dio_naming_parse(const char *name, enum dio_naming *naming);

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
    void *weights;               /* one block, each parameter 64-byte aligned, in graph order; counters among them */
    size_t weights_bytes;
    char *family, *variant;      /* "resnet", "resnet18"; what a stored model is found again by */
    char *options;               /* what names and shapes cannot show: "bn_eps=0.001 pad_mode=same stem_padding=3" */
    enum dio_naming naming;      /* the graph's names, which are the origin's; DIO_NAMES_ORIGIN for no family */
    char *origin_prefix;         /* "module." or "", put back by export --names origin */
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
dio_status dio_model_prefix_facts(struct dio_model *model, const char *prefix); /* "base_": they are those of another model now */
const char *dio_model_fact(const struct dio_model *model, const char *key);
/* Name of class i; the index as text, in `buffer`, when no names are known. */
const char *dio_model_class_name(const struct dio_model *model, size_t i, char buffer[24]);

/* Copies the values of every parameter that both have under one name and shape; *copied (may be NULL) counts them. */
dio_status dio_model_copy_weights(struct dio_model *to, const struct dio_model *from, int *copied);

/* ---- freezing ----
 * "backbone": all but the head.  "stage:K": stem and stages 1..K (K 0: the stem alone).  "none".  Else a glob over
 * parameter names: what matches is frozen; train_only turns it round: all but what matches is frozen.  Refusals
 * (DIO_ERR_USAGE) list the stages or some names.  Statistics (running mean and variance) follow the scale beside them:
 * they move when it is trained, or under frozen_stats_move. */
struct dio_freeze_policy {
    const char *freeze;      /* NULL: "backbone" */
    const char *train_only;  /* glob, or NULL */
    bool frozen_stats_move;  /* --bn stats */
};
dio_status dio_model_freeze(struct dio_model *model, const struct dio_freeze_policy *policy);

/* SHA-256 over the bytes of each tensor that does not learn or move: the freeze receipt, in graph order.  The names are
 * the graph's; `lines` is freed with dio_free. */
struct dio_receipt_line {
    const char *name;
    struct dio_digest digest;
};
dio_status dio_model_receipt(const struct dio_model *model, struct dio_receipt_line **lines, size_t *count);

/* Per stage, for info: parameters (statistics not counted), those of them that train, multiply-adds of one picture.
 * `stages` has room for graph->n_stages. */
struct dio_stage_summary {
    const char *name;
    int64_t parameters, trainable, macs;
    int nodes;
};
dio_status dio_model_stages(const struct dio_model *model, struct dio_stage_summary *stages, int *count);

#endif
