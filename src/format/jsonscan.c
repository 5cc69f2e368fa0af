#include "format/jsonscan.h"

#include <string.h>

#include "base/checked.h"
#include "base/memory.h"

void dio_jsonscan_init(struct dio_jsonscan *scan, struct dio_ctx *ctx, const char *file, const void *text, size_t size,
                       uint64_t base)
{
    *scan = (struct dio_jsonscan){.ctx = ctx, .file = file, .text = text, .size = size, .base = base};
}

void dio_jsonscan_free(struct dio_jsonscan *scan)
{
    dio_free(scan->ctx, scan->string);
    scan->string = NULL;
}

dio_status dio_jsonscan_fail(struct dio_jsonscan *scan, size_t at, const char *reason)
{
    struct dio_place place = {.file = scan->file, .offset = DIO_AT(scan->base + at)};
    return dio_fail(scan->ctx, DIO_ERR_INPUT, "S6", &place, "header is not valid JSON: %s", reason);
}

static void skip_space(struct dio_jsonscan *scan)
{
    while (scan->at < scan->size) {
        unsigned char c = scan->text[scan->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
        scan->at++;
    }
}

static int next_byte(struct dio_jsonscan *scan)
{
    skip_space(scan);
    return scan->at < scan->size ? scan->text[scan->at] : -1;
}

enum dio_scan_kind dio_jsonscan_peek(struct dio_jsonscan *scan)
{
    switch (next_byte(scan)) {
    case '{': return DIO_SCAN_OBJECT;
    case '[': return DIO_SCAN_ARRAY;
    case '"': return DIO_SCAN_STRING;
    case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
        return DIO_SCAN_NUMBER;
    case -1: case ']': case '}': case ',': case ':': return DIO_SCAN_END;
    default: return DIO_SCAN_WORD;
    }
}

static dio_status unexpected(struct dio_jsonscan *scan, const char *expected)
{
    char reason[96];
    size_t length = 0;
    const char *prefix = scan->at >= scan->size ? "ends where there should be " : "expected ";
    for (const char *p = prefix; *p; p++) reason[length++] = *p;
    for (const char *p = expected; *p && length < sizeof reason - 1; p++) reason[length++] = *p;
    reason[length] = 0;
    return dio_jsonscan_fail(scan, scan->at, reason);
}

/* Opening bracket at the first call; then a comma or the closing bracket. */
static dio_status step(struct dio_jsonscan *scan, bool *first, bool *more, char open, char close)
{
    const char *comma_or_close = close == '}' ? "a comma or }" : "a comma or ]";
    *more = true;
    if (*first) {
        if (next_byte(scan) != open) return unexpected(scan, open == '{' ? "{" : "[");
        scan->at++;
        *first = false;
        if (next_byte(scan) == close) {
            scan->at++;
            *more = false;
        }
        return DIO_OK;
    }
    int c = next_byte(scan);
    if (c != close && c != ',') return unexpected(scan, comma_or_close);
    scan->at++;
    if (c == close) *more = false;
    return DIO_OK;
}

dio_status dio_jsonscan_member(struct dio_jsonscan *scan, bool *first, bool *more)
{
    DIO_PASS(step(scan, first, more, '{', '}'));
    if (!*more) return DIO_OK;
    if (next_byte(scan) != '"') return unexpected(scan, "a name in double quotes");
    DIO_PASS(dio_jsonscan_string(scan));
    if (next_byte(scan) != ':') return unexpected(scan, "a colon");
    scan->at++;
    return DIO_OK;
}

dio_status dio_jsonscan_element(struct dio_jsonscan *scan, bool *first, bool *more)
{
    return step(scan, first, more, '[', ']');
}

static dio_status put(struct dio_jsonscan *scan, uint32_t code)
{
    /* room for four bytes and the terminator */
    DIO_PASS(dio_grow(scan->ctx, (void **)&scan->string, &scan->string_capacity, scan->string_length + 5, 1,
                      "a string of a header"));
    unsigned char *out = (unsigned char *)scan->string + scan->string_length;
    size_t n = 0;
    if (code < 0x80) {
        out[n++] = (unsigned char)code;
    } else if (code < 0x800) {
        out[n++] = (unsigned char)(0xc0 | code >> 6);
        out[n++] = (unsigned char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        out[n++] = (unsigned char)(0xe0 | code >> 12);
        out[n++] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
        out[n++] = (unsigned char)(0x80 | (code & 0x3f));
    } else {
        out[n++] = (unsigned char)(0xf0 | code >> 18);
        out[n++] = (unsigned char)(0x80 | (code >> 12 & 0x3f));
        out[n++] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
        out[n++] = (unsigned char)(0x80 | (code & 0x3f));
    }
    out[n] = 0;
    scan->string_length += n;
    return DIO_OK;
}

/* Four hex digits at `at`; -1 when there are none. */
static int32_t hex4(const struct dio_jsonscan *scan, size_t at)
{
    if (scan->size - at < 4) return -1;
    int32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        int c = scan->text[at + i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* After the backslash. */
static dio_status escape(struct dio_jsonscan *scan)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t at = scan->at;
    if (at >= scan->size) return dio_jsonscan_fail(scan, at, "ends inside a string");
    if (scan->text[at] != 'u') {
        const char *known = memchr(from, scan->text[at], sizeof from - 1);
        if (!known) return dio_jsonscan_fail(scan, at - 1, "unknown escape in a string");
        scan->at++;
        return put(scan, (unsigned char)to[known - from]);
    }
    int32_t code = hex4(scan, at + 1);
    if (code < 0) return dio_jsonscan_fail(scan, at - 1, "\\u needs four hex digits");
    scan->at = at + 5;
    if (code >= 0xd800 && code < 0xdc00) {
        bool pair = scan->size - scan->at >= 6 && scan->text[scan->at] == '\\' && scan->text[scan->at + 1] == 'u';
        int32_t low = pair ? hex4(scan, scan->at + 2) : -1;
        if (low < 0xdc00 || low > 0xdfff) return dio_jsonscan_fail(scan, at - 1, "half of a surrogate pair");
        scan->at += 6;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code <= 0xdfff) {
        return dio_jsonscan_fail(scan, at - 1, "half of a surrogate pair");
    }
    return put(scan, (uint32_t)code);
}

dio_status dio_jsonscan_string(struct dio_jsonscan *scan)
{
    if (next_byte(scan) != '"') return unexpected(scan, "a string");
    size_t start = scan->at++;
    scan->string_length = 0;
    while (scan->at < scan->size) {
        size_t run = scan->at;
        while (run < scan->size && scan->text[run] != '"' && scan->text[run] != '\\' && scan->text[run] >= 0x20) run++;
        size_t length = run - scan->at;
        if (scan->string_length + length > DIO_MAX_JSON_STRING) {
            return dio_jsonscan_fail(scan, start, "a string of more than 1 MB");
        }
        DIO_PASS(dio_grow(scan->ctx, (void **)&scan->string, &scan->string_capacity, scan->string_length + length + 1, 1,
                          "a string of a header"));
        memcpy(scan->string + scan->string_length, scan->text + scan->at, length);
        scan->string_length += length;
        scan->string[scan->string_length] = 0;
        scan->at = run;
        if (run == scan->size) break;
        scan->at++;
        if (scan->text[run] == '"') return DIO_OK;
        if (scan->text[run] < 0x20) return dio_jsonscan_fail(scan, run, "a control character inside a string");
        DIO_PASS(escape(scan));
    }
    return dio_jsonscan_fail(scan, scan->size, "ends inside a string");
}

static bool digit_at(const struct dio_jsonscan *scan)
{
    return scan->at < scan->size && scan->text[scan->at] >= '0' && scan->text[scan->at] <= '9';
}

dio_status dio_jsonscan_whole(struct dio_jsonscan *scan, uint64_t *value, bool *whole)
{
    skip_space(scan);
    *value = 0;
    *whole = true;
    if (scan->at < scan->size && scan->text[scan->at] == '-') {
        scan->at++;
        *whole = false;
    }
    if (!digit_at(scan)) return unexpected(scan, "a number");
    bool zero = scan->text[scan->at] == '0';
    size_t start = scan->at;
    while (digit_at(scan)) {
        uint64_t digit = (uint64_t)(scan->text[scan->at++] - '0');
        if (!dio_mul_u64(*value, 10, value) || !dio_add_u64(*value, digit, value)) *whole = false;
    }
    if (zero && scan->at - start > 1) return dio_jsonscan_fail(scan, start, "a number with a leading zero");
    if (scan->at < scan->size && scan->text[scan->at] == '.') {
        scan->at++;
        *whole = false;
        if (!digit_at(scan)) return unexpected(scan, "a digit");
        while (digit_at(scan)) scan->at++;
    }
    if (scan->at < scan->size && (scan->text[scan->at] | 32) == 'e') {
        scan->at++;
        *whole = false;
        if (scan->at < scan->size && (scan->text[scan->at] == '+' || scan->text[scan->at] == '-')) scan->at++;
        if (!digit_at(scan)) return unexpected(scan, "a digit");
        while (digit_at(scan)) scan->at++;
    }
    return DIO_OK;
}

static dio_status word(struct dio_jsonscan *scan)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < 3; i++) {
        size_t length = strlen(words[i]);
        if (scan->size - scan->at >= length && memcmp(scan->text + scan->at, words[i], length) == 0) {
            scan->at += length;
            return DIO_OK;
        }
    }
    return unexpected(scan, "a value");
}

/* A scalar; containers are the caller's. */
static dio_status scalar(struct dio_jsonscan *scan)
{
    uint64_t value;
    bool whole;
    switch (dio_jsonscan_peek(scan)) {
    case DIO_SCAN_STRING: return dio_jsonscan_string(scan);
    case DIO_SCAN_NUMBER: return dio_jsonscan_whole(scan, &value, &whole);
    case DIO_SCAN_WORD: return word(scan);
    default: return unexpected(scan, "a value");
    }
}

dio_status dio_jsonscan_skip(struct dio_jsonscan *scan, int depth)
{
    bool object[DIO_MAX_JSON_DEPTH], first = false;
    int level = 0;
    for (;;) {
        enum dio_scan_kind kind = dio_jsonscan_peek(scan);
        if (kind == DIO_SCAN_OBJECT || kind == DIO_SCAN_ARRAY) {
            if (depth + level >= DIO_MAX_JSON_DEPTH) {
                struct dio_place place = {.file = scan->file, .offset = DIO_AT(scan->base + scan->at)};
                return dio_fail(scan->ctx, DIO_ERR_INPUT, "S7", &place, "header JSON is nested deeper than %d",
                                DIO_MAX_JSON_DEPTH);
            }
            object[level++] = kind == DIO_SCAN_OBJECT;
            first = true;
        } else {
            DIO_PASS(scalar(scan));
        }
        /* Close what ends here; stop at the next value. */
        for (bool more = false; !more;) {
            if (level == 0) return DIO_OK;
            DIO_PASS(object[level - 1] ? dio_jsonscan_member(scan, &first, &more) : dio_jsonscan_element(scan, &first, &more));
            if (!more) level--;
        }
    }
}

dio_status dio_jsonscan_end(struct dio_jsonscan *scan)
{
    skip_space(scan);
    if (scan->at < scan->size) return dio_jsonscan_fail(scan, scan->at, "something follows the object");
    return DIO_OK;
}
