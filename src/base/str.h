/* Growing strings, and the escaping of everything that comes from outside. */
#ifndef DIO_BASE_STR_H
#define DIO_BASE_STR_H

#include "base/context.h"

/* Starts as all zero.  A failed append sets `failed` and makes the following ones do nothing, so that a chain of
 * appends is checked once at its end with dio_str_status. */
struct dio_str {
    struct dio_ctx *ctx;
    char *data; /* always terminated once something was appended */
    size_t length, capacity;
    bool failed;
};

void dio_str_init(struct dio_str *str, struct dio_ctx *ctx);
void dio_str_add(struct dio_str *str, const char *text);
void dio_str_add_bytes(struct dio_str *str, const void *bytes, size_t length);
void dio_str_addf(struct dio_str *str, const char *format, ...) DIO_PRINTF(2, 3);
dio_status dio_str_status(const struct dio_str *str); /* DIO_OK, or DIO_ERR_ENV (already recorded) */
void dio_str_free(struct dio_str *str);

/* vsnprintf in the C locale: a decimal comma of the process's locale never reaches our texts. */
int dio_vformat(char *out, size_t out_size, const char *format, va_list arguments);

/* Valid UTF-8 (no overlong forms, no surrogates)?  *bad gets the offset of the first wrong byte. */
bool dio_utf8_valid(const void *bytes, size_t length, size_t *bad);

/* Copies text for a terminal: control bytes, C1, bidirectional controls and invalid UTF-8 become \n \t \x1b \u202e;
 * cut with "..." when it would be longer than out_size - 1 or than 200 bytes (limit 0: no such cut). */
void dio_escape(char *out, size_t out_size, const void *bytes, size_t length, size_t limit);

/* The same for one character, or one bad byte; returns the bytes it took. */
size_t dio_escape_one(const unsigned char *at, size_t length, char shown[8]);

/* Reads one character; returns its length in bytes, or 0 when the bytes at hand do not begin with a valid one. */
size_t dio_utf8_decode(const unsigned char *bytes, size_t length, uint32_t *character);

/* Numbers in the C locale, in full, whatever the process's locale.  False unless the whole text is a finite number in
 * range; decimal only (no hexadecimal, no "inf", no "nan", no blanks). */
bool dio_parse_double(const char *text, size_t length, double *out);
bool dio_parse_i64(const char *text, size_t length, int64_t *out);
/* Shortest text that reads back as the same number; always with a point as the decimal sign; "nan", "inf", "-inf". */
size_t dio_format_double(char *out, size_t out_size, double value);
size_t dio_format_float(char *out, size_t out_size, float value);

/* The candidate nearest to `word` by edit distance (swapped neighbours count once), or NULL when none is near: the
 * distance may be a third of the longer word's length.  The first of equals. */
const char *dio_nearest(const char *word, const char *const *candidates, size_t count);

/* Is the text one of "a|b|c"?  Never for an empty text, nor where choices is NULL. */
bool dio_is_choice(const char *choices, const char *text, size_t length);

/* An option's name as the command line spells it: '-' for '_'. */
void dio_option_spelling(char *out, size_t out_size, const char *name);

/* fnmatch-like glob over names: * (any run), ?, [abc], [a-z], [!abc]; no special meaning for '/' or '.'. */
bool dio_glob(const char *pattern, const char *text);

#endif
