/* safetensors: u64 header length, a JSON header, the data.  Every rule of the catalogue's rows S1 to S20. */
#include "format/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/str.h"
#include "format/jsonscan.h"
#include "format/place.h"

struct header {
    struct dio_ctx *ctx;
    const char *path;
    struct dio_weights *out;
    struct dio_jsonscan scan;
    uint64_t data_begin, data_size;
    bool has_metadata;
};

struct entry {
    uint64_t begin, end;
    size_t item;
};

static uint64_t read_u64(const unsigned char *bytes)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}

static enum dio_probe probe(const unsigned char *bytes, size_t size)
{
    if (size < 9) return DIO_PROBE_NO;
    uint64_t length = read_u64(bytes);
    bool fits = length > 0 && length <= size - 8;
    size_t at = 8, stop = size < 64 ? size : 64;
    while (at < stop && (bytes[at] == ' ' || bytes[at] == '\t' || bytes[at] == '\n' || bytes[at] == '\r')) at++;
    if (at == stop || bytes[at] != '{') return DIO_PROBE_NO;
    return fits ? DIO_PROBE_YES : DIO_PROBE_MAYBE;
}

/* "tensor NAME: MEMBER: TEXT (offset A)". */
static dio_status fail_member(struct header *h, const char *code, const char *name, size_t length, size_t at,
                              const char *member, const char *text)
{
    return dio_fail_tensor(h->ctx, code, h->path, name, length, DIO_AT(h->scan.base + at), "%s: %s", member, text);
}

static dio_status read_metadata(struct header *h)
{
    struct dio_jsonscan *scan = &h->scan;
    struct dio_place place = {.file = h->path, .offset = DIO_AT(scan->base + scan->at)};
    if (h->has_metadata) return dio_fail(h->ctx, DIO_ERR_INPUT, "S8", &place, "__metadata__ appears twice");
    h->has_metadata = true;
    enum dio_scan_kind kind = dio_jsonscan_peek(scan);
    if (kind == DIO_SCAN_WORD && scan->text[scan->at] == 'n') return dio_jsonscan_skip(scan, 1);
    if (kind == DIO_SCAN_OBJECT) {
        bool first = true, more;
        for (;;) {
            DIO_PASS(dio_jsonscan_member(scan, &first, &more));
            if (!more) return DIO_OK;
            char *key = dio_arena_strndup(&h->out->arena, scan->string, scan->string_length);
            size_t key_length = scan->string_length;
            if (!key) return DIO_ERR_ENV;
            if (dio_jsonscan_peek(scan) != DIO_SCAN_STRING) break;
            DIO_PASS(dio_jsonscan_string(scan));
            DIO_PASS(dio_weights_add_metadata(h->ctx, h->out, key, key_length, scan->string, scan->string_length));
        }
    }
    if (kind != DIO_SCAN_END) DIO_PASS(dio_jsonscan_skip(scan, 2)); /* what is no JSON at all is said so first */
    return dio_fail(h->ctx, DIO_ERR_INPUT, "S9", &place, "__metadata__ must map strings to strings");
}

/* One array of whole numbers, at most `limit` of them kept; *count is how many there were. */
static dio_status read_numbers(struct header *h, const struct dio_weight *item, const char *code, const char *member,
                               uint64_t *numbers, int limit, int *count)
{
    struct dio_jsonscan *scan = &h->scan;
    *count = 0;
    if (dio_jsonscan_peek(scan) != DIO_SCAN_ARRAY) {
        size_t at = scan->at;
        DIO_PASS(dio_jsonscan_skip(scan, 2));
        return fail_member(h, code, item->name, item->name_length, at, member, "not an array of whole numbers");
    }
    bool first = true, more;
    for (;;) {
        DIO_PASS(dio_jsonscan_element(scan, &first, &more));
        if (!more) return DIO_OK;
        enum dio_scan_kind kind = dio_jsonscan_peek(scan);
        size_t at = scan->at;
        uint64_t value = 0;
        bool whole = false;
        DIO_PASS(kind == DIO_SCAN_NUMBER ? dio_jsonscan_whole(scan, &value, &whole) : dio_jsonscan_skip(scan, 3));
        if (!whole) return fail_member(h, code, item->name, item->name_length, at, member, "not a whole number");
        if (*count < limit) numbers[*count] = value;
        if (*count < INT32_MAX) ++*count;
    }
}

