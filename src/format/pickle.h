/* Pickle, read by a machine with a fixed set of opcodes and a fixed set of names: nothing is ever looked up, imported or
 * called.  What comes out is a table of plain objects, numbered; containers hold numbers.  Freeing walks the table, so no
 * depth of nesting matters to it. */
#ifndef DIO_FORMAT_PICKLE_H
#define DIO_FORMAT_PICKLE_H

#include "base/memory.h"
#include "tensor/tensor.h"

enum dio_py_kind {
    DIO_PY_NONE, DIO_PY_BOOL, DIO_PY_INT,
    DIO_PY_LONG,    /* beyond 64 bits: the bytes, little-endian two's complement */
    DIO_PY_FLOAT, DIO_PY_STR, DIO_PY_BYTES,
    DIO_PY_TUPLE, DIO_PY_LIST, DIO_PY_SET,
    DIO_PY_DICT,    /* items: key, value, key, value, ...; a key set twice stands twice, the last one counts */
    DIO_PY_GLOBAL, DIO_PY_STORAGE, DIO_PY_TENSOR,
    DIO_PY_OPAQUE   /* an inert object: its class, arguments and state */
};

/* What a name of the closed list stands for. */
enum dio_py_role {
    DIO_PY_REFUSED, DIO_PY_INERT,
    DIO_PY_REBUILD_TENSOR, DIO_PY_REBUILD_TENSOR_V2, DIO_PY_REBUILD_TENSOR_V3, DIO_PY_REBUILD_PARAMETER,
    DIO_PY_REBUILD_FROM_TYPE,
    DIO_PY_MAKE_DICT, DIO_PY_MAKE_ORDERED_DICT, DIO_PY_MAKE_DEFAULT_DICT, DIO_PY_MAKE_LIST, DIO_PY_MAKE_SET, DIO_PY_MAKE_BYTES,
    DIO_PY_MAKE_SIZE,
    DIO_PY_STORAGE_TYPE, DIO_PY_DTYPE, DIO_PY_TENSOR_CLASS
};

struct dio_py_global {
    const char *module, *name;
    enum dio_py_role role;
    enum dio_dtype dtype;   /* of storage types and dtypes */
    bool untyped;           /* storage type: counts bytes */
};

struct dio_py_storage {
    const char *key;        /* in the pickle's bytes, not terminated */
    uint32_t key_length;
    enum dio_dtype dtype;
    bool untyped;
    int64_t count;          /* elements, of an untyped one bytes */
};

/* A storage as a tensor refers to it: in the legacy container perhaps a part of another one. */
struct dio_py_storage_view {
    uint32_t storage;       /* index into dio_pickle.storages */
    int64_t offset, count;  /* elements of it */
};

struct dio_py_tensor {
    const struct dio_py_storage_view *view;
    int64_t offset;         /* elements, within the view */
    uint32_t shape, strides; /* tuples of at most DIO_MAX_TENSOR_RANK ints; not copied: many tensors may share one */
    enum dio_dtype dtype;
};

struct dio_py_opaque {
    const struct dio_py_global *type;
    uint32_t args, state;   /* objects; 0 is None */
};

struct dio_py {
    uint8_t kind;
    bool ordered;           /* dict: an OrderedDict, which may carry attributes */
    uint32_t count;         /* items (a dict: pairs), bytes of text */
    union {
        int64_t integer;
        double real;
        const unsigned char *bytes;
        uint32_t *items;
        const struct dio_py_global *global;
        const struct dio_py_storage_view *storage;
        struct dio_py_tensor *tensor;
        struct dio_py_opaque *opaque;
    } u;
    uint64_t at;            /* where it was made, from the start of the pickle's bytes */
};

enum { DIO_PY_NONE_OBJECT = 0, DIO_PY_FALSE_OBJECT = 1, DIO_PY_TRUE_OBJECT = 2, DIO_PY_EMPTY_TUPLE = 3 };

