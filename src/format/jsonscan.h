/* A scanner of JSON text that builds no tree: the header of a safetensors file may hold 32 MB, and its messages need the
 * exact place of each number.  Strict RFC 8259, no recursion; the text has been checked to be UTF-8 before. */
#ifndef DIO_FORMAT_JSONSCAN_H
#define DIO_FORMAT_JSONSCAN_H

#include "base/context.h"

struct dio_jsonscan {
    struct dio_ctx *ctx;
    const char *file;          /* for messages */
    const unsigned char *text;
    size_t size, at;
    uint64_t base;             /* offset of text[0] in the file */
    char *string;              /* the last string read, escapes undone, terminated */
    size_t string_length, string_capacity;
};

enum dio_scan_kind { DIO_SCAN_OBJECT, DIO_SCAN_ARRAY, DIO_SCAN_STRING, DIO_SCAN_NUMBER, DIO_SCAN_WORD, DIO_SCAN_END };

void dio_jsonscan_init(struct dio_jsonscan *scan, struct dio_ctx *ctx, const char *file, const void *text, size_t size,
                       uint64_t base);
void dio_jsonscan_free(struct dio_jsonscan *scan);

/* Row S6: "header is not valid JSON: REASON (offset A)". */
dio_status dio_jsonscan_fail(struct dio_jsonscan *scan, size_t at, const char *reason);

/* What the next value begins like, white space skipped; DIO_SCAN_END at the end of the text or before ] } , : */
enum dio_scan_kind dio_jsonscan_peek(struct dio_jsonscan *scan);

/* Walks an object: call with *first true before the first member; *more tells whether a member name was read into
 * scan->string (the caller reads or skips its value then).  The opening brace has to be next at the first call. */
dio_status dio_jsonscan_member(struct dio_jsonscan *scan, bool *first, bool *more);
/* The same for an array's elements. */
dio_status dio_jsonscan_element(struct dio_jsonscan *scan, bool *first, bool *more);

dio_status dio_jsonscan_string(struct dio_jsonscan *scan);
/* Reads a number by the grammar; *whole is false unless it is a run of digits that fits 64 bits. */
dio_status dio_jsonscan_whole(struct dio_jsonscan *scan, uint64_t *value, bool *whole);
/* Any value, checked and thrown away; `depth` is how deep it already lies. */
dio_status dio_jsonscan_skip(struct dio_jsonscan *scan, int depth);
dio_status dio_jsonscan_end(struct dio_jsonscan *scan); /* only white space is left */

#endif
