#include <stdio.h>
#include <string.h>

#include "base/str.h"

size_t dio_utf8_decode(const unsigned char *bytes, size_t length, uint32_t *character)
{
    if (length == 0) return 0;
    unsigned char lead = bytes[0];
    if (lead < 0x80) {
        *character = lead;
        return 1;
    }
    size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || length < size) return 0;
    uint32_t value = lead & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (bytes[i] & 0x3fu);
    }
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < smallest[size] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return 0;
    *character = value;
    return size;
}

bool dio_utf8_valid(const void *bytes, size_t length, size_t *bad)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length;) {
        uint32_t character;
        size_t size = at[i] < 0x80 ? 1 : dio_utf8_decode(at + i, length - i, &character);
        if (size == 0) {
            if (bad) *bad = i;
            return false;
        }
        i += size;
    }
    return true;
}

/* Could turn the line round, end it or move the cursor. */
static bool is_dangerous(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

size_t dio_escape_one(const unsigned char *at, size_t length, char shown[8])
{
    uint32_t c = 0;
    size_t size = dio_utf8_decode(at, length, &c);
    if (size > 0 && !is_dangerous(c)) {
        memcpy(shown, at, size);
        shown[size] = '\0';
    } else if (c == '\n' || c == '\t' || c == '\r') {
        snprintf(shown, 8, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
    } else if (size > 1) {
        snprintf(shown, 8, "\\u%04x", (unsigned)c & 0xffffu);
    } else {
        snprintf(shown, 8, "\\x%02x", (unsigned)at[0]);
    }
    return size > 0 ? size : 1;
}

void dio_escape(char *out, size_t out_size, const void *bytes, size_t length, size_t limit)
{
    if (out_size == 0) return;
    size_t room = out_size - 1, used = 0, cut = 0;
    if (limit > 0 && limit < room) room = limit;
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length;) {
        char shown[8];
        i += dio_escape_one(at + i, length - i, shown);
        size_t size = strlen(shown);
        if (used + size > room) {
            size_t dots = room < 3 ? room : 3;
            memcpy(out + cut, "...", dots);
            used = cut + dots;
            break;
        }
        memcpy(out + used, shown, size);
        used += size;
        if (used + 3 <= room) cut = used;
    }
    out[used] = '\0';
}
