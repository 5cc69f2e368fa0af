#include "weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_weights("safetensors", data, size);
    return 0;
}
