/* The settings of a training run and the table that describes them. */
#ifndef DIO_TRAIN_OPTIONS_H
#define DIO_TRAIN_OPTIONS_H

#include "base/memory.h"
#include "base/str.h"
#include "image/augment.h"

enum dio_option_flag {
    DIO_OPTION_PATH = 1 << 0,       /* a path: relative to the recipe when it stands in one */
    DIO_OPTION_MODEL = 1 << 1,      /* a path, or arch:NAME */
    DIO_OPTION_OUTPUT = 1 << 2,     /* a path that need not exist */
    DIO_OPTION_POSITIONAL = 1 << 3, /* given without a name on the command line; a recipe has it as a key */
    DIO_OPTION_MACHINE = 1 << 4,    /* changes no result: in recipes, but neither compared nor written by a run */
    DIO_OPTION_COMMAND = 1 << 5,    /* on the command line only */
    DIO_OPTION_FREE = 1 << 7,       /* in recipes and written by a run, where it is given; a resumed run may have another */
    DIO_OPTION_ABOVE = 1 << 6       /* the range leaves its lower end out */
};

enum dio_option_type {
    DIO_OPTION_T_TEXT, DIO_OPTION_T_FLAG, DIO_OPTION_T_INT, DIO_OPTION_T_NUMBER, DIO_OPTION_T_CHOICE, DIO_OPTION_T_NUMBERS,
    DIO_OPTION_T_AUGMENT /* "augment_NAME"; in recipes a key of the mapping `augment` */
};

enum { DIO_OPTION_MAX_NUMBERS = 16 };
#define DIO_UNSET_INT INT64_MIN

struct dio_option_numbers {
    int count;
    double values[DIO_OPTION_MAX_NUMBERS];
};

/* Where a setting came from; the later ones win. */
enum dio_option_origin { DIO_FROM_DEFAULT, DIO_FROM_RECIPE, DIO_FROM_COMMAND };

/* One line of the table. */
struct dio_option {
    const char *name;     /* "batch_size"; the long option is --batch-size */
    const char *group;    /* title that --help puts over it */
    const char *initial;  /* default as text; NULL or "": not set, help says what happens then */
    const char *value;    /* "N"; NULL for flags */
    const char *help;     /* one line, no final point */
    const char *choices;  /* "sgd|adamw" for CHOICE, else NULL */
    enum dio_option_type type;
    unsigned flags;       /* enum dio_option_flag */
    double min, max;      /* INT, NUMBER */
    size_t offset;        /* into struct dio_train_options; 0 for AUGMENT, which is set by its name */
};

#define DIO_OPTION_TEXT(name, initial, flags, value, help) const char *name;
#define DIO_OPTION_FLAG(name, flags, help) bool name;
#define DIO_OPTION_INT(name, initial, min, max, flags, value, help) int64_t name;
#define DIO_OPTION_NUMBER(name, initial, min, max, flags, value, help) double name;
#define DIO_OPTION_CHOICE(name, initial, choices, flags, help) const char *name;
#define DIO_OPTION_NUMBERS(name, flags, value, help) struct dio_option_numbers name;
struct dio_train_options {
#include "train/options.def"
    struct dio_augment augment;
    /* Bookkeeping.  Texts live in the arena. */
    struct dio_arena arena;
    const char *recipe;              /* the recipe file, or NULL */
    uint8_t origin[128];             /* by table index: enum dio_option_origin */
    uint32_t line[128];              /* of the recipe, also where the command line overruled it; or 0 */
};

/* Defaults.  Freed with dio_train_options_free, from here on, whatever happens. */
dio_status dio_train_options_init(struct dio_ctx *ctx, struct dio_train_options *options);
void dio_train_options_free(struct dio_train_options *options);
dio_status dio_train_options_copy(struct dio_ctx *ctx, const struct dio_train_options *from, struct dio_train_options *to);

/* The table, augment_... included: strings are static. */
size_t dio_option_count(void);
const struct dio_option *dio_option_at(size_t i); /* NULL: behind the last */
/* By name with '_' or '-'; -1: none. */
int dio_option_find(const char *name);
/* The nearest name, for "did you mean"; NULL: none is near. */
const char *dio_option_nearest(const char *name);
/* Likewise among the names that begin with `prefix` ("augment_"), without it. */
const char *dio_option_nearest_behind(const char *prefix, const char *name);

/* Sets entry i from text, checking type and range.  `origin` below the one that set it already changes nothing.
 * `place` as for dio_fail; `shown` is how messages call it ("--lr", "lr"); failures have `status` (DIO_ERR_USAGE for the
 * command line, row A4; DIO_ERR_INPUT for recipes, row Y4).  A flag's text is true or false. */
dio_status dio_option_set(struct dio_ctx *ctx, struct dio_train_options *options, size_t i, const char *text,
                          size_t length, enum dio_option_origin origin, dio_status status,
                          const struct dio_place *place, const char *shown);
/* The value as dio_option_set reads it; nothing when it is not set. */
void dio_option_print(struct dio_str *out, const struct dio_train_options *options, size_t i);
/* Is it set (or has a default)? */
bool dio_option_is_set(const struct dio_train_options *options, size_t i);

/* Rules that join several settings: model and data (or train) given, output named.  DIO_ERR_USAGE without a recipe,
 * DIO_ERR_INPUT with one (row Y3). */
dio_status dio_train_options_check(struct dio_ctx *ctx, const struct dio_train_options *options);
/* The same for who only looks at pictures: a model may be missing. */
dio_status dio_train_options_check_but_model(struct dio_ctx *ctx, const struct dio_train_options *options);

#endif
