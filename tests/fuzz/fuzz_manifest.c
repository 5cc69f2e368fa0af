/* A manifest's bytes, beside three files that it may name. */
#include <stdio.h>
#include <unistd.h>

#include "data/dataset.h"
#include "fuzz_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* The first byte chooses the settings. */
    struct dio_dataset_options options = {.labels_wanted = true, .val_share = 0.3, .seed = 1};
    static const char *const classes[] = {"cat", "dog", "owl"};
    uint8_t choice = size ? data[0] : 0;
    if (choice & 1) options.allow_leak = true;
    if (choice & 2) options.labels_wanted = false;
    if (choice & 4) {
        options.model_classes = classes;
        options.n_model_classes = 3;
    }
    char folder[] = "/tmp/diopter-fuzz-XXXXXX", path[64], picture[64];
    if (!mkdtemp(folder)) return 0;
    snprintf(path, sizeof path, "%s/m.csv", folder);
    fuzz_write(path, data + (size > 0), size - (size > 0));
    static const char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        snprintf(picture, sizeof picture, "%s/%s", folder, names[i]);
        fuzz_write(picture, names[i], 1);
    }
    fuzz_open(path, &options);
    for (int i = 0; i < 3; i++) {
        snprintf(picture, sizeof picture, "%s/%s", folder, names[i]);
        unlink(picture);
    }
    unlink(path);
    rmdir(folder);
    return 0;
}
