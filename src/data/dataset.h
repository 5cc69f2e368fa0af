/* What a data folder, manifest, tar or record file holds: a list of pictures with labels, splits and groups. */
#ifndef DIO_DATA_DATASET_H
#define DIO_DATA_DATASET_H

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"

enum dio_split { DIO_SPLIT_NONE, DIO_SPLIT_TRAIN, DIO_SPLIT_VAL, DIO_SPLIT_TEST };

/* Kept small: 100,000 pictures take below 200 bytes each, names included. */
struct dio_item {
    uint32_t path;      /* offset into dataset->names */
    uint32_t line;      /* of the manifest, or 0 */
    int32_t label;      /* class index, -1: none */
    int32_t group;      /* -1: none */
    uint8_t split;      /* enum dio_split */
    uint8_t source;     /* which of dataset->sources the bytes come from */
    uint64_t offset, size; /* inside a tar or a record file; size 0: a file of its own */
};

struct dio_dataset; /* opaque; data/dataset_private.h */

struct dio_dataset_options {
    const char *root;       /* --root: folder or tar for a manifest's relative paths; NULL: the documented search */
    const char *columns;    /* --columns path=file,label=finding,...; NULL: the known aliases */
    bool labels_wanted;     /* false: predict over flat folders */
    bool allow_empty, allow_leak;
    double val_share;       /* cut from train when there is no val; by class, and by group where groups are known */
    uint64_t seed;
    /* eval and predict: class names of the model, to which folder names and integer labels are mapped; NULL in train */
    const char *const *model_classes;
    size_t n_model_classes;
};

dio_status dio_dataset_open(struct dio_ctx *ctx, const char *path, const struct dio_dataset_options *options,
                            struct dio_dataset **dataset);
/* Several paths of predict: files, folders (walked in sorted order), tars. Streams: the list is not kept in memory. */
void dio_dataset_free(struct dio_dataset *dataset);

size_t dio_dataset_count(const struct dio_dataset *dataset);
const struct dio_item *dio_dataset_item(const struct dio_dataset *dataset, size_t i);
const char *dio_dataset_path(const struct dio_dataset *dataset, size_t i); /* as messages and predictions show it */
size_t dio_dataset_classes(const struct dio_dataset *dataset);
const char *dio_dataset_class(const struct dio_dataset *dataset, size_t i);
const char *dio_dataset_layout(const struct dio_dataset *dataset); /* "folder", "manifest", "tar", "cifar", "flat" */
bool dio_dataset_has(const struct dio_dataset *dataset, enum dio_split split);
/* Class list, file list and sizes in one hash: a resumed run refuses other data. */
void dio_dataset_fingerprint(const struct dio_dataset *dataset, struct dio_sha256 *hash);

/* The bytes of picture i; safe from worker threads (child context).  Freed with dio_blob_free. */
dio_status dio_dataset_read(const struct dio_dataset *dataset, struct dio_ctx *worker, size_t i, struct dio_blob *bytes);

#endif
