/* What the tests of data share: a context and a folder for each test, and small pictures made in it. */
#ifndef DIO_TESTS_DATA_MAKE_H
#define DIO_TESTS_DATA_MAKE_H

#include <sys/stat.h>

#include "support.h"

#include "data/dataset.h"

static struct test_ctx test;
static struct test_folder folder;

/* Set-up and tear-down; a test program's own set-up calls the first and goes on. */
static inline int make_folder(void **state)
{
    (void)state;
    test_begin(&test);
    test_folder_make(&folder);
    return 0;
}

static inline int remove_folder(void **state)
{
    (void)state;
    test_folder_remove(&folder);
    test_end(&test);
    return 0;
}

/* A 2 x 2 picture whose bytes depend on `value`. */
static inline void make_picture(const char *name, int value)
{
    char bytes[32];
    int head = snprintf(bytes, sizeof bytes, "P6 2 2 255\n");
    for (int i = 0; i < 12; i++) bytes[head + i] = (char)(value + i);
    const char *path = test_in(&folder, name);
    char parent[1024];
    snprintf(parent, sizeof parent, "%s", path);
    for (char *at = parent + strlen(folder.path) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = 0;
        mkdir(parent, 0777);
        *at = '/';
    }
    test_write(path, bytes, (size_t)head + 12);
}

static inline void make_text(const char *name, const char *text)
{
    test_write(test_in(&folder, name), text, strlen(text));
}

static inline const struct dio_dataset_options *train_options(void)
{
    static const struct dio_dataset_options options = {.labels_wanted = true, .val_share = 0.25, .seed = 7};
    return &options;
}

#endif
