/* File formats of weights: told by content, never by name; one record and one line in list.def each.
 *
 * Reading refuses what the catalogue of bad input says (rows S, P, J), in its words, and leaves nothing behind. */
#ifndef DIO_FORMAT_FORMAT_H
#define DIO_FORMAT_FORMAT_H

#include "tensor/origin.h"
#include "tensor/weights.h"

struct dio_read_options {
    const char *key;   /* which of several state dicts in one file (--key); NULL: the usual order */
    bool allow_opaque; /* unknown Python names become opaque values instead of a refusal (--allow-opaque) */
};

struct dio_save {
    const struct dio_weight *items; /* written under their names; see dio_weight_of */
    size_t count;
    const struct dio_metadata *metadata; /* safetensors writes it sorted, .pth as entries of the archive */
    size_t metadata_count;
    enum dio_dtype floats;          /* what F32 items are written as: DIO_F32, DIO_F16 or DIO_BF16 */
};

/* MAYBE: broken, but nothing else would look so; the reader then says what is wrong. */
enum dio_probe { DIO_PROBE_NO, DIO_PROBE_MAYBE, DIO_PROBE_YES };

struct dio_format {
    const char *name;      /* "safetensors" */
    const char *extension; /* ".safetensors": for writing; NULL when it cannot be written */
    const char *about;     /* one line for help */
    /* Either `folder` (a folder with weights in it) or `probe` on the file's bytes. */
    enum dio_probe (*probe)(const unsigned char *bytes, size_t size);
    bool (*probe_folder)(struct dio_ctx *ctx, const char *path);
    /* `blob` is the whole file (NULL for a folder); a reader that keeps pointers into it takes it over through
     * dio_weights_add_source, which leaves *blob empty.  On failure the caller frees both. */
    dio_status (*read)(struct dio_ctx *ctx, const char *path, struct dio_blob *blob,
                       const struct dio_read_options *options, struct dio_weights *out);
    dio_status (*write)(struct dio_ctx *ctx, const char *path, const struct dio_save *save); /* whole or not at all */
};

const struct dio_format *dio_format_find(const char *name);        /* NULL: none */
/* By extension, for writing; safetensors for "-" (standard output), devices and FIFOs; NULL: none. */
const struct dio_format *dio_format_for_path(const char *path);

/* Reads a file or a folder.  options may be NULL.  `out` is initialised here; on failure it is already freed.
 * A file that is missing or cannot be read: DIO_ERR_ENV; anything wrong in it: DIO_ERR_INPUT. */
dio_status dio_weights_read(struct dio_ctx *ctx, const char *path, const struct dio_read_options *options,
                            struct dio_weights *out);

/* A file of weights in memory: copied while it is small, mapped above. */
dio_status dio_format_blob(struct dio_ctx *ctx, const char *path, struct dio_blob *blob);

/* Writes by the path's extension (.safetensors, .pth, .pt).  The same input gives the same bytes. */
dio_status dio_weights_write(struct dio_ctx *ctx, const char *path, const struct dio_save *save);

/* A contiguous f32 tensor as an item to save: name, dims and data stay the caller's. */
struct dio_weight dio_weight_of(const char *name, enum dio_dtype dtype, const int64_t *dims, int rank, const void *data);

/* config.json and preprocessor_config.json that go with `path` (in the folder, or beside the file); *found tells whether
 * there was one.  A file that is there and wrong is refused (rows J1 to J7).  Free with dio_origin_free, also after
 * found = false or an error. */
dio_status dio_read_config(struct dio_ctx *ctx, const char *path, struct dio_origin_config *out, bool *found);
void dio_origin_free(struct dio_origin_config *config);

#endif
