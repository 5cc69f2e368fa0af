#ifndef DIO_DATA_DATASET_PRIVATE_H
#define DIO_DATA_DATASET_PRIVATE_H

#include "data/dataset.h"
#include "data/files.h"

/* Texts given so far, with numbers in order of their appearance. */
struct dio_text_set {
    struct dio_arena arena;
    char **texts;
    size_t count, capacity;
    uint32_t *slots; /* open addressing; 0: empty, else number + 1 */
    size_t n_slots;
};

struct dio_source {
    char *root; /* folder, tar or record file, as the user wrote it; what paths are shown behind */
    int fd;     /* of a tar or record file; -1: pictures are files below root */
};

struct dio_dataset {
    struct dio_ctx *ctx;
    struct dio_arena arena; /* class names, roots */
    struct dio_item *items;
    size_t count, capacity;
    struct dio_names names;
    struct dio_source *sources;
    size_t n_sources, sources_capacity;
    char **classes;
    size_t n_classes;
    struct dio_text_set groups; /* their names */
    const char *layout;
    bool in_tar, val_cut;
};

/* One layout: the ways pictures are laid out in a folder or tar. */
struct dio_layout {
    const char *name, *help;
    bool (*probe)(const struct dio_files *files, const struct dio_dataset_options *options);
    /* Fills the dataset; may take the files's items and names (dio_dataset_take_files). */
    dio_status (*open)(struct dio_ctx *ctx, struct dio_files *files, const struct dio_dataset_options *options,
                       struct dio_dataset *dataset);
};
extern const struct dio_layout *const dio_layouts[];
extern const size_t dio_n_layouts;

/* A CSV manifest that is a file of its own. */
dio_status dio_manifest_open(struct dio_ctx *ctx, const char *path, const struct dio_dataset_options *options,
                             struct dio_dataset *dataset);

static inline const char *dio_dataset_name(const struct dio_dataset *dataset, const struct dio_item *item)
{
    return dataset->names.text + item->path;
}

/* ---- building ---- */
dio_status dio_dataset_add_source(struct dio_ctx *ctx, struct dio_dataset *dataset, const char *root, int fd,
                                  uint16_t *index); /* takes the descriptor over, also when it fails */
dio_status dio_dataset_add_item(struct dio_ctx *ctx, struct dio_dataset *dataset, const struct dio_item *item);
dio_status dio_dataset_take_files(struct dio_ctx *ctx, struct dio_files *files, struct dio_dataset *dataset);

/* ---- checks that every layout shares (data/checks.c) ---- */
/* `shown` names the data in messages.  Classes that are too few (D2, C10) or nearly alike (D6). */
dio_status dio_check_classes(struct dio_ctx *ctx, const struct dio_dataset *dataset,
                             const struct dio_dataset_options *options, const char *shown);
/* A file twice: with two labels or in two splits is refused (C7, D7); listed twice, it is used once (C8). */
dio_status dio_check_twice(struct dio_ctx *ctx, struct dio_dataset *dataset,
                           const struct dio_dataset_options *options, const char *shown);
/* A group that spans splits. */
dio_status dio_check_groups(struct dio_ctx *ctx, const struct dio_dataset *dataset,
                            const struct dio_dataset_options *options, const char *shown);
/* D3: classes that val or test have and train lacks; and the reverse. */
dio_status dio_check_split_classes(struct dio_ctx *ctx, const struct dio_dataset *dataset,
                                   const struct dio_dataset_options *options, const char *shown);

/* ---- labels (data/labels.c) ---- */
void dio_text_set_init(struct dio_text_set *texts, struct dio_ctx *ctx);
dio_status dio_text_set_put(struct dio_ctx *ctx, struct dio_text_set *texts, const char *text, int32_t *number);
int32_t dio_text_set_find(const struct dio_text_set *texts, const char *text); /* -1: not there */
void dio_text_set_free(struct dio_ctx *ctx, struct dio_text_set *texts);

/* Turns the items' labels, so far numbers in `labels`, into class indices, and sets the dataset's classes: sorted by bytes
 * (by number where all are whole numbers), or the model's.  A label that the model does not know is refused. */
dio_status dio_dataset_set_classes(struct dio_ctx *ctx, struct dio_dataset *dataset,
                                   const struct dio_dataset_options *options, const struct dio_text_set *labels,
                                   const char *shown);

/* A model without names: its classes are called "0", "1", ... */
bool dio_classes_are_indices(const struct dio_dataset_options *options);
/* Sets the class names as they are; labels stay. */
dio_status dio_dataset_name_classes(struct dio_ctx *ctx, struct dio_dataset *dataset, const char *const *names, size_t count);

/* ---- splits (data/split.c) ---- */
dio_status dio_split_cut(struct dio_ctx *ctx, struct dio_dataset *dataset, const struct dio_dataset_options *options);

#endif
