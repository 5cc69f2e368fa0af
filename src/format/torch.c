/* PyTorch's files: the zip container, and the five pickles of the legacy one.  TorchScript and tar are refused by name. */
#include "format/torch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/str.h"
#include "format/place.h"

enum { MOST_METADATA = 16 << 20 }; /* of one text */

static enum dio_probe probe(const unsigned char *bytes, size_t size)
{
    if (size >= 4 && bytes[0] == 'P' && bytes[1] == 'K') {
        bool local = bytes[2] == 3 && bytes[3] == 4, empty = bytes[2] == 5 && bytes[3] == 6;
        return local || empty ? DIO_PROBE_YES : DIO_PROBE_NO;
    }
    /* PROTO and a version.  A safetensors header may be 640 bytes long; its probe is surer then and comes first. */
    return size >= 2 && bytes[0] == 0x80 && bytes[1] <= 5 ? DIO_PROBE_YES : DIO_PROBE_NO;
}

static dio_status refuse(struct dio_torch *t, const char *code, const char *text, const char *hint)
{
    return dio_fail(t->ctx, DIO_ERR_INPUT, code, &(struct dio_place){.file = t->path, .hint = hint}, "%s", text);
}

static dio_status alloc_storages(struct dio_torch *t)
{
    t->storages = dio_alloc_zeroed(t->ctx, t->pickle.storage_count, sizeof *t->storages, "storages");
    return t->storages ? DIO_OK : DIO_ERR_ENV;
}

/* Bytes that the pickle says storage `index` has; false: more than 2^63. */
static bool storage_bytes(const struct dio_torch *t, uint32_t index, uint64_t *bytes)
{
    const struct dio_py_storage *storage = &t->pickle.storages[index];
    uint64_t size = storage->untyped ? 1 : dio_dtype_size(storage->dtype);
    return dio_mul_u64((uint64_t)storage->count, size, bytes) && *bytes <= INT64_MAX;
}

/* ---- zip ---- */


/* FOLDER/NAME of the archive's top folder. */
static const struct dio_zip_entry *member(const struct dio_torch *t, const char *name, size_t length)
{
    char full[4096];
    if (t->folder_length + length + 1 > sizeof full) return NULL;
    memcpy(full, t->folder, t->folder_length);
    full[t->folder_length] = '/';
    memcpy(full + t->folder_length + 1, name, length);
    return dio_zip_find(&t->zip, full, t->folder_length + 1 + length);
}

static dio_status find_pickle(struct dio_torch *t, const struct dio_zip_entry **found)
{
    *found = NULL;
    bool script = false;
    for (size_t i = 0; i < t->zip.count; i++) {
        const struct dio_zip_entry *entry = &t->zip.entries[i];
        const char *slash = memchr(entry->name, '/', entry->name_length);
        size_t folder_length = slash ? (size_t)(slash - entry->name) : 0;
        size_t rest = entry->name_length - folder_length;
        script = script || (slash && rest > 6 && memcmp(slash, "/code/", 6) == 0) ||
                 (slash && rest == 14 && memcmp(slash, "/constants.pkl", 14) == 0);
        if (rest != 9 || !slash || memcmp(slash, "/data.pkl", 9) != 0) continue;
        if (*found) return refuse(t, "P10", "two top folders with a data.pkl in one archive", NULL);
        *found = entry;
        t->folder = entry->name;
        t->folder_length = folder_length;
    }
    if (script) return refuse(t, "P10", "TorchScript archive", "save a state_dict instead");
    if (*found) return DIO_OK;
    return refuse(t, "P10", t->zip.count ? "a zip archive without a data.pkl, so not PyTorch's" : "an empty zip archive, without a data.pkl",
                  NULL);
}

static dio_status read_byte_order(struct dio_torch *t)
{
    const struct dio_zip_entry *entry = member(t, "byteorder", 9);
    const unsigned char *bytes = NULL;
    void *owned = NULL;
    if (!entry) return DIO_OK;
    DIO_PASS(dio_zip_read(&t->zip, entry, &bytes, &owned));
    bool little = entry->size == 6 && memcmp(bytes, "little", 6) == 0, big = entry->size == 3 && memcmp(bytes, "big", 3) == 0;
    dio_free(t->ctx, owned);
    t->swapped = big;
    return little || big ? DIO_OK : dio_zip_fail(&t->zip, "P21", entry, DIO_AT(entry->data), "unknown byte order");
}

