/* The opcodes. */
#include "format/pickle.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* Python nests marks no deeper than its own recursion, 1000. */
enum { MAX_MARKS = 1000, MAX_GLOBAL = 1024, MIN_FRAME = 4 /* writers leave smaller ones out */ };

enum opcode {
    OP_MARK = '(', OP_STOP = '.', OP_POP = '0', OP_POP_MARK = '1', OP_DUP = '2', OP_BINFLOAT = 'G', OP_BININT = 'J',
    OP_BININT1 = 'K', OP_BININT2 = 'M', OP_NONE = 'N', OP_BINPERSID = 'Q', OP_REDUCE = 'R', OP_BINSTRING = 'T',
    OP_SHORT_BINSTRING = 'U', OP_BINUNICODE = 'X', OP_BINBYTES = 'B', OP_SHORT_BINBYTES = 'C', OP_APPEND = 'a', OP_BUILD = 'b',
    OP_GLOBAL = 'c', OP_APPENDS = 'e', OP_BINGET = 'h', OP_INST = 'i', OP_LONG_BINGET = 'j', OP_OBJ = 'o', OP_BINPUT = 'q',
    OP_LONG_BINPUT = 'r', OP_SETITEM = 's', OP_TUPLE = 't', OP_SETITEMS = 'u', OP_EMPTY_DICT = '}', OP_EMPTY_LIST = ']',
    OP_EMPTY_TUPLE = ')', OP_PROTO = 0x80, OP_NEWOBJ = 0x81, OP_EXT1 = 0x82, OP_EXT2 = 0x83, OP_EXT4 = 0x84, OP_TUPLE1 = 0x85,
    OP_TUPLE2 = 0x86, OP_TUPLE3 = 0x87, OP_NEWTRUE = 0x88, OP_NEWFALSE = 0x89, OP_LONG1 = 0x8a, OP_LONG4 = 0x8b,
    OP_SHORT_BINUNICODE = 0x8c, OP_BINUNICODE8 = 0x8d, OP_BINBYTES8 = 0x8e, OP_EMPTY_SET = 0x8f, OP_ADDITEMS = 0x90,
    OP_FROZENSET = 0x91, OP_NEWOBJ_EX = 0x92, OP_STACK_GLOBAL = 0x93, OP_MEMOIZE = 0x94, OP_FRAME = 0x95, OP_BYTEARRAY8 = 0x96
};

static dio_status fail_here(struct dio_pickle *p, const char *code, const char *text)
{
    return dio_pickle_fail(p, code, p->opcode_at, "%s", text);
}

/* `length` bytes of the stream, inside the frame if there is one. */
static dio_status take(struct dio_pickle *p, uint64_t length, const char *what, const unsigned char **out)
{
    if (length > p->size - p->at) {
        return dio_pickle_fail(p, "P14", p->opcode_at, "%s of %" PRIu64 " bytes runs past the end", what, length);
    }
    if (p->frame_end && length > p->frame_end - p->at) return fail_here(p, "P13", "a frame ends inside an opcode");
    *out = p->data + p->at;
    p->at += (size_t)length;
    return DIO_OK;
}

static dio_status number(struct dio_pickle *p, int size, uint64_t *value)
{
    const unsigned char *bytes = NULL;
    DIO_PASS(take(p, (uint64_t)size, "an operand", &bytes));
    *value = 0;
    for (int i = size - 1; i >= 0; i--) *value = *value << 8 | bytes[i];
    return DIO_OK;
}

static dio_status push_new(struct dio_pickle *p, enum dio_py_kind kind, struct dio_py **made)
{
    uint32_t object;
    DIO_PASS(dio_py_new(p, kind, &object));
    *made = dio_py_at(p, object);
    return dio_py_push(p, object);
}

static dio_status push_int(struct dio_pickle *p, int64_t value)
{
    struct dio_py *made;
    DIO_PASS(push_new(p, DIO_PY_INT, &made));
    made->u.integer = value;
    return DIO_OK;
}

