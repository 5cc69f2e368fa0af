#include "base/rng.h"

#include <math.h>

enum { ROUNDS = 10 };

void dio_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t product0 = UINT64_C(0xD2511F53) * c0;
        uint64_t product1 = UINT64_C(0xCD9E8D57) * c2;
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)product1;
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)product0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

struct dio_rng dio_rng_make(uint64_t seed, enum dio_rng_purpose purpose, uint32_t epoch, uint64_t index)
{
    return (struct dio_rng){.seed = seed, .purpose = (uint32_t)purpose, .epoch = epoch, .index = index};
}

void dio_rng_counter(const struct dio_rng *rng, uint32_t counter[4], uint32_t key[2])
{
    key[0] = (uint32_t)rng->seed;
    key[1] = (uint32_t)(rng->seed >> 32);
    counter[0] = rng->draw;
    counter[1] = (uint32_t)rng->index;
    counter[2] = (uint32_t)(rng->index >> 32);
    counter[3] = rng->purpose << 24 ^ rng->epoch;
}

uint32_t dio_rng_u32(struct dio_rng *rng)
{
    if (rng->left == 0) {
        uint32_t key[2], counter[4];
        dio_rng_counter(rng, counter, key);
        rng->draw++;
        dio_philox4x32(counter, key, rng->block);
        rng->left = 4;
    }
    return rng->block[4 - rng->left--];
}

static uint64_t next_u64(struct dio_rng *rng)
{
    uint64_t low = dio_rng_u32(rng);
    return (uint64_t)dio_rng_u32(rng) << 32 | low;
}

uint64_t dio_rng_below(struct dio_rng *rng, uint64_t bound)
{
    if (bound == 0) return 0;
    uint64_t skip = (0 - bound) % bound; /* 2^64 mod bound: the values that would be too many */
    uint64_t value;
    do {
        value = next_u64(rng);
    } while (value < skip);
    return value % bound;
}

double dio_rng_uniform(struct dio_rng *rng)
{
    return (double)(next_u64(rng) >> 11) * 0x1p-53;
}

double dio_rng_normal(struct dio_rng *rng)
{
    static const double two_pi = 6.283185307179586476925286766559;
    double radius = sqrt(-2.0 * log(1.0 - dio_rng_uniform(rng)));
    return radius * cos(two_pi * dio_rng_uniform(rng));
}

void dio_rng_shuffle(struct dio_rng *rng, uint32_t *order, uint64_t count)
{
    for (uint64_t i = count; i > 1; i--) {
        uint64_t j = dio_rng_below(rng, i);
        uint32_t swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
}
