/* Named tensors as a file gave them, with what else it said.
 *
 * A weight points into memory that the list owns (a mapped file, or blocks read from it); the bytes may lie unaligned,
 * strided, or in the other byte order, so everybody reads them through dio_weight_to_f32 or dio_weight_copy. */
#ifndef DIO_TENSOR_WEIGHTS_H
#define DIO_TENSOR_WEIGHTS_H

#include "base/file.h"
#include "base/memory.h"
#include "tensor/tensor.h"

struct dio_weight {
    const char *name;       /* terminated; may hold any byte, 0 included, so name_length counts */
    size_t name_length;
    enum dio_dtype dtype;
    int rank;               /* up to DIO_MAX_TENSOR_RANK */
    const int64_t *dims;    /* rank of them */
    const int64_t *strides; /* elements; NULL: contiguous, row-major */
    uint64_t elements;
    const void *data;
    bool swapped;           /* bytes of each element are in the other order than this machine's */
    uint32_t source;        /* index into the list's sources: which file it came from */
};

/* A text that goes with the weights: safetensors' __metadata__. */
struct dio_metadata {
    const char *key, *value; /* terminated UTF-8 */
    size_t key_length, value_length;
};

/* Something that is no tensor, for `info` to list: {"epoch", "int", "7"}, {"args", "argparse.Namespace", ""}. */
struct dio_other_value {
    const char *path, *type, *text;
};

struct dio_weights {
    struct dio_arena arena;  /* names, dims, texts */
    const char *path;        /* as the user wrote it */
    const char *format;      /* "safetensors", "torch", ...: a string of the format's record */
    const char *detail;      /* "zip, byte order little", "legacy", "2 shards": for info; may be NULL */
    const char *note, *note_code; /* a remark for when work starts ("using ..."), and its row; NULL: none */
    struct dio_weight *items; /* in the file's order */
    size_t count, capacity;
    struct dio_metadata *metadata;
    size_t metadata_count, metadata_capacity;
    struct dio_other_value *others;
    size_t other_count, other_capacity;
    const char **sources;    /* path of each file read */
    struct dio_blob *blobs;  /* as many as sources */
    size_t source_count, source_capacity, blob_capacity;
    void **blocks;           /* unpacked entries and the like */
    size_t block_count, block_capacity;
    uint32_t *table;         /* names to items: open addressing, item + 1, 0 free */
    size_t table_size;
};

/* All zero but the arena: free may be called from here on, however far reading came. */
void dio_weights_init(struct dio_weights *weights, struct dio_ctx *ctx);
void dio_weights_free(struct dio_ctx *ctx, struct dio_weights *weights);

/* For readers.  Texts are copied; data, dims and strides are not. */
dio_status dio_weights_add(struct dio_ctx *ctx, struct dio_weights *weights, const struct dio_weight *weight);
dio_status dio_weights_add_metadata(struct dio_ctx *ctx, struct dio_weights *weights, const char *key, size_t key_length,
                                    const char *value, size_t value_length);
dio_status dio_weights_add_other(struct dio_ctx *ctx, struct dio_weights *weights, const char *path, const char *type,
                                 const char *text);
/* Takes the blob over when it succeeds. */
dio_status dio_weights_add_source(struct dio_ctx *ctx, struct dio_weights *weights, const char *path,
                                  struct dio_blob *blob, uint32_t *source);
/* A block of `size` bytes that lives as long as the list. */
void *dio_weights_block(struct dio_ctx *ctx, struct dio_weights *weights, size_t size, const char *what);
/* The same for a block of the caller's (dio_alloc), which is freed if this fails. */
dio_status dio_weights_adopt(struct dio_ctx *ctx, struct dio_weights *weights, void *block);
/* Builds the name table; call after the last add.  *twice (may be NULL) gets an item whose name stood before, or NULL. */
dio_status dio_weights_index(struct dio_ctx *ctx, struct dio_weights *weights, const struct dio_weight **twice);

/* NULL when there is none. */
const struct dio_weight *dio_weights_find(const struct dio_weights *weights, const char *name);
const struct dio_weight *dio_weights_find_n(const struct dio_weights *weights, const char *name, size_t length);
const char *dio_weights_meta(const struct dio_weights *weights, const char *key);

bool dio_weight_shape(const struct dio_weight *weight, struct dio_shape *shape); /* false: rank above DIO_MAX_RANK */
bool dio_weight_is(const struct dio_weight *weight, int rank, const int64_t *dims);

/* Reading.  `out` holds weight->elements numbers.  Refuses types that are no weights (row S19) and a file that changed
 * while it was mapped (row S20).  _copy keeps the type, makes it contiguous and of this machine's byte order. */
dio_status dio_weight_to_f32(struct dio_ctx *ctx, const struct dio_weights *weights, const struct dio_weight *weight,
                             float *out);
dio_status dio_weight_copy(struct dio_ctx *ctx, const struct dio_weights *weights, const struct dio_weight *weight,
                           void *out);
/* NaN and infinite values, read in pieces of fixed size. */
dio_status dio_weight_nonfinite(struct dio_ctx *ctx, const struct dio_weights *weights, const struct dio_weight *weight,
                                uint64_t *nan, uint64_t *inf);

#endif
