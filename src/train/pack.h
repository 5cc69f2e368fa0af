/* Values in a row of bytes, little-endian, and back with every bound checked: the small part of checkpoints. */
#ifndef DIO_TRAIN_PACK_H
#define DIO_TRAIN_PACK_H

#include "base/str.h"

void dio_pack_u64(struct dio_str *out, uint64_t value);
void dio_pack_f64(struct dio_str *out, double value);
void dio_pack_bytes(struct dio_str *out, const void *bytes, size_t length); /* with its length */
void dio_pack_text(struct dio_str *out, const char *text);                  /* NULL reads back as "" */

/* Reading: after the first value that is not there, `bad` is set and all values are 0. */
struct dio_unpack {
    const unsigned char *data;
    size_t length, at;
    bool bad;
};
uint64_t dio_unpack_u64(struct dio_unpack *in);
double dio_unpack_f64(struct dio_unpack *in);
/* Points into the data. */
const void *dio_unpack_bytes(struct dio_unpack *in, size_t *length);
const char *dio_unpack_text(struct dio_unpack *in); /* terminated; "" when bad */

#endif
