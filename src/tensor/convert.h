/* Numbers of one element type read as another; gathering of strided memory.  Sources may lie at any address.
 * Narrowing rounds to nearest, ties to even, as IEEE 754 and PyTorch do; overflow gives infinity, NaN stays NaN. */
#ifndef DIO_TENSOR_CONVERT_H
#define DIO_TENSOR_CONVERT_H

#include "tensor/tensor.h"

float dio_f16_to_f32(uint16_t half);
uint16_t dio_f32_to_f16(float value);
float dio_bf16_to_f32(uint16_t half);
uint16_t dio_f32_to_bf16(float value);

/* count elements; src and dst do not overlap.  False when dio_dtype_is_weight does not hold.  Writing whole numbers
 * rounds to nearest even and saturates; NaN gives 0. */
bool dio_convert_to_f32(float *dst, const void *src, enum dio_dtype dtype, size_t count);
bool dio_convert_from_f32(void *dst, enum dio_dtype dtype, const float *src, size_t count);

/* Adds to *nan and *inf; nothing for types that have neither. */
void dio_count_nonfinite(const void *src, enum dio_dtype dtype, size_t count, uint64_t *nan, uint64_t *inf);

/* Copies the elements begin..begin+count of a strided view, in row-major order of its dims, into contiguous memory.
 * strides (in elements, NULL: contiguous) may be 0; swap reverses the bytes of each element (each half of a complex
 * number).  element_size 1, 2, 4, 8 or 16. */
struct dio_gather {
    const void *src;
    const int64_t *dims, *strides;
    int rank;
    size_t element_size, swap_size; /* swap_size 0: bytes stay; else groups of so many bytes are reversed */
};
void dio_gather(const struct dio_gather *view, uint64_t begin, size_t count, void *dst);

#endif
