#ifndef DIO_TESTS_KERNELS_BENCH_NETS_H
#define DIO_TESTS_KERNELS_BENCH_NETS_H

#include <stdint.h>

struct bench_layer {
    int64_t count, h, c; /* how often it occurs, side and channels of its input */
    const char *attrs;
};

/* Ends with a count of 0; NULL for an unknown name. */
const struct bench_layer *bench_net(const char *name);

#endif
