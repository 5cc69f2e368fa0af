/* safetensors: u64 header length, a JSON header, the data.  Every rule of the catalogue's rows S1 to S20. */
#include "format/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/str.h"
#include "format/place.h"
#include "text/json.h"

struct header {
    struct dio_ctx *ctx;
    const char *path;
    struct dio_weights *out;
    struct dio_ctx quiet;      /* takes what the scanner of JSON says, in lines and columns */
    struct dio_json_scan scan;
    struct dio_str buffer;
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

enum { HEADER_AT = 8 };

static dio_status fail_json(struct header *h, const char *code, size_t at, const char *text)
{
    struct dio_place place = {.file = h->path, .offset = DIO_AT(HEADER_AT + at)};
    return dio_fail(h->ctx, DIO_ERR_INPUT, code, &place, "%s", text);
}

/* Byte of a line and column (in characters), both from 1. */
static size_t position_of(const struct dio_json_scan *scan, uint32_t line, uint32_t column)
{
    size_t at = 0;
    for (; at < scan->length && line > 1; at++) line -= scan->bytes[at] == '\n';
    for (; at < scan->length && column > 1; column--) {
        at++;
        while (at < scan->length && (scan->bytes[at] & 0xc0) == 0x80) at++;
    }
    return at;
}

/* Rows S6 and S7 say where by offset. */
static dio_status translate(struct header *h, dio_status status)
{
    const struct dio_message *said = &h->quiet.error;
    char text[sizeof said->text + 40];
    if (status != DIO_ERR_INPUT) {
        dio_ctx_adopt_error(h->ctx, &h->quiet);
        return status;
    }
    bool nested = strncmp(said->text, "nested", 6) == 0;
    snprintf(text, sizeof text, nested ? "header JSON is %s" : "header is not valid JSON: %s", said->text);
    return fail_json(h, nested ? "S7" : "S6", position_of(&h->scan, said->line, said->column), text);
}

static dio_status next(struct header *h)
{
    dio_status status = dio_json_scan_next(&h->scan);
    return status == DIO_OK ? DIO_OK : translate(h, status);
}

static dio_status skip(struct header *h)
{
    dio_status status = dio_json_scan_skip(&h->scan);
    return status == DIO_OK ? DIO_OK : translate(h, status);
}

/* "tensor NAME: MEMBER: TEXT (offset A)". */
static dio_status fail_member(struct header *h, const char *code, const char *name, size_t length, size_t at,
                              const char *member, const char *text)
{
    return dio_fail_tensor(h->ctx, code, h->path, name, length, DIO_AT(HEADER_AT + at), "%s: %s", member, text);
}

/* Behind the key. */
static dio_status read_metadata(struct header *h)
{
    struct dio_json_scan *scan = &h->scan;
    if (h->has_metadata) return fail_json(h, "S8", scan->offset, "__metadata__ appears twice");
    h->has_metadata = true;
    DIO_PASS(next(h));
    size_t begin = scan->offset;
    if (scan->event == DIO_JSON_NULL) return DIO_OK;
    if (scan->event == DIO_JSON_BEGIN_MAP) {
        for (;;) {
            DIO_PASS(next(h));
            if (scan->event == DIO_JSON_END_MAP) return DIO_OK;
            char *key = dio_arena_strndup(&h->out->arena, scan->text, scan->text_length);
            size_t key_length = scan->text_length;
            if (!key) return DIO_ERR_ENV;
            DIO_PASS(next(h));
            if (scan->event != DIO_JSON_TEXT) break;
            DIO_PASS(dio_weights_add_metadata(h->ctx, h->out, key, key_length, scan->text, scan->text_length));
        }
    }
    DIO_PASS(skip(h)); /* what is no JSON at all is said so first */
    return fail_json(h, "S9", begin, "__metadata__ must map strings to strings");
}

/* Digits alone, within 64 bits. */
static bool whole_number(const char *text, size_t length, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        if (!dio_mul_u64(*value, 10, value) || !dio_add_u64(*value, (uint64_t)(text[i] - '0'), value)) return false;
    }
    return length > 0;
}

