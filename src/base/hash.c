#include "base/hash.h"

#include <string.h>

void dio_sha256_init(struct dio_sha256 *hash)
{
    sha256_init(&hash->state);
}

void dio_sha256_add(struct dio_sha256 *hash, const void *bytes, size_t length)
{
    if (length > 0) sha256_update(&hash->state, length, bytes);
}

void dio_sha256_add_text(struct dio_sha256 *hash, const char *text)
{
    uint64_t length = strlen(text);
    uint8_t prefix[8];
    for (int i = 0; i < 8; i++) prefix[i] = (uint8_t)(length >> (8 * i));
    dio_sha256_add(hash, prefix, sizeof prefix);
    dio_sha256_add(hash, text, (size_t)length);
}

struct dio_digest dio_sha256_end(struct dio_sha256 *hash)
{
    struct dio_digest digest;
    sha256_digest(&hash->state, sizeof digest.bytes, digest.bytes);
    return digest;
}

struct dio_digest dio_sha256_of(const void *bytes, size_t length)
{
    struct dio_sha256 hash;
    dio_sha256_init(&hash);
    dio_sha256_add(&hash, bytes, length);
    return dio_sha256_end(&hash);
}

void dio_digest_hex(const struct dio_digest *digest, char out[65])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        out[2 * i] = digits[digest->bytes[i] >> 4];
        out[2 * i + 1] = digits[digest->bytes[i] & 15];
    }
    out[64] = '\0';
}
