#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "files of weights are little-endian, and so must this machine be"
#endif

enum dtype_kind { KIND_FLOAT, KIND_INTEGER, KIND_OTHER };

static const struct {
    const char *name;
    int bits;
    enum dtype_kind kind;
} dtypes[DIO_DTYPE_COUNT] = {
    [DIO_F32] = {"F32", 32, KIND_FLOAT},
    [DIO_F16] = {"F16", 16, KIND_FLOAT},
    [DIO_BF16] = {"BF16", 16, KIND_FLOAT},
    [DIO_F64] = {"F64", 64, KIND_FLOAT},
    [DIO_BOOL] = {"BOOL", 8, KIND_INTEGER},
    [DIO_U8] = {"U8", 8, KIND_INTEGER},
    [DIO_I8] = {"I8", 8, KIND_INTEGER},
    [DIO_U16] = {"U16", 16, KIND_INTEGER},
    [DIO_I16] = {"I16", 16, KIND_INTEGER},
    [DIO_U32] = {"U32", 32, KIND_INTEGER},
    [DIO_I32] = {"I32", 32, KIND_INTEGER},
    [DIO_U64] = {"U64", 64, KIND_INTEGER},
    [DIO_I64] = {"I64", 64, KIND_INTEGER},
    [DIO_F8_E4M3] = {"F8_E4M3", 8, KIND_OTHER},
    [DIO_F8_E5M2] = {"F8_E5M2", 8, KIND_OTHER},
    [DIO_F8_E8M0] = {"F8_E8M0", 8, KIND_OTHER},
    [DIO_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8, KIND_OTHER},
    [DIO_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8, KIND_OTHER},
    [DIO_F6_E2M3] = {"F6_E2M3", 6, KIND_OTHER},
    [DIO_F6_E3M2] = {"F6_E3M2", 6, KIND_OTHER},
    [DIO_F4] = {"F4", 4, KIND_OTHER},
    [DIO_C32] = {"C32", 32, KIND_OTHER},
    [DIO_C64] = {"C64", 64, KIND_OTHER},
    [DIO_C128] = {"C128", 128, KIND_OTHER},
};

const char *dio_dtype_name(enum dio_dtype dtype)
{
    return dtypes[dtype].name;
}

bool dio_dtype_parse(const char *name, size_t length, enum dio_dtype *out)
{
    for (int i = 0; i < DIO_DTYPE_COUNT; i++) {
        if (strlen(dtypes[i].name) == length && memcmp(dtypes[i].name, name, length) == 0) {
            *out = (enum dio_dtype)i;
            return true;
        }
    }
    return false;
}

int dio_dtype_bits(enum dio_dtype dtype)
{
    return dtypes[dtype].bits;
}

size_t dio_dtype_size(enum dio_dtype dtype)
{
    return dtypes[dtype].bits % 8 ? 0 : (size_t)dtypes[dtype].bits / 8;
}

bool dio_dtype_is_integer(enum dio_dtype dtype)
{
    return dtypes[dtype].kind == KIND_INTEGER;
}

bool dio_dtype_is_weight(enum dio_dtype dtype)
{
    return dtypes[dtype].kind != KIND_OTHER;
}

struct dio_shape dio_shape_1(int64_t a)
{
    return (struct dio_shape){1, {a}};
}

struct dio_shape dio_shape_2(int64_t a, int64_t b)
{
    return (struct dio_shape){2, {a, b}};
}

struct dio_shape dio_shape_3(int64_t a, int64_t b, int64_t c)
{
    return (struct dio_shape){3, {a, b, c}};
}

struct dio_shape dio_shape_4(int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (struct dio_shape){4, {a, b, c, d}};
}

bool dio_shape_equal(const struct dio_shape *a, const struct dio_shape *b)
{
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++) {
        if (a->dims[i] != b->dims[i]) return false;
    }
    return true;
}

int64_t dio_shape_elements(const struct dio_shape *shape)
{
    int64_t product = 1;
    bool zero = false;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dims[i] < 0) return -1;
        if (shape->dims[i] == 0) {
            zero = true;
        } else if (!dio_mul_i64(product, shape->dims[i], &product)) {
            return -1;
        }
    }
    return zero ? 0 : product;
}

bool dio_shape_bytes(const struct dio_shape *shape, enum dio_dtype dtype, size_t *out)
{
    int64_t elements = dio_shape_elements(shape), bits;
    if (elements < 0 || !dio_mul_i64(elements, dio_dtype_bits(dtype), &bits) || bits > INT64_MAX - 7) return false;
    *out = (size_t)((bits + 7) / 8);
    return true;
}

size_t dio_dims_format(char *out, size_t out_size, const int64_t *dims, int rank)
{
    size_t length = 0;
    char piece[32];
    for (int i = -1; i <= rank; i++) {
        if (i < 0) {
            snprintf(piece, sizeof piece, "[");
        } else if (i == rank) {
            snprintf(piece, sizeof piece, "]");
        } else {
            snprintf(piece, sizeof piece, "%s%lld", i ? ", " : "", (long long)dims[i]);
        }
        size_t n = strlen(piece);
        if (length < out_size) snprintf(out + length, out_size - length, "%s", piece);
        length += n;
    }
    return length;
}

size_t dio_shape_format(char *out, size_t out_size, const struct dio_shape *shape)
{
    return dio_dims_format(out, out_size, shape->dims, shape->rank);
}
