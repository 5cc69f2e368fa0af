/* Options: key and value as text, the same names in a recipe, on the command line (with '-' for '_'), and here.
 *
 * One table describes them all: `--help`, the man pages, the recipe reader and the resolved recipe of a run are made
 * from it. */
#ifndef DIOPTER_OPTIONS_H
#define DIOPTER_OPTIONS_H

#include <diopter/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum diopter_option_kind {
    DIOPTER_OPTION_FLAG,    /* "true" or "false" */
    DIOPTER_OPTION_WHOLE,   /* whole number in [min, max] */
    DIOPTER_OPTION_NUMBER,  /* number in [min, max], decimal point */
    DIOPTER_OPTION_CHOICE,  /* one of `choices` */
    DIOPTER_OPTION_TEXT,
    DIOPTER_OPTION_PATH,
    DIOPTER_OPTION_NUMBERS  /* numbers with commas: "0.485,0.456,0.406" */
} diopter_option_kind;

/* Which calls know an option; a bit mask. */
enum {
    DIOPTER_FOR_INFO = 1 << 0,     /* diopter_model_open and describing */
    DIOPTER_FOR_TRAIN = 1 << 1,
    DIOPTER_FOR_EVALUATE = 1 << 2,
    DIOPTER_FOR_PREDICT = 1 << 3,
    DIOPTER_FOR_EXPORT = 1 << 4,
    DIOPTER_FOR_CHECK = 1 << 5,
    DIOPTER_FOR_BENCH = 1 << 6
};

typedef struct diopter_option_info {
    size_t size;
    const char *name;       /* "weight_decay"; "augment_flip" stands as `flip` under `augment:` in a recipe */
    diopter_option_kind kind;
    const char *value;      /* what the help calls the value: "N", "FILE"; "" for flags */
    const char *initial;    /* default as text; "" when there is none */
    const char *choices;    /* "sgd|adamw"; "" for other kinds */
    double min, max;        /* for numbers, inclusive */
    const char *group;      /* "Training", "Preprocessing", ... */
    const char *help;       /* one sentence */
    unsigned uses;          /* DIOPTER_FOR_... */
    bool above_min;         /* min itself is not allowed */
} diopter_option_info;

/* Describes option i of the table (info->size set by the caller; strings are static).  False behind the last. */
DIOPTER_API bool diopter_option_at(size_t i, diopter_option_info *info);

typedef struct diopter_options diopter_options;

/* All options at their defaults. */
DIOPTER_API diopter_status diopter_options_create(diopter_context *context, diopter_options **options);
DIOPTER_API void diopter_options_destroy(diopter_options *options);

/* Checks key and value and keeps copies.  DIOPTER_ERROR_USAGE for an unknown key (the nearest is suggested), a value of the
 * wrong kind or outside the range. */
DIOPTER_API diopter_status diopter_options_set(diopter_options *options, const char *name, const char *value);

/* The value as it was set, else the default; NULL for an unknown key or one with neither.  Belongs to options. */
DIOPTER_API const char *diopter_options_get(const diopter_options *options, const char *name);

#ifdef __cplusplus
}
#endif
#endif
