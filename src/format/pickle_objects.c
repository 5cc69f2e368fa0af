/* The objects of the pickle machine, its stack, its memo and its table of storages. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "format/pickle.h"

dio_status dio_pickle_init(struct dio_pickle *pickle, struct dio_ctx *ctx, const char *file, const unsigned char *data,
                           size_t size, uint64_t base, bool allow_opaque)
{
    *pickle = (struct dio_pickle){.ctx = ctx, .file = file, .data = data, .size = size, .base = base, .allow_opaque = allow_opaque};
    dio_arena_init(&pickle->arena, ctx);
    static const enum dio_py_kind fixed[] = {DIO_PY_NONE, DIO_PY_BOOL, DIO_PY_BOOL, DIO_PY_TUPLE};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        uint32_t object = 0;
        DIO_PASS(dio_py_new(pickle, fixed[i], &object));
        pickle->objects[object].u.integer = i == DIO_PY_TRUE_OBJECT;
    }
    pickle->objects[DIO_PY_EMPTY_TUPLE].u.items = NULL;
    return DIO_OK;
}

void dio_pickle_free(struct dio_pickle *pickle)
{
    struct dio_ctx *ctx = pickle->ctx;
    if (!ctx) return;
    for (size_t i = 0; i < pickle->count; i++) {
        const struct dio_py *object = &pickle->objects[i];
        bool grows = object->kind == DIO_PY_LIST || object->kind == DIO_PY_DICT || object->kind == DIO_PY_SET;
        if (grows) dio_free(ctx, object->u.items);
    }
    dio_free(ctx, pickle->objects);
    dio_free(ctx, pickle->stack);
    dio_free(ctx, pickle->marks);
    dio_free(ctx, pickle->memo);
    dio_free(ctx, pickle->storages);
    dio_free(ctx, pickle->storage_table);
    dio_arena_free(&pickle->arena);
    *pickle = (struct dio_pickle){0};
}

dio_status dio_pickle_fail(struct dio_pickle *pickle, const char *code, size_t at, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct dio_place place = {.file = pickle->file, .part = "pickle", .offset = DIO_AT(pickle->base + at)};
    return dio_fail(pickle->ctx, DIO_ERR_INPUT, code, &place, "%s", text);
}

dio_status dio_py_new(struct dio_pickle *pickle, enum dio_py_kind kind, uint32_t *object)
{
    if (pickle->count >= UINT32_MAX) return dio_pickle_fail(pickle, "P15", pickle->opcode_at, "too many objects");
    DIO_PASS(dio_grow(pickle->ctx, (void **)&pickle->objects, &pickle->capacity, pickle->count + 1, sizeof *pickle->objects,
                      "objects of a pickle"));
    *object = (uint32_t)pickle->count++;
    pickle->objects[*object] = (struct dio_py){.kind = (uint8_t)kind, .at = pickle->opcode_at};
    return DIO_OK;
}

dio_status dio_py_push(struct dio_pickle *pickle, uint32_t object)
{
    if (pickle->depth >= DIO_MAX_PICKLE_STACK) {
        return dio_pickle_fail(pickle, "P13", pickle->opcode_at, "stack of more than %d entries", DIO_MAX_PICKLE_STACK);
    }
    DIO_PASS(dio_grow(pickle->ctx, (void **)&pickle->stack, &pickle->stack_capacity, pickle->depth + 1, sizeof *pickle->stack,
                      "stack of a pickle"));
    pickle->stack[pickle->depth++] = object;
    return DIO_OK;
}

dio_status dio_py_pop(struct dio_pickle *pickle, uint32_t *object)
{
    size_t floor = pickle->mark_count ? pickle->marks[pickle->mark_count - 1] : 0;
    if (pickle->depth <= floor) return dio_pickle_fail(pickle, "P13", pickle->opcode_at, "stack underflow");
    *object = pickle->stack[--pickle->depth];
    return DIO_OK;
}

/* The capacity is not stored: it is the power of two from 4 on that holds the numbers there are. */
static size_t capacity_for(size_t used)
{
    size_t capacity = 4;
    while (capacity < used) capacity *= 2;
    return used ? capacity : 0;
}

