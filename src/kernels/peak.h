/* This machine's ceilings, measured: what the shares of `diopter bench` and check_kernels refer to. */
#ifndef DIO_KERNELS_PEAK_H
#define DIO_KERNELS_PEAK_H

#include <stddef.h>
#include <stdint.h>

struct dio_kernels;

/* Slot: independent chains of multiply-adds on registers; returns how many floating-point operations were done (a
 * multiply-add is two).  sink: three floats, {factor, term, result}. */
typedef int64_t dio_burn_fma_fn(int64_t rounds, float *sink);

/* f32 operations a second of one thread at the table's level, the best of several runs within about `seconds`. */
double dio_peak_flops(const struct dio_kernels *kernels, double seconds);

/* Bytes a second that one thread reads from `buffer` (which decides which cache, or memory, is measured), likewise. */
double dio_peak_read(const struct dio_kernels *kernels, const float *buffer, size_t floats, double seconds);

#endif