static dio_status read_shape(struct header *h, struct dio_weight *item)
{
    uint64_t numbers[DIO_MAX_TENSOR_RANK];
    size_t at = h->scan.at;
    int rank;
    DIO_PASS(read_numbers(h, item, "S10", "shape", numbers, DIO_MAX_TENSOR_RANK, &rank));
    if (rank > DIO_MAX_TENSOR_RANK) {
        return dio_fail_tensor(h->ctx, "S13", h->path, item->name, item->name_length, DIO_AT(h->scan.base + at),
                               "%d dimensions, at most %d", rank, DIO_MAX_TENSOR_RANK);
    }
    int64_t *dims = dio_arena_alloc(&h->out->arena, sizeof *dims * (size_t)(rank ? rank : 1));
    if (!dims) return DIO_ERR_ENV;
    uint64_t product = 1;
    bool zero = false, fits = true;
    for (int i = 0; i < rank; i++) {
        dims[i] = (int64_t)numbers[i];
        if (numbers[i] > INT64_MAX || (numbers[i] && !dio_mul_u64(product, numbers[i], &product))) fits = false;
        if (!numbers[i]) zero = true;
    }
    if (!fits || product > INT64_MAX) {
        return dio_fail_tensor(h->ctx, "S12", h->path, item->name, item->name_length, 0, "shape is too large");
    }
    item->rank = rank;
    item->dims = dims;
    /* The bits of the widest type have to fit 64 bits, wherever a 0 stands; check_size relies on it. */
    item->elements = zero ? 0 : product;
    uint64_t bits;
    if (!dio_mul_u64(product, 128, &bits)) {
        return dio_fail_tensor(h->ctx, "S12", h->path, item->name, item->name_length, 0, "shape is too large");
    }
    if (item->elements > h->ctx->limits.max_elements) {
        return dio_fail_tensor(h->ctx, "S12", h->path, item->name, item->name_length, 0,
                               "%llu elements is more than --max-elements %llu", (unsigned long long)item->elements,
                               (unsigned long long)h->ctx->limits.max_elements);
    }
    return DIO_OK;
}

static dio_status read_dtype(struct header *h, struct dio_weight *item)
{
    struct dio_jsonscan *scan = &h->scan;
    size_t at = scan->at;
    if (dio_jsonscan_peek(scan) != DIO_SCAN_STRING) {
        DIO_PASS(dio_jsonscan_skip(scan, 2));
        return fail_member(h, "S10", item->name, item->name_length, at, "dtype", "not a string");
    }
    DIO_PASS(dio_jsonscan_string(scan));
    if (dio_dtype_parse(scan->string, scan->string_length, &item->dtype)) return DIO_OK;
    char word[64];
    dio_escape(word, sizeof word, scan->string, scan->string_length, 40);
    return dio_fail_tensor(h->ctx, "S11", h->path, item->name, item->name_length, 0, "unknown dtype \"%s\"", word);
}

