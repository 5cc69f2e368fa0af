#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"

enum { BUFFER = 256 * 1024 };

static dio_status fail_write(struct dio_writer *writer, const char *call, int error)
{
    writer->failed = true;
    if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
        char text[128];
        dio_errno_text(error, text, sizeof text);
        return dio_fail(writer->ctx, DIO_ERR_ENV, "E1", &(struct dio_place){.file = writer->path},
                        "%s (wrote %" PRIu64 " of %" PRIu64 " bytes)", text, writer->written, writer->written + writer->used);
    }
    return dio_fail_errno(writer->ctx, writer->path, call, error);
}

/* NAME.tmp-PID of processes that are gone. */
static void remove_stale(struct dio_ctx *ctx, const char *path)
{
    char *folder = dio_path_parent(ctx, path);
    const char *base = dio_path_base(path);
    size_t length = strlen(base);
    DIR *entries = folder ? opendir(folder) : NULL;
    struct dirent *entry;
    while (entries && (entry = readdir(entries))) {
        int64_t pid;
        const char *name = entry->d_name;
        if (strncmp(name, base, length) != 0 || strncmp(name + length, ".tmp-", 5) != 0) continue;
        const char *digits = name + length + 5;
        if (!dio_parse_i64(digits, strlen(digits), &pid) || pid < 1 || pid > INT32_MAX) continue;
        if (kill((pid_t)pid, 0) != 0 && errno == ESRCH) unlinkat(dirfd(entries), name, 0);
    }
    if (entries) closedir(entries);
    dio_free(ctx, folder);
}

static dio_status open_direct(struct dio_writer *writer, bool standard_output)
{
    writer->direct = true;
    writer->fd = standard_output ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3) : open(writer->path, O_WRONLY | O_CLOEXEC);
    if (writer->fd >= 0) return DIO_OK;
    return dio_fail_errno(writer->ctx, writer->path, "open", errno);
}

static dio_status open_temporary(struct dio_writer *writer, mode_t mode)
{
    remove_stale(writer->ctx, writer->path);
    writer->temporary = dio_sprintf(writer->ctx, "%s.tmp-%ld", writer->path, (long)getpid());
    if (!writer->temporary) return DIO_ERR_ENV;
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    writer->fd = open(writer->temporary, flags, 0666);
    if (writer->fd < 0 && errno == EEXIST && unlink(writer->temporary) == 0) writer->fd = open(writer->temporary, flags, 0666);
    if (writer->fd < 0) {
        int error = errno;
        dio_free(writer->ctx, writer->temporary); /* not ours: abort must not remove it */
        writer->temporary = NULL;
        return dio_fail_errno(writer->ctx, writer->path, "open", error);
    }
    if (mode != 0) (void)fchmod(writer->fd, mode & 0777); /* what stands there keeps its permissions */
    return DIO_OK;
}

/* A link is followed: what it points to is replaced, and the link stays. */
static char *resolve(struct dio_ctx *ctx, const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && stat(path, &st) == 0) {
        char *real = realpath(path, NULL);
        char *copy = real ? dio_strdup(ctx, real) : dio_strdup(ctx, path);
        free(real);
        return copy;
    }
    return dio_strdup(ctx, path);
}

dio_status dio_writer_open(struct dio_ctx *ctx, const char *path, struct dio_writer *writer)
{
    dio_status status = DIO_ERR_ENV;
    struct stat st = {0};
    bool standard_output = strcmp(path, "-") == 0;
    *writer = (struct dio_writer){.ctx = ctx, .fd = -1};
    writer->path = standard_output ? dio_strdup(ctx, "standard output") : resolve(ctx, path);
    writer->buffer = writer->path ? dio_alloc(ctx, BUFFER, "write buffer") : NULL;
    if (!writer->buffer) goto fail;
    bool exists = !standard_output && stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode)) {
        status = dio_fail(ctx, DIO_ERR_ENV, "E7", &(struct dio_place){.file = path}, "is a folder");
        goto fail;
    }
    if (standard_output || (exists && !S_ISREG(st.st_mode))) {
        DIO_TRY(open_direct(writer, standard_output));
    } else {
        DIO_TRY(open_temporary(writer, exists ? st.st_mode : 0));
    }
    return DIO_OK;
fail:
    dio_writer_abort(writer);
    return status;
}

static dio_status write_all(struct dio_writer *writer, const unsigned char *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t put = write(writer->fd, bytes + done, length - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail_write(writer, "write", errno);
        done += (size_t)put;
        writer->written += (uint64_t)put;
    }
    return DIO_OK;
}

static dio_status flush(struct dio_writer *writer)
{
    if (writer->failed) return DIO_ERR_ENV;
    DIO_PASS(write_all(writer, writer->buffer, writer->used));
    writer->used = 0;
    return DIO_OK;
}

dio_status dio_writer_put(struct dio_writer *writer, const void *bytes, size_t length)
{
    if (writer->failed) return DIO_ERR_ENV;
    if (length > BUFFER - writer->used) DIO_PASS(flush(writer));
    if (length >= BUFFER) return write_all(writer, bytes, length);
    if (length > 0) memcpy(writer->buffer + writer->used, bytes, length);
    writer->used += length;
    return DIO_OK;
}

static void free_writer(struct dio_writer *writer)
{
    dio_free(writer->ctx, writer->path);
    dio_free(writer->ctx, writer->temporary);
    dio_free(writer->ctx, writer->buffer);
    *writer = (struct dio_writer){.ctx = writer->ctx, .fd = -1};
}

void dio_writer_abort(struct dio_writer *writer)
{
    if (writer->fd >= 0) close(writer->fd);
    if (writer->temporary) unlink(writer->temporary);
    free_writer(writer);
}

/* Some file systems cannot do that. */
dio_status dio_sync_folder_of(struct dio_ctx *ctx, const char *path)
{
    char *folder = dio_path_parent(ctx, path);
    if (!folder) return DIO_ERR_ENV;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd >= 0 && fsync(fd) != 0 ? errno : 0;
    if (fd >= 0) close(fd);
    dio_free(ctx, folder);
    if (error == 0 || error == EINVAL || error == EROFS || error == ENOTSUP) return DIO_OK;
    return dio_fail_errno(ctx, path, "fsync", error);
}

dio_status dio_writer_commit(struct dio_writer *writer)
{
    DIO_PASS(flush(writer));
    /* Terminals, pipes and some file systems know no fsync: then there is nothing to wait for. */
    if (fsync(writer->fd) != 0 && errno != EINVAL && errno != ENOTSUP && errno != EROFS) {
        return fail_write(writer, "fsync", errno);
    }
    int fd = writer->fd;
    writer->fd = -1;
    if (close(fd) != 0 && errno != EINTR) return fail_write(writer, "close", errno);
    if (!writer->direct) {
        if (rename(writer->temporary, writer->path) != 0) return fail_write(writer, "rename", errno);
        dio_free(writer->ctx, writer->temporary);
        writer->temporary = NULL;
        DIO_PASS(dio_sync_folder_of(writer->ctx, writer->path));
    }
    free_writer(writer);
    return DIO_OK;
}

dio_status dio_write_whole(struct dio_ctx *ctx, const char *path, const void *bytes, size_t length)
{
    dio_status status;
    struct dio_writer writer;
    DIO_PASS(dio_writer_open(ctx, path, &writer));
    DIO_TRY(dio_writer_put(&writer, bytes, length));
    DIO_TRY(dio_writer_commit(&writer));
    return DIO_OK;
fail:
    dio_writer_abort(&writer);
    return status;
}
