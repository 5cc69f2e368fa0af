#include <string.h>

#include "base/str.h"
#include "text/bytes.h"
#include "text/json.h"

/* What may come next. */
enum {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END, /* behind '[' */
    EXPECT_KEY,          /* behind ',' in a map */
    EXPECT_KEY_OR_END,   /* behind '{' */
    EXPECT_COLON,
    EXPECT_COMMA_OR_END,
    EXPECT_NOTHING
};

static uint32_t count_characters(const struct dio_json_scan *scan, size_t from, size_t to)
{
    uint32_t count = 0;
    for (size_t i = from; i < to; i++) count += (scan->bytes[i] & 0xc0) != 0x80;
    return count;
}

/* Goes on from the last token of the line: a header is often one line of megabytes. */
static uint32_t column_of_token(struct dio_json_scan *scan)
{
    if (scan->counted < scan->line_start) {
        scan->counted = scan->line_start;
        scan->column = 1;
    }
    scan->column += count_characters(scan, scan->counted, scan->at);
    scan->counted = scan->at;
    return scan->column;
}

static dio_status refuse(struct dio_json_scan *scan, size_t at, const char *what)
{
    struct dio_place place = {.file = scan->file, .part = scan->part, .line = scan->line,
                              .column = 1 + count_characters(scan, scan->line_start, at)};
    return dio_fail(scan->ctx, DIO_ERR_INPUT, scan->code, &place, "%s", what);
}

dio_status dio_json_scan_begin(struct dio_json_scan *scan, struct dio_ctx *ctx, const char *file, const char *part,
                               const char *code, const void *bytes, size_t length, struct dio_str *buffer)
{
    *scan = (struct dio_json_scan){.ctx = ctx, .file = file, .part = part, .code = code, .bytes = bytes,
                                   .length = length, .line = 1, .expect = EXPECT_VALUE, .buffer = buffer};
    struct dio_text_rules rules = {.file = file, .part = part, .code = code};
    DIO_PASS(dio_check_text(ctx, &rules, bytes, length, &scan->at));
    scan->line_start = scan->counted = scan->at;
    scan->column = 1;
    return DIO_OK;
}

static void skip_blanks(struct dio_json_scan *scan)
{
    for (; scan->at < scan->length; scan->at++) {
        unsigned char c = scan->bytes[scan->at];
        if (c == '\n') {
            scan->line++;
            scan->line_start = scan->at + 1;
        } else if (c != ' ' && c != '\t' && c != '\r') {
            return;
        }
    }
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Four hexadecimal digits at `at`; false when there are none. */
static bool read_unit(const struct dio_json_scan *scan, size_t at, uint32_t *unit)
{
    *unit = 0;
    if (scan->length - at < 4) return false;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(scan->bytes[at + i]);
        if (digit < 0) return false;
        *unit = *unit << 4 | (uint32_t)digit;
    }
    return true;
}

static size_t encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i-- > 1; c >>= 6) out[i] = (char)(0x80u | (c & 0x3fu));
    out[0] = (char)(lead[size] | c);
    return size;
}

/* Behind "\u": one character, of two escapes where it lies above U+FFFF. */
static dio_status read_unicode(struct dio_json_scan *scan)
{
    uint32_t c, low;
    size_t start = scan->at - 2;
    if (!read_unit(scan, scan->at, &c)) return refuse(scan, start, "\\u without four hexadecimal digits");
    scan->at += 4;
    if (c == 0) return refuse(scan, start, "NUL character in a string");
    if (c >= 0xd800 && c <= 0xdfff) {
        bool pair = c < 0xdc00 && scan->length - scan->at >= 2 && memcmp(scan->bytes + scan->at, "\\u", 2) == 0 &&
                    read_unit(scan, scan->at + 2, &low) && low >= 0xdc00 && low <= 0xdfff;
        if (!pair) return refuse(scan, start, "half a surrogate pair");
        scan->at += 6;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    char text[4];
    dio_str_add_bytes(scan->buffer, text, encode(c, text));
    return DIO_OK;
}

static dio_status read_escape(struct dio_json_scan *scan)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (scan->at == scan->length) return refuse(scan, scan->at, "string without its closing quote");
    char c = (char)scan->bytes[scan->at++];
    if (c == 'u') return read_unicode(scan);
    const char *name = memchr(names, c, sizeof names - 1);
    if (!name) return refuse(scan, scan->at - 2, "unknown escape in a string");
    dio_str_add_bytes(scan->buffer, &meanings[name - names], 1);
    return DIO_OK;
}

