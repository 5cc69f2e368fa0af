#include "train/pack.h"

#include <string.h>

void dio_pack_u64(struct dio_str *out, uint64_t value)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(value >> (8 * i));
    dio_str_add_bytes(out, bytes, sizeof bytes);
}

void dio_pack_f64(struct dio_str *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    dio_pack_u64(out, bits);
}

void dio_pack_bytes(struct dio_str *out, const void *bytes, size_t length)
{
    dio_pack_u64(out, length);
    dio_str_add_bytes(out, bytes, length);
}

void dio_pack_text(struct dio_str *out, const char *text)
{
    dio_pack_bytes(out, text ? text : "", (text ? strlen(text) : 0) + 1); /* with the terminator, for reading in place */
}

uint64_t dio_unpack_u64(struct dio_unpack *in)
{
    uint64_t value = 0;
    if (in->bad || in->length - in->at < 8) {
        in->bad = true;
        return 0;
    }
    for (int i = 0; i < 8; i++) value |= (uint64_t)in->data[in->at + (size_t)i] << (8 * i);
    in->at += 8;
    return value;
}

double dio_unpack_f64(struct dio_unpack *in)
{
    uint64_t bits = dio_unpack_u64(in);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

const void *dio_unpack_bytes(struct dio_unpack *in, size_t *length)
{
    uint64_t size = dio_unpack_u64(in);
    *length = 0;
    if (in->bad || size > in->length - in->at) {
        in->bad = true;
        return NULL;
    }
    const void *bytes = in->data + in->at;
    in->at += (size_t)size;
    *length = (size_t)size;
    return bytes;
}

const char *dio_unpack_text(struct dio_unpack *in)
{
    size_t length;
    const char *text = dio_unpack_bytes(in, &length);
    if (!text || length == 0 || memchr(text, 0, length) != text + length - 1) {
        in->bad = true;
        return "";
    }
    return text;
}
