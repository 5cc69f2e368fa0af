/* The closed list of names (row P11).  What is not here is refused with its full name, used or not. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "format/pickle.h"

static const struct dio_py_global known[] = {
    {"torch._utils", "_rebuild_tensor", DIO_PY_REBUILD_TENSOR, 0, false},
    {"torch._utils", "_rebuild_tensor_v2", DIO_PY_REBUILD_TENSOR_V2, 0, false},
    {"torch._utils", "_rebuild_tensor_v3", DIO_PY_REBUILD_TENSOR_V3, 0, false},
    {"torch._utils", "_rebuild_parameter", DIO_PY_REBUILD_PARAMETER, 0, false},
    {"torch._utils", "_rebuild_parameter_with_state", DIO_PY_REBUILD_PARAMETER, 0, false},
    {"torch._tensor", "_rebuild_from_type_v2", DIO_PY_REBUILD_FROM_TYPE, 0, false},
    {"torch", "Tensor", DIO_PY_TENSOR_CLASS, 0, false},
    {"torch.nn.parameter", "Parameter", DIO_PY_TENSOR_CLASS, 0, false},
    {"torch.nn.parameter", "Buffer", DIO_PY_TENSOR_CLASS, 0, false},
    {"torch", "Size", DIO_PY_MAKE_SIZE, 0, false},
    {"torch", "device", DIO_PY_INERT, 0, false},
    {"collections", "OrderedDict", DIO_PY_MAKE_ORDERED_DICT, 0, false},
    {"collections", "Counter", DIO_PY_MAKE_DICT, 0, false},
    {"collections", "defaultdict", DIO_PY_MAKE_DEFAULT_DICT, 0, false},
    {"builtins", "dict", DIO_PY_MAKE_DICT, 0, false},
    {"builtins", "list", DIO_PY_MAKE_LIST, 0, false},
    {"builtins", "set", DIO_PY_MAKE_SET, 0, false},
    {"builtins", "bytearray", DIO_PY_MAKE_BYTES, 0, false},
    {"builtins", "complex", DIO_PY_INERT, 0, false},
    {"_codecs", "encode", DIO_PY_MAKE_BYTES, 0, false},
    {"argparse", "Namespace", DIO_PY_INERT, 0, false},
    {"numpy", "dtype", DIO_PY_INERT, 0, false},
    {"numpy", "ndarray", DIO_PY_INERT, 0, false},
    {"numpy.core.multiarray", "scalar", DIO_PY_INERT, 0, false},
    {"numpy.core.multiarray", "_reconstruct", DIO_PY_INERT, 0, false},
    {"numpy._core.multiarray", "scalar", DIO_PY_INERT, 0, false},
    {"numpy._core.multiarray", "_reconstruct", DIO_PY_INERT, 0, false},
    {"numpy.core.numeric", "_frombuffer", DIO_PY_INERT, 0, false},
    {"numpy._core.numeric", "_frombuffer", DIO_PY_INERT, 0, false},
    {"pathlib", "Path", DIO_PY_INERT, 0, false},
    {"pathlib", "PosixPath", DIO_PY_INERT, 0, false},
    {"pathlib", "WindowsPath", DIO_PY_INERT, 0, false},
    {"pathlib", "PurePath", DIO_PY_INERT, 0, false},
    {"pathlib", "PurePosixPath", DIO_PY_INERT, 0, false},
    {"pathlib", "PureWindowsPath", DIO_PY_INERT, 0, false},
    {"torch.storage", "UntypedStorage", DIO_PY_STORAGE_TYPE, DIO_U8, true},
    {"torch", "UntypedStorage", DIO_PY_STORAGE_TYPE, DIO_U8, true},
    {"torch", "FloatStorage", DIO_PY_STORAGE_TYPE, DIO_F32, false},
    {"torch", "HalfStorage", DIO_PY_STORAGE_TYPE, DIO_F16, false},
    {"torch", "BFloat16Storage", DIO_PY_STORAGE_TYPE, DIO_BF16, false},
    {"torch", "DoubleStorage", DIO_PY_STORAGE_TYPE, DIO_F64, false},
    {"torch", "LongStorage", DIO_PY_STORAGE_TYPE, DIO_I64, false},
    {"torch", "IntStorage", DIO_PY_STORAGE_TYPE, DIO_I32, false},
    {"torch", "ShortStorage", DIO_PY_STORAGE_TYPE, DIO_I16, false},
    {"torch", "CharStorage", DIO_PY_STORAGE_TYPE, DIO_I8, false},
    {"torch", "ByteStorage", DIO_PY_STORAGE_TYPE, DIO_U8, false},
    {"torch", "BoolStorage", DIO_PY_STORAGE_TYPE, DIO_BOOL, false},
    {"torch", "ComplexFloatStorage", DIO_PY_STORAGE_TYPE, DIO_C64, false},
    {"torch", "ComplexDoubleStorage", DIO_PY_STORAGE_TYPE, DIO_C128, false},
    {"torch", "half", DIO_PY_DTYPE, DIO_F16, false},
    {"torch", "float", DIO_PY_DTYPE, DIO_F32, false},
    {"torch", "double", DIO_PY_DTYPE, DIO_F64, false},
    {"torch", "short", DIO_PY_DTYPE, DIO_I16, false},
    {"torch", "int", DIO_PY_DTYPE, DIO_I32, false},
    {"torch", "long", DIO_PY_DTYPE, DIO_I64, false},
};

/* One record for each dtype, named as PyTorch does. */
#define DTYPE(name, dtype) {"torch", name, DIO_PY_DTYPE, dtype, false}
static const struct dio_py_global dtypes[] = {
    DTYPE("float32", DIO_F32), DTYPE("float16", DIO_F16), DTYPE("bfloat16", DIO_BF16), DTYPE("float64", DIO_F64),
    DTYPE("bool", DIO_BOOL), DTYPE("uint8", DIO_U8), DTYPE("int8", DIO_I8), DTYPE("uint16", DIO_U16), DTYPE("int16", DIO_I16),
    DTYPE("uint32", DIO_U32), DTYPE("int32", DIO_I32), DTYPE("uint64", DIO_U64), DTYPE("int64", DIO_I64),
    DTYPE("float8_e4m3fn", DIO_F8_E4M3), DTYPE("float8_e5m2", DIO_F8_E5M2), DTYPE("float8_e8m0fnu", DIO_F8_E8M0),
    DTYPE("float8_e4m3fnuz", DIO_F8_E4M3FNUZ), DTYPE("float8_e5m2fnuz", DIO_F8_E5M2FNUZ), DTYPE("complex32", DIO_C32),
    DTYPE("complex64", DIO_C64), DTYPE("complex128", DIO_C128),
};

