/* A small reader of zip archives, strict where readers differ: the central directory has to fit the file exactly, agree
 * with the local headers, and no two entries may share a byte.  Nothing is ever written under an entry's name. */
#ifndef DIO_FORMAT_ZIP_H
#define DIO_FORMAT_ZIP_H

#include "base/file.h"

struct dio_zip_entry {
    const char *name;        /* not terminated; any bytes but NUL */
    uint16_t name_length, flags, method;
    uint32_t crc;
    uint64_t packed, size;
    uint64_t record, header, data; /* offsets of its directory record, local header and bytes */
};

struct dio_zip {
    struct dio_ctx *ctx;
    const char *path;
    const struct dio_blob *blob; /* the whole file; outlives this */
    struct dio_blob directory;   /* a copy when the file is mapped, else empty */
    struct dio_zip_entry *entries; /* in the directory's order */
    size_t count, capacity;
    uint32_t *by_name;           /* positions in entries, sorted by name */
    uint64_t unpacked, unpack_limit;
};

/* Rows P2, P3, P4, P9.  close may be called after a failure as well. */
dio_status dio_zip_open(struct dio_ctx *ctx, const char *path, const struct dio_blob *blob, struct dio_zip *zip);
void dio_zip_close(struct dio_zip *zip);

const struct dio_zip_entry *dio_zip_find(const struct dio_zip *zip, const char *name, size_t length); /* NULL: none */

/* The entry's bytes, its checksum checked (rows P5 to P8).  A stored entry gives a pointer into the file and leaves
 * *owned NULL; a deflated one gives a block that the caller frees. */
dio_status dio_zip_read(struct dio_zip *zip, const struct dio_zip_entry *entry, const unsigned char **bytes, void **owned);

/* "FILE: entry NAME: TEXT", DIO_ERR_INPUT. */
dio_status dio_zip_fail(const struct dio_zip *zip, const char *code, const struct dio_zip_entry *entry, uint64_t offset,
                        const char *format, ...) DIO_PRINTF(5, 6);

#endif