dio_status dio_py_reserve(struct dio_pickle *pickle, struct dio_py *container, size_t more)
{
    size_t width = container->kind == DIO_PY_DICT ? 2 : 1, used = container->count * width;
    if (more > UINT32_MAX - used) return dio_pickle_fail(pickle, "P15", pickle->opcode_at, "too many items");
    size_t have = capacity_for(used), need = capacity_for(used + more);
    if (need <= have) return DIO_OK;
    uint32_t *items = dio_realloc_array(pickle->ctx, container->u.items, need, sizeof *items, "items of a pickle");
    if (!items) return DIO_ERR_ENV;
    container->u.items = items;
    return DIO_OK;
}

dio_status dio_py_set(struct dio_pickle *pickle, uint32_t dict, uint32_t key, uint32_t value, const char *opcode)
{
    struct dio_py *object = dio_py_at(pickle, dict);
    const struct dio_py *name = dio_py_at(pickle, key);
    if (object->kind == DIO_PY_OPAQUE) return DIO_OK; /* what an inert object holds is nobody's concern */
    if (object->kind != DIO_PY_DICT) {
        return dio_pickle_fail(pickle, "P12", pickle->opcode_at, "%s on %s, not on a dict", opcode, dio_py_kind_text(object));
    }
    if (name->kind == DIO_PY_LIST || name->kind == DIO_PY_DICT || name->kind == DIO_PY_SET || name->kind == DIO_PY_TENSOR) {
        return dio_pickle_fail(pickle, "P12", pickle->opcode_at, "%s cannot be a key of a dict", dio_py_kind_text(name));
    }
    DIO_PASS(dio_py_reserve(pickle, object, 2));
    object->u.items[2 * (size_t)object->count] = key;
    object->u.items[2 * (size_t)object->count + 1] = value;
    object->count++;
    return DIO_OK;
}

static size_t memo_slot(const struct dio_pickle *pickle, uint32_t key)
{
    size_t slot = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (pickle->memo_size - 1);
    while (pickle->memo[slot].object && pickle->memo[slot].key != key) slot = (slot + 1) & (pickle->memo_size - 1);
    return slot;
}

static dio_status grow_memo(struct dio_pickle *pickle)
{
    struct dio_py_memo_slot *old = pickle->memo;
    size_t old_size = pickle->memo_size, size = old_size ? old_size * 2 : 64;
    struct dio_py_memo_slot *memo = dio_alloc_zeroed(pickle->ctx, size, sizeof *memo, "memo of a pickle");
    if (!memo) return DIO_ERR_ENV;
    pickle->memo = memo;
    pickle->memo_size = size;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].object) memo[memo_slot(pickle, old[i].key)] = old[i];
    }
    dio_free(pickle->ctx, old);
    return DIO_OK;
}

dio_status dio_py_put_memo(struct dio_pickle *pickle, uint32_t key, uint32_t object)
{
    if (pickle->memo_count >= DIO_MAX_PICKLE_STACK) {
        return dio_pickle_fail(pickle, "P15", pickle->opcode_at, "memo of more than %d entries", DIO_MAX_PICKLE_STACK);
    }
    if (pickle->memo_count * 2 >= pickle->memo_size) DIO_PASS(grow_memo(pickle));
    struct dio_py_memo_slot *slot = &pickle->memo[memo_slot(pickle, key)];
    if (!slot->object) pickle->memo_count++;
    *slot = (struct dio_py_memo_slot){key, object + 1};
    return DIO_OK;
}

bool dio_py_get_memo(const struct dio_pickle *pickle, uint32_t key, uint32_t *object)
{
    if (!pickle->memo_size) return false;
    const struct dio_py_memo_slot *slot = &pickle->memo[memo_slot(pickle, key)];
    *object = slot->object - 1;
    return slot->object != 0;
}

