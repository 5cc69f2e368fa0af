#include "train/schedule.h"

static double rate(const struct dio_schedule_settings *settings, double t, double n)
{
    (void)t;
    (void)n;
    return settings->lr;
}

const struct dio_schedule dio_schedule_constant = {"constant", "the same rate throughout", rate};
