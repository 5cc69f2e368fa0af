/* Sums that PyTorch gave for tensors of the case lines: see make_golden.py.  A tensor is held against its sum of
 * magnitudes and its products with four vectors of numbers that op_number makes. */
#ifndef DIO_TESTS_OPS_GOLDEN_FILE_H
#define DIO_TESTS_OPS_GOLDEN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GOLDEN_PRODUCTS = 4, STREAM_GOLDEN = 80 };

struct golden_sums {
    const char *key;     /* "op|case|mode|tensor" */
    int64_t count;
    double magnitude;    /* sum of |t| */
    double condition;    /* sum of the magnitudes that went into the elements: the scale of rounding */
    double product[GOLDEN_PRODUCTS];
};

struct golden {
    char *text;
    struct golden_sums *items;
    size_t count;
};

bool golden_open(struct golden *golden, const char *name); /* under tests/; says what is wrong */
void golden_close(struct golden *golden);
const struct golden_sums *golden_find(const struct golden *golden, const char *op, const char *line, const char *mode, const char *tensor);
bool golden_agrees(const struct golden_sums *sums, const float *numbers, int64_t count, char *detail, size_t detail_size);

#endif
