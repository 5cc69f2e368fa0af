/* Status codes and the error record.
 *
 * A function that can fail returns a dio_status.  The first failure writes its text once, into the error record of the
 * context it was given; callers only pass the status on (DIO_PASS where there is nothing to clean up, DIO_TRY with one
 * `fail:` label where there is). */
#ifndef DIO_BASE_STATUS_H
#define DIO_BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The values are the exit codes of the command line. */
typedef enum dio_status {
    DIO_OK = 0,
    DIO_ERR_USAGE = 2,    /* wrong arguments or options; nothing was read or written */
    DIO_ERR_INPUT = 3,    /* a file given by the user was read and refused */
    DIO_ERR_ENV = 4,      /* cannot open, read, write, allocate */
    DIO_ERR_INTERNAL = 5, /* a failed self-check: a bug */
    DIO_CANCELLED = 6     /* the cancel flag was seen; state was saved where the caller saves state */
} dio_status;

struct dio_ctx;

/* Where in the user's files a problem lies.  Every member may be left 0: line and column count from 1, and an offset
 * is given as DIO_AT(position), since 0 is a position. */
struct dio_place {
    const char *file;   /* as the user wrote it */
    const char *part;   /* "tensor fc.weight", "entry data.pkl", "node 17 (Conv)" */
    const char *tensor; /* bare tensor name, for the JSON form of messages */
    uint64_t offset;    /* DIO_AT(position in the file) */
    uint32_t line, column;
    const char *hint;   /* what to do, without a final point */
};
#define DIO_AT(position) ((uint64_t)(position) + 1)

enum dio_level { DIO_LEVEL_NOTE, DIO_LEVEL_WARNING, DIO_LEVEL_ERROR };

/* One message, complete.  The strings are copies, already escaped for a terminal and cut to length. */
struct dio_message {
    enum dio_level level;
    dio_status status;  /* DIO_OK for notes and warnings */
    char code[8];       /* row of the catalogue of bad input ("S15"), or "" */
    char file[1024], part[320], tensor[256];
    uint64_t offset;    /* as in dio_place */
    uint32_t line, column;
    char text[768], hint[256];
};

#if defined(__GNUC__)
#define DIO_PRINTF(format_index, first) __attribute__((format(printf, format_index, first)))
#else
#define DIO_PRINTF(format_index, first)
#endif

/* Records a failure and returns `status`.  The first one stands: later calls, made while the stack unwinds, do not
 * replace it.  `place` may be NULL; `code` is a row id of the catalogue, or NULL. */
dio_status dio_fail(struct dio_ctx *ctx, dio_status status, const char *code, const struct dio_place *place,
                    const char *format, ...) DIO_PRINTF(5, 6);

/* "FILE: no space left on device on write", DIO_ERR_ENV; for the call "open" the text of the error alone: "FILE: no such
 * file or directory".  Takes errno's value as `error_number`. */
dio_status dio_fail_errno(struct dio_ctx *ctx, const char *file, const char *call, int error_number);

/* The system's text for an error number, in English and with a small first letter, whatever the locale. */
void dio_errno_text(int error_number, char *out, size_t out_size);

/* A warning or a note: handed to the context's message sink at once. */
void dio_say(struct dio_ctx *ctx, enum dio_level level, const char *code, const struct dio_place *place,
             const char *format, ...) DIO_PRINTF(5, 6);

/* The human form of a message, without the leading "diopter: ": "FILE: PART: text (offset N); hint".  Always
 * terminates; returns the length that the whole text has. */
size_t dio_message_format(const struct dio_message *message, char *out, size_t out_size);

/* The message as one JSON object, without a line end; keys always present and in this order: level, code, exit, file,
 * tensor, offset, line, message, hint.  Always terminates; a buffer of DIO_MESSAGE_JSON_SIZE holds any message. */
#define DIO_MESSAGE_JSON_SIZE 8192
size_t dio_message_json(const struct dio_message *message, char *out, size_t out_size);

#define DIO_PASS(call)                                                                                                 \
    do {                                                                                                               \
        dio_status pass_status_ = (call);                                                                              \
        if (pass_status_ != DIO_OK) return pass_status_;                                                               \
    } while (0)

/* For functions that hold something: needs a local `dio_status status` and a label `fail`. */
#define DIO_TRY(call)                                                                                                  \
    do {                                                                                                               \
        status = (call);                                                                                               \
        if (status != DIO_OK) goto fail;                                                                               \
    } while (0)

#endif
