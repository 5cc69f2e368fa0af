#include "data/ref.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "data/cifar.h"

static dio_status read_all(struct dio_ctx *ctx, const struct dio_ref *ref, int fd, uint64_t offset, size_t size,
                           struct dio_blob *bytes)
{
    struct dio_place place = {.file = ref->name};
    unsigned char *data = dio_alloc(ctx, size ? size : 1, "a picture file");
    if (!data) return DIO_ERR_ENV;
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(fd, data + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            char reason[128];
            dio_errno_text(errno, reason, sizeof reason);
            dio_free(ctx, data);
            return dio_fail(ctx, DIO_ERR_INPUT, "I3", &place, "read: %s", reason);
        }
        if (got == 0) {
            dio_free(ctx, data);
            return dio_fail(ctx, DIO_ERR_INPUT, "D9", &place, "changed while it was read");
        }
        done += (size_t)got;
    }
    *bytes = (struct dio_blob){.data = data, .size = size, .fd = -1};
    return DIO_OK;
}

static dio_status check_size(struct dio_ctx *ctx, const struct dio_place *place, uint64_t size)
{
    if (ctx->limits.max_file && size > ctx->limits.max_file) {
        return dio_fail(ctx, DIO_ERR_INPUT, "I5", place, "%llu bytes, above --max-file %llu", (unsigned long long)size,
                        (unsigned long long)ctx->limits.max_file);
    }
    return DIO_OK;
}

/* Opened without waiting, so that a FIFO put in a picture's place holds nobody up. */
static dio_status read_file(struct dio_ctx *ctx, const struct dio_ref *ref, struct dio_blob *bytes)
{
    struct dio_place place = {.file = ref->name};
    int fd = open(ref->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        int error = errno;
        if (error == EMFILE || error == ENFILE || error == ENOMEM) return dio_fail_errno(ctx, ref->name, "open", error);
        if (error == ENOENT && ref->size) {
            return dio_fail(ctx, DIO_ERR_INPUT, "D9", &place, "vanished since the start of the run");
        }
        char reason[128];
        dio_errno_text(error, reason, sizeof reason);
        return dio_fail(ctx, DIO_ERR_INPUT, "D9", &place, "open: %s", reason);
    }
    struct stat info;
    dio_status status = DIO_OK;
    if (fstat(fd, &info) != 0) {
        status = dio_fail_errno(ctx, ref->name, "stat", errno);
    } else if (!S_ISREG(info.st_mode)) {
        status = dio_fail(ctx, DIO_ERR_INPUT, "D10", &place, "not a regular file");
    } else if (ref->mtime_ns && ((uint64_t)info.st_size != ref->size ||
                                 info.st_mtim.tv_sec * INT64_C(1000000000) + info.st_mtim.tv_nsec != ref->mtime_ns)) {
        status = dio_fail(ctx, DIO_ERR_INPUT, "D9", &place, "changed since the start of the run");
    } else {
        status = check_size(ctx, &place, (uint64_t)info.st_size);
        if (status == DIO_OK) status = read_all(ctx, ref, fd, 0, (size_t)info.st_size, bytes);
    }
    close(fd);
    return status;
}

dio_status dio_ref_read(struct dio_ctx *ctx, const struct dio_ref *ref, struct dio_blob *bytes)
{
    *bytes = (struct dio_blob){.fd = -1};
    if (ref->kind == DIO_REF_FILE) return read_file(ctx, ref, bytes);
    struct dio_place place = {.file = ref->name};
    DIO_PASS(check_size(ctx, &place, ref->size));
    return read_all(ctx, ref, ref->fd, ref->offset, (size_t)ref->size, bytes);
}

dio_status dio_ref_decode(struct dio_ctx *ctx, const struct dio_ref *ref, const struct dio_decode_options *options,
                          struct dio_picture *picture, struct dio_digest *digest)
{
    struct dio_blob bytes;
    DIO_PASS(dio_ref_read(ctx, ref, &bytes));
    if (digest) *digest = dio_sha256_of(bytes.data, bytes.size);
    dio_status status = ref->kind == DIO_REF_RECORD
                            ? dio_cifar_decode(ctx, ref->name, bytes.data, bytes.size, picture)
                            : dio_picture_decode(ctx, ref->name, bytes.data, bytes.size, options, picture);
    dio_blob_free(ctx, &bytes);
    return status;
}
