/* Which of the saved objects is the state dict, and its tensors as weights. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/str.h"
#include "format/place.h"
#include "format/torch.h"

/* ---- one tensor (rows P19, P20) ---- */

struct named {
    const char *name;
    size_t length;
    uint32_t tensor;   /* object */
    uint32_t position; /* in the dict */
    bool dropped;
};

static dio_status fail(struct dio_torch *t, const struct named *n, const char *code, const char *text)
{
    return dio_fail_tensor(t->ctx, code, t->path, n->name, n->length, 0, "%s", text);
}

/* The ints of a tuple, copied once however many tensors share it. */
static const int64_t *numbers_of(struct dio_torch *t, uint32_t object)
{
    const struct dio_py *tuple = dio_py_at(&t->pickle, object);
    if (t->numbers[object]) return t->numbers[object];
    int64_t *numbers = dio_arena_alloc(&t->out->arena, sizeof *numbers * (tuple->count ? tuple->count : 1));
    for (uint32_t i = 0; numbers && i < tuple->count; i++) numbers[i] = dio_py_at(&t->pickle, tuple->u.items[i])->u.integer;
    t->numbers[object] = numbers;
    return numbers;
}

static dio_status count_elements(struct dio_torch *t, const struct named *n, struct dio_weight *weight)
{
    uint64_t product = 1;
    bool zero = false;
    for (int i = 0; i < weight->rank; i++) {
        if (weight->dims[i] < 0) return fail(t, n, "P19", "negative dimension in its shape");
        if (weight->strides[i] < 0) return fail(t, n, "P19", "negative stride");
        zero = zero || weight->dims[i] == 0;
        if (weight->dims[i] && !dio_mul_u64(product, (uint64_t)weight->dims[i], &product)) {
            return fail(t, n, "P19", "shape is too large");
        }
    }
    if (product > INT64_MAX / 16) return fail(t, n, "P19", "shape is too large");
    weight->elements = zero ? 0 : product;
    if (weight->elements <= t->ctx->limits.max_elements) return DIO_OK;
    return dio_fail_tensor(t->ctx, "P20", t->path, n->name, n->length, 0,
                           "%" PRIu64 " elements is more than --max-elements %" PRIu64 "; give a larger --max-elements to read it",
                           weight->elements, t->ctx->limits.max_elements);
}

/* The furthest element lies inside the storage. */
static dio_status check_reach(struct dio_torch *t, const struct named *n, const struct dio_py_tensor *tensor,
                              const struct dio_weight *weight)
{
    const struct dio_py_storage *storage = &t->pickle.storages[tensor->view->storage];
    int64_t last = tensor->offset, count = tensor->view->count, step;
    if (storage->untyped) count /= (int64_t)dio_dtype_size(tensor->dtype);
    for (int i = 0; i < weight->rank; i++) {
        if (!dio_mul_i64(weight->dims[i] - 1, weight->strides[i], &step) || !dio_add_i64(last, step, &last)) {
            return fail(t, n, "P19", "strides reach beyond element 2^63 of its storage");
        }
    }
    if (last < count) return DIO_OK;
    return dio_fail_tensor(t->ctx, "P19", t->path, n->name, n->length, 0,
                           "strides reach element %" PRId64 " of a storage of %" PRId64, last, count);
}

static bool contiguous(const struct dio_weight *weight)
{
    int64_t stride = 1;
    for (int i = weight->rank - 1; i >= 0; i--) {
        if (weight->dims[i] != 1 && weight->strides[i] != stride) return false;
        stride *= weight->dims[i];
    }
    return true;
}

static dio_status add_tensor(struct dio_torch *t, const struct named *n)
{
    const struct dio_py_tensor *tensor = dio_py_at(&t->pickle, n->tensor)->u.tensor;
    const unsigned char *data = NULL;
    struct dio_weight weight = {.name = n->name, .name_length = n->length, .dtype = tensor->dtype, .swapped = t->swapped,
                                .source = t->source};
    weight.rank = (int)dio_py_at(&t->pickle, tensor->shape)->count;
    if (weight.rank != (int)dio_py_at(&t->pickle, tensor->strides)->count) return fail(t, n, "P19", "shape and strides differ in rank");
    if (tensor->offset < 0) return fail(t, n, "P19", "negative storage offset");
    weight.dims = numbers_of(t, tensor->shape);
    weight.strides = weight.dims ? numbers_of(t, tensor->strides) : NULL;
    if (!weight.strides) return DIO_ERR_ENV;
    DIO_PASS(count_elements(t, n, &weight));
    if (weight.elements) DIO_PASS(check_reach(t, n, tensor, &weight));
    DIO_PASS(dio_torch_storage_data(t, tensor->view->storage, n->name, n->length, &data));
    weight.data = weight.elements ? data + (size_t)(tensor->view->offset + tensor->offset) * dio_dtype_size(tensor->dtype) : data;
    if (!weight.elements || contiguous(&weight)) weight.strides = NULL;
    if (t->out->count >= t->ctx->limits.max_tensors) {
        return dio_fail(t->ctx, DIO_ERR_INPUT, "P25", &(struct dio_place){.file = t->path},
                        "more tensors than --max-tensors %" PRIu64, t->ctx->limits.max_tensors);
    }
    return dio_weights_add(t->ctx, t->out, &weight);
}

