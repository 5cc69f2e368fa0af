/* A family of architectures, once: its variants, its builder, the names that others give its weights, and how to tell it
 * from its relatives.  One record a file, one line in list.def. */
#ifndef DIO_ARCH_ARCH_H
#define DIO_ARCH_ARCH_H

#include "model/model.h"

/* What a builder is told. */
struct dio_arch_config {
    const char *variant;    /* "resnet50"; never NULL */
    int64_t classes;        /* 0: no head */
    int64_t height, width, channels;
    double bn_eps;          /* 0: the variant's own */
    const char *pad_mode;   /* NULL: the variant's own; "same", "torch" */
    int64_t stem_padding;   /* -1: the variant's own */
};

/* A tensor of a file, as recognition sees it. */
struct dio_named_shape {
    const char *name;       /* prefix already stripped */
    struct dio_shape shape;
};

/* What recognition found, and on what evidence. */
struct dio_arch_match {
    const struct dio_arch *arch;
    const char *variant;    /* one of arch's */
    enum dio_naming naming;
    struct dio_arch_config config;
    bool certain;           /* false: names and shapes fit several relatives; `assumed` says what was taken */
    char assumed[256];      /* "bn eps 1e-05 and symmetric padding (not a tf_ variant); --bn-eps, --padding" or "" */
};

struct dio_arch_variant {
    const char *name;       /* "tf_efficientnet_lite0" */
    const char *const *aliases; /* other tags for it, NULL-terminated, or NULL */
    int64_t size;           /* usual input, pixels */
    double crop_pct;
    const char *interpolation; /* "bilinear", "bicubic" */
    const float *mean, *std; /* of three */
    const void *data;       /* the family's own table entry */
};

struct dio_arch {
    const char *family;     /* "resnet" */
    const struct dio_arch_variant *variants; /* name NULL ends it */
    dio_status (*build)(struct dio_ctx *ctx, const struct dio_arch *arch, const struct dio_arch_variant *variant,
                        const struct dio_arch_config *config, struct dio_graph **graph, int *features, int *logits);
    /* Does this list of tensors look like this family?  Fills `match` and returns true.  `hint` is a tag from the file
     * name or a config, or NULL: it decides between relatives of the same shapes. */
    bool (*recognise)(const struct dio_arch *arch, const struct dio_named_shape *tensors, size_t count,
                      const char *hint, struct dio_arch_match *match);
    /* Name of graph parameter `param` in another naming; false: that naming lacks it. */
    bool (*rename)(const struct dio_graph *graph, int param, const struct dio_arch_config *config,
                   enum dio_naming naming, char *out, size_t out_size);
    enum dio_naming namings[4]; /* what rename knows besides ORIGIN; DIO_NAMES_ORIGIN ends it */
    const char *head;       /* node name of the classifier: "fc" */
};

extern const struct dio_arch *const dio_archs[]; /* NULL-terminated */

/* By tag ("resnet18", "tf_efficientnet_lite0.in1k", an alias): NULL when unknown. */
const struct dio_arch *dio_arch_find(const char *tag, const struct dio_arch_variant **variant);
/* A tag that occurs in a file's name ("squeezenet1_1-imagenet.pth"): the longest. */
const struct dio_arch *dio_arch_in_name(const char *file_name, const struct dio_arch_variant **variant);

/* Builds the graph, makes the model, and fills in family, variant, options and the variant's own image recipe. */
dio_status dio_arch_model(struct dio_ctx *ctx, const struct dio_arch *arch, const struct dio_arch_config *config,
                          struct dio_model **model);
/* A new head of `classes` outputs on the features, initialised from (seed, name). */
dio_status dio_arch_new_head(struct dio_model *model, int64_t classes, uint64_t seed);

#endif
