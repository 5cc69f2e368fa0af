#include "kernels/peak.h"

#include <string.h>

#include "base/clock.h"
#include "kernels/kernels.h"

int64_t dio_burn_none(int64_t rounds, float *work)
{
    (void)rounds;
    (void)work;
    return 0;
}

double dio_peak_burn(dio_burn_fn *burn, double seconds)
{
    _Alignas(64) float work[DIO_BURN_FLOATS];
    double best = 0;
    if (burn == dio_burn_none) return 0;
    for (int i = 0; i < DIO_BURN_FLOATS; i++) work[i] = 1;
    const double end = dio_clock_seconds() + seconds;
    do {
        const double start = dio_clock_seconds();
        const int64_t done = burn(20000, work);
        const double rate = (double)done / (dio_clock_seconds() - start);
        if (rate > best) best = rate;
    } while (dio_clock_seconds() < end);
    return best;
}

double dio_peak_flops(const struct dio_kernels *kernels, double seconds)
{
    return dio_peak_burn(kernels->burn_fma, seconds);
}

/* Small buffers are gone through so often that the clock does not show. */
static int passes_of(size_t bytes)
{
    return bytes < 4 << 20 ? (int)((4 << 20) / (bytes + 1)) + 1 : 1;
}

double dio_peak_read(const struct dio_kernels *kernels, const float *buffer, size_t floats, double seconds)
{
    enum { COLUMNS = 32 };
    float sums[COLUMNS] = {0};
    const int64_t rows = (int64_t)(floats / COLUMNS);
    const int passes = passes_of(floats * sizeof *buffer);
    double best = 0;
    const double end = dio_clock_seconds() + seconds;
    do {
        const double start = dio_clock_seconds();
        for (int i = 0; i < passes; i++) kernels->column_sums(buffer, rows, COLUMNS, COLUMNS, sums);
        const double rate = (double)rows * COLUMNS * sizeof *buffer * passes / (dio_clock_seconds() - start);
        if (rate > best) best = rate;
    } while (dio_clock_seconds() < end);
    return best;
}

/* Never zeros: some processors write whole lines of them without their bytes (Zen 4: 79 GB/s in place of 29). */
double dio_peak_write(float *buffer, size_t floats, double seconds)
{
    const size_t bytes = floats * sizeof *buffer;
    const int passes = passes_of(bytes);
    double best = 0;
    const double end = dio_clock_seconds() + seconds;
    do {
        const double start = dio_clock_seconds();
        for (int i = 0; i < passes; i++) memset(buffer, 1 + (i & 1), bytes);
        const double rate = (double)bytes * passes / (dio_clock_seconds() - start);
        if (rate > best) best = rate;
    } while (dio_clock_seconds() < end);
    return best;
}
