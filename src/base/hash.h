/* SHA-256 (FIPS 180-4), through nettle: weights' receipts and cache keys, checkable with any other tool. */
#ifndef DIO_BASE_HASH_H
#define DIO_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include <nettle/sha2.h>

struct dio_sha256 {
    struct sha256_ctx state;
};
struct dio_digest {
    uint8_t bytes[32];
};
void dio_sha256_init(struct dio_sha256 *hash);
void dio_sha256_add(struct dio_sha256 *hash, const void *bytes, size_t length);
void dio_sha256_add_text(struct dio_sha256 *hash, const char *text); /* with its length, so that parts cannot run together */
struct dio_digest dio_sha256_end(struct dio_sha256 *hash);
struct dio_digest dio_sha256_of(const void *bytes, size_t length);
void dio_digest_hex(const struct dio_digest *digest, char out[65]);

/* CRC-32 (zip, PNG) comes from zlib where it is needed. */

#endif
