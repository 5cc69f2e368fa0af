/* The limit of a cache folder that several runs share. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "train/cache.h"

struct file {
    char *path;
    struct timespec used;
    uint64_t size;
};

static int older_first(const void *a, const void *b)
{
    const struct file *one = a, *other = b;
    if (one->used.tv_sec != other->used.tv_sec) return one->used.tv_sec < other->used.tv_sec ? -1 : 1;
    if (one->used.tv_nsec != other->used.tv_nsec) return one->used.tv_nsec < other->used.tv_nsec ? -1 : 1;
    return strcmp(one->path, other->path);
}

static bool is_cache(const char *name)
{
    static const char end[] = ".features";
    size_t length = strlen(name), tail = sizeof end - 1;
    return length > tail && strcmp(name + length - tail, end) == 0;
}

static bool is_kept(const char *path, const char *const *keep, size_t n_keep)
{
    for (size_t i = 0; i < n_keep; i++) {
        if (keep[i] && strcmp(keep[i], path) == 0) return true;
    }
    return false;
}

/* The folder's cache files that may go; the bytes of all. */
static dio_status list_files(struct dio_ctx *ctx, const char *folder, const char *const *keep, size_t n_keep,
                             const struct dio_listing *listing, struct file *files, size_t *n, uint64_t *total)
{
    *n = 0;
    *total = 0;
    for (size_t i = 0; i < listing->count; i++) {
        struct stat st;
        if (!is_cache(listing->entries[i].name)) continue;
        char *path = dio_path_join(ctx, folder, listing->entries[i].name);
        if (!path) return DIO_ERR_ENV;
        bool there = stat(path, &st) == 0 && S_ISREG(st.st_mode);
        if (there) *total += (uint64_t)st.st_size;
        if (there && !is_kept(path, keep, n_keep)) {
            files[(*n)++] = (struct file){path, st.st_mtim, (uint64_t)st.st_size};
        } else {
            dio_free(ctx, path);
        }
    }
    return DIO_OK;
}

static dio_status remove_oldest(struct dio_ctx *ctx, const char *folder, struct file *files, size_t n, uint64_t total, uint64_t room)
{
    size_t gone = 0;
    uint64_t freed = 0;
    if (n > 0) qsort(files, n, sizeof *files, older_first);
    for (size_t i = 0; i < n && total - freed > room; i++) {
        if (unlink(files[i].path) != 0 && errno != ENOENT) return dio_fail_errno(ctx, files[i].path, "unlink", errno);
        freed += files[i].size;
        gone++;
    }
    if (gone > 0) {
        dio_say(ctx, DIO_LEVEL_NOTE, NULL, &(struct dio_place){.file = folder},
                "%zu old feature file%s removed (%.1f MB), to stay below --cache-limit", gone, gone == 1 ? "" : "s", (double)freed / 1e6);
    }
    return DIO_OK;
}

dio_status dio_cache_make_room(struct dio_ctx *ctx, const char *folder, uint64_t limit, uint64_t bytes,
                               const char *const *keep, size_t n_keep)
{
    struct dio_listing listing;
    uint64_t total;
    size_t n = 0;
    DIO_PASS(dio_list_folder(ctx, folder, &listing));
    struct file *files = dio_alloc_array(ctx, listing.count + 1, sizeof *files, "list of feature files");
    dio_status status = files ? list_files(ctx, folder, keep, n_keep, &listing, files, &n, &total) : DIO_ERR_ENV;
    uint64_t room = bytes < limit ? limit - bytes : 0;
    if (status == DIO_OK && total > room) status = remove_oldest(ctx, folder, files, n, total, room);
    for (size_t i = 0; i < n; i++) dio_free(ctx, files[i].path);
    dio_free(ctx, files);
    dio_listing_free(ctx, &listing);
    return status;
}
