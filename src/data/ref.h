/* One picture, wherever it lies: a file of its own, a member of a tar, a record of CIFAR's binary layout. */
#ifndef DIO_DATA_REF_H
#define DIO_DATA_REF_H

#include "base/file.h"
#include "base/hash.h"
#include "image/picture.h"

enum dio_ref_kind { DIO_REF_FILE, DIO_REF_MEMBER, DIO_REF_RECORD };

/* A view: the strings and the descriptor belong to whoever made it (dataset, walk). */
struct dio_ref {
    enum dio_ref_kind kind;
    const char *name;      /* as messages and predictions show it: "photos/a.png", "set.tar/train/cat/a.png" */
    const char *path;      /* to be opened; NULL for members and records, which are read through fd */
    int fd;
    uint64_t offset, size; /* of a member or record; of a file, size as listed (0: not known, not compared) */
    int64_t mtime_ns;      /* of a file, as listed; 0: not compared */
};

/* The bytes; safe from worker threads (each with a context of its own).  Freed with dio_blob_free.  A file that is gone
 * or has another size or time than when it was listed is DIO_ERR_INPUT (row D9); what is not a regular file likewise
 * (D10); above limits.max_file likewise. */
dio_status dio_ref_read(struct dio_ctx *ctx, const struct dio_ref *ref, struct dio_blob *bytes);

/* Read and decoded. Records become 32 x 32 RGB8. `digest`, when not NULL, gets the SHA-256 of the bytes. */
dio_status dio_ref_decode(struct dio_ctx *ctx, const struct dio_ref *ref, const struct dio_decode_options *options,
                          struct dio_picture *picture, struct dio_digest *digest);

#endif
