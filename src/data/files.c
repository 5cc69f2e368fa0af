#include "data/files.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

void dio_files_free(struct dio_ctx *ctx, struct dio_files *files)
{
    if (files->fd >= 0) close(files->fd);
    for (size_t i = 0; i < files->n_folders; i++) dio_free(ctx, files->folders[i]);
    dio_free(ctx, files->folders);
    dio_free(ctx, files->root);
    dio_free(ctx, files->items);
    dio_free(ctx, files->names.text);
    *files = (struct dio_files){.fd = -1};
}

dio_status dio_names_add(struct dio_ctx *ctx, struct dio_names *names, const char *name, size_t length, const char *file,
                         uint32_t *offset)
{
    if (names->used + length + 1 > UINT32_MAX) {
        return dio_fail(ctx, DIO_ERR_INPUT, "D12", &(struct dio_place){.file = file}, "too many files");
    }
    DIO_PASS(dio_grow(ctx, (void **)&names->text, &names->capacity, names->used + length + 1, 1, "file names"));
    memcpy(names->text + names->used, name, length);
    names->text[names->used + length] = '\0';
    *offset = (uint32_t)names->used;
    names->used += length + 1;
    return DIO_OK;
}

dio_status dio_files_add(struct dio_ctx *ctx, struct dio_files *files, const char *name, size_t length,
                        const struct dio_item *item)
{
    if (files->count >= UINT32_MAX - 1) {
        return dio_fail(ctx, DIO_ERR_INPUT, "D12", &(struct dio_place){.file = files->root}, "too many files");
    }
    DIO_PASS(dio_grow(ctx, (void **)&files->items, &files->capacity, files->count + 1, sizeof *files->items, "file list"));
    files->items[files->count] = *item;
    DIO_PASS(dio_names_add(ctx, &files->names, name, length, files->root, &files->items[files->count].path));
    files->count++;
    return DIO_OK;
}

/* ---- folders ---- */

struct scan {
    struct dio_ctx *ctx;
    struct dio_files *files;
    struct dio_visited visited;
    struct dio_str path; /* root/relative, of the folder being read */
    size_t relative;     /* where the relative part begins */
};

static dio_status note_empty(struct scan *scan)
{
    struct dio_files *files = scan->files;
    if (files->n_folders >= DIO_FILES_EMPTY || scan->path.length <= scan->relative) return DIO_OK;
    DIO_PASS(dio_grow(scan->ctx, (void **)&files->folders, &files->folders_capacity, files->n_folders + 1,
                      sizeof *files->folders, "folders"));
    char *name = dio_strdup(scan->ctx, scan->path.data + scan->relative);
    if (!name) return DIO_ERR_ENV;
    files->folders[files->n_folders++] = name;
    return DIO_OK;
}

static dio_status scan_folder(struct scan *scan, int depth);

static dio_status scan_entry(struct scan *scan, const struct dio_folder_list *list, const struct dio_folder_entry *entry,
                             int depth)
{
    const char *name = list->names.text + entry->name;
    size_t before = scan->path.length;
    if (before == 0 || scan->path.data[before - 1] != '/') dio_str_add(&scan->path, "/");
    dio_str_add(&scan->path, name);
    DIO_PASS(dio_str_status(&scan->path));
    struct dio_place place = {.file = scan->path.data};
    struct stat info;
    dio_status status = DIO_OK;
    if (scan->path.length >= PATH_MAX) {
        status = dio_fail(scan->ctx, DIO_ERR_INPUT, "D12", &place, "path longer than %d bytes", PATH_MAX);
    } else if (stat(scan->path.data, &info) != 0) {
        status = DIO_OK; /* gone since it was listed */
    } else if (entry->folder) {
        bool entered = false;
        status = dio_visited_enter(scan->ctx, &scan->visited, (uint64_t)info.st_dev, (uint64_t)info.st_ino, &entered);
        if (status == DIO_OK && entered) {
            dio_say(scan->ctx, DIO_LEVEL_WARNING, "D4", &place, "link loop, not followed");
        } else if (status == DIO_OK) {
            status = scan_folder(scan, depth + 1);
        }
    } else {
        struct dio_item item = {.label = -1, .group = -1, .kind = DIO_REF_FILE, .size = (uint64_t)info.st_size,
                                .inode = (uint64_t)info.st_ino,
                                .mtime_ns = info.st_mtim.tv_sec * INT64_C(1000000000) + info.st_mtim.tv_nsec};
        status = dio_files_add(scan->ctx, scan->files, scan->path.data + scan->relative,
                              scan->path.length - scan->relative, &item);
    }
    scan->path.length = before;
    scan->path.data[before] = 0;
    return status;
}

static dio_status scan_folder(struct scan *scan, int depth)
{
    struct dio_place place = {.file = scan->path.data};
    if (depth > DIO_MAX_FOLDER_DEPTH) {
        return dio_fail(scan->ctx, DIO_ERR_INPUT, "D12", &place, "nested deeper than %d", DIO_MAX_FOLDER_DEPTH);
    }
    if (dio_cancelled(scan->ctx)) return DIO_CANCELLED;
    struct dio_folder_list list;
    DIO_PASS(dio_folder_list_read(scan->ctx, scan->path.data, &list));
    if (list.special) {
        place.part = list.first_special;
        if (list.special == 1) {
            dio_say(scan->ctx, DIO_LEVEL_WARNING, "D10", &place, "not a regular file; left out");
        } else {
            dio_say(scan->ctx, DIO_LEVEL_WARNING, "D10", &place, "not a regular file; left out, and %llu more in this folder",
                    (unsigned long long)list.special - 1);
        }
    }
    dio_status status = list.count ? DIO_OK : note_empty(scan);
    for (size_t i = 0; i < list.count && status == DIO_OK; i++) status = scan_entry(scan, &list, &list.entries[i], depth);
    dio_folder_list_free(scan->ctx, &list);
    return status;
}

