#ifndef DIO_TRAIN_LOAD_OPTIONS_H
#define DIO_TRAIN_LOAD_OPTIONS_H

#include "format/load.h"
#include "train/options.h"

/* Texts belong to `options`, which have to outlive the load. */
struct dio_load_options dio_train_load_options(const struct dio_train_options *options);

/* What the settings lift of these limits. */
struct dio_limits dio_train_limits(const struct dio_train_options *options, struct dio_limits limits);

#endif