/* S14 and the first half of S15. */
static dio_status check_size(struct header *h, const struct dio_weight *item, uint64_t begin, uint64_t end)
{
    uint64_t bits = item->elements * (uint64_t)dio_dtype_bits(item->dtype); /* fits: read_shape */
    const char *name = item->name;
    size_t length = item->name_length;
    if (begin > end) {
        return dio_fail_tensor(h->ctx, "S15", h->path, name, length, 0, "data_offsets [%llu, %llu] are reversed",
                               (unsigned long long)begin, (unsigned long long)end);
    }
    if (bits % 8) {
        return dio_fail_tensor(h->ctx, "S14", h->path, name, length, 0, "shape does not fill the last byte of %s data",
                               dio_dtype_name(item->dtype));
    }
    if (bits / 8 != end - begin) {
        return dio_fail_tensor(h->ctx, "S14", h->path, name, length, 0, "shape needs %llu bytes, data_offsets give %llu",
                               (unsigned long long)(bits / 8), (unsigned long long)(end - begin));
    }
    return DIO_OK;
}

static dio_status read_entry(struct header *h, struct dio_weight *item, struct entry *entry)
{
    static const char *const members[] = {"dtype", "shape", "data_offsets"};
    struct dio_jsonscan *scan = &h->scan;
    bool have[3] = {false}, first = true, more;
    size_t start = scan->at;
    uint64_t offsets[2] = {0, 0};
    if (dio_jsonscan_peek(scan) != DIO_SCAN_OBJECT) {
        DIO_PASS(dio_jsonscan_skip(scan, 1));
        return dio_fail_tensor(h->ctx, "S10", h->path, item->name, item->name_length, DIO_AT(scan->base + start),
                               "not an object with dtype, shape and data_offsets");
    }
    for (;;) {
        DIO_PASS(dio_jsonscan_member(scan, &first, &more));
        if (!more) break;
        int which = 0;
        while (which < 3 && strcmp(scan->string, members[which]) != 0) which++;
        if (which == 3) {
            DIO_PASS(dio_jsonscan_skip(scan, 2));
            continue;
        }
        if (have[which]) {
            return dio_fail_tensor(h->ctx, "S8", h->path, item->name, item->name_length, DIO_AT(scan->base + scan->at),
                                   "%s appears twice", members[which]);
        }
        have[which] = true;
        if (which == 0) {
            DIO_PASS(read_dtype(h, item));
        } else if (which == 1) {
            DIO_PASS(read_shape(h, item));
        } else {
            int count;
            size_t at = scan->at;
            DIO_PASS(read_numbers(h, item, "S10", "data_offsets", offsets, 2, &count));
            if (count != 2) {
                return fail_member(h, "S15", item->name, item->name_length, at, "data_offsets", "not two numbers");
            }
        }
    }
    for (int i = 0; i < 3; i++) {
        if (have[i]) continue;
        return dio_fail_tensor(h->ctx, "S10", h->path, item->name, item->name_length, DIO_AT(scan->base + start),
                               "%s is missing", members[i]);
    }
    entry->begin = offsets[0];
    entry->end = offsets[1];
    return check_size(h, item, offsets[0], offsets[1]);
}

static dio_status read_tensor(struct header *h, struct entry **entries, size_t *capacity, size_t *count, uint32_t source)
{
    struct dio_jsonscan *scan = &h->scan;
    if (h->out->count >= h->ctx->limits.max_tensors) {
        return dio_fail(h->ctx, DIO_ERR_INPUT, "S2", &(struct dio_place){.file = h->path},
                        "more tensors than --max-tensors %llu", (unsigned long long)h->ctx->limits.max_tensors);
    }
    struct dio_weight blank = {.name = scan->string, .name_length = scan->string_length, .source = source};
    if (blank.name_length > DIO_MAX_TENSOR_NAME) {
        return dio_fail_tensor(h->ctx, "S17", h->path, blank.name, blank.name_length, DIO_AT(scan->base + scan->at),
                               "a name of %zu bytes, at most %d", blank.name_length, DIO_MAX_TENSOR_NAME);
    }
    DIO_PASS(dio_grow(h->ctx, (void **)entries, capacity, *count + 1, sizeof **entries, "the list of tensors"));
    DIO_PASS(dio_weights_add(h->ctx, h->out, &blank));
    struct entry *entry = &(*entries)[(*count)++];
    entry->item = h->out->count - 1;
    return read_entry(h, &h->out->items[entry->item], entry);
}

