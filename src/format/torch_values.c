/* Everything in a checkpoint that is no weight: visited once, without recursion, and listed for `info`. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "format/torch.h"

enum { MAX_LISTED = 1000 };

struct level {
    uint32_t object, next;
    size_t path_length; /* of the text that leads here */
};

struct walk {
    struct dio_torch *t;
    unsigned char *seen;
    struct level levels[DIO_MAX_PICKLE_DEPTH];
    int depth;
    uint32_t chosen;
    char path[256];
    size_t path_length;
};

/* The i-th object inside another; the key is an object, or its position. */
static bool child_of(const struct dio_pickle *p, uint32_t object, uint32_t i, uint32_t *child, const struct dio_py **key)
{
    const struct dio_py *from = dio_py_at(p, object);
    *key = NULL;
    switch (from->kind) {
    case DIO_PY_TUPLE: case DIO_PY_LIST: case DIO_PY_SET:
        if (i >= from->count) return false;
        *child = from->u.items[i];
        return true;
    case DIO_PY_DICT: /* keys may be tuples, which nest as well */
        if (i / 2 >= from->count) return false;
        *key = dio_py_at(p, from->u.items[i & ~1u]);
        *child = from->u.items[i];
        return true;
    case DIO_PY_OPAQUE:
        if (i > 1) return false;
        *child = i ? from->u.opaque->state : from->u.opaque->args;
        return true;
    default:
        return false;
    }
}

static void extend_path(struct walk *w, const struct dio_py *key, uint32_t position)
{
    char text[80];
    if (key && key->kind == DIO_PY_STR) {
        dio_escape(text, sizeof text, key->u.bytes, key->count, 70);
    } else if (key && key->kind == DIO_PY_INT) {
        snprintf(text, sizeof text, "%" PRId64, key->u.integer);
    } else {
        snprintf(text, sizeof text, key ? "?" : "%" PRIu32, position);
    }
    int made = snprintf(w->path + w->path_length, sizeof w->path - w->path_length, "%s%s", w->path_length ? "." : "", text);
    w->path_length += (size_t)made;
    if (w->path_length >= sizeof w->path) w->path_length = sizeof w->path - 1;
}

static void shape_text(const struct dio_pickle *p, const struct dio_py_tensor *tensor, char *out, size_t out_size)
{
    const struct dio_py *shape = dio_py_at(p, tensor->shape);
    int64_t dims[DIO_MAX_TENSOR_RANK];
    for (uint32_t i = 0; i < shape->count; i++) dims[i] = dio_py_at(p, shape->u.items[i])->u.integer;
    dio_dims_format(out, out_size, dims, (int)shape->count);
}

static void value_text(const struct dio_pickle *p, const struct dio_py *object, char *out, size_t out_size)
{
    switch (object->kind) {
    case DIO_PY_BOOL: snprintf(out, out_size, object->u.integer ? "True" : "False"); break;
    case DIO_PY_INT: snprintf(out, out_size, "%" PRId64, object->u.integer); break;
    case DIO_PY_LONG: snprintf(out, out_size, "of %" PRIu32 " bytes", object->count); break;
    case DIO_PY_FLOAT: dio_format_double(out, out_size, object->u.real); break;
    case DIO_PY_STR: dio_escape(out, out_size, object->u.bytes, object->count, 100); break;
    case DIO_PY_TUPLE: case DIO_PY_LIST: case DIO_PY_SET: case DIO_PY_DICT:
        snprintf(out, out_size, "of %" PRIu32, object->count);
        break;
    case DIO_PY_TENSOR: shape_text(p, object->u.tensor, out, out_size); break;
    default: snprintf(out, out_size, "%s", ""); break;
    }
}

/* What stands at the top, or beside the weights, or is a foreign object anywhere. */
static dio_status list(struct walk *w, uint32_t parent, uint32_t child)
{
    const struct dio_py *object = dio_py_at(&w->t->pickle, child);
    bool beside = parent == w->t->root || parent == w->chosen;
    if (child == w->chosen || w->t->out->other_count >= MAX_LISTED) return DIO_OK;
    if (parent == w->chosen && object->kind == DIO_PY_TENSOR) return DIO_OK;
    if (!beside && object->kind != DIO_PY_OPAQUE) return DIO_OK;
    char type[300], text[128];
    dio_py_type_name(object, type, sizeof type);
    value_text(&w->t->pickle, object, text, sizeof text);
    return dio_weights_add_other(w->t->ctx, w->t->out, w->path, type, text);
}

static bool has_children(const struct dio_py *object)
{
    switch (object->kind) {
    case DIO_PY_TUPLE: case DIO_PY_LIST: case DIO_PY_SET: case DIO_PY_DICT: return object->count > 0;
    default: return object->kind == DIO_PY_OPAQUE;
    }
}

static dio_status push(struct walk *w, uint32_t object, size_t path_length)
{
    if (w->depth == DIO_MAX_PICKLE_DEPTH) {
        return dio_pickle_fail(&w->t->pickle, "P16", (size_t)dio_py_at(&w->t->pickle, object)->at, "nested deeper than %d",
                               DIO_MAX_PICKLE_DEPTH);
    }
    w->seen[object] = 1;
    w->levels[w->depth++] = (struct level){object, 0, path_length};
    return DIO_OK;
}

static dio_status walk(struct walk *w)
{
    const struct dio_pickle *p = &w->t->pickle;
    DIO_PASS(push(w, w->t->root, 0));
    while (w->depth) {
        struct level *level = &w->levels[w->depth - 1];
        const struct dio_py *key;
        uint32_t child, i = level->next++, parent = level->object;
        if (!child_of(p, parent, i, &child, &key)) {
            w->depth--;
            continue;
        }
        bool is_key = key && i % 2 == 0;
        w->path_length = level->path_length;
        w->path[w->path_length] = 0;
        if (!is_key) {
            extend_path(w, key, i);
            DIO_PASS(list(w, parent, child));
        }
        if (has_children(dio_py_at(p, child)) && !w->seen[child]) DIO_PASS(push(w, child, w->path_length));
    }
    return DIO_OK;
}

dio_status dio_torch_add_values(struct dio_torch *t, uint32_t chosen)
{
    struct walk w = {.t = t, .chosen = chosen};
    w.seen = dio_alloc_zeroed(t->ctx, t->pickle.count, 1, "marks of objects");
    if (!w.seen) return DIO_ERR_ENV;
    dio_status status = walk(&w);
    dio_free(t->ctx, w.seen);
    return status;
}