static dio_status push_bytes(struct dio_pickle *p, enum dio_py_kind kind, int length_size, const char *what)
{
    uint64_t length = 0;
    const unsigned char *bytes = NULL;
    struct dio_py *made;
    size_t bad;
    DIO_PASS(number(p, length_size, &length));
    DIO_PASS(take(p, length, what, &bytes));
    if (length > DIO_MAX_PICKLE_STRING) {
        return dio_pickle_fail(p, "P14", p->opcode_at, "%s of %" PRIu64 " bytes, at most %d", what, length, DIO_MAX_PICKLE_STRING);
    }
    if (kind == DIO_PY_STR && !dio_utf8_valid(bytes, (size_t)length, &bad)) {
        return dio_pickle_fail(p, "P14", (size_t)(bytes - p->data) + bad, "string is not UTF-8");
    }
    DIO_PASS(push_new(p, kind, &made));
    made->u.bytes = bytes;
    made->count = (uint32_t)length;
    return DIO_OK;
}

/* Python 2 wrote text as bytes: what is UTF-8 is taken for text, as PyTorch does. */
static dio_status push_old_string(struct dio_pickle *p, int length_size)
{
    DIO_PASS(push_bytes(p, DIO_PY_BYTES, length_size, "string"));
    struct dio_py *made = dio_py_at(p, p->stack[p->depth - 1]);
    size_t bad;
    if (dio_utf8_valid(made->u.bytes, made->count, &bad)) made->kind = DIO_PY_STR;
    return DIO_OK;
}

static dio_status push_long(struct dio_pickle *p, int length_size)
{
    uint64_t length = 0;
    const unsigned char *bytes = NULL;
    struct dio_py *made;
    DIO_PASS(number(p, length_size, &length));
    if (length_size == 4 && length > INT32_MAX) return fail_here(p, "P14", "LONG4 of negative length");
    DIO_PASS(take(p, length, "integer", &bytes));
    if (length > DIO_MAX_PICKLE_INTEGER) {
        return dio_pickle_fail(p, "P14", p->opcode_at, "integer of %" PRIu64 " bytes, at most %d", length, DIO_MAX_PICKLE_INTEGER);
    }
    if (length <= 8) {
        uint64_t value = length && bytes[length - 1] & 0x80 ? UINT64_MAX : 0;
        for (size_t i = (size_t)length; i-- > 0;) value = value << 8 | bytes[i];
        return push_int(p, (int64_t)value);
    }
    DIO_PASS(push_new(p, DIO_PY_LONG, &made));
    made->u.bytes = bytes;
    made->count = (uint32_t)length;
    return DIO_OK;
}

static dio_status push_float(struct dio_pickle *p)
{
    const unsigned char *bytes = NULL;
    struct dio_py *made;
    DIO_PASS(take(p, 8, "a float", &bytes));
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++) bits = bits << 8 | bytes[i];
    DIO_PASS(push_new(p, DIO_PY_FLOAT, &made));
    memcpy(&made->u.real, &bits, sizeof bits);
    return DIO_OK;
}

static dio_status push_mark(struct dio_pickle *p)
{
    if (p->mark_count >= MAX_MARKS) return dio_pickle_fail(p, "P16", p->opcode_at, "nested deeper than %d marks", MAX_MARKS);
    DIO_PASS(dio_grow(p->ctx, (void **)&p->marks, &p->mark_capacity, p->mark_count + 1, sizeof *p->marks, "marks of a pickle"));
    p->marks[p->mark_count++] = p->depth;
    return DIO_OK;
}

/* Where the objects since the last mark begin; the mark is gone then. */
static dio_status pop_mark(struct dio_pickle *p, size_t *begin)
{
    if (!p->mark_count) return fail_here(p, "P13", "stack underflow: no mark");
    *begin = p->marks[--p->mark_count];
    return DIO_OK;
}

static dio_status make_tuple(struct dio_pickle *p, size_t begin)
{
    size_t count = p->depth - begin;
    if (!count) return dio_py_push(p, DIO_PY_EMPTY_TUPLE);
    uint32_t *items = dio_arena_alloc(&p->arena, count * sizeof *items);
    if (!items) return DIO_ERR_ENV;
    memcpy(items, p->stack + begin, count * sizeof *items);
    p->depth = begin;
    struct dio_py *made;
    DIO_PASS(push_new(p, DIO_PY_TUPLE, &made));
    made->u.items = items;
    made->count = (uint32_t)count;
    return DIO_OK;
}

static dio_status make_short_tuple(struct dio_pickle *p, size_t count)
{
    size_t floor = p->mark_count ? p->marks[p->mark_count - 1] : 0;
    if (p->depth - floor < count) return fail_here(p, "P13", "stack underflow");
    return make_tuple(p, p->depth - count);
}

