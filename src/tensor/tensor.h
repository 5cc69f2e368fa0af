/* Element types, shapes and views.  A view never owns its memory, and this folder does no arithmetic. */
#ifndef DIO_TENSOR_TENSOR_H
#define DIO_TENSOR_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Everything that safetensors and PyTorch can name.  The engine computes with F32 (BF16, I8 later); weights may be any
 * type for which dio_dtype_is_weight holds. */
enum dio_dtype {
    DIO_F32, DIO_F16, DIO_BF16, DIO_F64,
    DIO_BOOL, DIO_U8, DIO_I8, DIO_U16, DIO_I16, DIO_U32, DIO_I32, DIO_U64, DIO_I64,
    DIO_F8_E4M3, DIO_F8_E5M2, DIO_F8_E8M0, DIO_F8_E4M3FNUZ, DIO_F8_E5M2FNUZ,
    DIO_F6_E2M3, DIO_F6_E3M2, DIO_F4, /* packed: 6 and 4 bits an element */
    DIO_C32, DIO_C64, DIO_C128,       /* complex, by the bits of the whole number */
    DIO_DTYPE_COUNT
};

const char *dio_dtype_name(enum dio_dtype dtype); /* safetensors' spelling: "F32", "BF16", "I64", ... */
bool dio_dtype_parse(const char *name, size_t length, enum dio_dtype *out); /* safetensors' spelling, exact case */
int dio_dtype_bits(enum dio_dtype dtype);
size_t dio_dtype_size(enum dio_dtype dtype);            /* bytes; 0 for the packed types */
bool dio_dtype_is_integer(enum dio_dtype dtype);        /* BOOL and the whole numbers */
bool dio_dtype_is_weight(enum dio_dtype dtype);         /* can be read as f32: a float, a whole number or BOOL */

enum { DIO_MAX_RANK = 6 };

struct dio_shape {
    int rank;
    int64_t dims[DIO_MAX_RANK]; /* those beyond rank are 0 */
};

struct dio_shape dio_shape_1(int64_t a);
struct dio_shape dio_shape_2(int64_t a, int64_t b);
struct dio_shape dio_shape_3(int64_t a, int64_t b, int64_t c);
struct dio_shape dio_shape_4(int64_t a, int64_t b, int64_t c, int64_t d);
bool dio_shape_equal(const struct dio_shape *a, const struct dio_shape *b);
/* Product of the dims, 1 for rank 0.  -1 when one is negative or the product does not fit, wherever a 0 stands. */
int64_t dio_shape_elements(const struct dio_shape *shape);
/* False when elements * size does not fit. */
bool dio_shape_bytes(const struct dio_shape *shape, enum dio_dtype dtype, size_t *out);
/* "[64, 3, 7, 7]", always terminated; returns the length of the whole text. */
size_t dio_dims_format(char *out, size_t out_size, const int64_t *dims, int rank);
size_t dio_shape_format(char *out, size_t out_size, const struct dio_shape *shape);

#endif
