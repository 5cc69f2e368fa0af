/* JSON written: stable order (the caller's), floats in the fewest digits that read back the same, UTF-8 checked. */
#ifndef DIO_TEXT_JSON_WRITE_H
#define DIO_TEXT_JSON_WRITE_H

#include "base/str.h"

/* indent 0: all on one line.  Lists opened as rows stay on one line in any case. */
struct dio_json_writer {
    struct dio_str *out; /* failed appends are found there: dio_str_status */
    int indent, depth;
    int row;             /* depth at which a row began, 0: none */
    bool more;           /* something stands in the current list or map already */
};

void dio_json_begin(struct dio_json_writer *writer, struct dio_str *out, int indent);

/* `key` NULL inside lists and for the outermost value. */
void dio_json_map(struct dio_json_writer *writer, const char *key);
void dio_json_end_map(struct dio_json_writer *writer);
void dio_json_list(struct dio_json_writer *writer, const char *key);
void dio_json_row(struct dio_json_writer *writer, const char *key); /* ended by dio_json_end_list as well */
void dio_json_end_list(struct dio_json_writer *writer);

void dio_json_text(struct dio_json_writer *writer, const char *key, const char *text); /* NULL: null */
void dio_json_i64(struct dio_json_writer *writer, const char *key, int64_t value);
void dio_json_u64(struct dio_json_writer *writer, const char *key, uint64_t value);
void dio_json_double(struct dio_json_writer *writer, const char *key, double value); /* not finite: null */
void dio_json_bool(struct dio_json_writer *writer, const char *key, bool value);
void dio_json_null(struct dio_json_writer *writer, const char *key);
/* Text that is JSON already. */
void dio_json_raw(struct dio_json_writer *writer, const char *key, const char *json);

/* A string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void dio_json_quote(struct dio_str *out, const char *text, size_t length);

#endif
