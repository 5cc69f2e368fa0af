/* This machine's ceilings, measured: what the shares of `diopter bench` and check_kernels refer to. */
#ifndef DIO_KERNELS_PEAK_H
#define DIO_KERNELS_PEAK_H

#include <stddef.h>
#include <stdint.h>

struct dio_kernels;

enum { DIO_BURN_FLOATS = 4096 };

/* Slots: independent chains of multiply-adds; each returns how many operations were done (a multiply-add is two).
 * `work`: DIO_BURN_FLOATS floats, 64-byte aligned, all ones; the first is written.
 *   burn_fma         f32, registers alone
 *   burn_fma_cached  f32, as a product's inner loop reads its operands: a panel row and a broadcast for each row of the tile,
 *                    from `work`
 *   burn_bf16        products of bf16 summed in f32, registers alone; dio_burn_none below the level that has an instruction
 *   burn_int8        products of u8 and i8 summed in i32, likewise
 *   burn_amx_bf16, burn_amx_int8: the same by tiles */
typedef int64_t dio_burn_fn(int64_t rounds, float *work);

int64_t dio_burn_none(int64_t rounds, float *work); /* no operations */

/* Operations a second of one thread, the best of several runs within about `seconds`; 0 for dio_burn_none. */
double dio_peak_burn(dio_burn_fn *burn, double seconds);
/* f32, on registers, at the table's level. */
double dio_peak_flops(const struct dio_kernels *kernels, double seconds);

/* Bytes a second that one thread reads from `buffer`, or writes to it (its size decides which cache, or memory, is
 * measured), likewise. */
double dio_peak_read(const struct dio_kernels *kernels, const float *buffer, size_t floats, double seconds);
double dio_peak_write(float *buffer, size_t floats, double seconds);

#endif
