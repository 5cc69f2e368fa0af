#include <math.h>

#include "train/schedule.h"

static double rate(const struct dio_schedule_settings *settings, double t, double n)
{
    (void)n;
    return settings->lr * pow(settings->gamma, floor(t / settings->drop_every));
}

const struct dio_schedule dio_schedule_step = {"step", "times gamma after every step_size epochs", rate};
