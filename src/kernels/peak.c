#include "kernels/peak.h"

#include "base/clock.h"
#include "kernels/kernels.h"

double dio_peak_flops(const struct dio_kernels *kernels, double seconds)
{
    float sink[3] = {0.5f, 1.0f, 0.0f};
    double best = 0;
    const double end = dio_clock_seconds() + seconds;
    do {
        const double start = dio_clock_seconds();
        const int64_t done = kernels->burn_fma(20000, sink);
        const double rate = (double)done / (dio_clock_seconds() - start);
        if (rate > best) best = rate;
    } while (dio_clock_seconds() < end);
    return best;
}

double dio_peak_read(const struct dio_kernels *kernels, const float *buffer, size_t floats, double seconds)
{
    enum { COLUMNS = 32 };
    float sums[COLUMNS] = {0};
    const int64_t rows = (int64_t)(floats / COLUMNS);
    double best = 0;
    const double end = dio_clock_seconds() + seconds;
    do {
        const double start = dio_clock_seconds();
        kernels->column_sums(buffer, rows, COLUMNS, COLUMNS, sums);
        const double rate = (double)rows * COLUMNS * sizeof *buffer / (dio_clock_seconds() - start);
        if (rate > best) best = rate;
    } while (dio_clock_seconds() < end);
    return best;
}
