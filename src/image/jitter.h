/* Brightness, contrast and saturation on 8-bit samples, as Pillow's ImageEnhance does them. */
#ifndef DIO_IMAGE_JITTER_H
#define DIO_IMAGE_JITTER_H

#include "image/augment.h"

/* In place; channels 1 or 3 (saturation leaves one channel alone).  16-bit samples by the same formulas. */
void dio_jitter_apply(const struct dio_view *view, void *samples, size_t pixels, int32_t channels,
                      enum dio_sample sample);

#endif