/* One array of whole numbers, at most `limit` of them kept; *count is how many there were. */
static dio_status read_numbers(struct header *h, const struct dio_weight *item, const char *code, const char *member,
                               uint64_t *numbers, int limit, int *count)
{
    struct dio_json_scan *scan = &h->scan;
    *count = 0;
    DIO_PASS(next(h));
    if (scan->event != DIO_JSON_BEGIN_LIST) {
        size_t at = scan->offset;
        DIO_PASS(skip(h));
        return fail_member(h, code, item->name, item->name_length, at, member, "not an array of whole numbers");
    }
    for (;;) {
        uint64_t value = 0;
        DIO_PASS(next(h));
        if (scan->event == DIO_JSON_END_LIST) return DIO_OK;
        size_t at = scan->offset;
        if (scan->event != DIO_JSON_NUMBER || !whole_number(scan->text, scan->text_length, &value)) {
            DIO_PASS(skip(h));
            return fail_member(h, code, item->name, item->name_length, at, member, "not a whole number");
        }
        if (*count < limit) numbers[*count] = value;
        if (*count < INT32_MAX) ++*count;
    }
}

static dio_status read_shape(struct header *h, struct dio_weight *item)
{
    uint64_t numbers[DIO_MAX_TENSOR_RANK];
    int rank = 0;
    DIO_PASS(read_numbers(h, item, "S10", "shape", numbers, DIO_MAX_TENSOR_RANK, &rank));
    if (rank > DIO_MAX_TENSOR_RANK) {
        return dio_fail_tensor(h->ctx, "S13", h->path, item->name, item->name_length, 0, "%d dimensions, at most %d", rank,
                               DIO_MAX_TENSOR_RANK);
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
    struct dio_json_scan *scan = &h->scan;
    DIO_PASS(next(h));
    if (scan->event != DIO_JSON_TEXT) {
        size_t at = scan->offset;
        DIO_PASS(skip(h));
        return fail_member(h, "S10", item->name, item->name_length, at, "dtype", "not a string");
    }
    if (dio_dtype_parse(scan->text, scan->text_length, &item->dtype)) return DIO_OK;
    char word[64];
    dio_escape(word, sizeof word, scan->text, scan->text_length, 40);
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

enum { DTYPE, SHAPE, OFFSETS, MEMBERS };
static const char *const members[MEMBERS] = {"dtype", "shape", "data_offsets"};

static int member_of(const struct dio_json_scan *scan)
{
    int which = 0;
    while (which < MEMBERS && (strlen(members[which]) != scan->text_length ||
                               memcmp(members[which], scan->text, scan->text_length) != 0)) which++;
    return which;
}

static dio_status read_offsets(struct header *h, const struct dio_weight *item, uint64_t offsets[2])
{
    int count = 0;
    size_t at = h->scan.at;
    DIO_PASS(read_numbers(h, item, "S10", members[OFFSETS], offsets, 2, &count));
    if (count == 2) return DIO_OK;
    return fail_member(h, "S15", item->name, item->name_length, at, members[OFFSETS], "not two numbers");
}

/* Members that are not known are passed over, nested or not. */
static dio_status read_member(struct header *h, struct dio_weight *item, int which, uint64_t offsets[2])
{
    switch (which) {
    case DTYPE: return read_dtype(h, item);
    case SHAPE: return read_shape(h, item);
    case OFFSETS: return read_offsets(h, item, offsets);
    default: DIO_PASS(next(h)); return skip(h);
    }
}

static dio_status read_entry(struct header *h, struct dio_weight *item, struct entry *entry)
{
    struct dio_json_scan *scan = &h->scan;
    bool have[MEMBERS] = {false};
    uint64_t offsets[2] = {0, 0};
    DIO_PASS(next(h));
    size_t start = scan->offset;
    if (scan->event != DIO_JSON_BEGIN_MAP) {
        DIO_PASS(skip(h));
        return dio_fail_tensor(h->ctx, "S10", h->path, item->name, item->name_length, DIO_AT(HEADER_AT + start),
                               "not an object with dtype, shape and data_offsets");
    }
    for (;;) {
        DIO_PASS(next(h));
        if (scan->event == DIO_JSON_END_MAP) break;
        int which = member_of(scan);
        if (which < MEMBERS && have[which]) {
            return dio_fail_tensor(h->ctx, "S8", h->path, item->name, item->name_length, DIO_AT(HEADER_AT + scan->offset),
                                   "%s appears twice", members[which]);
        }
        if (which < MEMBERS) have[which] = true;
        DIO_PASS(read_member(h, item, which, offsets));
    }
    for (int i = 0; i < MEMBERS; i++) {
        if (have[i]) continue;
        return dio_fail_tensor(h->ctx, "S10", h->path, item->name, item->name_length, DIO_AT(HEADER_AT + start),
                               "%s is missing", members[i]);
    }
    entry->begin = offsets[0];
    entry->end = offsets[1];
    return check_size(h, item, offsets[0], offsets[1]);
}

/* Behind the key, which is the name. */
static dio_status read_tensor(struct header *h, struct entry **entries, size_t *capacity, size_t *count, uint32_t source)
{
    struct dio_json_scan *scan = &h->scan;
    if (h->out->count >= h->ctx->limits.max_tensors) {
        return dio_fail(h->ctx, DIO_ERR_INPUT, "S2", &(struct dio_place){.file = h->path},
                        "more tensors than --max-tensors %" PRIu64, h->ctx->limits.max_tensors);
    }
    struct dio_weight blank = {.name = scan->text, .name_length = scan->text_length, .source = source};
    if (blank.name_length > DIO_MAX_TENSOR_NAME) {
        return dio_fail_tensor(h->ctx, "S17", h->path, blank.name, blank.name_length, DIO_AT(HEADER_AT + scan->offset),
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
    struct dio_json_scan *scan = &h->scan;
    struct entry *entries = NULL;
    size_t count = 0, capacity = 0, metadata_before = h->out->metadata_count;
    dio_status status = DIO_OK;
    const struct dio_weight *twice;
    DIO_PASS(next(h));
    if (scan->event != DIO_JSON_BEGIN_MAP) return fail_json(h, "S6", scan->offset, "header is not valid JSON: not an object");
    for (;;) {
        DIO_TRY(next(h));
        if (scan->event == DIO_JSON_END_MAP) break;
        bool metadata = scan->text_length == 12 && memcmp(scan->text, "__metadata__", 12) == 0;
        DIO_TRY(metadata ? read_metadata(h) : read_tensor(h, &entries, &capacity, &count, source));
    }
    DIO_TRY(next(h)); /* nothing may follow */
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

/* The bytes of the header, before JSON is looked for. */
static dio_status begin_scan(struct header *h, const unsigned char *text, size_t length)
{
    size_t bad;
    if (!dio_utf8_valid(text, length, &bad)) return fail_json(h, "S5", bad, "header is not UTF-8");
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        return fail_json(h, "S6", 0, "header is not valid JSON: a byte-order mark before the object");
    }
    h->quiet = dio_ctx_child(h->ctx);
    dio_str_init(&h->buffer, &h->quiet);
    dio_status status = dio_json_scan_begin(&h->scan, &h->quiet, h->path, NULL, "S6", text, length, &h->buffer);
    return status == DIO_OK ? DIO_OK : translate(h, status);
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
    dio_status status;
    uint32_t source;
    DIO_TRY(begin_scan(&h, text, (size_t)length));
    DIO_TRY(dio_weights_add_source(ctx, out, path, blob, &source));
    status = read_header(&h, data, source);
fail:
    if (h.buffer.ctx) dio_str_free(&h.buffer);
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
