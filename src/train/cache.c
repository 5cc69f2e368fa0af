#include "train/cache.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/memory.h"

/* File: head (64 bytes), rows, entries (56 bytes each), tail (16 bytes: count, floats), SHA-256 of all before.  The tail
 * comes last because rows are written before their number is known. */
struct head {
    char magic[8];
    uint32_t version, order; /* order: 0x01020304, as this machine writes it */
    uint8_t key[32];
    uint64_t floats, reserved;
};
struct tail {
    uint64_t count, floats;
};
enum { VERSION = 2, ENTRY = 56, DIGEST = 32 };
static const char magic[8] = "DIOFEAT\n";
_Static_assert(sizeof(struct head) == 64 && sizeof(struct tail) == 16, "no padding");

static struct head make_head(const struct dio_digest *key, uint64_t floats)
{
    struct head head = {.version = VERSION, .order = 0x01020304, .floats = floats};
    memcpy(head.magic, magic, sizeof magic);
    memcpy(head.key, key->bytes, sizeof head.key);
    return head;
}

/* A checksum is made by anyone: numbers that no prefix gives are not taken from a file that has a good one. */
static bool all_finite(const float *values, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) return false;
    }
    return true;
}

static bool sensible_sizes(const unsigned char *entries, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        int32_t sides[2];
        memcpy(sides, entries + i * ENTRY + 40, sizeof sides);
        if (sides[0] < 1 || sides[1] < 1) return false;
    }
    return true;
}

/* What is wrong with the file, or NULL. */
static const char *fault(const struct dio_blob *blob, const struct dio_digest *key, uint64_t floats, uint64_t *count)
{
    struct head wanted = make_head(key, floats);
    struct tail tail;
    size_t fixed = sizeof wanted + sizeof tail + DIGEST, row = 0;
    if (blob->size < fixed || memcmp(blob->data, magic, sizeof magic) != 0) return "is not a feature cache";
    if (memcmp(blob->data, &wanted, sizeof wanted) != 0) return "belongs to another model, preprocessing or machine";
    memcpy(&tail, blob->data + blob->size - DIGEST - sizeof tail, sizeof tail);
    if (!dio_mul_size((size_t)floats, sizeof(float), &row) || !dio_add_size(row, ENTRY, &row)) return "is cut short";
    if (tail.floats != floats || (blob->size - fixed) % row != 0 || tail.count != (blob->size - fixed) / row) return "is cut short";
    struct dio_digest digest = dio_sha256_of(blob->data, blob->size - DIGEST);
    if (memcmp(digest.bytes, blob->data + blob->size - DIGEST, DIGEST) != 0) return "checksum differs";
    const unsigned char *rows = blob->data + sizeof wanted;
    if (!all_finite((const float *)(const void *)rows, tail.count * floats)) return "holds NaN or infinity";
    if (!sensible_sizes(rows + (size_t)(tail.count * floats) * sizeof(float), tail.count)) return "holds pictures without a size";
    *count = tail.count;
    return NULL;
}

uint64_t dio_cache_bytes(uint64_t rows, uint64_t floats)
{
    return sizeof(struct head) + sizeof(struct tail) + DIGEST + rows * (floats * sizeof(float) + ENTRY);
}

static size_t slot_of(const struct dio_cache *cache, const struct dio_cache_entry *entry)
{
    uint64_t word;
    memcpy(&word, entry->picture.bytes, sizeof word);
    return (size_t)(word ^ entry->view * UINT64_C(0x9E3779B97F4A7C15)) & (cache->table_size - 1);
}

void dio_cache_entry_at(const struct dio_cache *cache, int64_t row, struct dio_cache_entry *entry)
{
    const unsigned char *at = cache->entries + (size_t)row * ENTRY;
    memcpy(entry->picture.bytes, at, 32);
    memcpy(&entry->view, at + 32, 8);
    memcpy(&entry->facts.width, at + 40, 4);
    memcpy(&entry->facts.height, at + 44, 4);
    memcpy(&entry->facts.traits, at + 48, 4);
}

int64_t dio_cache_find(const struct dio_cache *cache, const struct dio_cache_entry *entry)
{
    struct dio_cache_entry other;
    if (cache->count == 0) return -1;
    for (size_t slot = slot_of(cache, entry); cache->table[slot]; slot = (slot + 1) & (cache->table_size - 1)) {
        int64_t row = (int64_t)cache->table[slot] - 1;
        dio_cache_entry_at(cache, row, &other);
        if (memcmp(&other.picture, &entry->picture, sizeof other.picture) == 0 && other.view == entry->view) return row;
    }
    return -1;
}

static dio_status build_table(struct dio_ctx *ctx, struct dio_cache *cache)
{
    struct dio_cache_entry entry;
    cache->table_size = 16;
    while (cache->table_size < 2 * cache->count) cache->table_size *= 2;
    cache->table = dio_alloc_zeroed(ctx, cache->table_size, sizeof *cache->table, "feature index");
    if (!cache->table) return DIO_ERR_ENV;
    for (uint64_t row = 0; row < cache->count; row++) {
        dio_cache_entry_at(cache, (int64_t)row, &entry);
        size_t slot = slot_of(cache, &entry);
        while (cache->table[slot]) slot = (slot + 1) & (cache->table_size - 1);
        cache->table[slot] = (uint32_t)row + 1;
    }
    return DIO_OK;
}

