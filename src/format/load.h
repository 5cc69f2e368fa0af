/* A model from what a person names: a weights file, a run folder, a Hugging Face folder, or arch:TAG. */
#ifndef DIO_FORMAT_LOAD_H
#define DIO_FORMAT_LOAD_H

#include "arch/resolve.h"
#include "format/format.h"

/* What options say about the preprocessing; zero and NULL: nothing. */
struct dio_recipe_override {
    int32_t image_size;         /* --image-size: input and resize in proportion */
    int32_t resize, crop;       /* --resize, --crop; resize 0 and has_resize: not resized */
    bool has_resize;
    const char *fit;            /* --fit crop|pad|squash */
    const char *interpolation;
    const double *mean, *std;
    int mean_count, std_count;  /* 1 (for all channels) or as many as channels */
    int pillow;                 /* 12 or 13 */
    int exif;                   /* 1 apply, 2 ignore */
    int decode;                 /* 1 exact, 2 fast */
};

struct dio_load_options {
    struct dio_read_options read;
    const char *arch;           /* --arch TAG */
    double bn_eps;              /* --bn-eps; 0: not given */
    const char *padding;        /* --padding same|torch; NULL: not given */
    int64_t stem_padding;       /* --stem-padding; -1: not given */
    const char *classes_file;   /* --classes FILE: one name a line */
    struct dio_recipe_override recipe;
    uint64_t seed;              /* weights of arch:TAG */
    /* Weights stay where the file has them when they lie there as they are used: they may not be written, and who makes
     * a plan asks dio_loaded_check first. */
    bool view;
};
struct dio_load_options dio_load_options_default(void);

/* A remark or warning that waits until work starts, so that a refusal is one line. */
struct dio_load_message {
    enum dio_level level;
    const char *code;
    char *text;
};

struct dio_loaded {
    struct dio_model *model;    /* NULL: a sound file of an unknown architecture; `unknown` says what is missing */
    char *unknown;
    char *weights_path;         /* the file that was read (in a folder: that in it); NULL for arch:TAG */
    char *folder, *classes_file; /* what was named, where it is a folder; --classes FILE; else NULL */
    struct dio_weights weights; /* as the file has them; for info, and freed by dio_loaded_free */
    char sha256[65];            /* of the one file that was read, once dio_loaded_hash was asked; "": several, or none */
    bool has_weights;
    bool scratch;               /* arch:TAG */
    bool is_run;                /* a folder that diopter train wrote */
    bool assumed_recipe;        /* the preprocessing is the variant's default, said by nobody */
    uint64_t nonfinite_tensors; /* tensors with NaN or infinite values (row S18) */
    struct dio_load_message *messages;
    size_t n_messages, messages_capacity;
};

/* Missing tensors and wrong shapes are refused together (row J8); unused tensors and values that are not finite become
 * messages.  On failure *out is already empty. */
dio_status dio_model_load(struct dio_ctx *ctx, const char *path, const struct dio_load_options *options,
                          struct dio_loaded *out);
/* For weights of no known architecture: messages on what is not finite (row S18), with nonfinite_tensors. */
dio_status dio_loaded_scan(struct dio_ctx *ctx, struct dio_loaded *loaded);
/* Is the file what it was, when weights are read from its mapping?  (Row S20.) */
dio_status dio_loaded_check(struct dio_ctx *ctx, const struct dio_loaded *loaded);
/* Fills `sha256`; for weights of others it becomes a fact of the model, too.  Reads the whole file: for who shows or keeps
 * where weights came from. */
dio_status dio_loaded_hash(struct dio_loaded *loaded);
/* Hands the messages to the context's sink. */
void dio_loaded_say(struct dio_ctx *ctx, const struct dio_loaded *loaded);
/* Row A7: refuses an output that is, by any name, one of the files that the model was read from (weights and shards, index,
 * configuration, class names), that its run wrote beside them, or the folder itself. */
dio_status dio_loaded_check_output(struct dio_ctx *ctx, const struct dio_loaded *loaded, const char *output);
/* For verbs that need a model: fails with what is missing (row J5) when there is none. */
dio_status dio_loaded_need_model(struct dio_ctx *ctx, const struct dio_loaded *loaded);
/* The caller may take `model` out by setting it NULL. */
void dio_loaded_free(struct dio_ctx *ctx, struct dio_loaded *loaded);


/* Applies and checks (DIO_ERR_USAGE for what an option cannot be). */
dio_status dio_recipe_override_apply(struct dio_ctx *ctx, const struct dio_recipe_override *override,
                                     struct dio_image_recipe *recipe);

#endif
