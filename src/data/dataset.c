#include "data/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/dataset_private.h"

/* ---- building ---- */

static struct dio_dataset *new_dataset(struct dio_ctx *ctx)
{
    struct dio_dataset *dataset = dio_alloc_zeroed(ctx, 1, sizeof *dataset, "dataset");
    if (!dataset) return NULL;
    dataset->ctx = ctx;
    dio_arena_init(&dataset->arena, ctx);
    dio_text_set_init(&dataset->groups, ctx);
    return dataset;
}

void dio_dataset_free(struct dio_dataset *dataset)
{
    if (!dataset) return;
    struct dio_ctx *ctx = dataset->ctx;
    for (size_t i = 0; i < dataset->n_sources; i++) {
        if (dataset->sources[i].fd >= 0) close(dataset->sources[i].fd);
    }
    dio_free(ctx, dataset->sources);
    dio_free(ctx, dataset->items);
    dio_free(ctx, dataset->names.text);
    dio_text_set_free(ctx, &dataset->groups);
    dio_arena_free(&dataset->arena);
    dio_free(ctx, dataset);
}

dio_status dio_dataset_add_source(struct dio_ctx *ctx, struct dio_dataset *dataset, const char *root, int fd, uint16_t *index)
{
    dio_status status = DIO_OK;
    char *copy = NULL;
    if (dataset->n_sources >= UINT16_MAX) {
        status = dio_fail(ctx, DIO_ERR_INPUT, NULL, NULL, "too many data files");
    } else {
        status = dio_grow(ctx, (void **)&dataset->sources, &dataset->sources_capacity, dataset->n_sources + 1,
                          sizeof *dataset->sources, "data sources");
    }
    if (status == DIO_OK && !(copy = dio_arena_strndup(&dataset->arena, root, strlen(root)))) status = DIO_ERR_ENV;
    if (status != DIO_OK) {
        if (fd >= 0) close(fd);
        return status;
    }
    *index = (uint16_t)dataset->n_sources;
    dataset->sources[dataset->n_sources++] = (struct dio_source){copy, fd};
    return DIO_OK;
}

dio_status dio_dataset_add_item(struct dio_ctx *ctx, struct dio_dataset *dataset, const struct dio_item *item)
{
    if (dataset->count >= UINT32_MAX - 1) return dio_fail(ctx, DIO_ERR_INPUT, "D12", NULL, "too many pictures");
    DIO_PASS(dio_grow(ctx, (void **)&dataset->items, &dataset->capacity, dataset->count + 1, sizeof *dataset->items, "file list"));
    dataset->items[dataset->count++] = *item;
    return DIO_OK;
}

dio_status dio_dataset_take_files(struct dio_ctx *ctx, struct dio_files *files, struct dio_dataset *dataset)
{
    uint16_t source;
    int fd = files->fd;
    files->fd = -1;
    dataset->in_tar = fd >= 0;
    DIO_PASS(dio_dataset_add_source(ctx, dataset, files->root, fd, &source));
    dataset->items = files->items;
    dataset->count = files->count;
    dataset->capacity = files->capacity;
    dataset->names = files->names;
    files->items = NULL;
    files->names = (struct dio_names){0};
    files->count = files->capacity = 0;
    for (size_t i = 0; i < dataset->count; i++) dataset->items[i].source = source;
    return DIO_OK;
}

/* ---- opening ---- */

static bool ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path), e = strlen(ending);
    return n > e && strcasecmp(path + n - e, ending) == 0;
}

static dio_status open_files(struct dio_ctx *ctx, const char *path, const struct dio_dataset_options *options,
                             struct dio_dataset *dataset)
{
    struct dio_files files;
    DIO_PASS(dio_files_open(ctx, path, &files));
    dio_status status = DIO_OK;
    bool known = false;
    for (size_t i = 0; i < dio_n_layouts && !known; i++) {
        if (!dio_layouts[i]->probe(&files, options)) continue;
        known = true;
        dataset->layout = dio_layouts[i]->name;
        status = dio_layouts[i]->open(ctx, &files, options, dataset);
    }
    dio_files_free(ctx, &files);
    return status;
}

/* Reads what lies at path; classes are mapped, nothing is checked across pictures yet. */
static dio_status open_raw(struct dio_ctx *ctx, const char *path, const struct dio_dataset_options *options,
                           struct dio_dataset **out)
{
    struct dio_dataset *dataset = new_dataset(ctx);
    if (!dataset) return DIO_ERR_ENV;
    struct stat info;
    dio_status status;
    if (stat(path, &info) != 0) {
        status = dio_fail_errno(ctx, path, "open", errno);
    } else if (!S_ISDIR(info.st_mode) && (ends_in(path, ".csv") || ends_in(path, ".tsv") || ends_in(path, ".txt"))) {
        dataset->layout = "manifest";
        status = dio_manifest_open(ctx, path, options, dataset);
    } else {
        status = open_files(ctx, path, options, dataset);
    }
    if (status != DIO_OK) {
        dio_dataset_free(dataset);
        return status;
    }
    *out = dataset;
    return DIO_OK;
}