/* ---- all tensors of one object ---- */

static int by_name(const void *a, const void *b)
{
    const struct named *x = *(const struct named *const *)a, *y = *(const struct named *const *)b;
    int order = memcmp(x->name, y->name, x->length < y->length ? x->length : y->length);
    if (!order) order = (x->length > y->length) - (x->length < y->length);
    return order ? order : (x->position > y->position) - (x->position < y->position);
}

/* Row P22: a key set twice keeps its first place and its last value. */
static dio_status drop_repeated(struct dio_torch *t, struct named *list, size_t count)
{
    if (count < 2) return DIO_OK;
    struct named **order = dio_alloc_array(t->ctx, count, sizeof *order, "names of tensors");
    if (!order) return DIO_ERR_ENV;
    for (size_t i = 0; i < count; i++) order[i] = &list[i];
    qsort(order, count, sizeof *order, by_name);
    size_t first = 0;
    for (size_t i = 1; i < count; i++) {
        bool same = order[i]->length == order[first]->length && memcmp(order[i]->name, order[first]->name, order[i]->length) == 0;
        if (!same) {
            first = i;
            continue;
        }
        order[first]->tensor = order[i]->tensor;
        order[i]->dropped = true;
    }
    dio_free(t->ctx, order);
    return DIO_OK;
}

/* The text of a key; whole numbers are written out. */
static bool key_text(struct dio_torch *t, const struct dio_py *key, struct named *n)
{
    if (key->kind == DIO_PY_STR) {
        n->name = (const char *)key->u.bytes;
        n->length = key->count;
        return true;
    }
    if (key->kind != DIO_PY_INT) return false;
    n->name = dio_arena_sprintf(&t->out->arena, "%" PRId64, key->u.integer);
    n->length = n->name ? strlen(n->name) : 0;
    return n->name != NULL;
}

/* The i-th named tensor of a dict, of a list of (name, tensor), of a list of tensors, or a tensor itself. */
static bool pick(struct dio_torch *t, uint32_t object, uint32_t i, struct named *n)
{
    const struct dio_pickle *p = &t->pickle;
    const struct dio_py *from = dio_py_at(p, object);
    *n = (struct named){.position = i};
    if (from->kind == DIO_PY_TENSOR) {
        *n = (struct named){.name = "tensor", .length = 6, .tensor = object};
        return true;
    }
    if (from->kind == DIO_PY_DICT) {
        n->tensor = from->u.items[2 * (size_t)i + 1];
        return dio_py_at(p, n->tensor)->kind == DIO_PY_TENSOR && key_text(t, dio_py_at(p, from->u.items[2 * (size_t)i]), n);
    }
    const struct dio_py *item = dio_py_at(p, from->u.items[i]);
    n->tensor = from->u.items[i];
    if (item->kind == DIO_PY_TENSOR) return key_text(t, &(struct dio_py){.kind = DIO_PY_INT, .u.integer = i}, n);
    if (item->kind != DIO_PY_TUPLE || item->count != 2) return false;
    n->tensor = item->u.items[1];
    return dio_py_at(p, n->tensor)->kind == DIO_PY_TENSOR && key_text(t, dio_py_at(p, item->u.items[0]), n);
}

static uint32_t length_of(const struct dio_py *object)
{
    bool holds = object->kind == DIO_PY_DICT || object->kind == DIO_PY_LIST || object->kind == DIO_PY_TUPLE;
    return object->kind == DIO_PY_TENSOR ? 1 : holds ? object->count : 0;
}

/* Before names are compared with each other. */
static dio_status check_name(struct dio_torch *t, const struct named *n)
{
    if (n->length <= DIO_MAX_TENSOR_NAME) return DIO_OK;
    return dio_fail_tensor(t->ctx, "P19", t->path, n->name, n->length, 0, "a name of %zu bytes, at most %d", n->length,
                           DIO_MAX_TENSOR_NAME);
}

