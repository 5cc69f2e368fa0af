/* The bytes of a zip entry. */
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "base/memory.h"
#include "format/zip.h"

enum { STORED = 0, DEFLATED = 8, ENCRYPTED = 1, RATIO = 1032, CHUNK = 1 << 30 };

static void *zlib_alloc(void *ctx, unsigned count, unsigned size)
{
    return dio_alloc_array(ctx, count, size, "zlib");
}

static void zlib_free(void *ctx, void *block)
{
    dio_free(ctx, block);
}

static dio_status wrong_size(struct dio_zip *zip, const struct dio_zip_entry *entry, uint64_t got)
{
    if (got > entry->size) {
        return dio_zip_fail(zip, "P7", entry, DIO_AT(entry->data),
                            "deflate data gives more than the %" PRIu64 " bytes declared", entry->size);
    }
    return dio_zip_fail(zip, "P7", entry, DIO_AT(entry->data), "deflate data gives %" PRIu64 " bytes, %" PRIu64 " declared", got,
                        entry->size);
}

/* Runs zlib until `out` is full or the data ends; *ended tells the latter. */
static dio_status inflate_into(struct dio_zip *zip, const struct dio_zip_entry *entry, z_stream *stream,
                               unsigned char *out, uint64_t room, uint64_t *made, bool *ended)
{
    const unsigned char *packed = zip->blob->data + entry->data;
    *made = 0;
    for (;;) {
        uint64_t left = entry->packed - (uint64_t)(stream->next_in - packed);
        uint64_t free_bytes = room - *made;
        stream->avail_in = left > CHUNK ? CHUNK : (unsigned)left;
        stream->avail_out = free_bytes > CHUNK ? CHUNK : (unsigned)free_bytes;
        stream->next_out = out + *made;
        unsigned in_before = stream->avail_in, out_before = stream->avail_out;
        int result = inflate(stream, Z_NO_FLUSH);
        *made += out_before - stream->avail_out;
        *ended = result == Z_STREAM_END;
        if (*ended || *made == room) return DIO_OK;
        if (result == Z_MEM_ERROR) return DIO_ERR_ENV;
        if (result != Z_OK && result != Z_BUF_ERROR) {
            return dio_zip_fail(zip, "P8", entry, DIO_AT(entry->data), "deflate data is damaged");
        }
        if (in_before == stream->avail_in && out_before == stream->avail_out) {
            return dio_zip_fail(zip, "P8", entry, DIO_AT(entry->data), "deflate data ends too early");
        }
    }
}

/* The block grows with what really comes out, never beyond what is declared. */
static dio_status unpack(struct dio_zip *zip, const struct dio_zip_entry *entry, z_stream *stream, unsigned char **block)
{
    uint64_t capacity = entry->size < 65536 ? entry->size : 65536, used = 0, made = 0;
    bool ended = false;
    *block = dio_alloc(zip->ctx, (size_t)capacity + 1, "an unpacked zip entry");
    if (!*block) return DIO_ERR_ENV;
    for (;;) {
        /* One byte more than may come: a longer stream shows itself. */
        uint64_t room = capacity - used + (capacity == entry->size);
        DIO_PASS(inflate_into(zip, entry, stream, *block + used, room, &made, &ended));
        used += made;
        if (ended || used > entry->size) break;
        capacity = capacity > entry->size / 2 ? entry->size : capacity * 2;
        unsigned char *larger = dio_realloc_array(zip->ctx, *block, (size_t)capacity + 1, 1, "an unpacked zip entry");
        if (!larger) return DIO_ERR_ENV;
        *block = larger;
    }
    if (used != entry->size) return wrong_size(zip, entry, used);
    if ((uint64_t)(stream->next_in - (zip->blob->data + entry->data)) != entry->packed) {
        return dio_zip_fail(zip, "P8", entry, DIO_AT(entry->data), "bytes follow the deflate data");
    }
    return DIO_OK;
}

static dio_status check_declared(struct dio_zip *zip, const struct dio_zip_entry *entry)
{
    if (entry->size / RATIO > entry->packed || entry->size >= SIZE_MAX) {
        return dio_zip_fail(zip, "P7", entry, DIO_AT(entry->header),
                            "declares a size of %" PRIu64 " bytes, which %" PRIu64 " bytes of deflate data cannot give",
                            entry->size, entry->packed);
    }
    if (entry->size > zip->unpack_limit - zip->unpacked) {
        return dio_zip_fail(zip, "P7", entry, DIO_AT(entry->header),
                            "unpacked entries are larger than --max-unpack %" PRIu64 "; give a larger --max-unpack to read it",
                            zip->unpack_limit);
    }
    zip->unpacked += entry->size;
    return DIO_OK;
}

static dio_status inflate_entry(struct dio_zip *zip, const struct dio_zip_entry *entry, unsigned char **block)
{
    DIO_PASS(check_declared(zip, entry));
    z_stream stream = {.zalloc = zlib_alloc, .zfree = zlib_free, .opaque = zip->ctx};
    stream.next_in = (unsigned char *)(uintptr_t)(zip->blob->data + entry->data);
    if (inflateInit2(&stream, -15) != Z_OK) return DIO_ERR_ENV;
    dio_status status = unpack(zip, entry, &stream, block);
    inflateEnd(&stream);
    return status;
}

dio_status dio_zip_read(struct dio_zip *zip, const struct dio_zip_entry *entry, const unsigned char **bytes, void **owned)
{
    unsigned char *block = NULL;
    dio_status status = DIO_OK;
    *owned = NULL;
    *bytes = zip->blob->data + entry->data;
    if (entry->flags & ENCRYPTED) return dio_zip_fail(zip, "P6", entry, DIO_AT(entry->header), "encrypted");
    if (!dio_blob_unchanged(zip->blob)) {
        return dio_fail(zip->ctx, DIO_ERR_INPUT, "S20", &(struct dio_place){.file = zip->path}, "changed while it was read");
    }
    if (entry->method == DEFLATED) {
        status = inflate_entry(zip, entry, &block);
        *bytes = block;
    } else if (entry->method != STORED) {
        return dio_zip_fail(zip, "P6", entry, DIO_AT(entry->header), "compression method %u is not read", entry->method);
    } else if (entry->packed != entry->size) {
        return dio_zip_fail(zip, "P4", entry, DIO_AT(entry->header),
                            "stored, but its sizes differ: %" PRIu64 " and %" PRIu64, entry->packed, entry->size);
    }
    if (status == DIO_OK && crc32_z(0, *bytes, (size_t)entry->size) != entry->crc) {
        status = dio_zip_fail(zip, "P5", entry, DIO_AT(entry->data), "checksum differs, the file is damaged");
    }
    if (status == DIO_OK) {
        *owned = block;
    } else {
        dio_free(zip->ctx, block);
    }
    return status;
}
