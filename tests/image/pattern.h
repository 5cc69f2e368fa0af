/* The computed pictures of make_golden.py, and lines of comma-separated golden files. */
#ifndef DIO_TESTS_IMAGE_PATTERN_H
#define DIO_TESTS_IMAGE_PATTERN_H

#include "base/hash.h"
#include "image/picture.h"
#include "support.h"

static inline void pattern_make(struct test_ctx *test, int32_t width, int32_t height, int32_t channels,
                                enum dio_sample sample, struct dio_picture *picture)
{
    assert_ok(test, dio_picture_reserve(&test->ctx, "pattern", width, height, channels, sample, picture));
    picture->orientation = 1;
    for (int32_t y = 0; y < height; y++) {
        for (int32_t x = 0; x < width; x++) {
            for (int32_t c = 0; c < channels; c++) {
                const size_t i = ((size_t)y * (size_t)width + (size_t)x) * (size_t)channels + (size_t)c;
                const int32_t value = x * 7 + y * 13 + c * 29 + (x * y % 251) * 3 + (x ^ y) * 5;
                if (sample == DIO_SAMPLE_U16) ((uint16_t *)picture->data)[i] = (uint16_t)(value * 257 & 65535);
                else ((uint8_t *)picture->data)[i] = (uint8_t)(value & 255);
            }
        }
    }
}

static inline void assert_digest(const char *what, const void *bytes, size_t length, const char *expected)
{
    char hex[65];
    const struct dio_digest digest = dio_sha256_of(bytes, length);
    dio_digest_hex(&digest, hex);
    if (strcmp(hex, expected) != 0) print_error("%s: not the expected bytes\n", what);
    assert_string_equal(hex, expected);
}

/* The lines of a file after the first; fields end in NUL.  Calls body for each; fields that are quoted are not known.
 */
static inline int for_each_row(const char *path, int columns, void (*body)(char **fields, void *arg), void *arg)
{
    char *text = test_read(path, NULL), *line = strchr(text, '\n');
    int rows = 0;
    for (line = line ? line + 1 : NULL; line && *line;) {
        char *next = strchr(line, '\n'), *fields[32];
        if (next) *next++ = '\0';
        line[strcspn(line, "\r")] = '\0';
        int count = 0;
        for (char *field = line; field && count < 32;) {
            fields[count++] = field;
            field = strchr(field, ',');
            if (field) *field++ = '\0';
        }
        assert_true(count >= columns);
        body(fields, arg);
        rows++;
        line = next;
    }
    free(text);
    return rows;
}

#endif
