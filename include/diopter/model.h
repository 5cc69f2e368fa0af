/* Models: weights with an architecture, classes and preprocessing. */
#ifndef DIOPTER_MODEL_H
#define DIOPTER_MODEL_H

#include <diopter/options.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct diopter_model diopter_model;

/* Opens `path`: a weights file (.safetensors, .pth in the zip or the legacy container; told by content), a run folder, a
 * Hugging Face or timm folder, or "arch:TAG" (random weights).  options: arch, classes, bn_eps, padding, stem_padding,
 * resize, crop, mean, std, ...; NULL: defaults.  Notes say what was recognised and what was assumed.
 * Weights of some megabytes are mapped: a file that is cut short while the model is open raises SIGBUS in whoever reads it.
 * A sound file of an unknown architecture, and weights without a head, open too: architecture is then "", or classes 0. */
DIOPTER_API diopter_status diopter_model_open(diopter_context *context, const char *path, const diopter_options *options,
                                              diopter_model **model);
DIOPTER_API void diopter_model_close(diopter_model *model);

typedef struct diopter_model_info {
    size_t size;
    const char *format;         /* "safetensors", "torch", "run folder", ... */
    const char *family;         /* "resnet"; "" when unknown */
    const char *architecture;   /* "resnet18"; "" when unknown */
    const char *notes;          /* lines: what told the architecture, what was assumed, and the options that change it */
    const char *names;          /* naming of the parameters: "torchvision", "timm", ... */
    int64_t parameters;         /* trained numbers; batch-norm statistics not counted */
    int64_t macs;               /* multiply-adds of one picture */
    int64_t height, width, channels; /* of the input */
    int64_t classes;            /* outputs; 0: no head, or unknown */
    bool class_names;           /* known? */
    const char *preprocessing;  /* in words, one line */
    const char *preprocessing_json;
    size_t stages, tensors, facts; /* how many of each can be asked for */
} diopter_model_info;

/* Fills *info (info->size set by the caller); strings belong to the model. */
DIOPTER_API diopter_status diopter_model_describe(const diopter_model *model, diopter_model_info *info);

/* Name of class i in the order of the outputs; its number as text when no names are known.  Belongs to the model; NULL
 * behind the last. */
DIOPTER_API const char *diopter_model_class(const diopter_model *model, size_t i);

typedef struct diopter_stage_info {
    size_t size;
    const char *name;           /* "stem", "layer1", "head" */
    int64_t parameters, macs;
} diopter_stage_info;
DIOPTER_API bool diopter_model_stage(const diopter_model *model, size_t i, diopter_stage_info *stage);

typedef struct diopter_tensor_info {
    size_t size;
    const char *name, *dtype;   /* "f32", "bf16", "i64" */
    int rank;
    const int64_t *shape;
} diopter_tensor_info;
/* Tensors of the file, in its order. */
DIOPTER_API bool diopter_model_tensor(const diopter_model *model, size_t i, diopter_tensor_info *tensor);

/* Provenance and other facts: key and value; strings belong to the model. */
DIOPTER_API bool diopter_model_fact(const diopter_model *model, size_t i, const char **key, const char **value);

/* The freeze receipt of a run in words: how many tensors were frozen, and whether any changed (RUN/freeze.txt has the SHA-256
 * of each, before and after); "" when the model does not come from a run.  Belongs to the model. */
DIOPTER_API const char *diopter_model_receipt(const diopter_model *model);

/* Logits of n pictures that are already prepared: f32, [n, height, width, channels], channels last, normalised.
 * logits: [n, classes].  The same picture gives the same bits at any n and any number of threads. */
DIOPTER_API diopter_status diopter_model_forward(diopter_model *model, const float *pixels, size_t n, float *logits);

/* Decodes a picture file (its bytes in memory), prepares it by the model's preprocessing, and runs it.  logits: [classes]. */
DIOPTER_API diopter_status diopter_model_forward_file(diopter_model *model, const void *bytes, size_t size, float *logits);

/* The plan by which predict runs the model, step by step: which algorithm and path each takes on this machine, and the memory.
 * options: batch_size, precision, exact.  *text (a table, or one JSON object) is freed by diopter_free. */
DIOPTER_API diopter_status diopter_model_plan(diopter_model *model, const diopter_options *options, bool json, char **text);

/* DIOPTER_ERROR_USAGE when `path` is, by any name, a file that the model was read from, or the folder that was named:
 * writing there would destroy an input.  predict and export ask this themselves. */
DIOPTER_API diopter_status diopter_model_check_output(const diopter_model *model, const char *path);

/* Writes the weights.  `path` ends in .safetensors or .pth, or names a folder (model.safetensors with config.json).
 * options: precision (f32, f16, bf16), names (origin, timm, torchvision), overwrite. */
DIOPTER_API diopter_status diopter_model_export(diopter_model *model, const char *path, const diopter_options *options);

#ifdef __cplusplus
}
#endif
#endif
