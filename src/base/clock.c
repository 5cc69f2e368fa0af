#include "base/clock.h"

#include <time.h>

double dio_clock_seconds(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 0;
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void dio_clock_utc(char *out, size_t out_size)
{
    struct tm parts;
    time_t now = time(NULL);
    if (out_size == 0) return;
    if (gmtime_r(&now, &parts) == NULL || strftime(out, out_size, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) out[0] = '\0';
}
