#include "image/jitter.h"

/* Pillow's Image.blend: degenerate + factor * (sample - degenerate) in float32, clipped, then cut to a whole number. */
static inline float blend(float degenerate, float sample, float factor, float largest)
{
    const float v = degenerate + factor * (sample - degenerate);
    return v <= 0.0f ? 0.0f : v >= largest ? largest : v;
}

/* Pillow's L of an RGB pixel. */
static inline uint32_t luma(uint64_t r, uint64_t g, uint64_t b)
{
    return (uint32_t)((19595 * r + 38470 * g + 7471 * b + 32768) >> 16);
}

static uint32_t load(const void *samples, size_t i, enum dio_sample sample)
{
    return sample == DIO_SAMPLE_U16 ? ((const uint16_t *)samples)[i] : ((const uint8_t *)samples)[i];
}

static void store(void *samples, size_t i, enum dio_sample sample, float value)
{
    if (sample == DIO_SAMPLE_U16) ((uint16_t *)samples)[i] = (uint16_t)value;
    else ((uint8_t *)samples)[i] = (uint8_t)value;
}

static uint32_t grey_of(const void *samples, size_t pixel, int32_t channels, enum dio_sample sample)
{
    const size_t i = pixel * (size_t)channels;
    if (channels != 3) return load(samples, i, sample);
    return luma(load(samples, i, sample), load(samples, i + 1, sample), load(samples, i + 2, sample));
}

static float mean_grey(const void *samples, size_t pixels, int32_t channels, enum dio_sample sample)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < pixels; i++) sum += grey_of(samples, i, channels, sample);
    return (float)(uint32_t)((double)sum / (double)pixels + 0.5);
}

void dio_jitter_apply(const struct dio_view *view, void *samples, size_t pixels, int32_t channels,
                      enum dio_sample sample)
{
    const float largest = sample == DIO_SAMPLE_U16 ? 65535.0f : 255.0f;
    for (int s = 0; s < DIO_JITTER_STEPS; s++) {
        const enum dio_jitter_step step = view->order[s];
        const float factor = view->factor[step];
        if (factor == 1.0f || (step == DIO_JITTER_SATURATION && channels != 3)) continue;
        const float flat = step == DIO_JITTER_CONTRAST ? mean_grey(samples, pixels, channels, sample) : 0.0f;
        for (size_t i = 0; i < pixels; i++) {
            const float degenerate =
                step == DIO_JITTER_SATURATION ? (float)grey_of(samples, i, channels, sample) : flat;
            for (size_t c = i * (size_t)channels; c < (i + 1) * (size_t)channels; c++) {
                store(samples, c, sample, blend(degenerate, (float)load(samples, c, sample), factor, largest));
            }
        }
    }
}
