#ifndef DIO_TESTS_KERNELS_BENCH_H
#define DIO_TESTS_KERNELS_BENCH_H

struct dio_kernels;

/* Prints the ceilings and each case's rate and share of them, one thread; 0. */
int bench_level(const struct dio_kernels *kernels, double seconds);

#endif
