#include "train/schedule.h"

#include <stddef.h>
#include <string.h>

#define DIO_ENTRY_optimizer(name)
#define DIO_ENTRY(name, kind) DIO_ENTRY_##kind(name)
#define DIO_ENTRY_schedule(name) extern const struct dio_schedule dio_schedule_##name;
#include "train/list.def"
#undef DIO_ENTRY_schedule
#define DIO_ENTRY_schedule(name) &dio_schedule_##name,
const struct dio_schedule *const dio_schedules[] = {
#include "train/list.def"
    NULL};

const struct dio_schedule *dio_schedule_find(const char *name)
{
    for (int i = 0; dio_schedules[i]; i++) {
        if (strcmp(dio_schedules[i]->name, name) == 0) return dio_schedules[i];
    }
    return NULL;
}

double dio_schedule_rate(const struct dio_schedule *schedule, const struct dio_schedule_settings *settings, double t)
{
    const double start = 0.01; /* the rise begins at a hundredth, as a first step of exactly 0 would be lost */
    if (t < settings->warmup) return settings->lr * (start + (1 - start) * t / settings->warmup);
    return schedule->rate(settings, t - settings->warmup, settings->total - settings->warmup);
}
