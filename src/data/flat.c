/* Pictures whose labels nobody asked for: all that lie below a folder or in a tar, for predict. */
#include <string.h>

#include "data/dataset_private.h"
#include "data/pictures.h"

static bool probe(const struct dio_files *files, const struct dio_dataset_options *options)
{
    (void)files;
    return !options->labels_wanted;
}

static dio_status open_flat(struct dio_ctx *ctx, struct dio_files *files, const struct dio_dataset_options *options,
                            struct dio_dataset *dataset)
{
    (void)options;
    DIO_PASS(dio_files_keep_pictures(ctx, files));
    if (files->count == 0) {
        struct dio_place place = {.file = files->root};
        return dio_fail(ctx, DIO_ERR_INPUT, "D2", &place, "no pictures");
    }
    return dio_dataset_take_files(ctx, files, dataset);
}

const struct dio_layout dio_layout_flat = {"flat", "pictures without labels, at any depth", probe, open_flat};
