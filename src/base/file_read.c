#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

static int64_t mtime_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static dio_status read_exactly(struct dio_ctx *ctx, const char *path, int fd, uint64_t offset, unsigned char *out, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t got = pread(fd, out + done, length - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return dio_fail_errno(ctx, path, "read", errno);
        if (got == 0) {
            return dio_fail(ctx, DIO_ERR_ENV, "E2", &(struct dio_place){.file = path}, "file shrank while it was read");
        }
        done += (size_t)got;
    }
    return DIO_OK;
}

/* One byte more than asked for, zero, so that text ends. */
dio_status dio_blob_pread(struct dio_ctx *ctx, const char *path, int fd, uint64_t offset, size_t length,
                          struct dio_blob *blob)
{
    *blob = (struct dio_blob){.fd = -1};
    if (offset > INT64_MAX || length > INT64_MAX - offset) {
        return dio_fail(ctx, DIO_ERR_INPUT, NULL, &(struct dio_place){.file = path}, "position beyond any file");
    }
    unsigned char *data = dio_alloc(ctx, length == SIZE_MAX ? length : length + 1, "file contents");
    if (!data) return DIO_ERR_ENV;
    dio_status status = read_exactly(ctx, path, fd, offset, data, length);
    if (status != DIO_OK) {
        dio_free(ctx, data);
        return status;
    }
    data[length] = 0;
    blob->data = data;
    blob->size = length;
    return DIO_OK;
}

static dio_status map(struct dio_ctx *ctx, const char *path, int fd, size_t size, struct dio_blob *blob)
{
    void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) return dio_blob_pread(ctx, path, fd, 0, size, blob);
    *blob = (struct dio_blob){.data = data, .size = size, .mapped = true, .fd = fd};
    return DIO_OK;
}

static dio_status check_size(struct dio_ctx *ctx, const char *path, uint64_t size, uint64_t limit, const char *limit_option)
{
    if ((limit == 0 || size <= limit) && size < SIZE_MAX) return DIO_OK;
    struct dio_place place = {.file = path};
    if (!limit_option) return dio_fail(ctx, DIO_ERR_INPUT, NULL, &place, "%" PRIu64 " bytes, above the limit of %" PRIu64, size, limit);
    char hint[96];
    snprintf(hint, sizeof hint, "give a larger %s to read it", limit_option);
    place.hint = hint;
    return dio_fail(ctx, DIO_ERR_INPUT, NULL, &place, "%" PRIu64 " bytes, above %s %" PRIu64, size, limit_option, limit);
}

dio_status dio_blob_read(struct dio_ctx *ctx, const char *path, enum dio_read_mode mode, uint64_t limit,
                         const char *limit_option, struct dio_blob *blob)
{
    dio_status status;
    struct stat st;
    *blob = (struct dio_blob){.fd = -1};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* non-blocking: a FIFO must not make us wait */
    if (fd < 0) return dio_fail_errno(ctx, path, "open", errno);
    if (fstat(fd, &st) != 0) {
        status = dio_fail_errno(ctx, path, "stat", errno);
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        status = dio_fail(ctx, DIO_ERR_ENV, NULL, &(struct dio_place){.file = path}, "not a regular file%s",
                          S_ISDIR(st.st_mode) ? " (a folder)" : "");
        goto fail;
    }
    uint64_t size = (uint64_t)st.st_size;
    DIO_TRY(check_size(ctx, path, size, limit, limit_option));
    if (mode == DIO_READ_MAP && size > 0) {
        DIO_TRY(map(ctx, path, fd, (size_t)size, blob));
    } else {
        DIO_TRY(dio_blob_pread(ctx, path, fd, 0, (size_t)size, blob));
    }
    blob->device = (uint64_t)st.st_dev;
    blob->inode = (uint64_t)st.st_ino;
    blob->mtime_ns = mtime_of(&st);
    if (!blob->mapped) close(fd);
    return DIO_OK;
fail:
    close(fd);
    return status;
}

bool dio_blob_unchanged(const struct dio_blob *blob)
{
    struct stat st;
    if (!blob->mapped) return true;
    return fstat(blob->fd, &st) == 0 && (uint64_t)st.st_size == blob->size && mtime_of(&st) == blob->mtime_ns;
}

void dio_blob_free(struct dio_ctx *ctx, struct dio_blob *blob)
{
    if (blob->mapped) {
        munmap((void *)(uintptr_t)blob->data, blob->size);
        close(blob->fd);
    } else {
        dio_free(ctx, (void *)(uintptr_t)blob->data);
    }
    *blob = (struct dio_blob){.fd = -1};
}
