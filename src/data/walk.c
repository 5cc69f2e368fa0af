#include "data/walk.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/str.h"
#include "data/cifar.h"
#include "data/dataset_private.h"
#include "data/pictures.h"

/* A folder on the way down: its sorted names, and how far we are. */
struct level {
    struct dio_folder_list list;
    size_t next, path_length; /* of walk->path, before this folder's entries */
};

struct dio_walk {
    struct dio_ctx *ctx;
    const char *const *paths; /* borrowed */
    size_t n_paths, next_path;
    struct dio_walk_options options;
    /* A folder being walked: */
    struct level levels[DIO_MAX_FOLDER_DEPTH + 2];
    int depth;                /* levels in use */
    struct dio_str path;
    struct dio_visited visited;
    uint64_t others;          /* files of the folder at hand that are no pictures */
    char first_other[256];
    /* Tars, manifests and folders of records: kept until close, since refs read through their descriptors. */
    struct dio_dataset **datasets;
    size_t n_datasets, datasets_capacity;
    size_t next_item;         /* of the last dataset */
    bool in_dataset, nested;  /* nested: there is more than the dataset */
    uint64_t total;
};

enum kind { KIND_PICTURE, KIND_FOLDER, KIND_DATASET };

/* A folder is walked; a tar or a manifest is a dataset; anything else is taken for a picture. */
static dio_status kind_of(struct dio_ctx *ctx, const char *path, enum kind *kind)
{
    struct stat info;
    if (stat(path, &info) != 0) return dio_fail_errno(ctx, path, "open", errno);
    if (S_ISDIR(info.st_mode)) {
        *kind = KIND_FOLDER;
        return DIO_OK;
    }
    *kind = KIND_PICTURE;
    size_t length = strlen(path);
    const char *ending = length > 4 ? path + length - 4 : "";
    if (strcasecmp(ending, ".csv") == 0) {
        *kind = KIND_DATASET;
    } else if (S_ISREG(info.st_mode)) {
        unsigned char head[512];
        FILE *file = fopen(path, "rbe");
        size_t got = file ? fread(head, 1, sizeof head, file) : 0;
        if (file) fclose(file);
        const char *compressed;
        bool named = strcasecmp(ending, ".tar") == 0; /* an empty or a compressed one, too */
        if ((dio_tar_probe(head, got, &compressed) || named) && !dio_picture_probe(path, head, got)) *kind = KIND_DATASET;
    }
    return DIO_OK;
}

dio_status dio_walk_open(struct dio_ctx *ctx, const char *const *paths, size_t n_paths,
                         const struct dio_walk_options *options, struct dio_walk **out)
{
    *out = NULL;
    struct dio_walk *walk = dio_alloc_zeroed(ctx, 1, sizeof *walk, "the walk over folders");
    if (!walk) return DIO_ERR_ENV;
    walk->ctx = ctx;
    walk->paths = paths;
    walk->n_paths = n_paths;
    if (options) walk->options = *options;
    dio_str_init(&walk->path, ctx);
    bool all_pictures = true;
    dio_status status = DIO_OK;
    for (size_t i = 0; i < n_paths && status == DIO_OK; i++) {
        enum kind kind = KIND_PICTURE;
        status = kind_of(ctx, paths[i], &kind);
        all_pictures = all_pictures && kind == KIND_PICTURE;
    }
    if (status != DIO_OK) {
        dio_walk_close(walk);
        return status;
    }
    walk->total = all_pictures ? n_paths : 0;
    *out = walk;
    return DIO_OK;
}

/* Several paths would need to be counted one after another; one dataset tells its count when it is opened. */
uint64_t dio_walk_total(const struct dio_walk *walk)
{
    if (walk->n_paths == 1 && walk->n_datasets == 1 && !walk->nested) return dio_dataset_count(walk->datasets[0]);
    return walk->total;
}

void dio_walk_close(struct dio_walk *walk)
{
    if (!walk) return;
    for (int i = 0; i < walk->depth; i++) dio_folder_list_free(walk->ctx, &walk->levels[i].list);
    for (size_t i = 0; i < walk->n_datasets; i++) dio_dataset_free(walk->datasets[i]);
    dio_free(walk->ctx, walk->datasets);
    dio_free(walk->ctx, walk->visited.folders);
    dio_str_free(&walk->path);
    dio_free(walk->ctx, walk);
}

static dio_status keep_name(struct dio_arena *names, struct dio_ref *ref)
{
    char *copy = dio_arena_strndup(names, ref->name, strlen(ref->name));
    if (!copy) return DIO_ERR_ENV;
    ref->name = copy;
    if (ref->kind == DIO_REF_FILE) ref->path = copy;
    return DIO_OK;
}

/* ---- folders ---- */

static dio_status begin_dataset(struct dio_walk *walk, const char *path);

static dio_status enter(struct dio_walk *walk)
{
    struct dio_place place = {.file = walk->path.data};
    if (walk->depth > DIO_MAX_FOLDER_DEPTH) {
        return dio_fail(walk->ctx, DIO_ERR_INPUT, "D12", &place, "nested deeper than %d", DIO_MAX_FOLDER_DEPTH);
    }
    struct level *level = &walk->levels[walk->depth];
    DIO_PASS(dio_folder_list_read(walk->ctx, walk->path.data, &level->list));
    if (dio_cifar_has_records(walk->ctx, &level->list, walk->path.data)) { /* its pictures are records, not files */
        dio_folder_list_free(walk->ctx, &level->list);
        walk->nested = walk->depth > 0;
        return begin_dataset(walk, walk->path.data);
    }
    level->next = 0;
    level->path_length = walk->path.length;
    walk->depth++;
    if (level->list.special) {
        place.part = level->list.first_special;
        dio_say(walk->ctx, DIO_LEVEL_WARNING, "D10", &place, "not a regular file; left out");
    }
    return DIO_OK;
}

