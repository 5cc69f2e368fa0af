/* The parts of the reader of PyTorch's files, among themselves. */
#ifndef DIO_FORMAT_TORCH_H
#define DIO_FORMAT_TORCH_H

#include "format/format.h"
#include "format/pickle.h"
#include "format/zip.h"

/* Bytes of one storage of the pickle; data NULL: not there, or not looked for yet. */
struct dio_torch_storage {
    const unsigned char *data;
    bool present, loaded;
};

struct dio_torch {
    struct dio_ctx *ctx;
    const char *path;
    const struct dio_read_options *options;
    struct dio_weights *out;
    uint32_t source;
    struct dio_pickle pickle;
    uint32_t root;                 /* the object that was saved */
    struct dio_torch_storage *storages; /* by the pickle's numbers */
    const int64_t **numbers;       /* by object: a tuple of ints that was copied into the list's arena, or NULL */
    bool swapped;                  /* the file's byte order is not ours */
    struct dio_zip zip;            /* of the zip container */
    const char *folder;            /* its top folder, not terminated */
    size_t folder_length;
    bool legacy;
};

/* Bytes of storage `index`, as long as its pickled count says; `name` is the tensor's, for messages.  torch.c. */
dio_status dio_torch_storage_data(struct dio_torch *torch, uint32_t index, const char *name, size_t name_length,
                                  const unsigned char **data);
/* Which object is the state dict; its key path is a text of the list's arena, NULL for the root itself.  Then its tensors
 * go into the list.  torch_tensors.c. */
dio_status dio_torch_choose(struct dio_torch *torch, uint32_t *chosen, const char **chosen_path);
dio_status dio_torch_add_tensors(struct dio_torch *torch, uint32_t chosen, const char *chosen_path);
/* Visits every object once: refuses nesting above the limit (row P16), lists what is no tensor.  torch_values.c. */
dio_status dio_torch_add_values(struct dio_torch *torch, uint32_t chosen);

#define DIO_TORCH_EXTRA "extra/" /* before the keys of metadata, which are entries of the archive */
dio_status dio_torch_write(struct dio_ctx *ctx, const char *path, const struct dio_save *save);

#endif
