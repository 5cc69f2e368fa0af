#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

/* Where the last whole line ends: searched from the end, piece by piece. */
static dio_status find_last_line_end(struct dio_stream *stream, off_t size, off_t *end)
{
    char piece[4096];
    while (size > 0) {
        size_t length = size < (off_t)sizeof piece ? (size_t)size : sizeof piece;
        ssize_t got = pread(stream->fd, piece, length, size - (off_t)length);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return dio_fail_errno(stream->ctx, stream->path, "read", errno);
        if (got < (ssize_t)length) return dio_fail_errno(stream->ctx, stream->path, "read", EIO);
        const char *newline = memrchr(piece, '\n', length);
        size -= (off_t)length;
        if (newline) {
            *end = size + (newline - piece) + 1;
            return DIO_OK;
        }
    }
    *end = 0;
    return DIO_OK;
}

static dio_status cut_unfinished(struct dio_stream *stream)
{
    struct stat st;
    off_t end;
    if (fstat(stream->fd, &st) != 0) return dio_fail_errno(stream->ctx, stream->path, "stat", errno);
    if (!S_ISREG(st.st_mode)) return DIO_OK;
    DIO_PASS(find_last_line_end(stream, st.st_size, &end));
    if (end < st.st_size && ftruncate(stream->fd, end) != 0) {
        return dio_fail_errno(stream->ctx, stream->path, "truncate", errno);
    }
    return DIO_OK;
}

dio_status dio_stream_open(struct dio_ctx *ctx, const char *path, bool append, struct dio_stream *stream)
{
    dio_status status;
    *stream = (struct dio_stream){.ctx = ctx, .fd = -1};
    bool standard_output = strcmp(path, "-") == 0;
    stream->path = dio_strdup(ctx, standard_output ? "standard output" : path);
    if (!stream->path) return DIO_ERR_ENV;
    if (standard_output) {
        stream->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    } else {
        stream->fd = open(path, (append ? O_RDWR : O_WRONLY | O_TRUNC) | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    }
    if (stream->fd < 0) {
        status = dio_fail_errno(ctx, stream->path, "open", errno);
        goto fail;
    }
    if (append && !standard_output) DIO_TRY(cut_unfinished(stream));
    return DIO_OK;
fail:
    if (stream->fd >= 0) close(stream->fd);
    dio_free(ctx, stream->path);
    *stream = (struct dio_stream){.ctx = ctx, .fd = -1};
    return status;
}

dio_status dio_stream_put(struct dio_stream *stream, const void *record, size_t length)
{
    const char *bytes = record;
    for (size_t done = 0; done < length;) {
        ssize_t put = write(stream->fd, bytes + done, length - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return dio_fail_errno(stream->ctx, stream->path, "write", errno);
        done += (size_t)put;
    }
    return DIO_OK;
}

dio_status dio_stream_close(struct dio_stream *stream)
{
    dio_status status = DIO_OK;
    if (stream->fd >= 0 && close(stream->fd) != 0 && errno != EINTR) {
        status = dio_fail_errno(stream->ctx, stream->path, "close", errno);
    }
    dio_free(stream->ctx, stream->path);
    *stream = (struct dio_stream){.ctx = stream->ctx, .fd = -1};
    return status;
}