static dio_status check_train(struct dio_ctx *ctx, const struct dio_dataset *dataset,
                              const struct dio_dataset_options *options, const char *shown)
{
    if (options->model_classes || dio_dataset_has(dataset, DIO_SPLIT_TRAIN)) return DIO_OK;
    struct dio_place place = {.file = shown};
    return dio_fail(ctx, DIO_ERR_INPUT, "D2", &place, "no training pictures (there is only %s)",
                    dio_dataset_has(dataset, DIO_SPLIT_VAL) ? "val" : "test");
}

static dio_status finish(struct dio_ctx *ctx, struct dio_dataset *dataset, const struct dio_dataset_options *options,
                         const char *shown)
{
    if (!options->labels_wanted) return DIO_OK;
    DIO_PASS(dio_check_classes(ctx, dataset, options, shown));
    DIO_PASS(dio_check_twice(ctx, dataset, options, shown));
    DIO_PASS(dio_check_groups(ctx, dataset, options, shown));
    bool split = !dio_dataset_has(dataset, DIO_SPLIT_NONE);
    if (!options->model_classes || options->val_share > 0) {
        for (size_t i = 0; i < dataset->count; i++) {
            if (dataset->items[i].split == DIO_SPLIT_NONE) dataset->items[i].split = DIO_SPLIT_TRAIN;
        }
    }
    DIO_PASS(check_train(ctx, dataset, options, shown));
    if (split) DIO_PASS(dio_check_split_classes(ctx, dataset, options, shown));
    if (options->val_share > 0 && !dio_dataset_has(dataset, DIO_SPLIT_VAL)) DIO_PASS(dio_split_cut(ctx, dataset, options));
    return DIO_OK;
}

dio_status dio_dataset_open(struct dio_ctx *ctx, const char *path, const struct dio_dataset_options *options,
                            struct dio_dataset **dataset)
{
    *dataset = NULL;
    struct dio_dataset *made;
    DIO_PASS(open_raw(ctx, path, options, &made));
    dio_status status = finish(ctx, made, options, path);
    if (status != DIO_OK) {
        dio_dataset_free(made);
        return status;
    }
    *dataset = made;
    return DIO_OK;
}

/* Moves all of `from` behind `to`, as one split. */
static dio_status append(struct dio_ctx *ctx, struct dio_dataset *to, struct dio_dataset *from, enum dio_split split)
{
    size_t base = to->n_sources;
    for (size_t i = 0; i < from->n_sources; i++) {
        uint16_t index;
        int fd = from->sources[i].fd;
        from->sources[i].fd = -1;
        DIO_PASS(dio_dataset_add_source(ctx, to, from->sources[i].root, fd, &index));
    }
    for (size_t i = 0; i < from->count; i++) {
        struct dio_item item = from->items[i];
        const char *name = dio_dataset_name(from, &item);
        DIO_PASS(dio_names_add(ctx, &to->names, name, strlen(name), NULL, &item.path));
        if (item.group >= 0) DIO_PASS(dio_text_set_put(ctx, &to->groups, from->groups.texts[item.group], &item.group));
        item.source = (uint16_t)(item.source + base);
        item.split = (uint8_t)split;
        DIO_PASS(dio_dataset_add_item(ctx, to, &item));
    }
    to->in_tar = to->in_tar || from->in_tar;
    return DIO_OK;
}

static dio_status add_part(struct dio_ctx *ctx, struct dio_dataset *to, const char *path,
                           const struct dio_dataset_options *options, enum dio_split split)
{
    struct dio_dataset_options part_options = *options;
    if (!part_options.model_classes) {
        part_options.model_classes = (const char *const *)to->classes;
        part_options.n_model_classes = to->n_classes;
        part_options.names_only = true;
    }
    struct dio_dataset *part;
    DIO_PASS(open_raw(ctx, path, &part_options, &part));
    dio_status status = append(ctx, to, part, split);
    dio_dataset_free(part);
    return status;
}

dio_status dio_dataset_open_parts(struct dio_ctx *ctx, const char *train, const char *val, const char *test,
                                  const struct dio_dataset_options *options, struct dio_dataset **dataset)
{
    *dataset = NULL;
    struct dio_dataset *made = NULL;
    dio_status status;
    DIO_TRY(open_raw(ctx, train, options, &made));
    for (size_t i = 0; i < made->count; i++) made->items[i].split = DIO_SPLIT_TRAIN;
    if (val) DIO_TRY(add_part(ctx, made, val, options, DIO_SPLIT_VAL));
    if (test) DIO_TRY(add_part(ctx, made, test, options, DIO_SPLIT_TEST));
    DIO_TRY(finish(ctx, made, options, train));
    *dataset = made;
    return DIO_OK;
fail:
    dio_dataset_free(made);
    return status;
}

/* ---- looking at it ---- */