struct dio_py_memo_slot {
    uint32_t key, object; /* object + 1; 0: free */
};

struct dio_pickle {
    struct dio_ctx *ctx;
    const char *file;
    const unsigned char *data; /* has to outlive the objects: texts point into it */
    size_t size, at;
    uint64_t base;          /* offset of data[0] in the file, for messages */
    bool allow_opaque;
    struct dio_arena arena;
    struct dio_py *objects;
    size_t count, capacity;
    uint32_t *stack;
    size_t depth, stack_capacity;
    size_t *marks;
    size_t mark_count, mark_capacity;
    struct dio_py_memo_slot *memo;
    size_t memo_count, memo_size;
    struct dio_py_storage *storages;
    size_t storage_count, storage_capacity;
    uint32_t *storage_table; /* by key: index + 1 */
    size_t storage_table_size;
    uint64_t opcodes;
    uint64_t copied;        /* items of containers that were made from other containers */
    size_t opcode_at;       /* of the opcode that runs */
    uint64_t frame_end;     /* 0: no frame */
};

dio_status dio_pickle_init(struct dio_pickle *pickle, struct dio_ctx *ctx, const char *file, const unsigned char *data,
                           size_t size, uint64_t base, bool allow_opaque);
void dio_pickle_free(struct dio_pickle *pickle);

/* Runs one pickle from `at` to its STOP; `at` then stands behind it.  Objects of earlier runs stay. */
dio_status dio_pickle_run(struct dio_pickle *pickle, uint32_t *root);

/* "FILE: pickle: text (offset A)", DIO_ERR_INPUT. */
dio_status dio_pickle_fail(struct dio_pickle *pickle, const char *code, size_t at, const char *format, ...) DIO_PRINTF(4, 5);

static inline struct dio_py *dio_py_at(const struct dio_pickle *pickle, uint32_t object)
{
    return &pickle->objects[object];
}
/* "a list", "a dict", for messages. */
const char *dio_py_kind_text(const struct dio_py *object);
/* "list", "int", "argparse.Namespace": into out. */
void dio_py_type_name(const struct dio_py *object, char *out, size_t out_size);
bool dio_py_is_text(const struct dio_py *object, const char *text);
/* The last value under a key of text; false: none. */
bool dio_py_get(const struct dio_pickle *pickle, const struct dio_py *dict, const char *key, uint32_t *value);

/* ---- between the parts of the machine ---- */
dio_status dio_py_new(struct dio_pickle *pickle, enum dio_py_kind kind, uint32_t *object);
dio_status dio_py_push(struct dio_pickle *pickle, uint32_t object);
dio_status dio_py_pop(struct dio_pickle *pickle, uint32_t *object); /* never below the last mark */
/* Room for `more` further numbers in a list, set or dict. */
dio_status dio_py_reserve(struct dio_pickle *pickle, struct dio_py *container, size_t more);
/* Value behind `key`, which must be hashable, into a dict. */
dio_status dio_py_set(struct dio_pickle *pickle, uint32_t dict, uint32_t key, uint32_t value, const char *opcode);
dio_status dio_py_put_memo(struct dio_pickle *pickle, uint32_t key, uint32_t object);
bool dio_py_get_memo(const struct dio_pickle *pickle, uint32_t key, uint32_t *object);
dio_status dio_py_find_storage(struct dio_pickle *pickle, const struct dio_py_storage *wanted, uint32_t *index, bool *added);
/* Row P11: the closed list. */
dio_status dio_py_global(struct dio_pickle *pickle, const char *module, size_t module_length, const char *name,
                         size_t name_length, const struct dio_py_global **out);
dio_status dio_py_reduce(struct dio_pickle *pickle);
dio_status dio_py_new_object(struct dio_pickle *pickle);
dio_status dio_py_build(struct dio_pickle *pickle);
dio_status dio_py_persistent_id(struct dio_pickle *pickle);

#endif