/* At the opening quote.  Without escapes the text lies in the input. */
static dio_status read_string(struct dio_json_scan *scan)
{
    size_t start = ++scan->at, run = start;
    bool resolved = false;
    for (;;) {
        while (scan->at < scan->length && scan->bytes[scan->at] != '"' && scan->bytes[scan->at] != '\\' && scan->bytes[scan->at] >= 0x20) {
            scan->at++;
        }
        if (scan->at - start > 6 * (size_t)DIO_MAX_JSON_STRING) return refuse(scan, start - 1, "string longer than 1 MB");
        if (scan->at == scan->length) return refuse(scan, scan->at, "string without its closing quote");
        unsigned char c = scan->bytes[scan->at];
        if (c < 0x20) return refuse(scan, scan->at, "control character in a string");
        if (c == '"' && !resolved) {
            scan->text = (const char *)scan->bytes + start;
            scan->text_length = scan->at - start;
            break;
        }
        if (!resolved) scan->buffer->length = 0;
        resolved = true;
        dio_str_add_bytes(scan->buffer, scan->bytes + run, scan->at - run);
        if (c == '"') {
            DIO_PASS(dio_str_status(scan->buffer));
            scan->text = scan->buffer->data;
            scan->text_length = scan->buffer->length;
            break;
        }
        scan->at++;
        DIO_PASS(read_escape(scan));
        run = scan->at;
    }
    scan->at++;
    if (scan->text_length > DIO_MAX_JSON_STRING) return refuse(scan, start - 1, "string longer than 1 MB");
    return DIO_OK;
}

static size_t skip_digits(const struct dio_json_scan *scan, size_t at)
{
    while (at < scan->length && scan->bytes[at] >= '0' && scan->bytes[at] <= '9') at++;
    return at;
}

static dio_status read_number(struct dio_json_scan *scan)
{
    size_t start = scan->at, at = start + (scan->bytes[start] == '-'), end = skip_digits(scan, at);
    bool good = end > at && (scan->bytes[at] != '0' || end == at + 1);
    if (good && end < scan->length && scan->bytes[end] == '.') {
        at = end + 1;
        end = skip_digits(scan, at);
        good = end > at;
    }
    if (good && end < scan->length && (scan->bytes[end] | 0x20) == 'e') {
        at = end + 1;
        if (at < scan->length && (scan->bytes[at] == '+' || scan->bytes[at] == '-')) at++;
        end = skip_digits(scan, at);
        good = end > at;
    }
    if (!good) return refuse(scan, start, "not a number as JSON writes it");
    if (end - start > 4096) return refuse(scan, start, "number longer than 4096 digits");
    scan->text = (const char *)scan->bytes + start;
    scan->text_length = end - start;
    scan->at = end;
    scan->event = DIO_JSON_NUMBER;
    return DIO_OK;
}

static dio_status read_word(struct dio_json_scan *scan)
{
    static const struct {
        const char *word;
        size_t length;
        enum dio_json_event event;
    } words[] = {{"true", 4, DIO_JSON_TRUE}, {"false", 5, DIO_JSON_FALSE}, {"null", 4, DIO_JSON_NULL}};
    for (size_t i = 0; i < 3; i++) {
        if (scan->length - scan->at >= words[i].length && memcmp(scan->bytes + scan->at, words[i].word, words[i].length) == 0) {
            scan->event = words[i].event;
            scan->text = words[i].word;
            scan->text_length = words[i].length;
            scan->at += words[i].length;
            return DIO_OK;
        }
    }
    unsigned char c = scan->bytes[scan->at];
    if (c == 'N' || c == 'I') return refuse(scan, scan->at, "NaN and Infinity are not JSON");
    if (c == '/' || c == '#') return refuse(scan, scan->at, "comments are not JSON");
    if (c == '\'') return refuse(scan, scan->at, "strings need double quotes");
    return refuse(scan, scan->at, "a value was expected");
}

