/* Slots of preparing pictures: the two passes of Pillow's resize over 8-bit samples, and samples as numbers.
 *
 * A pass is a sum of samples times weights of 22 fractional bits, rounded and held to 0..255: integers throughout, so that
 * every level gives the same bytes.  No slot reads a byte before or behind the samples that its job names. */
#ifndef DIO_KERNELS_RESIZE_H
#define DIO_KERNELS_RESIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIO_RESIZE_BITS = 22 };

/* Output i is the sum over samples first[i] .. first[i] + taps[i] - 1 with weights[i * width ..]; taps[i] <= width. */
struct dio_resize_axis {
    int32_t count, width;
    const int32_t *first, *taps, *weights;
};

/* A pass over each of `rows` rows of `columns` pixels, `shift` being the number of the first of them on the axis. */
struct dio_resize_across {
    const struct dio_resize_axis *axis;
    const uint8_t *in;
    size_t in_stride; /* at least columns * channels */
    int32_t rows, columns, shift, channels;
    uint8_t *out;     /* rows x axis->count x channels */
    size_t out_stride;
    void *scratch;    /* dio_resize_across_scratch bytes, aligned to 64 */
};
typedef void dio_resize_across_fn(const struct dio_resize_across *job);
/* Bytes, or SIZE_MAX when they cannot be counted. */
size_t dio_resize_across_scratch(int32_t count, int32_t width, int32_t channels);

/* axis->count rows of so many samples, each from rows of `in`, `shift` being the number of the first of these. */
struct dio_resize_down {
    const struct dio_resize_axis *axis;
    const uint8_t *in;
    size_t in_stride, samples;
    int32_t shift;
    uint8_t *out;
    size_t out_stride;
    void *scratch; /* dio_resize_down_scratch bytes, aligned to 64 */
};
typedef void dio_resize_down_fn(const struct dio_resize_down *job);
static inline size_t dio_resize_down_scratch(int32_t width) { return ((size_t)width + 4) * 4; }

/* Which number a sample of a channel becomes. */
enum { DIO_NORMALISE_LANES = 48 };
struct dio_normalise {
    int32_t channels;
    float (*table)[256];
    /* (v / 255 - mean) / std by products with reciprocals and the products' errors gives the table's bits; for one and
     * three channels, lane i being of channel i % channels. */
    bool by_formula;
    float mean[DIO_NORMALISE_LANES], std[DIO_NORMALISE_LANES], inverse[DIO_NORMALISE_LANES];
};
/* Fills the lanes from table, mean and std, and sees whether the formula gives the table. */
void dio_normalise_init(struct dio_normalise *n, int32_t channels, float (*table)[256], const double *mean,
                        const double *std);
/* `samples` is a multiple of the channels. */
typedef void dio_normalise_u8_fn(const struct dio_normalise *n, const uint8_t *in, int64_t samples, float *out);

/* What portable/ has; also for callers without a table. */
dio_resize_across_fn dio_resize_across_plain;
dio_resize_down_fn dio_resize_down_plain;
dio_normalise_u8_fn dio_normalise_u8_plain;

#endif