struct name {
    const char *module, *name;
    size_t module_length, name_length;
};

static bool same(const char *text, const char *other, size_t length)
{
    return strlen(text) == length && memcmp(text, other, length) == 0;
}

static const struct dio_py_global *search(const struct dio_py_global *list, size_t count, const struct name *n)
{
    for (size_t i = 0; i < count; i++) {
        if (same(list[i].module, n->module, n->module_length) && same(list[i].name, n->name, n->name_length)) return &list[i];
    }
    return NULL;
}

static const struct dio_py_global *find(const struct name *asked)
{
    struct name n = *asked;
    /* Python 2 and old PyTorch had other names for the same things. */
    if (same("__builtin__", n.module, n.module_length)) n.module = "builtins", n.module_length = 8;
    if (same("torch.cuda", n.module, n.module_length)) n.module = "torch", n.module_length = 5;
    if (same("pathlib._local", n.module, n.module_length)) n.module_length = 7;
    const struct dio_py_global *found = search(known, sizeof known / sizeof *known, &n);
    return found ? found : search(dtypes, sizeof dtypes / sizeof *dtypes, &n);
}

static bool starts(const struct name *n, const char *prefix)
{
    size_t length = strlen(prefix);
    return n->module_length >= length && memcmp(n->module, prefix, length) == 0 &&
           (n->module_length == length || n->module[length] == '.');
}

