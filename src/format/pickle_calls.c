/* What the opcodes that call something make: REDUCE, NEWOBJ, BUILD, BINPERSID.  Nothing is called; each name of the
 * closed list has its object built here, from arguments of the right kinds. */
#include <inttypes.h>
#include <string.h>

#include "format/pickle.h"

static const struct dio_py *argument(const struct dio_pickle *p, uint32_t args, uint32_t index)
{
    return dio_py_at(p, dio_py_at(p, args)->u.items[index]);
}

static dio_status wrong(struct dio_pickle *p, const char *function, const char *what)
{
    return dio_pickle_fail(p, "P12", p->opcode_at, "%s: %s", function, what);
}

static dio_status make_opaque(struct dio_pickle *p, const struct dio_py_global *type, uint32_t args, uint32_t *made)
{
    struct dio_py_opaque *opaque = dio_arena_alloc(&p->arena, sizeof *opaque);
    if (!opaque) return DIO_ERR_ENV;
    *opaque = (struct dio_py_opaque){type, args, DIO_PY_NONE_OBJECT};
    DIO_PASS(dio_py_new(p, DIO_PY_OPAQUE, made));
    dio_py_at(p, *made)->u.opaque = opaque;
    return DIO_OK;
}

/* ---- tensors ---- */

static dio_status check_numbers(struct dio_pickle *p, const struct dio_py *tuple, const char *function, const char *what)
{
    if (tuple->kind != DIO_PY_TUPLE) return dio_pickle_fail(p, "P12", p->opcode_at, "%s: %s must be a tuple", function, what);
    if (tuple->count > DIO_MAX_TENSOR_RANK) {
        return dio_pickle_fail(p, "P19", p->opcode_at, "%s: %s has %u dimensions, at most %d", function, what, tuple->count,
                               DIO_MAX_TENSOR_RANK);
    }
    for (uint32_t i = 0; i < tuple->count; i++) {
        const struct dio_py *item = dio_py_at(p, tuple->u.items[i]);
        if (item->kind == DIO_PY_INT) continue;
        return dio_pickle_fail(p, "P12", p->opcode_at, "%s: %s holds %s, not an integer of 64 bits", function, what,
                               dio_py_kind_text(item));
    }
    return DIO_OK;
}

static dio_status make_tensor(struct dio_pickle *p, const struct dio_py_global *function, uint32_t args, uint32_t *made)
{
    const struct dio_py *tuple = dio_py_at(p, args);
    uint32_t least = function->role == DIO_PY_REBUILD_TENSOR ? 4 : function->role == DIO_PY_REBUILD_TENSOR_V2 ? 6 : 7;
    uint32_t most = function->role == DIO_PY_REBUILD_TENSOR ? 4 : least + 1;
    if (tuple->count < least || tuple->count > most) {
        return dio_pickle_fail(p, "P12", p->opcode_at, "%s with %u arguments", function->name, tuple->count);
    }
    const struct dio_py *storage = argument(p, args, 0), *offset = argument(p, args, 1);
    if (storage->kind != DIO_PY_STORAGE) {
        return dio_pickle_fail(p, "P12", p->opcode_at, "%s: %s where the storage belongs", function->name, dio_py_kind_text(storage));
    }
    if (offset->kind != DIO_PY_INT) return wrong(p, function->name, "the storage offset is not an integer of 64 bits");
    struct dio_py_tensor *tensor = dio_arena_alloc(&p->arena, sizeof *tensor);
    if (!tensor) return DIO_ERR_ENV;
    tensor->view = storage->u.storage;
    tensor->offset = offset->u.integer;
    tensor->dtype = p->storages[tensor->view->storage].dtype;
    tensor->shape = tuple->u.items[2];
    tensor->strides = tuple->u.items[3];
    DIO_PASS(check_numbers(p, dio_py_at(p, tensor->shape), function->name, "the shape"));
    DIO_PASS(check_numbers(p, dio_py_at(p, tensor->strides), function->name, "the strides"));
    if (function->role == DIO_PY_REBUILD_TENSOR_V3) {
        const struct dio_py *dtype = argument(p, args, 6);
        if (dtype->kind != DIO_PY_GLOBAL || dtype->u.global->role != DIO_PY_DTYPE) {
            return wrong(p, function->name, "argument 7 is not a dtype");
        }
        tensor->dtype = dtype->u.global->dtype;
    }
    DIO_PASS(dio_py_new(p, DIO_PY_TENSOR, made));
    dio_py_at(p, *made)->u.tensor = tensor;
    return DIO_OK;
}

