#ifndef DIO_BASE_CLOCK_H
#define DIO_BASE_CLOCK_H

#include <stddef.h>

double dio_clock_seconds(void);                       /* monotonic */
void dio_clock_utc(char *out, size_t out_size);       /* "2026-01-31T12:34:56Z", for logs only */

#endif
