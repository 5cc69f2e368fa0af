/* A folder a class: DATA/cat/NAME.png, or DATA/train/cat/NAME.png beside DATA/val and DATA/test.  Pictures at any depth below a
 * class folder belong to it. */
#include <string.h>

#include "base/str.h"
#include "data/dataset_private.h"
#include "data/pictures.h"

enum { FOLDER_NAME = 256 }; /* four times as long when no byte is UTF-8: DIO_MAX_LABEL */

struct folder_scan {
    struct dio_ctx *ctx;
    struct dio_files *files;
    bool splits;            /* the first part of each path names a split */
    struct dio_text_set labels;
    uint64_t outside;       /* pictures that lie in no class folder */
    char first_outside[256];
};

/* The first part of a path that has one ("train/cat/1.png": "train"). */
static bool first_part(const char *path, char *out, size_t out_size)
{
    size_t length = strcspn(path, "/");
    if (path[length] != '/' || length >= out_size) return false;
    memcpy(out, path, length);
    out[length] = 0;
    return true;
}

/* Do the top folders name splits?  All of them, or train beside val or test: a folder of classes may hold a "train" too,
 * beside "car" and "plane". */
static bool has_splits(const struct dio_files *files)
{
    bool found[DIO_SPLIT_TEST + 1] = {false}, others = false;
    char part[256];
    for (size_t i = 0; i < files->count + files->n_folders; i++) {
        const char *path = i < files->count ? dio_files_path(files, i) : files->folders[i - files->count];
        enum dio_split split;
        bool has = first_part(path, part, sizeof part);
        if (!has && i < files->count) continue;
        if (dio_split_from_name(has ? part : path, &split)) {
            found[split] = true;
        } else {
            others = true;
        }
    }
    bool beside = found[DIO_SPLIT_VAL] || found[DIO_SPLIT_TEST];
    return (found[DIO_SPLIT_TRAIN] || beside) && (!others || (found[DIO_SPLIT_TRAIN] && beside));
}

static bool probe(const struct dio_files *files, const struct dio_dataset_options *options)
{
    (void)files;
    return options->labels_wanted;
}

/* A class is called as its folder, any character allowed (row D5); bytes that are not UTF-8 become \xNN. */
static void name_class(const char *folder, char label[DIO_MAX_LABEL + 1])
{
    size_t used = 0, length = strlen(folder);
    while (*folder) {
        uint32_t character;
        size_t n = dio_utf8_decode((const unsigned char *)folder, length, &character);
        int put = n ? snprintf(label + used, DIO_MAX_LABEL + 1 - used, "%.*s", (int)n, folder)
                    : snprintf(label + used, DIO_MAX_LABEL + 1 - used, "\\x%02x", (unsigned)(unsigned char)*folder);
        used += (size_t)put;
        folder += n ? n : 1;
        length -= n ? n : 1;
    }
    label[used] = 0;
}

/* Split and class of a path; false: it lies in neither. */
static bool place_of(const struct folder_scan *scan, const char *path, bool is_folder, enum dio_split *split,
                     char label[DIO_MAX_LABEL + 1])
{
    char folder[FOLDER_NAME];
    *split = DIO_SPLIT_NONE;
    if (scan->splits) {
        char part[256];
        if (!first_part(path, part, sizeof part) || !dio_split_from_name(part, split)) return false;
        path += strlen(part) + 1;
    }
    if (!first_part(path, folder, sizeof folder)) {
        if (!is_folder || !*path || strlen(path) >= sizeof folder) return false;
        snprintf(folder, sizeof folder, "%s", path);
    }
    name_class(folder, label);
    return true;
}

/* Class names come from all folders, so that one without pictures is noticed. */
static dio_status collect_classes(struct folder_scan *scan)
{
    char last[DIO_MAX_LABEL + 1] = "", label[DIO_MAX_LABEL + 1];
    const struct dio_files *files = scan->files;
    for (size_t i = 0; i < files->count + files->n_folders; i++) {
        bool is_folder = i >= files->count;
        const char *path = is_folder ? files->folders[i - files->count] : dio_files_path(files, i);
        enum dio_split split;
        if (!place_of(scan, path, is_folder, &split, label) || strcmp(label, last) == 0) continue;
        int32_t number;
        DIO_PASS(dio_text_set_put(scan->ctx, &scan->labels, label, &number));
        snprintf(last, sizeof last, "%s", label);
    }
    return DIO_OK;
}