/* A folder that holds one folder, which holds folders: what unpacking an archive twice leaves. */
static dio_status descend(struct dio_ctx *ctx, struct dio_files *files)
{
    while (files->count) {
        const char *first = dio_files_path(files, 0), *last = dio_files_path(files, files->count - 1);
        const char *slash = strchr(first, '/');
        if (!slash) return DIO_OK;
        size_t length = (size_t)(slash - first);
        if (strncmp(first, last, length + 1) != 0) return DIO_OK;
        char top[256];
        if (length >= sizeof top) return DIO_OK;
        memcpy(top, first, length);
        top[length] = 0;
        enum dio_split split;
        if (dio_split_from_name(top, &split)) return DIO_OK;
        for (size_t i = 0; i < files->n_folders; i++) {
            if (strncmp(files->folders[i], first, length + 1) != 0) return DIO_OK; /* another, empty folder beside it */
        }
        bool nested = false, records = false;
        for (size_t i = 0; i < files->count && !nested; i++) {
            const char *below = dio_files_path(files, i) + length + 1;
            nested = strchr(below, '/') != NULL;
            size_t n = strlen(below);
            records = records || strcmp(below, "manifest.csv") == 0 || (n > 4 && strcmp(below + n - 4, ".bin") == 0);
        }
        if (!nested && !records) return DIO_OK;
        char *root = dio_sprintf(ctx, "%s/%s", files->root, top);
        if (!root) return DIO_ERR_ENV;
        dio_free(ctx, files->root);
        files->root = root;
        for (size_t i = 0; i < files->count; i++) files->items[i].path += (uint32_t)length + 1;
        for (size_t i = 0; i < files->n_folders; i++) {
            memmove(files->folders[i], files->folders[i] + length + 1, strlen(files->folders[i] + length + 1) + 1);
        }
    }
    return DIO_OK;
}

static char *root_of(struct dio_ctx *ctx, const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    return dio_strndup(ctx, path, length);
}

static dio_status open_folder(struct dio_ctx *ctx, const char *path, struct dio_files *files)
{
    *files = (struct dio_files){.ctx = ctx, .fd = -1};
    struct scan scan = {.ctx = ctx, .files = files};
    dio_str_init(&scan.path, ctx);
    dio_status status = DIO_ERR_ENV;
    struct stat info;
    if (stat(path, &info) != 0) {
        status = dio_fail_errno(ctx, path, "open", errno);
        goto fail;
    }
    files->root = root_of(ctx, path);
    if (!files->root) goto fail;
    dio_str_add(&scan.path, files->root);
    DIO_TRY(dio_str_status(&scan.path));
    scan.relative = scan.path.length + (files->root[scan.path.length - 1] != '/');
    bool before;
    DIO_TRY(dio_visited_enter(ctx, &scan.visited, (uint64_t)info.st_dev, (uint64_t)info.st_ino, &before));
    DIO_TRY(scan_folder(&scan, 0));
    DIO_TRY(descend(ctx, files));
fail:
    dio_free(ctx, scan.visited.folders);
    dio_str_free(&scan.path);
    if (status != DIO_OK) dio_files_free(ctx, files);
    return status;
}

dio_status dio_files_open(struct dio_ctx *ctx, const char *path, struct dio_files *files)
{
    if (!dio_path_is_file(path)) return open_folder(ctx, path, files);
    DIO_PASS(dio_files_open_tar(ctx, path, files));
    dio_status status = descend(ctx, files);
    if (status != DIO_OK) dio_files_free(ctx, files);
    return status;
}

/* ---- looking things up ---- */

static size_t lower_bound(const struct dio_files *files, const char *path)
{
    size_t low = 0, high = files->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(dio_files_path(files, middle), path) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

size_t dio_files_find(const struct dio_files *files, const char *path)
{
    size_t i = lower_bound(files, path);
    return i < files->count && strcmp(dio_files_path(files, i), path) == 0 ? i : SIZE_MAX;
}

bool dio_files_has_folder(const struct dio_files *files, const char *path)
{
    /* Files of "a" stand together, from "a/" on; "a-1" and "a.png" come before them. */
    char start[PATH_MAX + 2];
    int length = snprintf(start, sizeof start, "%s/", path);
    if (length < 0 || (size_t)length >= sizeof start) return false;
    size_t i = lower_bound(files, start);
    return i < files->count && strncmp(dio_files_path(files, i), start, (size_t)length) == 0;
}

struct dio_ref dio_files_ref(const struct dio_files *files, size_t i, char buffer[DIO_REF_NAME_MAX])
{
    const struct dio_item *item = &files->items[i];
    snprintf(buffer, DIO_REF_NAME_MAX, "%s%s%s", files->root, strcmp(files->root, "/") ? "/" : "", dio_files_path(files, i));
    return (struct dio_ref){.kind = (enum dio_ref_kind)item->kind, .name = buffer,
                            .path = item->kind == DIO_REF_FILE ? buffer : NULL, .fd = files->fd, .offset = item->offset,
                            .size = item->size, .mtime_ns = item->mtime_ns};
}