static void say_others(struct dio_walk *walk, const char *root)
{
    if (!walk->others) return;
    struct dio_place place = {.file = root};
    if (walk->others == 1) {
        dio_say(walk->ctx, DIO_LEVEL_WARNING, "D8", &place, "1 file is not a picture (%s)", walk->first_other);
    } else {
        dio_say(walk->ctx, DIO_LEVEL_WARNING, "D8", &place, "%llu files are not pictures (first: %s)",
                (unsigned long long)walk->others, walk->first_other);
    }
    walk->others = 0;
}

static dio_status begin_folder(struct dio_walk *walk, const char *root)
{
    struct stat info;
    if (stat(root, &info) != 0) return dio_fail_errno(walk->ctx, root, "open", errno);
    walk->visited.count = 0;
    bool before;
    DIO_PASS(dio_visited_enter(walk->ctx, &walk->visited, (uint64_t)info.st_dev, (uint64_t)info.st_ino, &before));
    size_t length = strlen(root);
    while (length > 1 && root[length - 1] == '/') length--;
    walk->path.length = 0;
    dio_str_add_bytes(&walk->path, root, length);
    DIO_PASS(dio_str_status(&walk->path));
    return enter(walk);
}

/* One step: a picture found, a folder entered or left. */
static dio_status step(struct dio_walk *walk, struct dio_arena *names, struct dio_ref *ref, bool *found)
{
    struct level *level = &walk->levels[walk->depth - 1];
    walk->path.length = level->path_length;
    walk->path.data[level->path_length] = 0;
    if (level->next >= level->list.count) {
        dio_folder_list_free(walk->ctx, &level->list);
        if (--walk->depth == 0) say_others(walk, walk->paths[walk->next_path - 1]);
        return DIO_OK;
    }
    const struct dio_folder_entry *entry = &level->list.entries[level->next++];
    if (walk->path.data[walk->path.length - 1] != '/') dio_str_add(&walk->path, "/");
    dio_str_add(&walk->path, level->list.names.text + entry->name);
    DIO_PASS(dio_str_status(&walk->path));
    struct dio_place place = {.file = walk->path.data};
    if (walk->path.length >= PATH_MAX) {
        return dio_fail(walk->ctx, DIO_ERR_INPUT, "D12", &place, "path longer than %d bytes", PATH_MAX);
    }
    if (entry->folder) {
        bool before;
        struct stat info;
        if (stat(walk->path.data, &info) != 0) return DIO_OK; /* gone since it was listed */
        DIO_PASS(dio_visited_enter(walk->ctx, &walk->visited, (uint64_t)info.st_dev, (uint64_t)info.st_ino, &before));
        if (!before) return enter(walk);
        dio_say(walk->ctx, DIO_LEVEL_WARNING, "D4", &place, "link loop, not followed");
        return DIO_OK;
    }
    *ref = (struct dio_ref){.kind = DIO_REF_FILE, .name = walk->path.data, .path = walk->path.data, .fd = -1};
    *found = dio_ref_is_picture(walk->ctx, ref);
    if (*found) return keep_name(names, ref);
    if (walk->others++ == 0) dio_escape(walk->first_other, sizeof walk->first_other, ref->name, strlen(ref->name), 0);
    return DIO_OK;
}

/* ---- datasets ---- */

static dio_status begin_dataset(struct dio_walk *walk, const char *path)
{
    struct dio_dataset_options options = {.root = walk->options.root, .columns = walk->options.columns};
    DIO_PASS(dio_grow(walk->ctx, (void **)&walk->datasets, &walk->datasets_capacity, walk->n_datasets + 1,
                      sizeof *walk->datasets, "data"));
    DIO_PASS(dio_dataset_open(walk->ctx, path, &options, &walk->datasets[walk->n_datasets]));
    walk->n_datasets++;
    walk->next_item = 0;
    walk->in_dataset = true;
    return DIO_OK;
}

static dio_status next_of_dataset(struct dio_walk *walk, struct dio_arena *names, struct dio_ref *ref, bool *found)
{
    const struct dio_dataset *dataset = walk->datasets[walk->n_datasets - 1];
    if (walk->next_item >= dio_dataset_count(dataset)) {
        walk->in_dataset = false;
        return DIO_OK;
    }
    char name[DIO_REF_NAME_MAX];
    *ref = dio_dataset_ref(dataset, walk->next_item++, name);
    *found = true;
    return keep_name(names, ref);
}

dio_status dio_walk_next(struct dio_walk *walk, struct dio_arena *names, struct dio_ref *ref, bool *found)
{
    *found = false;
    while (!*found) {
        if (dio_cancelled(walk->ctx)) return DIO_CANCELLED;
        if (walk->in_dataset) {
            DIO_PASS(next_of_dataset(walk, names, ref, found));
        } else if (walk->depth) {
            DIO_PASS(step(walk, names, ref, found));
        } else if (walk->next_path == walk->n_paths) {
            return DIO_OK;
        } else {
            const char *path = walk->paths[walk->next_path++];
            enum kind kind = KIND_PICTURE;
            DIO_PASS(kind_of(walk->ctx, path, &kind));
            if (kind == KIND_FOLDER) {
                DIO_PASS(begin_folder(walk, path));
            } else if (kind == KIND_DATASET) {
                DIO_PASS(begin_dataset(walk, path));
            } else {
                *ref = (struct dio_ref){.kind = DIO_REF_FILE, .name = path, .path = path, .fd = -1};
                *found = true;
                return keep_name(names, ref);
            }
        }
    }
    return DIO_OK;
}
