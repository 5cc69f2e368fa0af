/* JSON (RFC 8259, strictly; a byte-order mark is passed over) read into a tree, or token by token where a tree would be
 * too large.  Refused, with line and column: anything but UTF-8, NUL, lone surrogates, nesting above 64, strings above
 * 1 MB, a key twice in one object, NaN, comments, trailing commas, anything after the value.
 *
 * A reader of our own: libraries lose what messages and checks need here (lines of values, numbers as written, the key of
 * a number that overflows), and allocate outside the context. */
#ifndef DIO_TEXT_JSON_H
#define DIO_TEXT_JSON_H

#include "text/tree.h"

/* `code`: row of the catalogue for broken syntax and wrong values ("J1"); a key twice is "J4" when code begins with J.
 * `file` and `part` are copied.  After a failure there is nothing to free. */
dio_status dio_json_parse(struct dio_ctx *ctx, const char *file, const char *part, const char *code, const void *bytes,
                          size_t length, struct dio_tree *tree);
/* A whole file of at most `limit` bytes. */
dio_status dio_json_read(struct dio_ctx *ctx, const char *path, uint64_t limit, const char *code, struct dio_tree *tree);

/* ---- Token by token ---- */

enum dio_json_event {
    DIO_JSON_END, /* of the text */
    DIO_JSON_BEGIN_MAP,
    DIO_JSON_END_MAP,
    DIO_JSON_BEGIN_LIST,
    DIO_JSON_END_LIST,
    DIO_JSON_KEY,
    DIO_JSON_TEXT,
    DIO_JSON_NUMBER, /* text: as written */
    DIO_JSON_TRUE,
    DIO_JSON_FALSE,
    DIO_JSON_NULL
};

struct dio_json_scan {
    struct dio_ctx *ctx;
    const char *file, *part, *code;
    const unsigned char *bytes;
    size_t length, at;
    uint32_t line;
    size_t line_start, counted; /* begin of the line; how far its characters are counted */
    int depth;
    unsigned char in_map[DIO_MAX_JSON_DEPTH + 1];
    int expect;
    struct dio_str *buffer;      /* of strings with escapes */
    /* The token that was read last: */
    enum dio_json_event event;
    const char *text;            /* key, string (resolved) or number: not terminated, valid until the next call */
    size_t text_length;
    size_t offset;               /* of its first byte */
    uint32_t token_line, column;
};

/* Checks the bytes (UTF-8, NUL) and stands before the first token.  The strings and `bytes` are borrowed; `buffer` is an
 * initialised string of the caller's, to be freed by the caller.  Keys are not held against each other here. */
dio_status dio_json_scan_begin(struct dio_json_scan *scan, struct dio_ctx *ctx, const char *file, const char *part,
                               const char *code, const void *bytes, size_t length, struct dio_str *buffer);
dio_status dio_json_scan_next(struct dio_json_scan *scan);
/* Behind a BEGIN: reads up to and including its END.  Behind anything else: nothing to do. */
dio_status dio_json_scan_skip(struct dio_json_scan *scan);

#endif