/* Objects from `begin` on go into the list or set below them. */
static dio_status extend(struct dio_pickle *p, size_t begin, enum dio_py_kind kind, const char *opcode)
{
    size_t floor = p->mark_count ? p->marks[p->mark_count - 1] : 0;
    if (begin <= floor) return fail_here(p, "P13", "stack underflow");
    struct dio_py *container = dio_py_at(p, p->stack[begin - 1]);
    size_t count = p->depth - begin;
    if (container->kind == kind) {
        DIO_PASS(dio_py_reserve(p, container, count));
        if (count) memcpy(container->u.items + container->count, p->stack + begin, count * sizeof *p->stack);
        container->count += (uint32_t)count;
    } else if (container->kind != DIO_PY_OPAQUE) {
        return dio_pickle_fail(p, "P12", p->opcode_at, "%s on %s, not on a %s", opcode, dio_py_kind_text(container),
                               kind == DIO_PY_LIST ? "list" : "set");
    }
    p->depth = begin;
    return DIO_OK;
}

static dio_status set_items(struct dio_pickle *p, size_t begin, const char *opcode)
{
    size_t floor = p->mark_count ? p->marks[p->mark_count - 1] : 0;
    if (begin <= floor) return fail_here(p, "P13", "stack underflow");
    if ((p->depth - begin) % 2) return dio_pickle_fail(p, "P12", p->opcode_at, "%s with an odd number of objects", opcode);
    uint32_t dict = p->stack[begin - 1];
    for (size_t i = begin; i < p->depth; i += 2) DIO_PASS(dio_py_set(p, dict, p->stack[i], p->stack[i + 1], opcode));
    if (begin == p->depth && dio_py_at(p, dict)->kind != DIO_PY_DICT && dio_py_at(p, dict)->kind != DIO_PY_OPAQUE) {
        return dio_pickle_fail(p, "P12", p->opcode_at, "%s on %s, not on a dict", opcode, dio_py_kind_text(dio_py_at(p, dict)));
    }
    p->depth = begin;
    return DIO_OK;
}

static dio_status set_item(struct dio_pickle *p)
{
    size_t floor = p->mark_count ? p->marks[p->mark_count - 1] : 0;
    if (p->depth - floor < 3) return fail_here(p, "P13", "stack underflow");
    return set_items(p, p->depth - 2, "SETITEM");
}

static dio_status top(struct dio_pickle *p, uint32_t *object)
{
    DIO_PASS(dio_py_pop(p, object));
    p->depth++;
    return DIO_OK;
}

static dio_status put_memo(struct dio_pickle *p, int key_size)
{
    uint64_t key = p->memo_count;
    uint32_t object = 0;
    if (key_size) DIO_PASS(number(p, key_size, &key));
    DIO_PASS(top(p, &object));
    return dio_py_put_memo(p, (uint32_t)key, object);
}

static dio_status get_memo(struct dio_pickle *p, int key_size)
{
    uint64_t key = 0;
    uint32_t object;
    DIO_PASS(number(p, key_size, &key));
    if (!dio_py_get_memo(p, (uint32_t)key, &object)) {
        return dio_pickle_fail(p, "P15", p->opcode_at, "memo index %" PRIu64 " was never set", key);
    }
    return dio_py_push(p, object);
}

/* A line of text, without its end. */
static dio_status line(struct dio_pickle *p, const char **text, size_t *length)
{
    size_t left = p->size - p->at;
    const unsigned char *begin = p->data + p->at, *end = left ? memchr(begin, '\n', left) : NULL;
    if (!end) return fail_here(p, "P13", "a global name runs past the end");
    *text = (const char *)begin;
    *length = (size_t)(end - begin);
    if (*length > MAX_GLOBAL) return dio_pickle_fail(p, "P11", p->opcode_at, "a global name of %zu bytes is too long", *length);
    const unsigned char *unused;
    return take(p, *length + 1, "a global name", &unused);
}

static dio_status push_global(struct dio_pickle *p, const char *module, size_t module_length, const char *name, size_t name_length)
{
    const struct dio_py_global *global = NULL;
    struct dio_py *made;
    DIO_PASS(dio_py_global(p, module, module_length, name, name_length, &global));
    DIO_PASS(push_new(p, DIO_PY_GLOBAL, &made));
    made->u.global = global;
    return DIO_OK;
}