/* The pickle's bytes as a block of the list: a mapped file may change, and texts point into them. */
static dio_status load_pickle(struct dio_torch *t, const struct dio_zip_entry *entry)
{
    const unsigned char *bytes = NULL;
    void *owned = NULL;
    DIO_PASS(dio_zip_read(&t->zip, entry, &bytes, &owned));
    uint64_t base = owned ? 0 : entry->data;
    if (owned) {
        DIO_PASS(dio_weights_adopt(t->ctx, t->out, owned));
    } else if (t->zip.blob->mapped) {
        unsigned char *copy = dio_weights_block(t->ctx, t->out, (size_t)entry->size, "a pickle");
        if (!copy) return DIO_ERR_ENV;
        memcpy(copy, bytes, (size_t)entry->size);
        bytes = copy;
    }
    DIO_PASS(dio_pickle_init(&t->pickle, t->ctx, t->path, bytes, (size_t)entry->size, base, t->options->allow_opaque));
    return dio_pickle_run(&t->pickle, &t->root);
}

/* The texts that dio_torch_write put beside the tensors; others' entries of that folder are passed by. */
static dio_status read_metadata(struct dio_torch *t)
{
    const size_t prefix = strlen(DIO_TORCH_EXTRA);
    for (size_t i = 0; i < t->zip.count; i++) {
        const struct dio_zip_entry *entry = &t->zip.entries[i];
        const unsigned char *bytes = NULL;
        void *owned = NULL;
        const size_t before = t->folder_length + 1 + prefix;
        if (entry->name_length <= before || entry->size > MOST_METADATA || memcmp(entry->name, t->folder, t->folder_length + 1) != 0
            || memcmp(entry->name + t->folder_length + 1, DIO_TORCH_EXTRA, prefix) != 0) {
            continue;
        }
        DIO_PASS(dio_zip_read(&t->zip, entry, &bytes, &owned));
        const char *text = (const char *)bytes;
        const size_t size = (size_t)entry->size;
        dio_status status = DIO_OK;
        if (!memchr(text, 0, size) && dio_utf8_valid(text, size, NULL)) {
            status = dio_weights_add_metadata(t->ctx, t->out, entry->name + before, entry->name_length - before, text, size);
        }
        dio_free(t->ctx, owned);
        DIO_PASS(status);
    }
    return DIO_OK;
}

static dio_status open_zip(struct dio_torch *t)
{
    const struct dio_zip_entry *entry = NULL;
    DIO_PASS(dio_zip_open(t->ctx, t->path, &t->out->blobs[t->source], &t->zip));
    DIO_PASS(find_pickle(t, &entry));
    DIO_PASS(read_byte_order(t));
    DIO_PASS(load_pickle(t, entry));
    DIO_PASS(read_metadata(t));
    return alloc_storages(t);
}

static dio_status zip_storage(struct dio_torch *t, uint32_t index, const char *name, size_t name_length)
{
    const struct dio_py_storage *storage = &t->pickle.storages[index];
    char entry_name[80];
    int length = snprintf(entry_name, sizeof entry_name, "data/%.*s", (int)storage->key_length, storage->key);
    const struct dio_zip_entry *entry = member(t, entry_name, (size_t)length);
    if (!entry) {
        return dio_fail_tensor(t->ctx, "P18", t->path, name, name_length, 0, "its storage %s is missing", entry_name);
    }
    uint64_t bytes = 0;
    bool fits = storage_bytes(t, index, &bytes);
    if (!fits || bytes != entry->size) {
        char needed[32] = "more than 2^63";
        if (fits) snprintf(needed, sizeof needed, "%" PRIu64, bytes);
        return dio_fail_tensor(t->ctx, "P18", t->path, name, name_length, 0, "%s holds %" PRIu64 " bytes, needs %s", entry_name,
                               entry->size, needed);
    }
    void *owned = NULL;
    DIO_PASS(dio_zip_read(&t->zip, entry, &t->storages[index].data, &owned));
    t->storages[index].loaded = true;
    return owned ? dio_weights_adopt(t->ctx, t->out, owned) : DIO_OK;
}

