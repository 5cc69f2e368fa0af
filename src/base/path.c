#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"

static dio_status make_folder(struct dio_ctx *ctx, const char *path)
{
    if (mkdir(path, 0777) == 0) return DIO_OK;
    int error = errno;
    if (dio_path_is_folder(path)) return DIO_OK;
    if (error == EEXIST) return dio_fail(ctx, DIO_ERR_ENV, "E7", &(struct dio_place){.file = path}, "exists and is not a folder");
    return dio_fail_errno(ctx, path, "mkdir", error);
}

dio_status dio_mkdirs(struct dio_ctx *ctx, const char *path)
{
    dio_status status;
    char *part = dio_strdup(ctx, path);
    if (!part) return DIO_ERR_ENV;
    for (char *at = part + 1; part[0] && *at; at++) {
        if (*at != '/' || at[-1] == '/') continue;
        *at = '\0';
        status = make_folder(ctx, part);
        if (status != DIO_OK) goto fail;
        *at = '/';
    }
    status = make_folder(ctx, path);
fail:
    dio_free(ctx, part);
    return status;
}

char *dio_path_join(struct dio_ctx *ctx, const char *folder, const char *name)
{
    size_t length = strlen(folder);
    if (name[0] == '/' || length == 0 || strcmp(folder, ".") == 0) return dio_strdup(ctx, name);
    return dio_sprintf(ctx, folder[length - 1] == '/' ? "%s%s" : "%s/%s", folder, name);
}

const char *dio_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *dio_path_parent(struct dio_ctx *ctx, const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    while (length > 0 && path[length - 1] != '/') length--;
    while (length > 1 && path[length - 1] == '/') length--;
    return length == 0 ? dio_strdup(ctx, ".") : dio_strndup(ctx, path, length);
}

/* The real path of the nearest folder above `path` that is there; "" when there is none. */
static dio_status real_parent(struct dio_ctx *ctx, const char *path, char real[PATH_MAX])
{
    real[0] = '\0';
    char *at = dio_path_parent(ctx, path);
    while (at && !realpath(at, real)) {
        real[0] = '\0';
        char *above = dio_path_parent(ctx, at);
        bool top = above && strcmp(above, at) == 0;
        dio_free(ctx, at);
        at = above;
        if (top) break;
    }
    bool failed = !at;
    dio_free(ctx, at);
    return failed ? DIO_ERR_ENV : DIO_OK;
}

dio_status dio_path_lies_in(struct dio_ctx *ctx, const char *path, const char *other, bool *inside)
{
    char at[PATH_MAX];
    DIO_PASS(real_parent(ctx, path, at));
    *inside = dio_same_file(path, other);
    while (at[0] && !*inside) {
        char *slash = strrchr(at, '/');
        *inside = dio_same_file(at, other);
        if (!slash || !slash[1]) break;
        slash[slash == at] = '\0'; /* the root keeps its slash */
    }
    return DIO_OK;
}

bool dio_path_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool dio_path_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool dio_path_is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool dio_same_file(const char *a, const char *b)
{
    struct stat sa, sb;
    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct dio_dirent *)a)->name, ((const struct dio_dirent *)b)->name);
}

static dio_status add_entry(struct dio_ctx *ctx, DIR *folder, const char *name, struct dio_listing *listing, size_t *capacity)
{
    void *entries = listing->entries;
    DIO_PASS(dio_grow(ctx, &entries, capacity, listing->count + 1, sizeof *listing->entries, "folder listing"));
    listing->entries = entries;
    struct dio_dirent *entry = &listing->entries[listing->count];
    *entry = (struct dio_dirent){.name = dio_strdup(ctx, name)};
    if (!entry->name) return DIO_ERR_ENV;
    listing->count++;
    struct stat st;
    if (fstatat(dirfd(folder), name, &st, 0) == 0) { /* a broken link stays an entry: reading it says what is wrong */
        entry->folder = S_ISDIR(st.st_mode);
        entry->device = (uint64_t)st.st_dev;
        entry->inode = (uint64_t)st.st_ino;
    }
    return DIO_OK;
}

dio_status dio_list_folder(struct dio_ctx *ctx, const char *path, struct dio_listing *listing)
{
    dio_status status;
    size_t capacity = 0;
    *listing = (struct dio_listing){0};
    DIR *folder = opendir(path);
    if (!folder) return dio_fail_errno(ctx, path, "open", errno);
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (!entry) break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        DIO_TRY(add_entry(ctx, folder, entry->d_name, listing, &capacity));
    }
    if (errno != 0) {
        status = dio_fail_errno(ctx, path, "read", errno);
        goto fail;
    }
    closedir(folder);
    if (listing->count > 0) qsort(listing->entries, listing->count, sizeof *listing->entries, by_name);
    return DIO_OK;
fail:
    closedir(folder);
    dio_listing_free(ctx, listing);
    return status;
}

void dio_listing_free(struct dio_ctx *ctx, struct dio_listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) dio_free(ctx, listing->entries[i].name);
    dio_free(ctx, listing->entries);
    *listing = (struct dio_listing){0};
}

static dio_status fail_in_use(struct dio_ctx *ctx, const char *path, int fd)
{
    char text[32] = "";
    int64_t pid = 0;
    ssize_t got = pread(fd, text, sizeof text - 1, 0);
    struct dio_place place = {.file = path};
    if (got > 0 && dio_parse_i64(text, strcspn(text, "\n"), &pid) && pid > 0) {
        return dio_fail(ctx, DIO_ERR_ENV, "E10", &place, "is in use by process %" PRId64, pid);
    }
    return dio_fail(ctx, DIO_ERR_ENV, "E10", &place, "is in use by another process");
}

dio_status dio_lock(struct dio_ctx *ctx, const char *path, int *fd)
{
    *fd = -1;
    int opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (opened < 0) return dio_fail_errno(ctx, path, "open", errno);
    dio_status status = DIO_OK;
    if (flock(opened, LOCK_EX | LOCK_NB) != 0) {
        status = errno == EWOULDBLOCK ? fail_in_use(ctx, path, opened) : dio_fail_errno(ctx, path, "flock", errno);
    } else {
        char text[32];
        int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
        /* Only tells others who we are; the lock itself holds without it. */
        if (ftruncate(opened, 0) == 0 && pwrite(opened, text, (size_t)length, 0) == length) (void)fsync(opened);
    }
    if (status == DIO_OK) *fd = opened;
    else close(opened);
    return status;
}

void dio_unlock(int fd)
{
    if (fd >= 0) close(fd);
}