static dio_status make_parameter(struct dio_pickle *p, const struct dio_py_global *function, uint32_t args, uint32_t *made)
{
    const struct dio_py *tuple = dio_py_at(p, args);
    if (tuple->count < 2 || tuple->count > 4) {
        return dio_pickle_fail(p, "P12", p->opcode_at, "%s with %u arguments", function->name, tuple->count);
    }
    if (argument(p, args, 0)->kind != DIO_PY_TENSOR) return wrong(p, function->name, "argument 1 is not a tensor");
    *made = tuple->u.items[0];
    return DIO_OK;
}

static bool rebuilds(enum dio_py_role role)
{
    return role == DIO_PY_REBUILD_TENSOR || role == DIO_PY_REBUILD_TENSOR_V2 || role == DIO_PY_REBUILD_TENSOR_V3 ||
           role == DIO_PY_REBUILD_PARAMETER;
}

/* (function, type, arguments, state): a tensor that carries Python attributes, which are let go. */
static dio_status make_from_type(struct dio_pickle *p, const struct dio_py_global *function, uint32_t args, uint32_t *made)
{
    const struct dio_py *tuple = dio_py_at(p, args);
    if (tuple->count != 4) return dio_pickle_fail(p, "P12", p->opcode_at, "%s with %u arguments", function->name, tuple->count);
    const struct dio_py *inner = argument(p, args, 0), *type = argument(p, args, 1);
    if (inner->kind != DIO_PY_GLOBAL || !rebuilds(inner->u.global->role) || type->kind != DIO_PY_GLOBAL ||
        type->u.global->role != DIO_PY_TENSOR_CLASS || argument(p, args, 2)->kind != DIO_PY_TUPLE) {
        return wrong(p, function->name, "wrong arguments");
    }
    uint32_t inner_args = tuple->u.items[2];
    if (inner->u.global->role == DIO_PY_REBUILD_PARAMETER) return make_parameter(p, inner->u.global, inner_args, made);
    return make_tensor(p, inner->u.global, inner_args, made);
}

/* ---- containers ---- */

static bool is_sequence(const struct dio_py *object)
{
    return object->kind == DIO_PY_TUPLE || object->kind == DIO_PY_LIST || object->kind == DIO_PY_SET;
}

/* Every item was a byte of the file at least, and writers copy a container once: what copies more is no checkpoint, and
 * would make much memory out of few bytes. */
static dio_status charge_copy(struct dio_pickle *p, uint32_t items)
{
    p->copied += items;
    if (p->copied <= p->size) return DIO_OK;
    return dio_pickle_fail(p, "P15", p->opcode_at, "containers are copied again and again");
}