static dio_status open(struct dio_json_scan *scan, bool map)
{
    if (scan->depth == DIO_MAX_JSON_DEPTH) return refuse(scan, scan->at, "nested deeper than 64");
    scan->in_map[++scan->depth] = map;
    scan->at++;
    scan->event = map ? DIO_JSON_BEGIN_MAP : DIO_JSON_BEGIN_LIST;
    scan->expect = map ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
    return DIO_OK;
}

static void close_one(struct dio_json_scan *scan)
{
    scan->event = scan->in_map[scan->depth] ? DIO_JSON_END_MAP : DIO_JSON_END_LIST;
    scan->at++;
    scan->depth--;
    scan->expect = scan->depth > 0 ? EXPECT_COMMA_OR_END : EXPECT_NOTHING;
}

static dio_status read_value(struct dio_json_scan *scan)
{
    unsigned char c = scan->bytes[scan->at];
    if (c == '{' || c == '[') return open(scan, c == '{');
    scan->expect = scan->depth > 0 ? EXPECT_COMMA_OR_END : EXPECT_NOTHING;
    if (c == '-' || (c >= '0' && c <= '9')) return read_number(scan);
    if (c != '"') return read_word(scan);
    scan->event = DIO_JSON_TEXT;
    return read_string(scan);
}

static dio_status read_key(struct dio_json_scan *scan)
{
    if (scan->bytes[scan->at] != '"') return refuse(scan, scan->at, "a key in double quotes was expected");
    scan->event = DIO_JSON_KEY;
    scan->expect = EXPECT_COLON;
    return read_string(scan);
}

/* Passes over ',' and ':', which are no tokens for the caller. */
static dio_status skip_separator(struct dio_json_scan *scan)
{
    unsigned char c = scan->at < scan->length ? scan->bytes[scan->at] : 0;
    if (scan->expect == EXPECT_COLON) {
        if (c != ':') return refuse(scan, scan->at, "a colon was expected");
        scan->expect = EXPECT_VALUE;
    } else if (scan->expect == EXPECT_COMMA_OR_END && c == ',') {
        scan->expect = scan->in_map[scan->depth] ? EXPECT_KEY : EXPECT_VALUE;
    } else {
        return DIO_OK;
    }
    scan->at++;
    skip_blanks(scan);
    return DIO_OK;
}

dio_status dio_json_scan_next(struct dio_json_scan *scan)
{
    skip_blanks(scan);
    DIO_PASS(skip_separator(scan));
    scan->token_line = scan->line;
    scan->column = column_of_token(scan);
    scan->offset = scan->at;
    scan->text = "";
    scan->text_length = 0;
    scan->event = DIO_JSON_END;
    if (scan->at == scan->length) {
        if (scan->expect == EXPECT_NOTHING) return DIO_OK;
        return refuse(scan, scan->at, scan->depth > 0 ? "ends in the middle of a value" : "empty; a value was expected");
    }
    unsigned char c = scan->bytes[scan->at];
    bool closes = scan->depth > 0 && c == (scan->in_map[scan->depth] ? '}' : ']');
    switch (scan->expect) {
    case EXPECT_VALUE_OR_END:
    case EXPECT_KEY_OR_END:
    case EXPECT_COMMA_OR_END:
        if (closes) {
            close_one(scan);
            return DIO_OK;
        }
        if (scan->expect == EXPECT_KEY_OR_END) return read_key(scan);
        if (scan->expect == EXPECT_VALUE_OR_END) return read_value(scan);
        return refuse(scan, scan->at, scan->in_map[scan->depth] ? "a comma or } was expected" : "a comma or ] was expected");
    case EXPECT_KEY:
        if (closes) return refuse(scan, scan->at, "comma before }");
        return read_key(scan);
    case EXPECT_VALUE:
        if (closes) return refuse(scan, scan->at, "comma before ]");
        return read_value(scan);
    default: return refuse(scan, scan->at, "something stands behind the end of the value");
    }
}

dio_status dio_json_scan_skip(struct dio_json_scan *scan)
{
    if (scan->event != DIO_JSON_BEGIN_MAP && scan->event != DIO_JSON_BEGIN_LIST) return DIO_OK;
    for (int outside = scan->depth - 1; scan->depth > outside;) DIO_PASS(dio_json_scan_next(scan));
    return DIO_OK;
}
