#include "base/str.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"

int dio_vformat(char *out, size_t out_size, const char *format, va_list arguments)
{
    /* The C locale is a constant of the C library: newlocale hands it out without work, for this thread only. */
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = c_locale ? uselocale(c_locale) : (locale_t)0;
    int length = vsnprintf(out, out_size, format, arguments);
    if (c_locale) {
        uselocale(before);
        freelocale(c_locale);
    }
    return length;
}

void dio_str_init(struct dio_str *str, struct dio_ctx *ctx)
{
    *str = (struct dio_str){.ctx = ctx};
}

static bool make_room(struct dio_str *str, size_t more)
{
    size_t needed;
    if (str->failed) return false;
    if (!dio_add_size(str->length, more, &needed) || !dio_add_size(needed, 1, &needed)) needed = SIZE_MAX;
    void *data = str->data;
    if (dio_grow(str->ctx, &data, &str->capacity, needed, 1, "text") != DIO_OK) {
        str->failed = true;
        return false;
    }
    str->data = data;
    return true;
}

void dio_str_add_bytes(struct dio_str *str, const void *bytes, size_t length)
{
    if (!make_room(str, length)) return;
    if (length > 0) memcpy(str->data + str->length, bytes, length);
    str->length += length;
    str->data[str->length] = '\0';
}

void dio_str_add(struct dio_str *str, const char *text)
{
    dio_str_add_bytes(str, text, strlen(text));
}

void dio_str_addf(struct dio_str *str, const char *format, ...)
{
    char small[256];
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = dio_vformat(small, sizeof small, format, arguments);
    if (length >= 0 && (size_t)length < sizeof small) {
        dio_str_add_bytes(str, small, (size_t)length);
    } else if (length >= 0 && make_room(str, (size_t)length)) {
        dio_vformat(str->data + str->length, (size_t)length + 1, format, again);
        str->length += (size_t)length;
    }
    va_end(again);
    va_end(arguments);
}

dio_status dio_str_status(const struct dio_str *str)
{
    return str->failed ? DIO_ERR_ENV : DIO_OK;
}

void dio_str_free(struct dio_str *str)
{
    if (str->data) dio_free(str->ctx, str->data);
    *str = (struct dio_str){.ctx = str->ctx};
}

/* Edit distance with swaps of neighbours (optimal string alignment). */
enum { MAX_WORD = 63 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned char rows[3][MAX_WORD + 1];
    for (size_t j = 0; j <= b_length; j++) rows[0][j] = (unsigned char)j;
    for (size_t i = 1; i <= a_length; i++) {
        unsigned char *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = (unsigned char)i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t best = least((size_t)above[j] + 1, (size_t)row[j - 1] + 1);
            best = least(best, (size_t)above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) best = least(best, (size_t)above2[j - 2] + 1);
            row[j] = (unsigned char)best;
        }
    }
    return rows[a_length % 3][b_length];
}

const char *dio_nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    size_t nearest_distance = SIZE_MAX, word_length = strlen(word);
    if (word_length > MAX_WORD) return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(candidates[i]);
        if (length > MAX_WORD) continue;
        size_t d = distance(word, word_length, candidates[i], length);
        size_t longer = length > word_length ? length : word_length;
        if (3 * d <= longer && d < nearest_distance) {
            nearest = candidates[i];
            nearest_distance = d;
        }
    }
    return nearest;
}

bool dio_is_choice(const char *choices, const char *text, size_t length)
{
    for (const char *at = choices; at && length > 0;) {
        size_t one = strcspn(at, "|");
        if (one == length && memcmp(at, text, one) == 0) return true;
        at = at[one] ? at + one + 1 : NULL;
    }
    return false;
}

void dio_option_spelling(char *out, size_t out_size, const char *name)
{
    size_t i = 0;
    for (; name[i] && i + 1 < out_size; i++) out[i] = name[i] == '_' ? '-' : name[i];
    out[i] = '\0';
}

/* Does `c` belong to the class that begins after '['?  *end: behind the ']', or NULL when there is none (then '[' means
 * itself). */
static bool in_class(const char *class, unsigned char c, const char **end)
{
    bool negated = *class == '!' || *class == '^', found = false;
    const char *at = class + negated;
    for (bool first = true; *at && (first || *at != ']'); first = false) {
        unsigned char low = (unsigned char)*at++, high = low;
        if (at[0] == '-' && at[1] && at[1] != ']') {
            high = (unsigned char)at[1];
            at += 2;
        }
        found |= low <= c && c <= high;
    }
    *end = *at ? at + 1 : NULL;
    return found != negated;
}

/* One step of a pattern that is not '*': behind it when it takes the character, else NULL. */
static const char *match_one(const char *pattern, char c)
{
    const char *end;
    if (*pattern == '?') return pattern + 1;
    if (*pattern == '[') {
        bool matches = in_class(pattern + 1, (unsigned char)c, &end);
        if (end) return matches ? end : NULL;
    }
    return *pattern == c ? pattern + 1 : NULL;
}

bool dio_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *star_text = NULL;
    while (*text) {
        const char *next = NULL;
        if (*pattern == '*') {
            star = ++pattern;
            star_text = text;
            continue;
        }
        if (*pattern) next = match_one(pattern, *text);
        if (next) {
            pattern = next;
            text++;
        } else if (star) {
            pattern = star;
            text = ++star_text;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return *pattern == '\0';
}
