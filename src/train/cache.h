/* The feature cache: what the frozen prefix made of each picture, in one file for each view.
 *
 * FOLDER/<key>.features, where the key is a hash of everything that decides the numbers but the picture itself; each row
 * is found by the SHA-256 of its picture's bytes and the number its random view was drawn with.  Written whole, mapped
 * when read, and never trusted: a SHA-256 over all closes the file and is checked at every opening; what does not fit is
 * built again. */
#ifndef DIO_TRAIN_CACHE_H
#define DIO_TRAIN_CACHE_H

#include "base/file.h"
#include "base/hash.h"
#include "image/picture.h"

struct dio_cache_entry {
    struct dio_digest picture;
    uint64_t view; /* what the view was drawn with; 0 for the plain picture */
    struct dio_picture_facts facts; /* of the picture as it was decoded; no part of what rows are found by */
};

/* A file that was found sound. */
struct dio_cache {
    struct dio_blob blob;
    const float *rows;    /* count x floats */
    const unsigned char *entries;
    uint32_t *table;      /* open addressing, row + 1 */
    size_t table_size;
    uint64_t count, floats;
};

/* *found is false when there is no such file, or when it is damaged or of another kind (a warning says so). */
dio_status dio_cache_open(struct dio_ctx *ctx, const char *path, const struct dio_digest *key, uint64_t floats,
                          struct dio_cache *cache, bool *found);
void dio_cache_close(struct dio_ctx *ctx, struct dio_cache *cache); /* also a zeroed one */
/* Row of a picture; -1: not there. */
int64_t dio_cache_find(const struct dio_cache *cache, const struct dio_cache_entry *entry);
const float *dio_cache_row(const struct dio_cache *cache, int64_t row);
void dio_cache_entry_at(const struct dio_cache *cache, int64_t row, struct dio_cache_entry *entry);

uint64_t dio_cache_bytes(uint64_t rows, uint64_t floats); /* of a file with so many rows */
/* Room for `bytes` more below `limit`: the oldest files of the folder go, never those of `keep` (paths, some NULL).  Files
 * that are mapped elsewhere stay readable there.  What went is said in a note. */
dio_status dio_cache_make_room(struct dio_ctx *ctx, const char *folder, uint64_t limit, uint64_t bytes,
                               const char *const *keep, size_t n_keep);

/* Writing, row by row. */
struct dio_cache_writer {
    struct dio_writer writer;
    struct dio_sha256 hash;
    struct dio_cache_entry *entries;
    size_t count, capacity;
    uint64_t floats;
};
dio_status dio_cache_begin(struct dio_ctx *ctx, const char *path, const struct dio_digest *key, uint64_t floats,
                           struct dio_cache_writer *writer);
dio_status dio_cache_add(struct dio_cache_writer *writer, const struct dio_cache_entry *entry, const float *row);
dio_status dio_cache_commit(struct dio_cache_writer *writer);
void dio_cache_abort(struct dio_cache_writer *writer);

#endif
