/* Arithmetic on sizes that came from outside: false instead of wrapping. */
#ifndef DIO_BASE_CHECKED_H
#define DIO_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIO_CHECKED(type, suffix)                                                                                      \
    static inline bool dio_mul_##suffix(type a, type b, type *out) { return !__builtin_mul_overflow(a, b, out); }      \
    static inline bool dio_add_##suffix(type a, type b, type *out) { return !__builtin_add_overflow(a, b, out); }
DIO_CHECKED(uint64_t, u64)
DIO_CHECKED(int64_t, i64)
DIO_CHECKED(size_t, size)
#undef DIO_CHECKED

#endif