static dio_status global(struct dio_pickle *p)
{
    const char *module = NULL, *name = NULL;
    size_t module_length = 0, name_length = 0;
    DIO_PASS(line(p, &module, &module_length));
    DIO_PASS(line(p, &name, &name_length));
    return push_global(p, module, module_length, name, name_length);
}

static dio_status stack_global(struct dio_pickle *p)
{
    uint32_t name_object = 0, module_object = 0;
    DIO_PASS(dio_py_pop(p, &name_object));
    DIO_PASS(dio_py_pop(p, &module_object));
    const struct dio_py *name = dio_py_at(p, name_object), *module = dio_py_at(p, module_object);
    if (name->kind != DIO_PY_STR || module->kind != DIO_PY_STR) return fail_here(p, "P12", "STACK_GLOBAL needs two strings");
    if (name->count > MAX_GLOBAL || module->count > MAX_GLOBAL) return fail_here(p, "P11", "a global name is too long");
    return push_global(p, (const char *)module->u.bytes, module->count, (const char *)name->u.bytes, name->count);
}

/* Protocol 0's way to make an instance: refused in any case, under the name it asks for where that is refused too. */
static dio_status refuse_inst(struct dio_pickle *p)
{
    DIO_PASS(global(p));
    return fail_here(p, "P11", "opcode INST is not accepted");
}

static dio_status frame(struct dio_pickle *p)
{
    uint64_t length = 0;
    DIO_PASS(number(p, 8, &length));
    if (p->frame_end) return fail_here(p, "P13", "a frame inside a frame");
    if (length < MIN_FRAME) return dio_pickle_fail(p, "P13", p->opcode_at, "a frame of %" PRIu64 " bytes", length);
    p->frame_end = length > UINT64_MAX - p->at ? UINT64_MAX : p->at + length;
    return DIO_OK;
}

static dio_status proto(struct dio_pickle *p)
{
    uint64_t version = 0;
    DIO_PASS(number(p, 1, &version));
    if (version <= 5) return DIO_OK;
    return dio_pickle_fail(p, "P13", p->opcode_at, "protocol %" PRIu64 ", at most 5", version);
}

static dio_status pop(struct dio_pickle *p)
{
    uint32_t object;
    size_t begin;
    if (p->mark_count && p->depth == p->marks[p->mark_count - 1]) return pop_mark(p, &begin); /* as Python has it */
    return dio_py_pop(p, &object);
}

static dio_status from_mark(struct dio_pickle *p, int opcode)
{
    size_t begin = 0;
    DIO_PASS(pop_mark(p, &begin));
    switch (opcode) {
    case OP_TUPLE: return make_tuple(p, begin);
    case OP_APPENDS: return extend(p, begin, DIO_PY_LIST, "APPENDS");
    case OP_ADDITEMS: return extend(p, begin, DIO_PY_SET, "ADDITEMS");
    case OP_SETITEMS: return set_items(p, begin, "SETITEMS");
    case OP_FROZENSET: return make_tuple(p, begin); /* nothing here depends on the difference */
    default: p->depth = begin; return DIO_OK; /* POP_MARK */
    }
}

static dio_status append(struct dio_pickle *p)
{
    uint32_t object;
    DIO_PASS(dio_py_pop(p, &object));
    p->depth++;
    return extend(p, p->depth - 1, DIO_PY_LIST, "APPEND");
}

static dio_status duplicate(struct dio_pickle *p)
{
    uint32_t object = 0;
    DIO_PASS(top(p, &object));
    return dio_py_push(p, object);
}

static dio_status small_int(struct dio_pickle *p, int size)
{
    uint64_t value = 0;
    DIO_PASS(number(p, size, &value));
    return push_int(p, size == 4 ? (int32_t)(uint32_t)value : (int64_t)value);
}

