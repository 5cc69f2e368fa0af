/* The pictures behind the PATH... of predict: files, folders (walked in sorted order), tars, manifests, CIFAR folders.
 * Streams: only the names of the folders on the way down are kept, never the whole list. */
#ifndef DIO_DATA_WALK_H
#define DIO_DATA_WALK_H

#include "data/dataset.h"

struct dio_walk;

struct dio_walk_options {
    const char *root, *columns; /* for manifests, as in dio_dataset_options */
};

/* Every path is looked at before the first picture is given, so that a mistyped one is refused (DIO_ERR_ENV) at once. */
dio_status dio_walk_open(struct dio_ctx *ctx, const char *const *paths, size_t n_paths,
                         const struct dio_walk_options *options, struct dio_walk **walk);
/* The next picture; *found false at the end.  The ref's strings live until dio_walk_close when `keep` memory is given by
 * the caller: they are copied into `names`, which the caller resets between batches. */
dio_status dio_walk_next(struct dio_walk *walk, struct dio_arena *names, struct dio_ref *ref, bool *found);
/* How many pictures there are, when that is known without walking (tars, manifests, files); 0: not known. */
uint64_t dio_walk_total(const struct dio_walk *walk);
void dio_walk_close(struct dio_walk *walk); /* NULL is fine; refs of members are dead afterwards */

#endif
