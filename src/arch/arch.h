/* A family of architectures, once: its variants, its builder, the names that others give its weights, and how to tell it
 * from its relatives.  One record a file, one line in list.def. */
#ifndef DIO_ARCH_ARCH_H
#define DIO_ARCH_ARCH_H

#include "model/model.h"

/* What a builder is told. */
struct dio_arch_config {
    const char *variant;    /* "resnet50"; never NULL */
    enum dio_naming naming; /* how nodes and parameters are called; ORIGIN: the family's first */
    int64_t classes;        /* 0: no head */
    int64_t height, width, channels; /* 0: the variant's own */
    double bn_eps;          /* 0: the variant's own */
    const char *pad_mode;   /* NULL: the variant's own; "same", "torch" */
    int64_t stem_padding;   /* -1: the variant's own */
};
struct dio_arch_config dio_arch_config_default(const char *variant);
/* Reads a model's options ("bn_eps=0.001 pad_mode=same") over what is there; what it does not know is left. */
void dio_arch_read_options(const char *text, struct dio_arch_config *config);

/* Tensors of a file, as recognition sees them: sorted by name, looked up behind a prefix ("module."). */
struct dio_named_shape {
    const char *name;
    struct dio_shape shape;
};
struct dio_tensor_list {
    const struct dio_named_shape *items;
    size_t count;
    const char *prefix;
};
/* The shape of tensor PREFIX + formatted name, or NULL. */
const struct dio_shape *dio_tensor_list_find(const struct dio_tensor_list *list, const char *format, ...)
    DIO_PRINTF(2, 3);

struct dio_arch_variant {
    const char *name;       /* "tf_efficientnet_lite0" */
    const char *const *aliases; /* other tags for it, NULL-terminated, or NULL */
    int32_t size;           /* usual input, pixels */
    int32_t resize;         /* short side before the centre crop; the size itself: no margin */
    const char *interpolation; /* "bilinear", "bicubic" */
    const double *mean, *std; /* of three */
    const char *timm;       /* timm's name for it, or NULL */
    const void *data;       /* the family's own table entry */
};

/* What recognition found. */
struct dio_arch_match {
    const struct dio_arch *arch;
    const struct dio_arch_variant *variant;
    enum dio_naming naming;
    int64_t classes, channels; /* of the head (0: none), of the stem */
    bool by_names;          /* names that only this family has settled it */
    const char *assumed;    /* what names and shapes leave open, and the option for it; NULL: nothing */
};

struct dio_arch {
    const char *family;     /* "resnet" */
    const char *about;      /* one line for help */
    const struct dio_arch_variant *variants; /* name NULL ends it */
    enum dio_naming namings[4]; /* what the builder knows, its own first; DIO_NAMES_ORIGIN ends it */
    const char *const *anchors; /* a tensor that every file of a naming has, to find prefixes by; NULL-terminated */
    /* Adds the nodes to a new graph; failures stay in graph->status.  *logits is -1 without classes. */
    void (*build)(struct dio_graph *graph, const struct dio_arch_variant *variant, const struct dio_arch_config *config,
                  int *features, int *logits);
    /* Do these tensors look like this family?  `hint` (may be NULL) decides between relatives of the same shapes. */
    bool (*recognise)(const struct dio_arch *arch, const struct dio_tensor_list *tensors,
                      const struct dio_arch_variant *hint, struct dio_arch_match *match);
    bool not_in_torchvision; /* its torchvision names are a manner of naming: the library has no such model */
    bool head_normal;       /* a new head begins as the library begins it: weights normal (0, 0.01), bias 0; else as a fresh Linear */
    /* The variant's own, printed with the model's options and compared with what was asked for. */
    void (*defaults)(const struct dio_arch_variant *variant, struct dio_arch_config *config);
};

extern const struct dio_arch *const dio_archs[]; /* NULL-terminated */

/* By tag ("resnet18", "tf_efficientnet_lite0.in1k", an alias): NULL when unknown. */
const struct dio_arch *dio_arch_find(const char *tag, const struct dio_arch_variant **variant);
/* A tag that occurs in a file's name ("squeezenet1_1-imagenet.pth"), not inside a longer word: the longest. */
const struct dio_arch *dio_arch_in_name(const char *file_name, const struct dio_arch_variant **variant);
/* Every tag, for messages and for the nearest one to a mistyped word.  `tags` is freed with dio_free. */
dio_status dio_arch_tags(struct dio_ctx *ctx, const char ***tags, size_t *count);
bool dio_arch_has_naming(const struct dio_arch *arch, enum dio_naming naming);

/* Builds the graph, makes the model, and fills in family, variant, options, naming and the variant's own image recipe.
 * Weights are zero. */
dio_status dio_arch_model(struct dio_ctx *ctx, const struct dio_arch *arch, const struct dio_arch_variant *variant,
                          const struct dio_arch_config *config, struct dio_model **model);
/* The variant's own preprocessing for `channels` (mean and deviation of colours averaged when it is not 3). */
void dio_arch_recipe(const struct dio_arch_variant *variant, int64_t channels, struct dio_image_recipe *recipe);
/* The configuration a model was built with; NULL arch: a model of no family.  Texts live in `model` or are static. */
const struct dio_arch *dio_arch_of(const struct dio_model *model, const struct dio_arch_variant **variant,
                                   struct dio_arch_config *config);

/* Names of all graph parameters in another naming, in graph order; `names` and its texts are freed with
 * dio_arch_names_free.  Refuses (DIO_ERR_USAGE) a naming that the family lacks. */
dio_status dio_arch_names(const struct dio_model *model, enum dio_naming naming, char ***names);
void dio_arch_names_free(struct dio_ctx *ctx, char **names, int count);

/* A new head of `classes` outputs on the features, initialised from (seed, name); the rest keeps its weights.  The
 * graph is another one afterwards: freeze policies are applied after this. */
dio_status dio_arch_new_head(struct dio_model *model, int64_t classes, uint64_t seed);

#endif