static void label_pictures(struct folder_scan *scan)
{
    struct dio_files *files = scan->files;
    size_t kept = 0;
    char label[DIO_MAX_LABEL + 1];
    for (size_t i = 0; i < files->count; i++) {
        enum dio_split split;
        const char *path = dio_files_path(files, i);
        if (!place_of(scan, path, false, &split, label)) {
            if (scan->outside++ == 0) dio_escape(scan->first_outside, sizeof scan->first_outside, path, strlen(path), 0);
            continue;
        }
        files->items[kept] = files->items[i];
        files->items[kept].split = (uint8_t)split;
        files->items[kept].label = dio_text_set_find(&scan->labels, label);
        kept++;
    }
    files->count = kept;
}

/* D2; with --allow-empty the class is left out, with a warning. */
static dio_status drop_empty_classes(struct folder_scan *scan, const struct dio_dataset_options *options)
{
    struct dio_files *files = scan->files;
    size_t n = scan->labels.count;
    uint64_t *counts = dio_alloc_zeroed(scan->ctx, n, sizeof *counts, "class counts");
    if (!counts) return DIO_ERR_ENV;
    for (size_t i = 0; i < files->count; i++) counts[files->items[i].label]++;
    struct dio_text_set full;
    dio_text_set_init(&full, scan->ctx);
    dio_status status = DIO_OK;
    struct dio_place place = {.file = files->root};
    for (size_t c = 0; c < n && status == DIO_OK; c++) {
        int32_t number;
        if (counts[c]) {
            status = dio_text_set_put(scan->ctx, &full, scan->labels.texts[c], &number);
        } else if (options->allow_empty || options->model_classes) {
            dio_say(scan->ctx, DIO_LEVEL_WARNING, "D2", &place, "class \"%s\" has no pictures", scan->labels.texts[c]);
        } else {
            place.hint = "--allow-empty leaves such classes out";
            status = dio_fail(scan->ctx, DIO_ERR_INPUT, "D2", &place, "class \"%s\" has no pictures", scan->labels.texts[c]);
        }
    }
    for (size_t i = 0; i < files->count && status == DIO_OK; i++) {
        files->items[i].label = dio_text_set_find(&full, scan->labels.texts[files->items[i].label]);
    }
    dio_free(scan->ctx, counts);
    dio_text_set_free(scan->ctx, &scan->labels);
    scan->labels = full;
    return status;
}

/* "train/cat/1.png" beside "holdout/cat/2.png": most likely splits, one of them under a name that is none. */
static void warn_of_split_names(const struct folder_scan *scan)
{
    const struct dio_files *files = scan->files;
    char part[256];
    enum dio_split split;
    for (size_t i = 0; i < files->count && !scan->splits; i++) {
        const char *path = dio_files_path(files, i);
        if (!first_part(path, part, sizeof part) || !strchr(path + strlen(part) + 1, '/')) continue;
        if (!dio_split_from_name(part, &split)) continue;
        dio_say(scan->ctx, DIO_LEVEL_WARNING, "D3", &(struct dio_place){.file = files->root},
                "\"%s\" is taken for a class, for what stands beside it is not called train, val or test", part);
        return;
    }
}

static dio_status no_classes(struct folder_scan *scan)
{
    struct dio_place place = {.file = scan->files->root};
    if (scan->outside) {
        place.hint = "labels come from a folder a class, or from a CSV manifest";
        return dio_fail(scan->ctx, DIO_ERR_INPUT, "D2", &place, "no class folders");
    }
    return dio_fail(scan->ctx, DIO_ERR_INPUT, "D2", &place, "no pictures");
}

static dio_status open_folder(struct dio_ctx *ctx, struct dio_files *files, const struct dio_dataset_options *options,
                              struct dio_dataset *dataset)
{
    struct folder_scan scan = {.ctx = ctx, .files = files, .splits = has_splits(files)};
    dio_text_set_init(&scan.labels, ctx);
    dio_status status;
    char *shown = dio_strdup(ctx, files->root);
    if (!shown) return DIO_ERR_ENV;
    DIO_TRY(collect_classes(&scan));
    DIO_TRY(dio_files_keep_pictures(ctx, files));
    label_pictures(&scan);
    if (files->count == 0) {
        status = no_classes(&scan);
        goto fail;
    }
    warn_of_split_names(&scan);
    DIO_TRY(drop_empty_classes(&scan, options));
    if (scan.outside) {
        struct dio_place place = {.file = files->root};
        dio_say(ctx, DIO_LEVEL_WARNING, "D2", &place, "%llu pictures lie in no class folder and are left out (first: %s)",
                (unsigned long long)scan.outside, scan.first_outside);
    }
    DIO_TRY(dio_dataset_take_files(ctx, files, dataset));
    DIO_TRY(dio_dataset_set_classes(ctx, dataset, options, &scan.labels, shown));
fail:
    dio_text_set_free(ctx, &scan.labels);
    dio_free(ctx, shown);
    return status;
}

const struct dio_layout dio_layout_folder = {"folder", "a folder a class, with or without train/, val/ and test/ above them",
                                             probe, open_folder};
