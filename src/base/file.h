/* Files: read with a bound, written whole or not at all. */
#ifndef DIO_BASE_FILE_H
#define DIO_BASE_FILE_H

#include <stdio.h>

#include "base/context.h"

/* A file in memory: mapped privately, or read where mapping is not possible or `copy` was asked for.  A mapped file that
 * shrinks under us would raise SIGBUS, so what is parsed (headers, pictures) is read; only bulk tensor data is mapped,
 * and dio_blob_unchanged is asked before use.  That leaves those who shrink it afterwards: the program guards itself with a
 * handler (cli/signals.c), the library must not have one. */
struct dio_blob {
    const unsigned char *data;
    size_t size;
    bool mapped;
    int fd;                      /* kept open while mapped, else -1 */
    uint64_t device, inode;
    int64_t mtime_ns;
};

enum dio_read_mode { DIO_READ_COPY, DIO_READ_MAP };

/* Only regular files (others: DIO_ERR_ENV "not a regular file"); missing file DIO_ERR_ENV.  limit 0: none. */
dio_status dio_blob_read(struct dio_ctx *ctx, const char *path, enum dio_read_mode mode, uint64_t limit,
                         const char *limit_option, struct dio_blob *blob);
/* Bytes offset..offset+length of an open descriptor, copied. */
dio_status dio_blob_pread(struct dio_ctx *ctx, const char *path, int fd, uint64_t offset, size_t length,
                          struct dio_blob *blob);
bool dio_blob_unchanged(const struct dio_blob *blob);
void dio_blob_free(struct dio_ctx *ctx, struct dio_blob *blob);

/* A file written beside its final name (NAME.tmp-PID), synced and renamed by commit.  Not a regular target (/dev/null,
 * a FIFO, "-" for standard output): written directly.  After any failed call, and in place of commit, call abort. */
struct dio_writer {
    struct dio_ctx *ctx;
    char *path, *temporary;
    int fd;
    bool direct, failed;
    unsigned char *buffer;
    size_t used;
    uint64_t written;
};
dio_status dio_writer_open(struct dio_ctx *ctx, const char *path, struct dio_writer *writer);
dio_status dio_writer_put(struct dio_writer *writer, const void *bytes, size_t length);
dio_status dio_writer_commit(struct dio_writer *writer);
void dio_writer_abort(struct dio_writer *writer);

/* A rename is lasting only once the folder is written, too. */
dio_status dio_sync_folder_of(struct dio_ctx *ctx, const char *path);

dio_status dio_write_whole(struct dio_ctx *ctx, const char *path, const void *bytes, size_t length);

/* A stream of whole records (JSON lines, logs): each record is one write(2); open_resume cuts an unfinished last line. */
struct dio_stream {
    struct dio_ctx *ctx;
    char *path;
    int fd;
};
dio_status dio_stream_open(struct dio_ctx *ctx, const char *path, bool append, struct dio_stream *stream);
dio_status dio_stream_put(struct dio_stream *stream, const void *record, size_t length);
dio_status dio_stream_close(struct dio_stream *stream);

/* Folders and names. */
dio_status dio_mkdirs(struct dio_ctx *ctx, const char *path);
char *dio_path_join(struct dio_ctx *ctx, const char *folder, const char *name); /* absolute `name` stands alone */
const char *dio_path_base(const char *path);                                    /* pointer into path */
char *dio_path_parent(struct dio_ctx *ctx, const char *path);                   /* "." when there is none */
/* Is `path`, which need not exist, the same as `other`, or somewhere below it?  Links are followed. */
dio_status dio_path_lies_in(struct dio_ctx *ctx, const char *path, const char *other, bool *inside);
bool dio_path_exists(const char *path);
bool dio_path_is_folder(const char *path);
bool dio_path_is_file(const char *path);
bool dio_same_file(const char *a, const char *b); /* device and inode */

struct dio_dirent {
    char *name;
    bool folder;
    uint64_t device, inode;
};
struct dio_listing {
    struct dio_dirent *entries; /* sorted by bytes; links resolved; . and .. left out */
    size_t count;
};
dio_status dio_list_folder(struct dio_ctx *ctx, const char *path, struct dio_listing *listing);
void dio_listing_free(struct dio_ctx *ctx, struct dio_listing *listing);

/* A lock by flock(2) on PATH; a second holder fails with DIO_ERR_ENV "PATH is in use by process N".  *fd: pass to unlock. */
dio_status dio_lock(struct dio_ctx *ctx, const char *path, int *fd);
void dio_unlock(int fd);

#endif
