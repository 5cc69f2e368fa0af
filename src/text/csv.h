/* CSV (RFC 4180) with a header line: reading with line numbers and limits, writing with quotes where needed. */
#ifndef DIO_TEXT_CSV_H
#define DIO_TEXT_CSV_H

#include "base/file.h"
#include "base/str.h"

struct dio_csv_field {
    const char *text; /* terminated; no NUL inside */
    size_t length;
};

struct dio_csv {
    struct dio_ctx *ctx;
    const char *file;            /* borrowed */
    unsigned char *bytes;        /* own copy: quoted fields are resolved in place */
    size_t length, at;
    uint32_t next_line;
    uint64_t rows;
    struct dio_csv_field *header;
    size_t columns;
    char *header_text;
    /* The row that was read last: */
    struct dio_csv_field *fields; /* `columns` of them, valid until the next call */
    size_t count, capacity;
    uint32_t line;               /* on which it begins */
    bool end;                    /* no more rows */
    bool broken;                 /* after a failure: reading cannot go on (a quote never closed) */
};

/* Checks the bytes (UTF-8, NUL, length of lines), reads the header line (a column twice: refused). */
dio_status dio_csv_open(struct dio_ctx *ctx, const char *file, const void *bytes, size_t length, struct dio_csv *csv);
dio_status dio_csv_read(struct dio_ctx *ctx, const char *path, uint64_t limit, struct dio_csv *csv);
void dio_csv_close(struct dio_csv *csv);

/* Index of a column; needed and missing: refused as `no column "label" (columns: path;label); is the separator a comma?`. */
dio_status dio_csv_column(struct dio_csv *csv, const char *name, bool needed, int *index); /* -1: not there */

/* The next row; csv->end at the end; blank lines are passed over.  A row that is wrong (C3) fails, and unless csv->broken the
 * next call goes on behind it: clear the context's error first. */
dio_status dio_csv_next(struct dio_csv *csv);
/* "FILE: line L: text", DIO_ERR_INPUT, for the row that was read last. */
dio_status dio_csv_fail(const struct dio_csv *csv, const char *code, const char *format, ...) DIO_PRINTF(3, 4);

/* Writing.  A field is quoted where it holds a comma, quote, line break, or blanks at its ends. */
void dio_csv_put(struct dio_str *out, const char *text, bool first);
void dio_csv_end_row(struct dio_str *out);

#endif
