/* Random numbers as a function of what they are for, never of the order of calls.
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the key is the
 * seed, the counter holds purpose (8 bits), epoch (24 bits), index (64) and block of draws (32). */
#ifndef DIO_BASE_RNG_H
#define DIO_BASE_RNG_H

#include <stdint.h>

enum dio_rng_purpose {
    DIO_RNG_INIT = 1,    /* new parameters; index = hash of the parameter's name */
    DIO_RNG_SHUFFLE,     /* order of an epoch */
    DIO_RNG_SPLIT,       /* which pictures go to validation */
    DIO_RNG_AUGMENT,     /* one picture's view; epoch = view or epoch */
    DIO_RNG_DROPOUT,
    DIO_RNG_BOOTSTRAP,
    DIO_RNG_TEST
};

struct dio_rng {
    uint64_t seed;
    uint32_t purpose;
    uint32_t epoch;
    uint64_t index;
    uint32_t draw;       /* advances by one for every four numbers */
    uint32_t block[4], left;
};

/* The function itself, for code that wants its numbers by position. */
void dio_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

struct dio_rng dio_rng_make(uint64_t seed, enum dio_rng_purpose purpose, uint32_t epoch, uint64_t index);
/* Counter and key of the next four numbers. */
void dio_rng_counter(const struct dio_rng *rng, uint32_t counter[4], uint32_t key[2]);
uint32_t dio_rng_u32(struct dio_rng *rng);
uint64_t dio_rng_below(struct dio_rng *rng, uint64_t bound);    /* uniform in 0..bound-1 without bias; bound 0 gives 0 */
double dio_rng_uniform(struct dio_rng *rng);                    /* [0, 1), 53 bits */
double dio_rng_normal(struct dio_rng *rng);                     /* N(0, 1), Box-Muller */
void dio_rng_shuffle(struct dio_rng *rng, uint32_t *order, uint64_t count); /* Fisher-Yates in place */

#endif
