/* What a data folder, manifest, tar or record file holds: a list of pictures with labels, splits and groups.
 *
 * Items stand in bytewise order of their paths (manifests: in the order of their rows).  Class index = place in the
 * sorted class list in training, and the model's own index when a model's classes are given. */
#ifndef DIO_DATA_DATASET_H
#define DIO_DATA_DATASET_H

#include "base/hash.h"
#include "base/memory.h"
#include "data/ref.h"

/* NONE: the data names no splits (and none was cut). */
enum dio_split { DIO_SPLIT_NONE, DIO_SPLIT_TRAIN, DIO_SPLIT_VAL, DIO_SPLIT_TEST };
const char *dio_split_name(enum dio_split split);                  /* "all", "train", "val", "test" */
bool dio_split_from_name(const char *name, enum dio_split *split); /* with the aliases: valid, validation, ... */

/* Kept small: 100,000 pictures take below 200 bytes each, names included. */
struct dio_item {
    uint32_t path;      /* offset into the dataset's names */
    uint32_t line;      /* of the manifest, or 0 */
    int32_t label;      /* class index, -1: none */
    int32_t group;      /* -1: none */
    uint8_t split;      /* enum dio_split */
    uint8_t kind;       /* enum dio_ref_kind */
    uint16_t source;    /* which of the dataset's descriptors holds a member or record */
    uint64_t offset;    /* of a member or record */
    uint64_t size;      /* bytes, as listed */
    int64_t mtime_ns;   /* of a file, as listed */
    uint64_t inode;     /* of a file; of a member, its offset (hard links share it) */
};

struct dio_dataset; /* opaque; data/dataset_private.h */

struct dio_dataset_options {
    const char *root;       /* --root: folder or tar for a manifest's relative paths; NULL: the documented search */
    const char *columns;    /* --columns path=file,label=finding,...; NULL: the known aliases */
    bool labels_wanted;     /* false: predict over flat folders; labels that are there are then ignored */
    bool allow_empty;       /* --allow-empty: a class folder without pictures is a warning */
    bool allow_leak;        /* --allow-leak: one file (or group) in two splits is a warning */
    bool allow_one_class;   /* eval: one class is enough */
    double val_share;       /* cut from train when there is no val; by class, and by group where groups are known; 0: no cut */
    uint64_t seed;
    /* eval and predict: class names of the model, to which names and integer labels are mapped; NULL in train */
    const char *const *model_classes;
    size_t n_model_classes;
    bool names_only;        /* labels are names even where they are whole numbers */
};

/* Refusals: rows C1-C11, D1-D12.  Warnings and notes go to the context's message sink.  A manifest's missing files are
 * refused here; pictures are not opened. */
dio_status dio_dataset_open(struct dio_ctx *ctx, const char *path, const struct dio_dataset_options *options,
                            struct dio_dataset **dataset);
/* `train` and `val` (and `test`, may be NULL) given as separate folders, tars or manifests: each one's own splits are
 * ignored.  A class that only val has is refused (D3). */
dio_status dio_dataset_open_parts(struct dio_ctx *ctx, const char *train, const char *val, const char *test,
                                  const struct dio_dataset_options *options, struct dio_dataset **dataset);
void dio_dataset_free(struct dio_dataset *dataset); /* NULL is fine */

size_t dio_dataset_count(const struct dio_dataset *dataset);
const struct dio_item *dio_dataset_item(const struct dio_dataset *dataset, size_t i);
/* Relative to the data's root ("train/cat/1.png"): the same wherever the data lies. */
const char *dio_dataset_path(const struct dio_dataset *dataset, size_t i);
/* As the user would write it ("DATA/train/cat/1.png", "set.tar/train/cat/1.png"), for messages and predictions; cut to
 * out_size. */
void dio_dataset_display(const struct dio_dataset *dataset, size_t i, char *out, size_t out_size);

size_t dio_dataset_classes(const struct dio_dataset *dataset);
const char *dio_dataset_class(const struct dio_dataset *dataset, size_t i);
const char *dio_dataset_layout(const struct dio_dataset *dataset); /* "folder", "manifest", "cifar", "flat" */
bool dio_dataset_in_tar(const struct dio_dataset *dataset);
bool dio_dataset_has_groups(const struct dio_dataset *dataset);
bool dio_dataset_val_was_cut(const struct dio_dataset *dataset);  /* val did not come from the user */
bool dio_dataset_has(const struct dio_dataset *dataset, enum dio_split split);
size_t dio_dataset_split_count(const struct dio_dataset *dataset, enum dio_split split);
/* counts[classes]: pictures of each class in a split; NONE: in all. */
void dio_dataset_class_counts(const struct dio_dataset *dataset, enum dio_split split, uint64_t *counts);

/* Indices of the items of one split, in order; NONE: all.  *order is freed by dio_free. */
dio_status dio_dataset_select(struct dio_ctx *ctx, const struct dio_dataset *dataset, enum dio_split split,
                              uint32_t **order, size_t *count);
/* Puts such a list into the order of an epoch: a function of (seed, epoch) and the list's length alone. */
void dio_dataset_shuffle(uint64_t seed, uint32_t epoch, uint32_t *order, size_t count);

/* Class list, file list, sizes and splits in one hash: a resumed run refuses other data.  The class list's alone (for
 * the better message) is dio_dataset_classes_fingerprint. */
void dio_dataset_fingerprint(const struct dio_dataset *dataset, struct dio_sha256 *hash);
void dio_dataset_classes_fingerprint(const struct dio_dataset *dataset, struct dio_sha256 *hash);

/* The way to picture i.  `buffer` keeps the name that the ref points to. */
enum { DIO_REF_NAME_MAX = 4400 };
struct dio_ref dio_dataset_ref(const struct dio_dataset *dataset, size_t i, char buffer[DIO_REF_NAME_MAX]);

/* Read and decoded; safe from worker threads (child context). */
dio_status dio_dataset_read(const struct dio_dataset *dataset, struct dio_ctx *worker, size_t i, struct dio_blob *bytes);
dio_status dio_dataset_decode(const struct dio_dataset *dataset, struct dio_ctx *worker, size_t i,
                              const struct dio_decode_options *options, struct dio_picture *picture);

#endif