static int by_offset(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return x->item < y->item ? -1 : x->item > y->item;
}

/* The data is covered exactly: S3, S4, S15. */
static dio_status place_tensors(struct header *h, struct entry *entries, size_t count, const unsigned char *data)
{
    if (count) qsort(entries, count, sizeof *entries, by_offset);
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        struct dio_weight *item = &h->out->items[entries[i].item];
        unsigned long long a = entries[i].begin, b = entries[i].end;
        if (entries[i].begin < end) {
            const struct dio_weight *other = &h->out->items[entries[i - 1].item];
            char name[208];
            dio_escape(name, sizeof name, other->name, other->name_length, 200);
            return dio_fail_tensor(h->ctx, "S15", h->path, item->name, item->name_length, 0,
                                   "data_offsets [%llu, %llu] overlap tensor %s", a, b, name);
        }
        if (entries[i].begin > end) {
            return dio_fail_tensor(h->ctx, "S15", h->path, item->name, item->name_length, 0,
                                   "data_offsets [%llu, %llu] leave a hole of %llu bytes before them", a, b,
                                   a - (unsigned long long)end);
        }
        if (entries[i].end > h->data_size) {
            char name[208];
            dio_escape(name, sizeof name, item->name, item->name_length, 200);
            return dio_fail(h->ctx, DIO_ERR_INPUT, "S3", &(struct dio_place){.file = h->path, .tensor = name},
                            "truncated: tensor %s needs bytes %llu..%llu, the file ends at %llu", name,
                            (unsigned long long)(h->data_begin + a), (unsigned long long)(h->data_begin + b),
                            (unsigned long long)(h->data_begin + h->data_size));
        }
        item->data = data + entries[i].begin;
        end = entries[i].end;
    }
    if (end < h->data_size) {
        struct dio_place place = {.file = h->path, .offset = DIO_AT(h->data_begin + end)};
        return dio_fail(h->ctx, DIO_ERR_INPUT, "S4", &place, "%llu extra bytes after the last tensor",
                        (unsigned long long)(h->data_size - end));
    }
    return DIO_OK;
}

static int by_key(const void *a, const void *b)
{
    const struct dio_metadata *x = a, *y = b;
    size_t least = x->key_length < y->key_length ? x->key_length : y->key_length;
    int order = memcmp(x->key, y->key, least);
    return order ? order : (x->key_length > y->key_length) - (x->key_length < y->key_length);
}

/* Metadata has no order of its own (readers give a dictionary); sorted, it is the same for everybody. */
static dio_status sort_metadata(struct header *h, size_t begin)
{
    struct dio_metadata *metadata = h->out->metadata;
    size_t count = h->out->metadata_count;
    if (count - begin < 2) return DIO_OK;
    qsort(metadata + begin, count - begin, sizeof *metadata, by_key);
    for (size_t i = begin + 1; i < count; i++) {
        if (by_key(&metadata[i - 1], &metadata[i]) != 0) continue;
        char key[208];
        dio_escape(key, sizeof key, metadata[i].key, metadata[i].key_length, 200);
        return dio_fail(h->ctx, DIO_ERR_INPUT, "S8", &(struct dio_place){.file = h->path},
                        "__metadata__: %s appears twice", key);
    }
    return DIO_OK;
}