size_t dio_dataset_count(const struct dio_dataset *dataset) { return dataset->count; }
const struct dio_item *dio_dataset_item(const struct dio_dataset *dataset, size_t i) { return &dataset->items[i]; }
size_t dio_dataset_classes(const struct dio_dataset *dataset) { return dataset->n_classes; }
const char *dio_dataset_class(const struct dio_dataset *dataset, size_t i) { return dataset->classes[i]; }
const char *dio_dataset_layout(const struct dio_dataset *dataset) { return dataset->layout; }
bool dio_dataset_in_tar(const struct dio_dataset *dataset) { return dataset->in_tar; }
bool dio_dataset_has_groups(const struct dio_dataset *dataset) { return dataset->groups.count > 0; }
bool dio_dataset_val_was_cut(const struct dio_dataset *dataset) { return dataset->val_cut; }

const char *dio_dataset_path(const struct dio_dataset *dataset, size_t i)
{
    return dio_dataset_name(dataset, &dataset->items[i]);
}

void dio_dataset_display(const struct dio_dataset *dataset, size_t i, char *out, size_t out_size)
{
    const char *name = dio_dataset_path(dataset, i), *root = dataset->sources[dataset->items[i].source].root;
    size_t length = strlen(root);
    if (name[0] == '/' || strcmp(root, ".") == 0) {
        snprintf(out, out_size, "%s", name);
    } else {
        snprintf(out, out_size, "%s%s%s", root, length && root[length - 1] == '/' ? "" : "/", name);
    }
}

bool dio_dataset_has(const struct dio_dataset *dataset, enum dio_split split)
{
    for (size_t i = 0; i < dataset->count; i++) {
        if (dataset->items[i].split == split) return true;
    }
    return false;
}

size_t dio_dataset_split_count(const struct dio_dataset *dataset, enum dio_split split)
{
    size_t count = 0;
    for (size_t i = 0; i < dataset->count; i++) count += split == DIO_SPLIT_NONE || dataset->items[i].split == split;
    return count;
}

void dio_dataset_class_counts(const struct dio_dataset *dataset, enum dio_split split, uint64_t *counts)
{
    memset(counts, 0, dataset->n_classes * sizeof *counts);
    for (size_t i = 0; i < dataset->count; i++) {
        const struct dio_item *item = &dataset->items[i];
        if (item->label >= 0 && (split == DIO_SPLIT_NONE || item->split == split)) counts[item->label]++;
    }
}

dio_status dio_dataset_select(struct dio_ctx *ctx, const struct dio_dataset *dataset, enum dio_split split,
                              uint32_t **order, size_t *count)
{
    *count = 0;
    *order = dio_alloc_array(ctx, dio_dataset_split_count(dataset, split), sizeof **order, "picture order");
    if (!*order) return DIO_ERR_ENV;
    for (size_t i = 0; i < dataset->count; i++) {
        if (split == DIO_SPLIT_NONE || dataset->items[i].split == split) (*order)[(*count)++] = (uint32_t)i;
    }
    return DIO_OK;
}

void dio_dataset_classes_fingerprint(const struct dio_dataset *dataset, struct dio_sha256 *hash)
{
    for (size_t i = 0; i < dataset->n_classes; i++) dio_sha256_add_text(hash, dataset->classes[i]);
}

void dio_dataset_fingerprint(const struct dio_dataset *dataset, struct dio_sha256 *hash)
{
    dio_dataset_classes_fingerprint(dataset, hash);
    for (size_t i = 0; i < dataset->count; i++) {
        const struct dio_item *item = &dataset->items[i];
        unsigned char bytes[13];
        for (int k = 0; k < 8; k++) bytes[k] = (unsigned char)(item->size >> (8 * k));
        for (int k = 0; k < 4; k++) bytes[8 + k] = (unsigned char)((uint32_t)item->label >> (8 * k));
        bytes[12] = item->split;
        dio_sha256_add_text(hash, dio_dataset_name(dataset, item));
        dio_sha256_add(hash, bytes, sizeof bytes);
    }
}

struct dio_ref dio_dataset_ref(const struct dio_dataset *dataset, size_t i, char buffer[DIO_REF_NAME_MAX])
{
    const struct dio_item *item = &dataset->items[i];
    dio_dataset_display(dataset, i, buffer, DIO_REF_NAME_MAX);
    bool file = item->kind == DIO_REF_FILE;
    return (struct dio_ref){.kind = (enum dio_ref_kind)item->kind, .name = buffer, .path = file ? buffer : NULL,
                            .fd = file ? -1 : dataset->sources[item->source].fd, .offset = item->offset, .size = item->size,
                            .mtime_ns = item->mtime_ns};
}

dio_status dio_dataset_read(const struct dio_dataset *dataset, struct dio_ctx *worker, size_t i, struct dio_blob *bytes)
{
    char name[DIO_REF_NAME_MAX];
    struct dio_ref ref = dio_dataset_ref(dataset, i, name);
    return dio_ref_read(worker, &ref, bytes);
}

dio_status dio_dataset_decode(const struct dio_dataset *dataset, struct dio_ctx *worker, size_t i,
                              const struct dio_decode_options *options, struct dio_picture *picture)
{
    char name[DIO_REF_NAME_MAX];
    struct dio_ref ref = dio_dataset_ref(dataset, i, name);
    return dio_ref_decode(worker, &ref, options, picture, NULL);
}
