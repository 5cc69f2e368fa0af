#include "text/bytes.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

static dio_status refuse(struct dio_ctx *ctx, const struct dio_text_rules *rules, const unsigned char *bytes, size_t at,
                         const char *what)
{
    struct dio_place place = {.file = rules->file, .part = rules->part, .line = 1, .column = 1};
    for (size_t i = 0; i < at; i++) {
        if (bytes[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if ((bytes[i] & 0xc0) != 0x80) {
            place.column++;
        }
    }
    return dio_fail(ctx, DIO_ERR_INPUT, rules->code, &place, "%s", what);
}

static bool is_control(uint32_t c)
{
    return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

dio_status dio_check_text(struct dio_ctx *ctx, const struct dio_text_rules *rules, const void *bytes, size_t length, size_t *start)
{
    const unsigned char *text = bytes;
    *start = 0;
    if (length >= 2 && ((text[0] == 0xff && text[1] == 0xfe) || (text[0] == 0xfe && text[1] == 0xff))) {
        return refuse(ctx, rules, text, 0, "UTF-16, not UTF-8; save the file as UTF-8");
    }
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) *start = 3;
    for (size_t i = *start; i < length;) {
        uint32_t c = text[i];
        size_t size = c < 0x80 ? 1 : dio_utf8_decode(text + i, length - i, &c);
        if (size == 0) return refuse(ctx, rules, text, i, "not UTF-8; save the file as UTF-8");
        if (c == 0) return refuse(ctx, rules, text, i, "NUL byte");
        if (rules->refuse_controls && is_control(c)) {
            char what[40];
            snprintf(what, sizeof what, size == 1 ? "control character \\x%02x" : "control character \\u%04x", (unsigned)c);
            return refuse(ctx, rules, text, i, what);
        }
        i += size;
    }
    return DIO_OK;
}
