/* Reading in the tests of formats. */
#ifndef DIO_TESTS_FORMAT_READ_ALL_H
#define DIO_TESTS_FORMAT_READ_ALL_H

#include "support.h"

#include "format/describe.h"
#include "format/format.h"

/* Reads, scans and describes a file, as `info` does; everything is freed again. */
static inline dio_status read_all(struct test_ctx *test, const char *path)
{
    struct dio_weights weights;
    struct dio_weights_summary summary;
    struct dio_str text;
    dio_status status = dio_weights_read(&test->ctx, path, NULL, &weights);
    if (status != DIO_OK) return status;
    if (weights.note) {
        dio_say(&test->ctx, DIO_LEVEL_NOTE, weights.note_code, &(struct dio_place){.file = path}, "%s", weights.note);
    }
    dio_str_init(&text, &test->ctx);
    status = dio_weights_scan(&test->ctx, &weights, true, &summary);
    if (status == DIO_OK) status = dio_weights_describe(&weights, &summary, &text);
    dio_str_free(&text);
    dio_weights_free(&test->ctx, &weights);
    return status;
}

static inline dio_status read_all_body(struct test_ctx *test, void *path)
{
    return read_all(test, path);
}

#endif
