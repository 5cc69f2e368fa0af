#include <math.h>

#include "train/schedule.h"

static double rate(const struct dio_schedule_settings *settings, double t, double n)
{
    const double pi = 3.14159265358979323846;
    if (t >= n) return settings->lr_min;
    return settings->lr_min + (settings->lr - settings->lr_min) * (1 + cos(pi * t / n)) / 2;
}

const struct dio_schedule dio_schedule_cosine = {"cosine", "half a cosine down to lr_min", rate};
