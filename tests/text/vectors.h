/* The hostile files of the shared data (robustness/): read from their archive, with the verdict and the words that the
 * message has to hold from MANIFEST.csv. */
#ifndef DIO_TESTS_VECTORS_H
#define DIO_TESTS_VECTORS_H

#include <archive.h>
#include <archive_entry.h>

#include "support.h"
#include "text/csv.h"

struct vector {
    const char *name; /* without folders */
    const char *verdict, *must_mention;
    char *bytes;
    size_t length;
};

/* "a|b;c": (a or b) and c. */
static inline bool vector_mentions(const char *message, const char *wanted)
{
    char copy[512], *save = NULL;
    snprintf(copy, sizeof copy, "%s", wanted);
    for (char *group = strtok_r(copy, ";", &save); group; group = strtok_r(NULL, ";", &save)) {
        char *inner = NULL;
        bool found = false;
        for (char *word = strtok_r(group, "|", &inner); word; word = strtok_r(NULL, "|", &inner)) found |= strcasestr(message, word) != NULL;
        if (!found) return false;
    }
    return true;
}

/* Calls visit for every vector below vectors/KIND/ whose file's base name is `file` (NULL: any); returns how many. */
static inline int vectors_each(const char *kind, const char *file, void (*visit)(const struct vector *vector))
{
    const char *path = test_shared_path("robustness/MANIFEST.csv");
    if (!path) return 0;
    struct test_ctx test;
    struct dio_csv manifest;
    char prefix[64], key[256];
    int count = 0;
    test_begin(&test);
    snprintf(prefix, sizeof prefix, "vectors/%s/", kind);
    struct archive *archive = archive_read_new();
    archive_read_support_format_tar(archive);
    archive_read_support_filter_xz(archive);
    path = test_shared_path("robustness/vectors.tar.xz");
    assert_int_equal(archive_read_open_filename(archive, path, 1 << 16), ARCHIVE_OK);
    for (struct archive_entry *entry; archive_read_next_header(archive, &entry) == ARCHIVE_OK;) {
        const char *name = archive_entry_pathname(entry);
        if (strncmp(name, "./", 2) == 0) name += 2;
        if (strncmp(name, prefix, strlen(prefix)) != 0 || archive_entry_filetype(entry) != AE_IFREG) continue;
        snprintf(key, sizeof key, "%s", name);
        if (file) {
            char *slash = strrchr(key, '/');
            if (strcmp(slash + 1, file) != 0) continue;
            *slash = '\0';
        }
        struct vector vector = {.length = (size_t)archive_entry_size(entry)};
        vector.bytes = malloc(vector.length + 1);
        assert_int_equal(archive_read_data(archive, vector.bytes, vector.length), vector.length);
        assert_ok(&test, dio_csv_read(&test.ctx, test_shared_path("robustness/MANIFEST.csv"), 0, &manifest));
        while (dio_csv_next(&manifest) == DIO_OK && !manifest.end) {
            if (strcmp(manifest.fields[0].text, key) != 0) continue;
            vector.name = key + strlen(prefix);
            vector.verdict = manifest.fields[2].text;
            vector.must_mention = manifest.fields[4].text;
            visit(&vector);
            count++;
            break;
        }
        dio_csv_close(&manifest);
        free(vector.bytes);
    }
    archive_read_free(archive);
    test_end(&test);
    return count;
}

#endif