static dio_status add_all(struct dio_torch *t, uint32_t object)
{
    uint32_t length = length_of(dio_py_at(&t->pickle, object));
    size_t count = 0;
    dio_status status = DIO_OK;
    struct named *list = dio_alloc_array(t->ctx, length, sizeof *list, "names of tensors");
    t->numbers = dio_alloc_zeroed(t->ctx, t->pickle.count, sizeof *t->numbers, "shapes of tensors");
    if (!list || !t->numbers) {
        status = DIO_ERR_ENV;
        goto fail;
    }
    for (uint32_t i = 0; i < length; i++) {
        if (!pick(t, object, i, &list[count])) continue;
        DIO_TRY(check_name(t, &list[count]));
        count++;
    }
    DIO_TRY(t->ctx->error.status);
    DIO_TRY(drop_repeated(t, list, count));
    for (size_t i = 0; i < count; i++) {
        if (!list[i].dropped) DIO_TRY(add_tensor(t, &list[i]));
    }
fail:
    dio_free(t->ctx, list);
    return status;
}

/* ---- the choice (row P23) ---- */

static const char *const first_keys[] = {"model_state_dict", "state_dict", "model", "module", "net"};
static const char *const later_keys[] = {"model_state", "state_dict_ema", "model_ema", "ema", "weights", "params"};
enum { MAX_DESCENT = 8, MAX_SHOWN = 200 };

struct choice {
    struct dio_torch *t;
    unsigned char *seen; /* one byte an object */
    struct dio_str path;
};

static bool holds_tensor(const struct dio_pickle *p, const struct dio_py *dict)
{
    for (uint32_t i = 0; i < dict->count; i++) {
        if (dio_py_at(p, dict->u.items[2 * (size_t)i + 1])->kind == DIO_PY_TENSOR) return true;
    }
    return false;
}

static bool descend(struct choice *c, uint32_t object, int depth, uint32_t *found);

static bool enter(struct choice *c, const char *key, size_t length, uint32_t child, int depth, uint32_t *found)
{
    size_t before = c->path.length;
    if (dio_py_at(&c->t->pickle, child)->kind != DIO_PY_DICT || c->seen[child]) return false;
    if (before) dio_str_add(&c->path, ".");
    dio_str_add_bytes(&c->path, key, length < MAX_SHOWN ? length : MAX_SHOWN);
    if (descend(c, child, depth + 1, found)) return true;
    if (!c->path.failed && c->path.data) c->path.data[before] = 0;
    c->path.length = before;
    return false;
}

static bool enter_listed(struct choice *c, const struct dio_py *dict, const char *const *keys, size_t count, int depth, uint32_t *found)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t child;
        if (dio_py_get(&c->t->pickle, dict, keys[i], &child) && enter(c, keys[i], strlen(keys[i]), child, depth, found)) return true;
    }
    return false;
}

/* torch.save((state_dict, {...})): the first dict with tensors, called by its position. */
static bool enter_items(struct choice *c, const struct dio_py *list, uint32_t *found)
{
    char key[16];
    for (uint32_t i = 0; i < list->count; i++) { /* tensors of its own are the weights */
        if (dio_py_at(&c->t->pickle, list->u.items[i])->kind == DIO_PY_TENSOR) return false;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        int length = snprintf(key, sizeof key, "%" PRIu32, i);
        if (enter(c, key, (size_t)length, list->u.items[i], 0, found)) return true;
    }
    return false;
}

/* An optimizer's state holds tensors as well, and is never what is looked for. */
static bool is_state_of_training(const struct dio_py *key)
{
    return key->count >= 5 && memcmp(key->u.bytes, "optim", 5) == 0;
}

/* Depth first, each dict once, never deeper than MAX_DESCENT. */
static bool descend(struct choice *c, uint32_t object, int depth, uint32_t *found)
{
    const struct dio_pickle *p = &c->t->pickle;
    const struct dio_py *dict = dio_py_at(p, object);
    if (depth == 0 && (dict->kind == DIO_PY_TUPLE || dict->kind == DIO_PY_LIST)) return enter_items(c, dict, found);
    if (dict->kind != DIO_PY_DICT || depth > MAX_DESCENT || c->seen[object]) return false;
    c->seen[object] = 1;
    if (enter_listed(c, dict, first_keys, sizeof first_keys / sizeof *first_keys, depth, found)) return true;
    if (holds_tensor(p, dict)) {
        *found = object;
        return true;
    }
    if (enter_listed(c, dict, later_keys, sizeof later_keys / sizeof *later_keys, depth, found)) return true;
    for (uint32_t i = 0; i < dict->count; i++) {
        const struct dio_py *key = dio_py_at(p, dict->u.items[2 * (size_t)i]);
        if (key->kind != DIO_PY_STR || is_state_of_training(key)) continue;
        if (enter(c, (const char *)key->u.bytes, key->count, dict->u.items[2 * (size_t)i + 1], depth, found)) return true;
    }
    return false;
}