dio_status dio_cache_open(struct dio_ctx *ctx, const char *path, const struct dio_digest *key, uint64_t floats,
                          struct dio_cache *cache, bool *found)
{
    *cache = (struct dio_cache){.blob = {.fd = -1}, .floats = floats};
    *found = false;
    if (!dio_path_exists(path)) return DIO_OK;
    /* Mapped: features may be larger than memory.  Files here are only ever replaced whole, never changed in place. */
    struct dio_ctx quiet = dio_ctx_child(ctx);
    const char *wrong = dio_blob_read(&quiet, path, DIO_READ_MAP, 0, NULL, &cache->blob) == DIO_OK
                            ? fault(&cache->blob, key, floats, &cache->count)
                            : quiet.error.text;
    if (!wrong && cache->count >= UINT32_MAX) wrong = "holds too many rows";
    if (wrong) {
        dio_say(ctx, DIO_LEVEL_WARNING, "R1", &(struct dio_place){.file = path}, "%s; features are computed again", wrong);
        dio_cache_close(ctx, cache);
        return DIO_OK;
    }
    cache->rows = (const float *)(const void *)(cache->blob.data + sizeof(struct head));
    cache->entries = cache->blob.data + sizeof(struct head) + (size_t)(cache->count * floats) * sizeof(float);
    dio_status status = build_table(ctx, cache);
    if (status != DIO_OK) dio_cache_close(ctx, cache);
    *found = status == DIO_OK;
    return status;
}

void dio_cache_close(struct dio_ctx *ctx, struct dio_cache *cache)
{
    if (cache->blob.data) dio_blob_free(ctx, &cache->blob);
    dio_free(ctx, cache->table);
    *cache = (struct dio_cache){.blob = {.fd = -1}};
}

const float *dio_cache_row(const struct dio_cache *cache, int64_t row)
{
    return cache->rows + (uint64_t)row * cache->floats;
}

static dio_status put(struct dio_cache_writer *writer, const void *bytes, size_t length)
{
    dio_sha256_add(&writer->hash, bytes, length);
    return dio_writer_put(&writer->writer, bytes, length);
}

dio_status dio_cache_begin(struct dio_ctx *ctx, const char *path, const struct dio_digest *key, uint64_t floats,
                           struct dio_cache_writer *writer)
{
    struct head head = make_head(key, floats);
    *writer = (struct dio_cache_writer){.floats = floats, .writer = {.ctx = ctx, .fd = -1}};
    /* A FIFO or a device under this name would be written into, or waited for. */
    if (dio_path_exists(path) && !dio_path_is_file(path) && !dio_path_is_folder(path) && unlink(path) != 0) {
        return dio_fail_errno(ctx, path, "unlink", errno);
    }
    DIO_PASS(dio_writer_open(ctx, path, &writer->writer));
    dio_sha256_init(&writer->hash);
    dio_status status = put(writer, &head, sizeof head);
    if (status != DIO_OK) dio_cache_abort(writer);
    return status;
}

dio_status dio_cache_add(struct dio_cache_writer *writer, const struct dio_cache_entry *entry, const float *row)
{
    void *entries = writer->entries;
    DIO_PASS(dio_grow(writer->writer.ctx, &entries, &writer->capacity, writer->count + 1, sizeof *entry, "feature index"));
    writer->entries = entries;
    writer->entries[writer->count++] = *entry;
    return put(writer, row, (size_t)writer->floats * sizeof *row);
}

dio_status dio_cache_commit(struct dio_cache_writer *writer)
{
    struct tail tail = {writer->count, writer->floats};
    for (size_t i = 0; i < writer->count; i++) {
        const struct dio_cache_entry *entry = &writer->entries[i];
        unsigned char bytes[ENTRY] = {0};
        memcpy(bytes, entry->picture.bytes, 32);
        memcpy(bytes + 32, &entry->view, 8);
        memcpy(bytes + 40, &entry->facts.width, 4);
        memcpy(bytes + 44, &entry->facts.height, 4);
        memcpy(bytes + 48, &entry->facts.traits, 4);
        DIO_PASS(put(writer, bytes, sizeof bytes));
    }
    DIO_PASS(put(writer, &tail, sizeof tail));
    struct dio_digest digest = dio_sha256_end(&writer->hash);
    DIO_PASS(dio_writer_put(&writer->writer, digest.bytes, sizeof digest.bytes));
    DIO_PASS(dio_writer_commit(&writer->writer));
    dio_free(writer->writer.ctx, writer->entries);
    writer->entries = NULL;
    return DIO_OK;
}

void dio_cache_abort(struct dio_cache_writer *writer)
{
    dio_free(writer->writer.ctx, writer->entries);
    writer->entries = NULL;
    dio_writer_abort(&writer->writer);
}