static bool ends(const struct name *n, const char *end)
{
    size_t length = strlen(end);
    return n->name_length >= length && memcmp(n->name + n->name_length - length, end, length) == 0;
}

static bool holds(const struct name *n, const char *word)
{
    return memmem(n->name, n->name_length, word, strlen(word)) != NULL;
}

/* Modules that no option opens. */
static bool forbidden(const struct name *n)
{
    static const char *const modules[] = {"os", "posix", "nt", "sys", "subprocess", "builtins", "__builtin__"};
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        if (starts(n, modules[i])) return true;
    }
    return false;
}

/* An object of this class is about to be made from nothing and filled with state, or PyTorch says that it is a module. */
static bool looks_like_module(const struct dio_pickle *p)
{
    size_t at = p->at;
    if (p->depth && dio_py_is_text(dio_py_at(p, p->stack[p->depth - 1]), "module")) return true;
    if (at < p->size && p->data[at] == 'q') at += 2;
    else if (at < p->size && p->data[at] == 'r') at += 5;
    else if (at < p->size && p->data[at] == 0x94) at += 1;
    return at + 1 < p->size && p->data[at] == ')' && p->data[at + 1] == 0x81;
}

static dio_status refuse(struct dio_pickle *p, const struct name *n)
{
    char full[420], module[208], name[208];
    dio_escape(module, sizeof module, n->module, n->module_length, 200);
    dio_escape(name, sizeof name, n->name, n->name_length, 200);
    snprintf(full, sizeof full, "%s.%s", module, name);
    struct dio_place place = {.file = p->file, .offset = DIO_AT(p->base + p->opcode_at)};
    if (starts(n, "torch") && (holds(n, "qtensor") || (n->name_length && n->name[0] == 'Q' && ends(n, "Storage")))) {
        place.hint = "save the model before it is quantised";
        return dio_fail(p->ctx, DIO_ERR_INPUT, "P24", &place, "holds quantised tensors (%s)", name);
    }
    if (starts(n, "torch") && holds(n, "sparse")) {
        place.hint = "save dense tensors";
        return dio_fail(p->ctx, DIO_ERR_INPUT, "P24", &place, "holds sparse tensors (%s)", name);
    }
    if (starts(n, "torch") && ends(n, "Storage")) {
        return dio_pickle_fail(p, "P17", p->opcode_at, "unknown storage type %s", name);
    }
    if (!forbidden(n) && looks_like_module(p)) {
        place.hint = "save model.state_dict()";
        return dio_fail(p->ctx, DIO_ERR_INPUT, "P24", &place, "holds a whole module (%s)", starts(n, "__main__") ? name : full);
    }
    return dio_fail(p->ctx, DIO_ERR_INPUT, "P11", &place, "pickle asks for %s: refused", full);
}

dio_status dio_py_global(struct dio_pickle *p, const char *module, size_t module_length, const char *name, size_t name_length,
                         const struct dio_py_global **out)
{
    struct name n = {module, name, module_length, name_length};
    *out = find(&n);
    if (*out) return DIO_OK;
    if (!p->allow_opaque || forbidden(&n)) return refuse(p, &n);
    struct dio_py_global *inert = dio_arena_alloc(&p->arena, sizeof *inert);
    if (!inert) return DIO_ERR_ENV;
    char *texts[2] = {dio_arena_strndup(&p->arena, module, module_length), dio_arena_strndup(&p->arena, name, name_length)};
    if (!texts[0] || !texts[1]) return DIO_ERR_ENV;
    *inert = (struct dio_py_global){.module = texts[0], .name = texts[1], .role = DIO_PY_INERT};
    *out = inert;
    return DIO_OK;
}
