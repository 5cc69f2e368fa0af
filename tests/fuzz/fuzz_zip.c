/* Whole .pth files, of either container. */
#include "weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) fuzz_weights("torch", data, size);
    return 0;
}