/* A list or set with the items of another sequence, or a tuple of them. */
static dio_status make_sequence(struct dio_pickle *p, const struct dio_py_global *function, enum dio_py_kind kind, uint32_t args,
                                uint32_t *made)
{
    const struct dio_py *tuple = dio_py_at(p, args);
    if (tuple->count > 1) return dio_pickle_fail(p, "P12", p->opcode_at, "%s with %u arguments", function->name, tuple->count);
    if (tuple->count && !is_sequence(argument(p, args, 0))) return wrong(p, function->name, "argument is not a list or tuple");
    DIO_PASS(dio_py_new(p, kind, made));
    if (!dio_py_at(p, args)->count) return DIO_OK;
    DIO_PASS(charge_copy(p, argument(p, args, 0)->count));
    const struct dio_py *source = argument(p, args, 0);
    struct dio_py *copy = dio_py_at(p, *made);
    if (kind == DIO_PY_TUPLE) {
        copy->u.items = dio_arena_alloc(&p->arena, (source->count ? source->count : 1) * sizeof *copy->u.items);
        if (!copy->u.items) return DIO_ERR_ENV;
    } else {
        DIO_PASS(dio_py_reserve(p, copy, source->count));
    }
    if (source->count) memcpy(copy->u.items, source->u.items, source->count * sizeof *copy->u.items);
    copy->count = source->count;
    return DIO_OK;
}

/* dict(), dict({...}), dict([(k, v), ...]). */
static dio_status fill_dict(struct dio_pickle *p, const struct dio_py_global *function, uint32_t dict, uint32_t from)
{
    DIO_PASS(charge_copy(p, dio_py_at(p, from)->count));
    for (uint32_t i = 0; i < dio_py_at(p, from)->count; i++) {
        const struct dio_py *source = dio_py_at(p, from);
        uint32_t key, value;
        if (source->kind == DIO_PY_DICT) {
            key = source->u.items[2 * (size_t)i];
            value = source->u.items[2 * (size_t)i + 1];
        } else {
            const struct dio_py *pair = dio_py_at(p, source->u.items[i]);
            if (!is_sequence(pair) || pair->count != 2) return wrong(p, function->name, "argument is not a list of pairs");
            key = pair->u.items[0];
            value = pair->u.items[1];
        }
        DIO_PASS(dio_py_set(p, dict, key, value, function->name));
    }
    return DIO_OK;
}

static dio_status make_dict(struct dio_pickle *p, const struct dio_py_global *function, uint32_t args, uint32_t *made)
{
    const struct dio_py *tuple = dio_py_at(p, args);
    if (tuple->count > 1) return dio_pickle_fail(p, "P12", p->opcode_at, "%s with %u arguments", function->name, tuple->count);
    uint32_t from = tuple->count ? tuple->u.items[0] : DIO_PY_EMPTY_TUPLE;
    const struct dio_py *source = dio_py_at(p, from);
    bool factory = function->role == DIO_PY_MAKE_DEFAULT_DICT;
    if (!factory && source->kind != DIO_PY_DICT && !is_sequence(source)) return wrong(p, function->name, "argument is not a dict");
    DIO_PASS(dio_py_new(p, DIO_PY_DICT, made));
    dio_py_at(p, *made)->ordered = function->role == DIO_PY_MAKE_ORDERED_DICT;
    return factory ? DIO_OK : fill_dict(p, function, *made, from);
}

/* bytearray(bytes), encode(text, "latin1"): the text stands for its bytes, which nothing here reads. */
static dio_status make_bytes(struct dio_pickle *p, const struct dio_py_global *function, uint32_t args, uint32_t *made)
{
    const struct dio_py *tuple = dio_py_at(p, args);
    if (tuple->count > 2) return dio_pickle_fail(p, "P12", p->opcode_at, "%s with %u arguments", function->name, tuple->count);
    for (uint32_t i = 0; i < tuple->count; i++) {
        enum dio_py_kind kind = argument(p, args, i)->kind;
        if (kind != DIO_PY_STR && (kind != DIO_PY_BYTES || i)) return wrong(p, function->name, "argument is not text or bytes");
    }
    DIO_PASS(dio_py_new(p, DIO_PY_BYTES, made));
    if (dio_py_at(p, args)->count) {
        const struct dio_py *source = argument(p, args, 0);
        dio_py_at(p, *made)->u.bytes = source->u.bytes;
        dio_py_at(p, *made)->count = source->count;
    }
    return DIO_OK;
}

