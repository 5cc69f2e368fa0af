#include "format/zip.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/str.h"

enum {
    END_SIZE = 22, LOCATOR_SIZE = 20, END64_SIZE = 56, RECORD_SIZE = 46, LOCAL_SIZE = 30, MAX_COMMENT = 65535,
    END_MARK = 0x06054b50, LOCATOR_MARK = 0x07064b50, END64_MARK = 0x06064b50, RECORD_MARK = 0x02014b50,
    LOCAL_MARK = 0x04034b50, FLAG_ENCRYPTED = 1, FLAG_DESCRIPTOR = 8
};

static uint64_t get(const unsigned char *bytes, int size)
{
    uint64_t value = 0;
    for (int i = size - 1; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}

static dio_status damaged(const struct dio_zip *zip, uint64_t offset, const char *reason)
{
    struct dio_place place = {.file = zip->path, .offset = DIO_AT(offset)};
    return dio_fail(zip->ctx, DIO_ERR_INPUT, "P2", &place, "zip directory is damaged: %s", reason);
}

dio_status dio_zip_fail(const struct dio_zip *zip, const char *code, const struct dio_zip_entry *entry, uint64_t offset,
                        const char *format, ...)
{
    char name[208], part[224], text[400];
    dio_escape(name, sizeof name, entry->name, entry->name_length, 200);
    snprintf(part, sizeof part, "entry %s", name);
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return dio_fail(zip->ctx, DIO_ERR_INPUT, code, &(struct dio_place){.file = zip->path, .part = part, .offset = offset},
                    "%s", text);
}

struct end {
    uint64_t disk, count, size, offset;
    uint64_t at; /* where the directory has to end */
};

/* The last end record whose comment reaches exactly to the end of the file. */
static dio_status find_end(const struct dio_zip *zip, uint64_t *at)
{
    const unsigned char *data = zip->blob->data;
    size_t size = zip->blob->size;
    if (size < END_SIZE) return damaged(zip, size, "the file ends before its end record (truncated)");
    size_t lowest = size - END_SIZE > MAX_COMMENT ? size - END_SIZE - MAX_COMMENT : 0;
    for (size_t i = size - END_SIZE + 1; i-- > lowest;) {
        if (get(data + i, 4) != END_MARK || i + END_SIZE + get(data + i + 20, 2) != size) continue;
        *at = i;
        return DIO_OK;
    }
    return damaged(zip, size, "no end record at the end of the file (truncated, or bytes follow it)");
}

/* Replaces what the short record could not hold. */
static dio_status read_end64(const struct dio_zip *zip, uint64_t end_at, struct end *end, bool needed)
{
    const unsigned char *data = zip->blob->data;
    uint64_t at = end_at - LOCATOR_SIZE;
    if (end_at < LOCATOR_SIZE || get(data + at, 4) != LOCATOR_MARK) {
        return needed ? damaged(zip, end_at, "zip64 end record is missing") : DIO_OK;
    }
    uint64_t record = get(data + at + 8, 8);
    if (get(data + at + 4, 4) != 0 || get(data + at + 16, 4) > 1) return damaged(zip, at, "zip64: more than one disk");
    if (record > at || at - record < END64_SIZE || get(data + record, 4) != END64_MARK ||
        get(data + record + 4, 8) != at - record - 12) {
        return damaged(zip, at, "zip64 end record does not stand where its locator says");
    }
    uint64_t here = get(data + record + 24, 8), count = get(data + record + 32, 8);
    if (get(data + record + 16, 8) != 0 || here != count) return damaged(zip, record, "zip64: more than one disk");
    struct end wide = {0, count, get(data + record + 40, 8), get(data + record + 48, 8), record};
    if ((end->count != 0xffff && end->count != wide.count) || (end->size != 0xffffffff && end->size != wide.size) ||
        (end->offset != 0xffffffff && end->offset != wide.offset)) {
        return damaged(zip, record, "the zip64 end record and the end record differ");
    }
    *end = wide;
    return DIO_OK;
}

static dio_status read_end(const struct dio_zip *zip, struct end *end)
{
    uint64_t at = 0;
    DIO_PASS(find_end(zip, &at));
    const unsigned char *record = zip->blob->data + at;
    *end = (struct end){get(record + 4, 2), get(record + 10, 2), get(record + 12, 4), get(record + 16, 4), at};
    bool wide = end->count == 0xffff || end->size == 0xffffffff || end->offset == 0xffffffff;
    if (get(record + 6, 2) != end->disk || end->disk != 0 || get(record + 8, 2) != end->count) {
        return damaged(zip, at, "an archive over several disks");
    }
    DIO_PASS(read_end64(zip, at, end, wide));
    if (end->size > end->at || end->offset != end->at - end->size) {
        return damaged(zip, end->at, "the directory does not lie where the end record says");
    }
    if (end->count > end->size / RECORD_SIZE) return damaged(zip, end->at, "fewer entries than the end record counts");
    if (end->count > zip->ctx->limits.max_tensors) {
        return dio_fail(zip->ctx, DIO_ERR_INPUT, "P2", &(struct dio_place){.file = zip->path},
                        "%" PRIu64 " zip entries, above --max-tensors %" PRIu64 "; give a larger --max-tensors to read it",
                        end->count, zip->ctx->limits.max_tensors);
    }
    return DIO_OK;
}

/* Takes 64-bit values for the fields that hold all ones, in the order in which the standard lists them. */
static bool widen(const unsigned char *extra, size_t length, uint64_t *fields[], const uint64_t *marks, int count)
{
    bool needed = false;
    for (int i = 0; i < count; i++) needed = needed || *fields[i] == marks[i];
    if (!needed) return true;
    while (length >= 4) {
        size_t size = (size_t)get(extra + 2, 2);
        if (size > length - 4) return false;
        if (get(extra, 2) == 1) {
            size_t at = 0;
            for (int i = 0; i < count; i++) {
                if (*fields[i] != marks[i]) continue;
                if (size - at < 8) return false;
                *fields[i] = get(extra + 4 + at, 8);
                at += 8;
            }
            return true;
        }
        extra += 4 + size;
        length -= 4 + size;
    }
    return false;
}

static bool name_stays_inside(const struct dio_zip_entry *entry)
{
    const char *name = entry->name;
    size_t length = entry->name_length;
    if (length == 0 || name[0] == '/' || memchr(name, 0, length) || memchr(name, '\\', length)) return false;
    if (length >= 2 && name[1] == ':') return false;
    for (size_t start = 0; start < length;) {
        const char *slash = memchr(name + start, '/', length - start);
        size_t stop = slash ? (size_t)(slash - name) : length;
        if (stop - start == 2 && name[start] == '.' && name[start + 1] == '.') return false;
        start = stop + 1;
    }
    return true;
}

/* One record of the directory, at *at of `size` bytes that begin at file offset `base`. */
static dio_status read_record(struct dio_zip *zip, const unsigned char *directory, uint64_t size, uint64_t base,
                              uint64_t *at, struct dio_zip_entry *entry)
{
    const unsigned char *record = directory + *at;
    uint64_t here = base + *at, left = size - *at;
    if (left < RECORD_SIZE || get(record, 4) != RECORD_MARK) return damaged(zip, here, "not a directory record");
    size_t name_length = (size_t)get(record + 28, 2), extra_length = (size_t)get(record + 30, 2);
    uint64_t whole = RECORD_SIZE + name_length + extra_length + get(record + 32, 2);
    if (whole > left) return damaged(zip, here, "a directory record runs past the directory");
    uint64_t disk = get(record + 34, 2);
    *entry = (struct dio_zip_entry){
        .name = (const char *)record + RECORD_SIZE, .name_length = (uint16_t)name_length,
        .flags = (uint16_t)get(record + 8, 2), .method = (uint16_t)get(record + 10, 2), .crc = (uint32_t)get(record + 16, 4),
        .packed = get(record + 20, 4), .size = get(record + 24, 4), .header = get(record + 42, 4), .record = here};
    uint64_t *fields[] = {&entry->size, &entry->packed, &entry->header};
    static const uint64_t marks[] = {0xffffffff, 0xffffffff, 0xffffffff};
    if (!widen(record + RECORD_SIZE + name_length, extra_length, fields, marks, 3)) {
        return dio_zip_fail(zip, "P3", entry, DIO_AT(here), "zip64 extra field is too short");
    }
    if (disk != 0 && disk != 0xffff) return damaged(zip, here, "an entry on another disk");
    if (!name_stays_inside(entry)) {
        char name[208];
        dio_escape(name, sizeof name, entry->name, entry->name_length, 200);
        return dio_fail(zip->ctx, DIO_ERR_INPUT, "P9", &(struct dio_place){.file = zip->path, .offset = DIO_AT(here)},
                        "entry name \"%s\" leaves the archive", name);
    }
    *at += whole;
    return DIO_OK;
}

/* The local header says the same, and the bytes lie before `limit`. */
static dio_status check_local(const struct dio_zip *zip, struct dio_zip_entry *entry, uint64_t limit)
{
    if (entry->header > limit || limit - entry->header < LOCAL_SIZE) {
        return dio_zip_fail(zip, "P4", entry, DIO_AT(entry->record), "offset %" PRIu64 " leaves the file", entry->header);
    }
    const unsigned char *local = zip->blob->data + entry->header;
    if (get(local, 4) != LOCAL_MARK) {
        return dio_zip_fail(zip, "P4", entry, DIO_AT(entry->header), "no local header at its offset");
    }
    uint64_t flags = get(local + 6, 2), packed = get(local + 18, 4), size = get(local + 22, 4);
    size_t name_length = (size_t)get(local + 26, 2), extra_length = (size_t)get(local + 28, 2);
    uint64_t left = limit - entry->header - LOCAL_SIZE;
    if (name_length + extra_length > left) {
        return dio_zip_fail(zip, "P4", entry, DIO_AT(entry->header), "local header runs past the file");
    }
    uint64_t *fields[] = {&size, &packed};
    static const uint64_t marks[] = {0xffffffff, 0xffffffff};
    bool wide = widen(local + LOCAL_SIZE + name_length, extra_length, fields, marks, 2);
    bool later = (flags & FLAG_DESCRIPTOR) && packed == 0 && size == 0;
    if (!wide || name_length != entry->name_length || memcmp(local + LOCAL_SIZE, entry->name, name_length) != 0 ||
        get(local + 8, 2) != entry->method || ((flags ^ entry->flags) & (FLAG_ENCRYPTED | FLAG_DESCRIPTOR)) ||
        (!later && (packed != entry->packed || size != entry->size))) {
        return dio_zip_fail(zip, "P4", entry, DIO_AT(entry->header), "local and central headers differ");
    }
    entry->data = entry->header + LOCAL_SIZE + name_length + extra_length;
    if (entry->packed > limit - entry->data) {
        return dio_zip_fail(zip, "P4", entry, DIO_AT(entry->header), "its %" PRIu64 " bytes run past the file", entry->packed);
    }
    return DIO_OK;
}

/* qsort has no argument for context: what is sorted carries its key. */
struct sortable {
    const struct dio_zip_entry *entry;
    uint32_t index;
};

static int compare_names(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int by_name(const void *a, const void *b)
{
    const struct dio_zip_entry *x = ((const struct sortable *)a)->entry, *y = ((const struct sortable *)b)->entry;
    return compare_names(x->name, x->name_length, y->name, y->name_length);
}

static int by_header(const void *a, const void *b)
{
    const struct dio_zip_entry *x = ((const struct sortable *)a)->entry, *y = ((const struct sortable *)b)->entry;
    return (x->header > y->header) - (x->header < y->header);
}

static dio_status check_overlap(const struct dio_zip *zip, struct sortable *order)
{
    if (zip->count) qsort(order, zip->count, sizeof *order, by_header);
    for (size_t i = 1; i < zip->count; i++) {
        const struct dio_zip_entry *before = order[i - 1].entry, *entry = order[i].entry;
        if (before->data + before->packed <= entry->header) continue;
        char name[208];
        dio_escape(name, sizeof name, before->name, before->name_length, 200);
        return dio_zip_fail(zip, "P4", entry, DIO_AT(entry->header), "overlaps entry %s", name);
    }
    return DIO_OK;
}

static dio_status index_names(struct dio_zip *zip, struct sortable *order)
{
    zip->by_name = dio_alloc_array(zip->ctx, zip->count, sizeof *zip->by_name, "zip names");
    if (!zip->by_name) return DIO_ERR_ENV;
    if (zip->count) qsort(order, zip->count, sizeof *order, by_name);
    for (size_t i = 0; i < zip->count; i++) {
        zip->by_name[i] = order[i].index;
        if (i && by_name(&order[i - 1], &order[i]) == 0) {
            return dio_zip_fail(zip, "P4", order[i].entry, DIO_AT(order[i].entry->record), "appears twice");
        }
    }
    return DIO_OK;
}

static dio_status read_directory(struct dio_zip *zip, const struct end *end)
{
    const unsigned char *directory = zip->blob->data + end->offset;
    uint64_t at = 0;
    if (zip->blob->mapped) {
        DIO_PASS(dio_blob_pread(zip->ctx, zip->path, zip->blob->fd, end->offset, (size_t)end->size, &zip->directory));
        directory = zip->directory.data;
    }
    for (uint64_t i = 0; i < end->count; i++) {
        DIO_PASS(dio_grow(zip->ctx, (void **)&zip->entries, &zip->capacity, zip->count + 1, sizeof *zip->entries, "zip entries"));
        DIO_PASS(read_record(zip, directory, end->size, end->offset, &at, &zip->entries[zip->count]));
        DIO_PASS(check_local(zip, &zip->entries[zip->count], end->offset));
        zip->count++;
    }
    if (at != end->size) return damaged(zip, end->offset + at, "more entries than the end record counts");
    return DIO_OK;
}

dio_status dio_zip_open(struct dio_ctx *ctx, const char *path, const struct dio_blob *blob, struct dio_zip *zip)
{
    *zip = (struct dio_zip){.ctx = ctx, .path = path, .blob = blob, .directory = {.fd = -1}};
    struct end end = {0};
    DIO_PASS(read_end(zip, &end));
    DIO_PASS(read_directory(zip, &end));
    uint64_t least = 64u << 20, most = blob->size > UINT64_MAX / 16 ? UINT64_MAX : (uint64_t)blob->size * 16;
    zip->unpack_limit = ctx->limits.max_unpack ? ctx->limits.max_unpack : most > least ? most : least;
    struct sortable *order = dio_alloc_array(ctx, zip->count, sizeof *order, "zip entries");
    if (!order) return DIO_ERR_ENV;
    for (size_t i = 0; i < zip->count; i++) order[i] = (struct sortable){&zip->entries[i], (uint32_t)i};
    dio_status status = check_overlap(zip, order);
    if (status == DIO_OK) status = index_names(zip, order);
    dio_free(ctx, order);
    return status;
}

void dio_zip_close(struct dio_zip *zip)
{
    if (!zip->ctx) return;
    dio_free(zip->ctx, zip->entries);
    dio_free(zip->ctx, zip->by_name);
    dio_blob_free(zip->ctx, &zip->directory);
    *zip = (struct dio_zip){.directory = {.fd = -1}};
}

const struct dio_zip_entry *dio_zip_find(const struct dio_zip *zip, const char *name, size_t length)
{
    size_t low = 0, high = zip->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct dio_zip_entry *entry = &zip->entries[zip->by_name[middle]];
        int order = compare_names(entry->name, entry->name_length, name, length);
        if (order == 0) return entry;
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return NULL;
}