static dio_status step(struct dio_pickle *p, int opcode)
{
    struct dio_py *made;
    switch (opcode) {
    case OP_PROTO: return proto(p);
    case OP_FRAME: return frame(p);
    case OP_MARK: return push_mark(p);
    case OP_POP: return pop(p);
    case OP_DUP: return duplicate(p);
    case OP_NONE: return dio_py_push(p, DIO_PY_NONE_OBJECT);
    case OP_NEWTRUE: return dio_py_push(p, DIO_PY_TRUE_OBJECT);
    case OP_NEWFALSE: return dio_py_push(p, DIO_PY_FALSE_OBJECT);
    case OP_BININT1: return small_int(p, 1);
    case OP_BININT2: return small_int(p, 2);
    case OP_BININT: return small_int(p, 4);
    case OP_LONG1: return push_long(p, 1);
    case OP_LONG4: return push_long(p, 4);
    case OP_BINFLOAT: return push_float(p);
    case OP_SHORT_BINUNICODE: return push_bytes(p, DIO_PY_STR, 1, "string");
    case OP_BINUNICODE: return push_bytes(p, DIO_PY_STR, 4, "string");
    case OP_BINUNICODE8: return push_bytes(p, DIO_PY_STR, 8, "string");
    case OP_SHORT_BINSTRING: return push_old_string(p, 1);
    case OP_BINSTRING: return push_old_string(p, 4);
    case OP_SHORT_BINBYTES: return push_bytes(p, DIO_PY_BYTES, 1, "bytes");
    case OP_BINBYTES: return push_bytes(p, DIO_PY_BYTES, 4, "bytes");
    case OP_BINBYTES8: return push_bytes(p, DIO_PY_BYTES, 8, "bytes");
    case OP_BYTEARRAY8: return push_bytes(p, DIO_PY_BYTES, 8, "bytes");
    case OP_EMPTY_TUPLE: return dio_py_push(p, DIO_PY_EMPTY_TUPLE);
    case OP_TUPLE1: return make_short_tuple(p, 1);
    case OP_TUPLE2: return make_short_tuple(p, 2);
    case OP_TUPLE3: return make_short_tuple(p, 3);
    case OP_EMPTY_LIST: return push_new(p, DIO_PY_LIST, &made);
    case OP_EMPTY_DICT: return push_new(p, DIO_PY_DICT, &made);
    case OP_EMPTY_SET: return push_new(p, DIO_PY_SET, &made);
    case OP_TUPLE: case OP_APPENDS: case OP_ADDITEMS: case OP_SETITEMS: case OP_FROZENSET: case OP_POP_MARK:
        return from_mark(p, opcode);
    case OP_APPEND: return append(p);
    case OP_SETITEM: return set_item(p);
    case OP_BINPUT: return put_memo(p, 1);
    case OP_LONG_BINPUT: return put_memo(p, 4);
    case OP_MEMOIZE: return put_memo(p, 0);
    case OP_BINGET: return get_memo(p, 1);
    case OP_LONG_BINGET: return get_memo(p, 4);
    case OP_GLOBAL: return global(p);
    case OP_STACK_GLOBAL: return stack_global(p);
    case OP_INST: return refuse_inst(p);
    case OP_REDUCE: return dio_py_reduce(p);
    case OP_NEWOBJ: return dio_py_new_object(p);
    case OP_BUILD: return dio_py_build(p);
    case OP_BINPERSID: return dio_py_persistent_id(p);
    case OP_OBJ: return fail_here(p, "P11", "opcode OBJ is not accepted");
    case OP_NEWOBJ_EX: return fail_here(p, "P11", "opcode NEWOBJ_EX is not accepted");
    case OP_EXT1: case OP_EXT2: case OP_EXT4:
        return fail_here(p, "P11", "opcode of the extension registry is not accepted");
    default: return dio_pickle_fail(p, "P13", p->opcode_at, "opcode 0x%02x is not accepted", (unsigned)opcode);
    }
}

static dio_status finish(struct dio_pickle *p, uint32_t *root)
{
    if (p->frame_end > p->size) return fail_here(p, "P13", "a frame runs past the end");
    p->frame_end = 0;
    DIO_PASS(dio_py_pop(p, root));
    p->depth = 0;
    p->mark_count = 0;
    dio_free(p->ctx, p->memo);
    p->memo = NULL;
    p->memo_count = p->memo_size = 0;
    return DIO_OK;
}

dio_status dio_pickle_run(struct dio_pickle *p, uint32_t *root)
{
    const uint64_t limit = p->ctx->limits.max_opcodes;
    for (;;) {
        p->opcode_at = p->at;
        if (p->frame_end && p->at >= p->frame_end) p->frame_end = 0;
        if (p->at >= p->size) return fail_here(p, "P13", "truncated: the file ends before its STOP");
        if (p->opcodes++ >= limit) {
            return dio_pickle_fail(p, "P13", p->at, "more opcodes than --max-opcodes %" PRIu64 "; give a larger --max-opcodes", limit);
        }
        int opcode = p->data[p->at++];
        if (opcode == OP_STOP) return finish(p, root);
        DIO_PASS(step(p, opcode));
    }
}