static dio_status call(struct dio_pickle *p, const struct dio_py_global *function, uint32_t args, uint32_t *made)
{
    switch (function->role) {
    case DIO_PY_REBUILD_TENSOR: case DIO_PY_REBUILD_TENSOR_V2: case DIO_PY_REBUILD_TENSOR_V3:
        return make_tensor(p, function, args, made);
    case DIO_PY_REBUILD_PARAMETER: return make_parameter(p, function, args, made);
    case DIO_PY_REBUILD_FROM_TYPE: return make_from_type(p, function, args, made);
    case DIO_PY_MAKE_DICT: case DIO_PY_MAKE_ORDERED_DICT: case DIO_PY_MAKE_DEFAULT_DICT:
        return make_dict(p, function, args, made);
    case DIO_PY_MAKE_LIST: return make_sequence(p, function, DIO_PY_LIST, args, made);
    case DIO_PY_MAKE_SET: return make_sequence(p, function, DIO_PY_SET, args, made);
    case DIO_PY_MAKE_SIZE: return make_sequence(p, function, DIO_PY_TUPLE, args, made);
    case DIO_PY_MAKE_BYTES: return make_bytes(p, function, args, made);
    case DIO_PY_INERT: return make_opaque(p, function, args, made);
    default:
        return dio_pickle_fail(p, "P12", p->opcode_at, "REDUCE: %s.%s cannot be called", function->module, function->name);
    }
}

dio_status dio_py_reduce(struct dio_pickle *p)
{
    uint32_t args = 0, function = 0, made = 0;
    DIO_PASS(dio_py_pop(p, &args));
    DIO_PASS(dio_py_pop(p, &function));
    const struct dio_py *callee = dio_py_at(p, function), *tuple = dio_py_at(p, args);
    if (callee->kind != DIO_PY_GLOBAL) {
        return dio_pickle_fail(p, "P12", p->opcode_at, "REDUCE on %s, which cannot be called", dio_py_kind_text(callee));
    }
    if (tuple->kind != DIO_PY_TUPLE) {
        return dio_pickle_fail(p, "P12", p->opcode_at, "REDUCE: arguments are %s, not a tuple", dio_py_kind_text(tuple));
    }
    DIO_PASS(call(p, callee->u.global, args, &made));
    return dio_py_push(p, made);
}

dio_status dio_py_new_object(struct dio_pickle *p)
{
    uint32_t args = 0, type = 0, made = 0;
    DIO_PASS(dio_py_pop(p, &args));
    DIO_PASS(dio_py_pop(p, &type));
    const struct dio_py *class = dio_py_at(p, type);
    if (class->kind != DIO_PY_GLOBAL || dio_py_at(p, args)->kind != DIO_PY_TUPLE) {
        return dio_pickle_fail(p, "P12", p->opcode_at, "NEWOBJ on %s", dio_py_kind_text(class));
    }
    if (rebuilds(class->u.global->role) || class->u.global->role == DIO_PY_REBUILD_FROM_TYPE) {
        return dio_pickle_fail(p, "P12", p->opcode_at, "NEWOBJ on %s, which is no class", class->u.global->name);
    }
    DIO_PASS(call(p, class->u.global, args, &made));
    return dio_py_push(p, made);
}

/* Attributes: kept of an inert object, ignored on an OrderedDict (_metadata of every state_dict), else refused. */
dio_status dio_py_build(struct dio_pickle *p)
{
    uint32_t state = 0, object = 0;
    DIO_PASS(dio_py_pop(p, &state));
    DIO_PASS(dio_py_pop(p, &object));
    const struct dio_py *target = dio_py_at(p, object);
    if (target->kind == DIO_PY_OPAQUE) {
        target->u.opaque->state = state;
    } else if (target->kind != DIO_PY_DICT || !target->ordered) {
        return dio_pickle_fail(p, "P12", p->opcode_at, "BUILD on %s", dio_py_kind_text(target));
    }
    return dio_py_push(p, object);
}

