/* A pickle in a sound archive with a storage beside it, so that the checks of containers do not stand in the way. */
#include <stdlib.h>
#include <zlib.h>

#include "weights.h"

struct archive {
    uint8_t *bytes, *at;
    uint8_t directory[512], *record;
};

static uint8_t *put(uint8_t *at, uint64_t value, int size)
{
    for (int i = 0; i < size; i++) *at++ = (uint8_t)(value >> (8 * i));
    return at;
}

static void add(struct archive *a, const char *name, const uint8_t *data, size_t size)
{
    size_t length = strlen(name), header = (size_t)(a->at - a->bytes);
    uint64_t crc = crc32_z(0, data, size);
    a->at = put(put(put(a->at, 0x04034b50, 4), 0, 6), 0, 4);
    a->at = put(put(put(put(put(a->at, crc, 4), size, 4), size, 4), length, 2), 0, 2);
    memcpy(a->at, name, length);
    a->at += length;
    if (size) memcpy(a->at, data, size);
    a->at += size;
    a->record = put(put(put(a->record, 0x02014b50, 4), 0, 8), 0, 4);
    a->record = put(put(put(put(put(put(a->record, crc, 4), size, 4), size, 4), length, 2), 0, 8), 0, 4);
    a->record = put(a->record, header, 4);
    memcpy(a->record, name, length);
    a->record += length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t storage[96];
    struct archive a = {.bytes = malloc(size + 2048)};
    if (!a.bytes) return 0;
    a.at = a.bytes;
    a.record = a.directory;
    add(&a, "a/data.pkl", data, size);
    add(&a, "a/data/0", storage, 24);
    add(&a, "a/data/1", storage, 12);
    add(&a, "a/data/2", storage, 96);
    size_t begin = (size_t)(a.at - a.bytes), length = (size_t)(a.record - a.directory);
    memcpy(a.at, a.directory, length);
    a.at = put(put(put(put(a.at + length, 0x06054b50, 4), 0, 4), 4, 2), 4, 2);
    a.at = put(put(put(a.at, length, 4), begin, 4), 0, 2);
    fuzz_weights("torch", a.bytes, (size_t)(a.at - a.bytes));
    free(a.bytes);
    return 0;
}
