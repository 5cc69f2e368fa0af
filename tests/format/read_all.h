/* Reading in the tests of formats, and the folder that a program of them works in. */
#ifndef DIO_TESTS_FORMAT_READ_ALL_H
#define DIO_TESTS_FORMAT_READ_ALL_H

#include "support.h"

#include "format/load.h"

/* Reads a file and every value in it, as `info` does for weights of no known architecture; everything is freed again. */
static inline dio_status read_all(struct test_ctx *test, const char *path)
{
    struct dio_loaded loaded = {.has_weights = true};
    DIO_PASS(dio_weights_read(&test->ctx, path, NULL, &loaded.weights));
    if (loaded.weights.note) {
        dio_say(&test->ctx, DIO_LEVEL_NOTE, loaded.weights.note_code, &(struct dio_place){.file = path}, "%s",
                loaded.weights.note);
    }
    loaded.weights_path = dio_strdup(&test->ctx, path);
    dio_status status = loaded.weights_path ? dio_loaded_scan(&test->ctx, &loaded) : DIO_ERR_ENV;
    if (status == DIO_OK) dio_loaded_say(&test->ctx, &loaded);
    dio_loaded_free(&test->ctx, &loaded);
    return status;
}

static inline dio_status read_all_body(struct test_ctx *test, void *path)
{
    return read_all(test, path);
}

static struct test_folder folder;

static inline int make_folder(void **state)
{
    (void)state;
    test_folder_make(&folder);
    return 0;
}

static inline int remove_folder(void **state)
{
    (void)state;
    test_folder_remove(&folder);
    return 0;
}

#endif