/* ---- storages ---- */

static dio_status bad_id(struct dio_pickle *p, const char *what)
{
    return dio_pickle_fail(p, "P17", p->opcode_at, "persistent id of a storage: %s", what);
}

/* The legacy container's sixth member: None, or (key of the view, offset, size) in elements. */
static dio_status read_view(struct dio_pickle *p, const struct dio_py *member, struct dio_py_storage_view *view)
{
    if (member->kind == DIO_PY_NONE) return DIO_OK;
    if (member->kind != DIO_PY_TUPLE || member->count != 3) return bad_id(p, "the view is not (key, offset, size)");
    const struct dio_py *offset = dio_py_at(p, member->u.items[1]), *size = dio_py_at(p, member->u.items[2]);
    if (offset->kind != DIO_PY_INT || size->kind != DIO_PY_INT || offset->u.integer < 0 || size->u.integer < 0 ||
        offset->u.integer > view->count || size->u.integer > view->count - offset->u.integer) {
        return bad_id(p, "the view leaves its storage");
    }
    view->offset = offset->u.integer;
    view->count = size->u.integer;
    return DIO_OK;
}

static bool key_is_plain(const struct dio_py *key)
{
    if (key->kind != DIO_PY_STR || key->count == 0 || key->count > 64) return false;
    return !memchr(key->u.bytes, '/', key->count) && !memchr(key->u.bytes, '\\', key->count) &&
           !memchr(key->u.bytes, '.', key->count) && !memchr(key->u.bytes, 0, key->count);
}

dio_status dio_py_persistent_id(struct dio_pickle *p)
{
    uint32_t id = 0, made = 0, index = 0;
    bool added;
    DIO_PASS(dio_py_pop(p, &id));
    const struct dio_py *tuple = dio_py_at(p, id);
    if (tuple->kind != DIO_PY_TUPLE || !tuple->count) return bad_id(p, "not a tuple");
    if (dio_py_is_text(argument(p, id, 0), "module")) return bad_id(p, "a module; save model.state_dict()");
    if (!dio_py_is_text(argument(p, id, 0), "storage")) return bad_id(p, "of unknown kind");
    if (tuple->count != 5 && tuple->count != 6) return bad_id(p, "not (\"storage\", type, key, location, count)");
    const struct dio_py *type = argument(p, id, 1), *key = argument(p, id, 2), *place = argument(p, id, 3), *count = argument(p, id, 4);
    if (type->kind != DIO_PY_GLOBAL || type->u.global->role != DIO_PY_STORAGE_TYPE) return bad_id(p, "unknown storage type");
    if (!key_is_plain(key)) return bad_id(p, "its key is not plain text");
    if (place->kind != DIO_PY_STR) return bad_id(p, "its location is not text");
    if (count->kind != DIO_PY_INT) return bad_id(p, "its element count is not an integer of 64 bits");
    if (count->u.integer < 0) return bad_id(p, "its element count is negative");
    struct dio_py_storage wanted = {(const char *)key->u.bytes, key->count, type->u.global->dtype, type->u.global->untyped,
                                    count->u.integer};
    struct dio_py_storage_view *view = dio_arena_alloc(&p->arena, sizeof *view);
    if (!view) return DIO_ERR_ENV;
    DIO_PASS(dio_py_find_storage(p, &wanted, &index, &added));
    const struct dio_py_storage *found = &p->storages[index];
    if (!added && (found->dtype != wanted.dtype || found->untyped != wanted.untyped || found->count != wanted.count)) {
        return bad_id(p, "one key with two types or element counts");
    }
    *view = (struct dio_py_storage_view){index, 0, wanted.count};
    if (tuple->count == 6) DIO_PASS(read_view(p, argument(p, id, 5), view));
    DIO_PASS(dio_py_new(p, DIO_PY_STORAGE, &made));
    dio_py_at(p, made)->u.storage = view;
    return dio_py_push(p, made);
}