/* ---- legacy ---- */

static dio_status truncated(struct dio_torch *t, uint64_t offset, const char *what)
{
    struct dio_place place = {.file = t->path, .offset = DIO_AT(offset)};
    return dio_fail(t->ctx, DIO_ERR_INPUT, "P26", &place, "truncated: the file ends before %s", what);
}

static dio_status read_sys_info(struct dio_torch *t)
{
    uint32_t info = 0, little = 0;
    DIO_PASS(dio_pickle_run(&t->pickle, &info));
    const struct dio_py *object = dio_py_at(&t->pickle, info);
    if (object->kind != DIO_PY_DICT) return refuse(t, "P26", "the third pickle is not PyTorch's system information", NULL);
    t->swapped = dio_py_get(&t->pickle, object, "little_endian", &little) && little == DIO_PY_FALSE_OBJECT;
    return DIO_OK;
}

static dio_status read_legacy_head(struct dio_torch *t)
{
    static const unsigned char magic[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    uint32_t object = 0;
    DIO_PASS(dio_pickle_run(&t->pickle, &object));
    const struct dio_py *number = dio_py_at(&t->pickle, object);
    if (number->kind != DIO_PY_LONG || number->count != sizeof magic || memcmp(number->u.bytes, magic, sizeof magic) != 0) {
        return refuse(t, "P10", "a pickle, but not a PyTorch file (no magic number)", NULL);
    }
    DIO_PASS(dio_pickle_run(&t->pickle, &object));
    const struct dio_py *version = dio_py_at(&t->pickle, object);
    if (version->kind != DIO_PY_INT || version->u.integer != 1001) {
        return refuse(t, "P26", "legacy container of an unknown protocol version, 1001 is read", NULL);
    }
    return read_sys_info(t);
}

/* int64 count, then the bytes. */
static dio_status read_legacy_storage(struct dio_torch *t, uint32_t index, uint64_t *at)
{
    const struct dio_py_storage *storage = &t->pickle.storages[index];
    const struct dio_blob *blob = &t->out->blobs[t->source];
    char key[80];
    dio_escape(key, sizeof key, storage->key, storage->key_length, 64);
    struct dio_place place = {.file = t->path, .offset = DIO_AT(*at)};
    if (t->storages[index].present) {
        return dio_fail(t->ctx, DIO_ERR_INPUT, "P26", &place, "storage %s is listed twice", key);
    }
    if (blob->size - *at < 8) return truncated(t, *at, "the data of all storages");
    uint64_t count = 0, bytes = 0;
    for (int i = 7; i >= 0; i--) count = count << 8 | blob->data[*at + (uint64_t)i];
    if ((int64_t)count != storage->count) {
        return dio_fail(t->ctx, DIO_ERR_INPUT, "P26", &place, "storage %s has %" PRId64 " elements, its id says %" PRId64, key,
                        (int64_t)count, storage->count);
    }
    *at += 8;
    if (!storage_bytes(t, index, &bytes) || bytes > blob->size - *at) return truncated(t, *at, "the data of all storages");
    t->storages[index] = (struct dio_torch_storage){blob->data + *at, true, true};
    *at += bytes;
    return DIO_OK;
}

static dio_status read_legacy_storages(struct dio_torch *t, uint32_t keys)
{
    const struct dio_py *list = dio_py_at(&t->pickle, keys);
    if (list->kind != DIO_PY_LIST) return refuse(t, "P26", "the last pickle is not the list of storage keys", NULL);
    size_t known = t->pickle.storage_count;
    uint64_t at = t->pickle.at;
    DIO_PASS(alloc_storages(t));
    for (uint32_t i = 0; i < list->count; i++) {
        const struct dio_py *key = dio_py_at(&t->pickle, list->u.items[i]);
        struct dio_py_storage wanted = {.key = (const char *)key->u.bytes, .key_length = key->count};
        uint32_t index = 0;
        bool added = key->kind != DIO_PY_STR || key->count > 64; /* no key of an id is longer */
        if (!added) DIO_PASS(dio_py_find_storage(&t->pickle, &wanted, &index, &added));
        if (added || index >= known) {
            char name[80];
            dio_escape(name, sizeof name, key->kind == DIO_PY_STR ? wanted.key : "?", key->kind == DIO_PY_STR ? key->count : 1, 64);
            return dio_fail(t->ctx, DIO_ERR_INPUT, "P26", &(struct dio_place){.file = t->path},
                            "the list of keys names storage %s, which no tensor uses", name);
        }
        DIO_PASS(read_legacy_storage(t, index, &at));
    }
    return DIO_OK;
}

static dio_status open_legacy(struct dio_torch *t)
{
    const struct dio_blob *blob = &t->out->blobs[t->source];
    uint32_t keys = 0;
    t->legacy = true;
    DIO_PASS(dio_pickle_init(&t->pickle, t->ctx, t->path, blob->data, blob->size, 0, t->options->allow_opaque));
    DIO_PASS(read_legacy_head(t));
    DIO_PASS(dio_pickle_run(&t->pickle, &t->root));
    DIO_PASS(dio_pickle_run(&t->pickle, &keys));
    return read_legacy_storages(t, keys);
}

/* ---- both ---- */

dio_status dio_torch_storage_data(struct dio_torch *t, uint32_t index, const char *name, size_t name_length,
                                  const unsigned char **data)
{
    if (!t->storages[index].loaded) {
        if (t->legacy) {
            char key[80];
            dio_escape(key, sizeof key, t->pickle.storages[index].key, t->pickle.storages[index].key_length, 64);
            return dio_fail_tensor(t->ctx, "P26", t->path, name, name_length, 0, "its storage %s is missing", key);
        }
        DIO_PASS(zip_storage(t, index, name, name_length));
    }
    *data = t->storages[index].data;
    return DIO_OK;
}

static dio_status describe(struct dio_torch *t, const char *chosen_path)
{
    char path[208];
    dio_escape(path, sizeof path, chosen_path ? chosen_path : "", chosen_path ? strlen(chosen_path) : 0, 200);
    t->out->detail = dio_arena_sprintf(&t->out->arena, "%s%s%s%s%s", t->legacy ? "legacy container" : "zip container",
                                       t->swapped ? ", big-endian" : "", chosen_path ? ", from \"" : "", path,
                                       chosen_path ? "\"" : "");
    return t->out->detail ? DIO_OK : DIO_ERR_ENV;
}

static dio_status read(struct dio_ctx *ctx, const char *path, struct dio_blob *blob, const struct dio_read_options *options,
                       struct dio_weights *out)
{
    dio_status status;
    struct dio_torch t = {.ctx = ctx, .path = path, .options = options, .out = out};
    const char *chosen_path = NULL;
    uint32_t chosen = 0;
    DIO_TRY(dio_weights_add_source(ctx, out, path, blob, &t.source));
    bool zip = out->blobs[t.source].data[0] == 'P';
    DIO_TRY(zip ? open_zip(&t) : open_legacy(&t));
    DIO_TRY(dio_torch_choose(&t, &chosen, &chosen_path));
    DIO_TRY(dio_torch_add_values(&t, chosen)); /* first: nothing below it meets deep nesting any more */
    DIO_TRY(dio_torch_add_tensors(&t, chosen, chosen_path));
    status = describe(&t, chosen_path);
fail:
    dio_pickle_free(&t.pickle);
    dio_zip_close(&t.zip);
    dio_free(ctx, t.storages);
    dio_free(ctx, t.numbers);
    return status;
}

const struct dio_format dio_format_torch = {
    .name = "torch",
    .extension = ".pth",
    .about = "PyTorch's state_dict, for torch.load; reads the zip and the legacy container",
    .probe = probe,
    .read = read,
    .write = dio_torch_write,
};
