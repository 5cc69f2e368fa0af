/* What stands behind the public handles. */
#ifndef DIO_API_PRIVATE_H
#define DIO_API_PRIVATE_H

#include <pthread.h>

#include <diopter/diopter.h>

#include "base/threads.h"
#include "graph/plan.h"
#include "predict/calibrate.h"
#include "train/load_options.h"

struct diopter_context {
    struct dio_ctx ctx;
    struct dio_alloc_stats stats;
    struct dio_kernels kernels;
    enum dio_linear linear_asked;       /* AUTO too: the table knows only what came of it */
    atomic_int cancel;
    char cpu_given[16], linear_given[8]; /* by the settings, likewise; "": not */
    bool threads_given;                 /* by the settings: a recipe's key does not change them */
    pthread_mutex_t lock;               /* messages come from worker threads */
    void (*on_message)(void *user, const diopter_message *message);
    void (*on_progress)(void *user, const diopter_progress *progress);
    void *user;
    struct dio_limits limits;           /* before a call's options changed them */
    char error_text[2560], error_json[DIO_MESSAGE_JSON_SIZE];
};

enum { API_EXTRA_OPTIONS = 30 };

struct diopter_options {
    diopter_context *context;
    struct dio_train_options train;     /* the table of train/ holds most of them */
    char *extra[API_EXTRA_OPTIONS];     /* texts of the rest; NULL: the default */
    char *shown;                        /* what the last get of a train option gave */
};

struct diopter_model {
    diopter_context *context;
    struct dio_loaded loaded;
    char *path;
    char *notes, *preprocessing, *preprocessing_json, *receipt;
    struct dio_stage_summary *stages;
    int n_stages;
    struct dio_plan *plan;              /* of forward, made when first wanted */
    bool exact;                         /* of that plan */
    char class_buffer[24];
};

/* Every public call begins so: clears the last error, and sets the limits that the options ask for. */
void api_begin(diopter_context *context, const diopter_options *options);
diopter_status api_status(dio_status status);

/* The value of an option outside train's table, for one of the uses; its default when it was not set, or NULL. */
const char *api_extra(const diopter_options *options, const char *name, unsigned use);
/* --precision and what goes with int8; refuses int8 without --calibrate. */
dio_status api_precision_of(struct dio_ctx *ctx, const diopter_options *options, unsigned use, enum dio_precision *precision,
                            struct dio_calibrate_options *calibrate);
enum dio_precision api_precision(const diopter_options *options, unsigned use);
bool api_extra_given(const diopter_options *options, const char *name); /* was it set? */
bool api_extra_flag(const diopter_options *options, const char *name, unsigned use);
int64_t api_extra_whole(const diopter_options *options, const char *name, unsigned use);
double api_extra_number(const diopter_options *options, const char *name, unsigned use);

/* Refuses a model without a head, or of an unknown architecture. */
dio_status api_need_head(const diopter_model *model);

/* A string for the caller (malloc), from what was gathered; frees `text`.  NULL: out of memory. */
char *api_take_text(struct dio_str *text);

/* Options to use when the caller gave none; the caller destroys *made. */
dio_status api_default_options(diopter_context *context, const diopter_options **options, diopter_options **made);

#endif