/* Other dicts with tensors beside the chosen one are named once. */
static dio_status note_choice(struct dio_torch *t, uint32_t chosen, const char *path)
{
    const struct dio_pickle *p = &t->pickle;
    const size_t path_length = strlen(path);
    const struct dio_py *root = dio_py_at(p, t->root);
    char list[400] = "", name[208];
    int others = 0;
    const bool dict = root->kind == DIO_PY_DICT;
    if ((!dict && root->kind != DIO_PY_TUPLE && root->kind != DIO_PY_LIST) || chosen == t->root) return DIO_OK;
    for (uint32_t i = 0; i < root->count; i++) {
        char position[16];
        snprintf(position, sizeof position, "%" PRIu32, i);
        const struct dio_py numbered = {.kind = DIO_PY_STR, .u.bytes = (const unsigned char *)position, .count = (uint32_t)strlen(position)};
        const struct dio_py *key = dict ? dio_py_at(p, root->u.items[2 * (size_t)i]) : &numbered;
        const struct dio_py *value = dio_py_at(p, root->u.items[dict ? 2 * (size_t)i + 1 : i]);
        if (value->kind != DIO_PY_DICT || !holds_tensor(p, value)) continue;
        if (key->kind != DIO_PY_STR || is_state_of_training(key)) continue;
        if (key->count == path_length && memcmp(key->u.bytes, path, path_length) == 0) continue; /* one dict may have two keys */
        dio_escape(name, sizeof name, key->u.bytes, key->count, 60);
        size_t used = strlen(list);
        if (others++ < 4) snprintf(list + used, sizeof list - used, "%s\"%s\"", used ? ", " : "", name);
    }
    if (!others) return DIO_OK;
    dio_escape(name, sizeof name, path, strlen(path), 60);
    t->out->note_code = "P23";
    t->out->note = dio_arena_sprintf(&t->out->arena, "using \"%s\"; also there: %s%s", name, list, others > 4 ? ", ..." : "");
    return t->out->note ? DIO_OK : DIO_ERR_ENV;
}

static dio_status choose_key(struct dio_torch *t, uint32_t *chosen)
{
    struct dio_place place = {.file = t->path};
    if (dio_py_get(&t->pickle, dio_py_at(&t->pickle, t->root), t->options->key, chosen)) return DIO_OK;
    return dio_fail(t->ctx, DIO_ERR_USAGE, "P23", &place, "nothing is called \"%s\" there (--key)", t->options->key);
}

dio_status dio_torch_choose(struct dio_torch *t, uint32_t *chosen, const char **path)
{
    struct choice c = {.t = t};
    dio_status status = DIO_OK;
    uint32_t start = t->root;
    *path = NULL;
    dio_str_init(&c.path, t->ctx);
    if (t->options->key) {
        DIO_PASS(choose_key(t, &start));
        dio_str_add(&c.path, t->options->key);
    }
    *chosen = start;
    c.seen = dio_alloc_zeroed(t->ctx, t->pickle.count, 1, "marks of objects");
    if (!c.seen) {
        status = DIO_ERR_ENV;
        goto fail;
    }
    descend(&c, start, 0, chosen);
    DIO_TRY(dio_str_status(&c.path));
    if (c.path.length) {
        *path = dio_arena_strndup(&t->out->arena, c.path.data, c.path.length);
        if (!*path) status = DIO_ERR_ENV;
    }
fail:
    dio_free(t->ctx, c.seen);
    dio_str_free(&c.path);
    return status;
}

dio_status dio_torch_add_tensors(struct dio_torch *t, uint32_t chosen, const char *chosen_path)
{
    DIO_PASS(add_all(t, chosen));
    if (!t->out->count) return dio_fail(t->ctx, DIO_ERR_INPUT, "P25", &(struct dio_place){.file = t->path}, "no tensors");
    if (chosen_path && !t->options->key) DIO_PASS(note_choice(t, chosen, chosen_path));
    return dio_weights_index(t->ctx, t->out, NULL);
}
