/* Numbers as text, free of the process's locale. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool dio_parse_i64(const char *text, size_t length, int64_t *out)
{
    size_t i = 0;
    bool negative = false;
    if (length > 0 && (text[0] == '-' || text[0] == '+')) {
        negative = text[0] == '-';
        i = 1;
    }
    if (i == length) return false;
    int64_t value = 0;
    for (; i < length; i++) {
        if (!is_digit(text[i])) return false;
        int64_t digit = text[i] - '0';
        if (__builtin_mul_overflow(value, (int64_t)10, &value)) return false;
        if (__builtin_add_overflow(value, negative ? -digit : digit, &value)) return false;
    }
    *out = value;
    return true;
}

/* A decimal number taken apart: digits (without leading zeros) and a power of ten. */
enum { MAX_DIGITS = 800 }; /* 767 digits decide any double; the rest can only break a tie */
struct decimal {
    bool negative, dropped; /* dropped: nonzero digits did not fit */
    char digits[MAX_DIGITS + 32];
    size_t count;
    int64_t exponent;
};

static void take_digit(struct decimal *decimal, char digit, bool fraction)
{
    if (decimal->count == MAX_DIGITS) {
        if (digit != '0') decimal->dropped = true;
        if (!fraction) decimal->exponent++;
        return;
    }
    if (fraction) decimal->exponent--;
    if (decimal->count > 0 || digit != '0') decimal->digits[decimal->count++] = digit;
}

static bool take_exponent(const char *text, size_t length, struct decimal *decimal)
{
    int64_t exponent = 0;
    size_t i = length > 0 && (text[0] == '-' || text[0] == '+');
    if (i == length) return false;
    for (size_t j = i; j < length; j++) {
        if (!is_digit(text[j])) return false;
        if (exponent < 100000000) exponent = 10 * exponent + (text[j] - '0');
    }
    decimal->exponent += text[0] == '-' ? -exponent : exponent;
    return true;
}

static bool take_apart(const char *text, size_t length, struct decimal *decimal)
{
    size_t i = 0, seen = 0;
    decimal->negative = length > 0 && text[0] == '-';
    decimal->dropped = false;
    decimal->count = 0;
    decimal->exponent = 0;
    if (length > 0 && (text[0] == '-' || text[0] == '+')) i = 1;
    for (; i < length && is_digit(text[i]); i++, seen++) take_digit(decimal, text[i], false);
    if (i < length && text[i] == '.') {
        for (i++; i < length && is_digit(text[i]); i++, seen++) take_digit(decimal, text[i], true);
    }
    if (seen == 0) return false;
    if (i == length) return true;
    return (text[i] == 'e' || text[i] == 'E') && take_exponent(text + i + 1, length - i - 1, decimal);
}

bool dio_parse_double(const char *text, size_t length, double *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct decimal decimal;
    if (!take_apart(text, length, &decimal)) return false;
    double value = 0;
    if (decimal.count <= 15 && decimal.exponent >= -22 && decimal.exponent <= 22) {
        /* Both factors are exact doubles, so one correctly rounded operation gives the nearest one. */
        for (size_t i = 0; i < decimal.count; i++) value = 10 * value + (decimal.digits[i] - '0');
        value = decimal.exponent < 0 ? value / powers[-decimal.exponent] : value * powers[decimal.exponent];
    } else if (decimal.count > 0) {
        /* Digits and exponent without a point read alike in every locale. */
        if (decimal.dropped) decimal.digits[decimal.count - 1] = '1';
        long long exponent = decimal.exponent > 100000 ? 100000 : decimal.exponent < -100000 ? -100000 : decimal.exponent;
        snprintf(decimal.digits + decimal.count, sizeof decimal.digits - decimal.count, "e%lld", exponent);
        int saved = errno;
        value = strtod(decimal.digits, NULL);
        errno = saved;
        if (!isfinite(value)) return false;
    }
    *out = decimal.negative ? -value : value;
    return true;
}

static size_t name_nonfinite(char *out, size_t out_size, double value)
{
    int length = snprintf(out, out_size, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
    return (size_t)length;
}

/* %.*g, with the locale's decimal sign, of whatever length, made a point. */
static size_t print_digits(char text[48], int precision, double value)
{
    char raw[64];
    snprintf(raw, sizeof raw, "%.*g", precision, value);
    size_t used = 0;
    bool point = false;
    for (const char *at = raw; *at && used < 47; at++) {
        if (is_digit(*at) || *at == '-' || *at == '+' || *at == 'e') {
            text[used++] = *at;
        } else if (!point) {
            text[used++] = '.';
            point = true;
        }
    }
    text[used] = '\0';
    return used;
}

static size_t copy_out(char *out, size_t out_size, const char *text, size_t length)
{
    if (out_size > 0) snprintf(out, out_size, "%s", text);
    return length;
}

size_t dio_format_double(char *out, size_t out_size, double value)
{
    if (!isfinite(value)) return name_nonfinite(out, out_size, value);
    char text[48];
    size_t length = 0;
    for (int precision = 15; precision <= 17; precision++) {
        double back;
        length = print_digits(text, precision, value);
        if (dio_parse_double(text, length, &back) && back == value) break;
    }
    return copy_out(out, out_size, text, length);
}

size_t dio_format_float(char *out, size_t out_size, float value)
{
    if (!isfinite(value)) return name_nonfinite(out, out_size, (double)value);
    char text[48];
    size_t length = 0;
    for (int precision = 6; precision <= 9; precision++) {
        double back;
        length = print_digits(text, precision, (double)value);
        if (dio_parse_double(text, length, &back) && (float)back == value) break;
    }
    return copy_out(out, out_size, text, length);
}
