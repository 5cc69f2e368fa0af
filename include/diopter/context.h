/* The context: threads, limits, errors, messages, progress, cancelling. */
#ifndef DIOPTER_CONTEXT_H
#define DIOPTER_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define DIOPTER_API __attribute__((visibility("default")))
#else
#define DIOPTER_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define DIOPTER_VERSION_MAJOR 0
#define DIOPTER_VERSION_MINOR 1
#define DIOPTER_VERSION_PATCH 0

/* "0.1.0".  Static. */
DIOPTER_API const char *diopter_version(void);

/* The numbers are the exit codes of the command line. */
typedef enum diopter_status {
    DIOPTER_OK = 0,
    DIOPTER_PARTIAL = 1,        /* finished, outputs complete and valid, but not all is well: pictures were skipped, ... */
    DIOPTER_ERROR_USAGE = 2,    /* an argument or option is wrong; nothing was read or written */
    DIOPTER_ERROR_INPUT = 3,    /* a file was read and refused */
    DIOPTER_ERROR_SYSTEM = 4,   /* cannot open, read, write, allocate */
    DIOPTER_ERROR_INTERNAL = 5, /* a failed self-check: a bug worth reporting */
    DIOPTER_CANCELLED = 6       /* diopter_cancel was called; what can be gone on with was saved */
} diopter_status;

typedef struct diopter_context diopter_context;

typedef enum diopter_level { DIOPTER_NOTE, DIOPTER_WARNING, DIOPTER_ERROR } diopter_level;

/* One message.  Strings are valid UTF-8 without control characters and live as long as the call that passes them. */
typedef struct diopter_message {
    size_t size;            /* of this struct, as the library knows it */
    diopter_level level;
    int exit_code;          /* of the status that an error goes with; 0 for notes and warnings */
    const char *code;       /* row of the catalogue of bad input ("S15"), or "" */
    const char *human;      /* one line: "FILE: PART: text (offset N); hint" */
    const char *json;       /* one JSON object on one line: level, code, exit, file, tensor, offset, line, message, hint */
} diopter_message;

/* Where long work stands.  total 0: unknown; loss, accuracy NAN: none. */
typedef struct diopter_progress {
    size_t size;
    const char *stage;      /* "features", "epoch 3 of 20", "predict" */
    const char *unit;       /* "pictures", "steps" */
    uint64_t done, total;
    double loss, accuracy;
} diopter_progress;

typedef struct diopter_settings {
    size_t size;            /* sizeof(diopter_settings) */
    int threads;            /* 0: as many as affinity mask and cgroup allow */
    const char *cpu;        /* highest instruction set: "portable", "avx2", "avx512", "vnni", "bf16", "amx"; NULL: what there is */
    const char *linear;     /* who computes linear layers: "auto", "blas", "own"; NULL: "auto" */
    /* May be called from worker threads, never two at a time. */
    void (*on_message)(void *user, const diopter_message *message);
    /* Called from the thread that runs the work. */
    void (*on_progress)(void *user, const diopter_progress *progress);
    void *user;
} diopter_settings;

/* All members at their defaults, size set. */
#define DIOPTER_SETTINGS_INIT {sizeof(diopter_settings), 0, NULL, NULL, NULL, NULL, NULL}

/* settings NULL: defaults.  When it fails, *context can still be asked for the error (and has to be destroyed), or is
 * NULL when not even that could be had. */
DIOPTER_API diopter_status diopter_context_create(const diopter_settings *settings, diopter_context **context);
DIOPTER_API void diopter_context_destroy(diopter_context *context); /* NULL is allowed */

/* The last failure: one line ("" when the last call succeeded), and its catalogue row.  Valid until the next call. */
DIOPTER_API const char *diopter_error_text(const diopter_context *context);
DIOPTER_API const char *diopter_error_json(const diopter_context *context);

/* Asks the running call to stop at its next safe point; async-signal-safe, callable from any thread.  Stays set until
 * diopter_cancel_clear. */
DIOPTER_API void diopter_cancel(diopter_context *context);
DIOPTER_API void diopter_cancel_clear(diopter_context *context);

/* Frees a string that a function's comment says the caller owns.  NULL is allowed. */
DIOPTER_API void diopter_free(void *block);

#ifdef __cplusplus
}
#endif
#endif