static size_t storage_slot(const struct dio_pickle *pickle, const char *key, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325u ^ length;
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)key[i]) * 0x100000001b3u;
    size_t mask = pickle->storage_table_size - 1, slot = (size_t)((hash ^ hash >> 32) * 0xd6e8feb86659fd93u >> 24) & mask;
    while (pickle->storage_table[slot]) {
        const struct dio_py_storage *storage = &pickle->storages[pickle->storage_table[slot] - 1];
        if (storage->key_length == length && memcmp(storage->key, key, length) == 0) break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

static dio_status grow_storage_table(struct dio_pickle *pickle)
{
    size_t size = pickle->storage_table_size ? pickle->storage_table_size * 2 : 64;
    uint32_t *table = dio_alloc_zeroed(pickle->ctx, size, sizeof *table, "storages of a pickle");
    if (!table) return DIO_ERR_ENV;
    dio_free(pickle->ctx, pickle->storage_table);
    pickle->storage_table = table;
    pickle->storage_table_size = size;
    for (size_t i = 0; i < pickle->storage_count; i++) {
        table[storage_slot(pickle, pickle->storages[i].key, pickle->storages[i].key_length)] = (uint32_t)(i + 1);
    }
    return DIO_OK;
}

dio_status dio_py_find_storage(struct dio_pickle *pickle, const struct dio_py_storage *wanted, uint32_t *index, bool *added)
{
    if (pickle->storage_count * 2 >= pickle->storage_table_size) DIO_PASS(grow_storage_table(pickle));
    size_t slot = storage_slot(pickle, wanted->key, wanted->key_length);
    *added = pickle->storage_table[slot] == 0;
    if (*added) {
        DIO_PASS(dio_grow(pickle->ctx, (void **)&pickle->storages, &pickle->storage_capacity, pickle->storage_count + 1,
                          sizeof *pickle->storages, "storages of a pickle"));
        pickle->storages[pickle->storage_count++] = *wanted;
        pickle->storage_table[slot] = (uint32_t)pickle->storage_count;
    }
    *index = pickle->storage_table[slot] - 1;
    return DIO_OK;
}

static const char *const kinds[][2] = {
    [DIO_PY_NONE] = {"None", "None"}, [DIO_PY_BOOL] = {"a bool", "bool"}, [DIO_PY_INT] = {"an int", "int"},
    [DIO_PY_LONG] = {"an int", "int"}, [DIO_PY_FLOAT] = {"a float", "float"}, [DIO_PY_STR] = {"a string", "str"},
    [DIO_PY_BYTES] = {"bytes", "bytes"}, [DIO_PY_TUPLE] = {"a tuple", "tuple"}, [DIO_PY_LIST] = {"a list", "list"},
    [DIO_PY_SET] = {"a set", "set"}, [DIO_PY_DICT] = {"a dict", "dict"}, [DIO_PY_GLOBAL] = {"a name", "name"},
    [DIO_PY_STORAGE] = {"a storage", "storage"}, [DIO_PY_TENSOR] = {"a tensor", "tensor"},
    [DIO_PY_OPAQUE] = {"an opaque object", "object"},
};

const char *dio_py_kind_text(const struct dio_py *object)
{
    return kinds[object->kind][0];
}

void dio_py_type_name(const struct dio_py *object, char *out, size_t out_size)
{
    const struct dio_py_global *global = object->kind == DIO_PY_GLOBAL ? object->u.global
                                         : object->kind == DIO_PY_OPAQUE ? object->u.opaque->type : NULL;
    if (global) {
        snprintf(out, out_size, "%s.%s", global->module, global->name);
    } else {
        snprintf(out, out_size, "%s", kinds[object->kind][1]);
    }
}

bool dio_py_is_text(const struct dio_py *object, const char *text)
{
    return object->kind == DIO_PY_STR && strlen(text) == object->count && memcmp(object->u.bytes, text, object->count) == 0;
}

bool dio_py_get(const struct dio_pickle *pickle, const struct dio_py *dict, const char *key, uint32_t *value)
{
    if (dict->kind != DIO_PY_DICT) return false;
    for (size_t i = dict->count; i-- > 0;) {
        if (!dio_py_is_text(dio_py_at(pickle, dict->u.items[2 * i]), key)) continue;
        *value = dict->u.items[2 * i + 1];
        return true;
    }
    return false;
}
