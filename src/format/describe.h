/* A list of weights in words, for `info` of files whose architecture nobody knows. */
#ifndef DIO_FORMAT_DESCRIBE_H
#define DIO_FORMAT_DESCRIBE_H

#include "base/str.h"
#include "tensor/weights.h"

struct dio_weights_summary {
    uint64_t tensors, elements, bytes;
    uint64_t by_dtype[DIO_DTYPE_COUNT];     /* tensors of each type */
    uint64_t nan_tensors, inf_tensors, nan_values, inf_values;
    const struct dio_weight *first_nonfinite; /* NULL: all finite */
};

/* Reads every value once.  With `say`, warns of NaN and infinite values by tensor (row S18), at most ten lines. */
dio_status dio_weights_scan(struct dio_ctx *ctx, const struct dio_weights *weights, bool say,
                            struct dio_weights_summary *out);

/* Appends text lines: format, sources, metadata, other values, tensors (name, type, shape), totals.  All escaped. */
dio_status dio_weights_describe(const struct dio_weights *weights, const struct dio_weights_summary *summary,
                                struct dio_str *out);

#endif