static dio_status read_header(struct header *h, const unsigned char *data, uint32_t source)
{
    struct dio_jsonscan *scan = &h->scan;
    struct entry *entries = NULL;
    size_t count = 0, capacity = 0, metadata_before = h->out->metadata_count;
    dio_status status = DIO_OK;
    const struct dio_weight *twice;
    bool first = true, more;
    if (dio_jsonscan_peek(scan) != DIO_SCAN_OBJECT) return dio_jsonscan_fail(scan, scan->at, "not an object");
    for (;;) {
        DIO_TRY(dio_jsonscan_member(scan, &first, &more));
        if (!more) break;
        if (scan->string_length == 12 && memcmp(scan->string, "__metadata__", 12) == 0) {
            DIO_TRY(read_metadata(h));
        } else {
            DIO_TRY(read_tensor(h, &entries, &capacity, &count, source));
        }
    }
    DIO_TRY(dio_jsonscan_end(scan));
    DIO_TRY(sort_metadata(h, metadata_before));
    DIO_TRY(dio_weights_index(h->ctx, h->out, &twice));
    if (twice) {
        char name[208];
        dio_escape(name, sizeof name, twice->name, twice->name_length, 200);
        status = dio_fail(h->ctx, DIO_ERR_INPUT, "S8", &(struct dio_place){.file = h->path, .tensor = name},
                          "tensor %s appears twice", name);
        goto fail;
    }
    status = place_tensors(h, entries, count, data);
fail:
    dio_free(h->ctx, entries);
    return status;
}

static dio_status check_length(struct dio_ctx *ctx, const char *path, const struct dio_blob *blob, uint64_t *length)
{
    struct dio_place place = {.file = path};
    if (blob->size < 8) {
        return dio_fail(ctx, DIO_ERR_INPUT, "S1", &place, "truncated: %zu bytes, the header length alone needs 8", blob->size);
    }
    *length = read_u64(blob->data);
    if (*length == 0 || *length > blob->size - 8) {
        return dio_fail(ctx, DIO_ERR_INPUT, "S2", &place, "header length %llu does not fit the file (%zu bytes)",
                        (unsigned long long)*length, blob->size);
    }
    if (*length > ctx->limits.max_header) {
        return dio_fail(ctx, DIO_ERR_INPUT, "S2", &place,
                        "header length %llu, above --max-header %llu; give a larger --max-header to read it",
                        (unsigned long long)*length, (unsigned long long)ctx->limits.max_header);
    }
    return DIO_OK;
}

dio_status dio_safetensors_read(struct dio_ctx *ctx, const char *path, struct dio_blob *blob, struct dio_weights *out)
{
    uint64_t length = 0;
    DIO_PASS(check_length(ctx, path, blob, &length));
    /* A mapped file may change between a check and its use: what is parsed is a copy. */
    struct dio_blob copy = {.fd = -1};
    const unsigned char *text = blob->data + 8;
    if (blob->mapped) {
        DIO_PASS(dio_blob_pread(ctx, path, blob->fd, 8, (size_t)length, &copy));
        text = copy.data;
    }
    struct header h = {.ctx = ctx, .path = path, .out = out, .data_begin = 8 + length, .data_size = blob->size - 8 - length};
    const unsigned char *data = blob->data + 8 + length;
    dio_jsonscan_init(&h.scan, ctx, path, text, (size_t)length, 8);
    dio_status status = DIO_OK;
    size_t bad;
    uint32_t source;
    if (!dio_utf8_valid(text, (size_t)length, &bad)) {
        status = dio_fail(ctx, DIO_ERR_INPUT, "S5", &(struct dio_place){.file = path, .offset = DIO_AT(8 + bad)},
                          "header is not UTF-8");
        goto fail;
    }
    DIO_TRY(dio_weights_add_source(ctx, out, path, blob, &source));
    DIO_TRY(read_header(&h, data, source));
fail:
    dio_jsonscan_free(&h.scan);
    dio_blob_free(ctx, &copy);
    return status;
}

static dio_status read(struct dio_ctx *ctx, const char *path, struct dio_blob *blob, const struct dio_read_options *options,
                       struct dio_weights *out)
{
    (void)options;
    return dio_safetensors_read(ctx, path, blob, out);
}

const struct dio_format dio_format_safetensors = {
    .name = "safetensors",
    .extension = ".safetensors",
    .about = "safetensors: a JSON header and plain data; f32, f16 or bf16",
    .probe = probe,
    .read = read,
    .write = dio_safetensors_write,
};
