/* Courses of the learning rate: one file, one record, one line in list.def each.  Closed forms: the rate of a step is a
 * function of its number alone. */
#ifndef DIO_TRAIN_SCHEDULE_H
#define DIO_TRAIN_SCHEDULE_H

#include <stdint.h>

struct dio_schedule_settings {
    double lr, lr_min;        /* highest; where cosine ends */
    double total;             /* steps of the whole run */
    double warmup;            /* steps of linear rise, from lr / 100; 0: none */
    double drop_every, gamma; /* schedule step: steps between two drops, factor of each */
};

struct dio_schedule {
    const char *name, *about;
    /* t: steps since the end of the warm-up, out of n. */
    double (*rate)(const struct dio_schedule_settings *settings, double t, double n);
};

extern const struct dio_schedule *const dio_schedules[]; /* NULL-terminated */
const struct dio_schedule *dio_schedule_find(const char *name);

/* The rate of step t, counted from 0; warm-up included. */
double dio_schedule_rate(const struct dio_schedule *schedule, const struct dio_schedule_settings *settings, double t);

#endif
