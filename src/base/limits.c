#include "base/limits.h"

struct dio_limits dio_limits_default(void)
{
    return (struct dio_limits){
        .max_header = UINT64_C(33554432),
        .max_tensors = UINT64_C(1000000),
        .max_elements = UINT64_C(1) << 31,
        .max_opcodes = UINT64_C(50000000),
        .max_unpack = 0,
        .max_nodes = UINT64_C(1000000),
        .max_pixels = UINT64_C(100000000),
        .max_file = UINT64_C(1) << 30,
        .max_scans = 100,
    };
}
