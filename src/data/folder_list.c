#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "data/files.h"

bool dio_name_ignored(const char *name)
{
    static const char *const litter[] = {"Thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "__MACOSX", "@eaDir",
                                         "$RECYCLE.BIN", "System Volume Information", "Icon\r", "lost+found", "@Recycle"};
    if (name[0] == '.') return true;
    for (size_t i = 0; i < sizeof litter / sizeof *litter; i++) {
        if (strcasecmp(name, litter[i]) == 0) return true;
    }
    return false;
}

/* As if folders' names ended in '/': then a walk gives the files' whole paths in bytewise order. */
static int compare_entries(const void *a, const void *b, void *names)
{
    const struct dio_folder_entry *x = a, *y = b;
    const unsigned char *p = (const unsigned char *)names + x->name, *q = (const unsigned char *)names + y->name;
    while (*p && *p == *q) {
        p++;
        q++;
    }
    int left = *p ? *p : x->folder ? '/' : 0;
    int right = *q ? *q : y->folder ? '/' : 0;
    return left - right;
}

/* Links are followed; what cannot be told without asking is asked. */
static bool kind_of(int folder_fd, const struct dirent *entry, bool *folder)
{
    *folder = entry->d_type == DT_DIR;
    if (entry->d_type == DT_DIR || entry->d_type == DT_REG) return true;
    struct stat info;
    if (fstatat(folder_fd, entry->d_name, &info, 0) != 0) return false; /* a dangling link, or gone already */
    *folder = S_ISDIR(info.st_mode);
    return S_ISDIR(info.st_mode) || S_ISREG(info.st_mode);
}

static dio_status add_entry(struct dio_ctx *ctx, struct dio_folder_list *list, int folder_fd, const struct dirent *found)
{
    struct dio_folder_entry entry = {0};
    if (!kind_of(folder_fd, found, &entry.folder)) {
        if (list->special++ == 0) snprintf(list->first_special, sizeof list->first_special, "%s", found->d_name);
        return DIO_OK;
    }
    DIO_PASS(dio_names_add(ctx, &list->names, found->d_name, strlen(found->d_name), NULL, &entry.name));
    DIO_PASS(dio_grow(ctx, (void **)&list->entries, &list->capacity, list->count + 1, sizeof *list->entries, "file list"));
    list->entries[list->count++] = entry;
    return DIO_OK;
}

dio_status dio_folder_list_read(struct dio_ctx *ctx, const char *path, struct dio_folder_list *list)
{
    *list = (struct dio_folder_list){0};
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOTDIR) {
            struct dio_place place = {.file = path};
            return dio_fail(ctx, DIO_ERR_INPUT, "D1", &place, "not a folder");
        }
        return dio_fail_errno(ctx, path, "open", errno);
    }
    DIR *folder = fdopendir(fd);
    if (!folder) {
        int error = errno;
        close(fd);
        return dio_fail_errno(ctx, path, "open", error);
    }
    dio_status status = DIO_OK;
    errno = 0;
    for (struct dirent *entry; status == DIO_OK && (entry = readdir(folder)) != NULL; errno = 0) {
        if (!dio_name_ignored(entry->d_name)) status = add_entry(ctx, list, fd, entry);
    }
    if (status == DIO_OK && errno) status = dio_fail_errno(ctx, path, "readdir", errno);
    closedir(folder);
    if (status != DIO_OK) {
        dio_folder_list_free(ctx, list);
        return status;
    }
    if (list->count > 1) qsort_r(list->entries, list->count, sizeof *list->entries, compare_entries, list->names.text);
    return DIO_OK;
}

void dio_folder_list_free(struct dio_ctx *ctx, struct dio_folder_list *list)
{
    dio_free(ctx, list->entries);
    dio_free(ctx, list->names.text);
    *list = (struct dio_folder_list){0};
}

dio_status dio_visited_enter(struct dio_ctx *ctx, struct dio_visited *visited, uint64_t device, uint64_t inode,
                             bool *before)
{
    /* Kept sorted: folders are few beside files. */
    size_t low = 0, high = visited->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct dio_visited_folder *at = &visited->folders[middle];
        if (at->inode < inode || (at->inode == inode && at->device < device)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *before = low < visited->count && visited->folders[low].inode == inode && visited->folders[low].device == device;
    if (*before) return DIO_OK;
    DIO_PASS(dio_grow(ctx, (void **)&visited->folders, &visited->capacity, visited->count + 1, sizeof *visited->folders,
                      "folders"));
    memmove(visited->folders + low + 1, visited->folders + low, (visited->count - low) * sizeof *visited->folders);
    visited->folders[low] = (struct dio_visited_folder){device, inode};
    visited->count++;
    return DIO_OK;
}
