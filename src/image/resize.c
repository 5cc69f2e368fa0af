/* Pillow's resize: two passes of filtered sums, 8-bit samples with 22-bit fixed-point weights and rounded to 8 bits
 * between the passes.  Only the rows, columns and weights that the wanted region needs are computed. */
#include "image/resize.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"

enum { PRECISION = 22 };

enum block { BLOCK_TEMPORARY, BLOCK_ACROSS, BLOCK_DOWN, BLOCK_SUMS };

/* Where the samples of one axis come from: `count` outputs, each `first[i]` .. `first[i] + taps[i] - 1` of the input,
 * with `width` slots of weights for each. */
struct axis {
    int32_t count, width;
    int32_t *first, *taps;
    int32_t *fixed;  /* 8-bit */
    double *weights; /* 16-bit, and on the way to `fixed` */
};

struct dio_pixels dio_pixels_of(const struct dio_picture *picture, int32_t x, int32_t y, int32_t width, int32_t height)
{
    const size_t pixel = (size_t)picture->channels * (picture->sample == DIO_SAMPLE_U16 ? 2u : 1u);
    const size_t stride = pixel * (size_t)picture->width;
    return (struct dio_pixels){(const uint8_t *)picture->data + (size_t)y * stride + (size_t)x * pixel,
                               stride,
                               width,
                               height,
                               picture->channels,
                               picture->sample};
}

void dio_resize_scratch_free(struct dio_ctx *ctx, struct dio_resize_scratch *scratch)
{
    for (size_t i = 0; i < sizeof scratch->blocks / sizeof scratch->blocks[0]; i++) dio_free(ctx, scratch->blocks[i]);
    *scratch = (struct dio_resize_scratch){0};
}

static void *grow(struct dio_ctx *ctx, struct dio_resize_scratch *scratch, enum block block, size_t size)
{
    if (scratch->blocks[block] && scratch->sizes[block] >= size) return scratch->blocks[block];
    dio_free(ctx, scratch->blocks[block]);
    scratch->sizes[block] = 0;
    scratch->blocks[block] = dio_alloc(ctx, size, "resizing a picture");
    if (scratch->blocks[block]) scratch->sizes[block] = size;
    return scratch->blocks[block];
}

/* ---- Filters, with Pillow's constants and order of operations ---- */

static double box_filter(double x)
{
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double bilinear_filter(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double hamming_filter(double x)
{
    x = fabs(x);
    if (x == 0.0) return 1.0;
    if (x >= 1.0) return 0.0;
    x = x * M_PI;
    return sin(x) / x * ((double)0.54f + (double)0.46f * cos(x));
}

static double bicubic_filter(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double sinc(double x)
{
    if (x == 0.0) return 1.0;
    x = x * M_PI;
    return sin(x) / x;
}

static double lanczos_filter(double x)
{
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

struct filter {
    double (*at)(double x);
    double support;
};

static struct filter filter_of(enum dio_interpolation interpolation)
{
    switch (interpolation) {
    case DIO_BOX: return (struct filter){box_filter, 0.5};
    case DIO_HAMMING: return (struct filter){hamming_filter, 1.0};
    case DIO_BICUBIC: return (struct filter){bicubic_filter, 2.0};
    case DIO_LANCZOS: return (struct filter){lanczos_filter, 3.0};
    default: return (struct filter){bilinear_filter, 1.0};
    }
}

/* ---- Weights ---- */

static dio_status make_axis(struct dio_ctx *ctx, struct dio_resize_scratch *scratch, enum block block, int32_t in,
                            int32_t out, int32_t from, int32_t count, enum dio_interpolation interpolation, bool fixed,
                            struct axis *axis)
{
    const struct filter filter = filter_of(interpolation);
    const double scale = (double)in / out, filter_scale = scale < 1.0 ? 1.0 : scale;
    const double support = filter.support * filter_scale, inverse = 1.0 / filter_scale;
    const double most = ceil(support) * 2 + 1;
    *axis = (struct axis){.count = count, .width = most < in ? (int32_t)most : in};

    size_t slots = 0, bytes = 0;
    if (!dio_mul_size((size_t)count, (size_t)axis->width, &slots) ||
        !dio_mul_size(slots, sizeof(double) + sizeof(int32_t), &bytes) ||
        !dio_add_size(bytes, (size_t)count * 2 * sizeof(int32_t), &bytes)) {
        bytes = SIZE_MAX;
    }
    axis->weights = grow(ctx, scratch, block, bytes);
    if (!axis->weights) return DIO_ERR_ENV;
    axis->fixed = (int32_t *)(axis->weights + slots);
    axis->first = axis->fixed + slots;
    axis->taps = axis->first + count;

    for (int32_t i = 0; i < count; i++) {
        const double center = (from + i + 0.5) * scale;
        /* Pillow converts to int, which truncates; both ends lie within the input afterwards. */
        const double lo = center - support + 0.5, hi = center + support + 0.5;
        const int32_t first = lo < 0 ? 0 : (int32_t)lo, last = hi > in ? in : (int32_t)hi;
        double *w = axis->weights + (size_t)i * (size_t)axis->width;
        double sum = 0.0;
        for (int32_t j = 0; j < last - first; j++) {
            w[j] = filter.at((j + first - center + 0.5) * inverse);
            sum += w[j];
        }
        for (int32_t j = 0; j < last - first; j++) {
            if (sum != 0.0) w[j] /= sum;
        }
        axis->first[i] = first;
        axis->taps[i] = last - first;
        int32_t *k = axis->fixed + (size_t)i * (size_t)axis->width;
        for (int32_t j = 0; fixed && j < last - first; j++) {
            k[j] = (int32_t)(w[j] < 0 ? w[j] * (1 << PRECISION) - 0.5 : w[j] * (1 << PRECISION) + 0.5);
        }
    }
    return DIO_OK;
}

/* ---- Passes over 8-bit samples ---- */

static inline uint8_t to_u8(int32_t sum)
{
    const int32_t v = sum >> PRECISION;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Modulo 2^32: the sums stay below 2^31 (the largest, lanczos, has weights of 1.3 times 2^22 in absolute value), and
 * unsigned arithmetic leaves nothing undefined on the way. */
static inline uint32_t product(int32_t weight, uint8_t sample)
{
    return (uint32_t)weight * sample;
}

static void across3_u8(const uint8_t *in, int32_t shift, const struct axis *axis, uint8_t *out)
{
    for (int32_t x = 0; x < axis->count; x++, out += 3) {
        const int32_t *k = axis->fixed + (size_t)x * (size_t)axis->width;
        const uint8_t *p = in + (ptrdiff_t)(axis->first[x] - shift) * 3;
        uint32_t r = 1u << (PRECISION - 1), g = r, b = r;
        for (int32_t j = 0; j < axis->taps[x]; j++, p += 3) {
            r += product(k[j], p[0]);
            g += product(k[j], p[1]);
            b += product(k[j], p[2]);
        }
        out[0] = to_u8((int32_t)r);
        out[1] = to_u8((int32_t)g);
        out[2] = to_u8((int32_t)b);
    }
}

static void across_u8(const uint8_t *in, int32_t shift, int32_t channels, const struct axis *axis, uint8_t *out)
{
    for (int32_t x = 0; x < axis->count; x++) {
        const int32_t *k = axis->fixed + (size_t)x * (size_t)axis->width;
        for (int32_t c = 0; c < channels; c++) {
            const uint8_t *p = in + (ptrdiff_t)(axis->first[x] - shift) * channels + c;
            uint32_t sum = 1u << (PRECISION - 1);
            for (int32_t j = 0; j < axis->taps[x]; j++, p += channels) sum += product(k[j], *p);
            *out++ = to_u8((int32_t)sum);
        }
    }
}

/* One output row from rows in + first * stride ... */
static void down_u8(const uint8_t *in, size_t stride, const int32_t *k, int32_t taps, size_t samples,
                    uint32_t *restrict sums, uint8_t *restrict out)
{
    for (size_t i = 0; i < samples; i++) sums[i] = 1u << (PRECISION - 1);
    int32_t j = 0;
    for (; j + 1 < taps; j += 2) { /* two rows at a time: half the traffic over the sums */
        const uint8_t *restrict a = in + (size_t)j * stride, *restrict b = a + stride;
        const uint32_t ka = (uint32_t)k[j], kb = (uint32_t)k[j + 1];
        for (size_t i = 0; i < samples; i++) sums[i] += ka * a[i] + kb * b[i];
    }
    for (; j < taps; j++) {
        const uint8_t *restrict a = in + (size_t)j * stride;
        const uint32_t ka = (uint32_t)k[j];
        for (size_t i = 0; i < samples; i++) sums[i] += ka * a[i];
    }
    for (size_t i = 0; i < samples; i++) out[i] = to_u8((int32_t)sums[i]);
}

/* ---- Passes over 16-bit samples: sums in double, in order, rounded half away from zero ---- */

static inline uint16_t to_u16(double sum)
{
    const double v = sum >= 0.0 ? floor(sum + 0.5) : 0.0;
    return (uint16_t)(v > 65535.0 ? 65535.0 : v);
}

static void across_u16(const uint16_t *in, int32_t shift, int32_t channels, const struct axis *axis, uint16_t *out)
{
    for (int32_t x = 0; x < axis->count; x++) {
        const double *w = axis->weights + (size_t)x * (size_t)axis->width;
        for (int32_t c = 0; c < channels; c++) {
            const uint16_t *p = in + (ptrdiff_t)(axis->first[x] - shift) * channels + c;
            double sum = 0.0;
            for (int32_t j = 0; j < axis->taps[x]; j++, p += channels) sum += *p * w[j];
            *out++ = to_u16(sum);
        }
    }
}

static void down_u16(const uint8_t *in, size_t stride, const double *w, int32_t taps, size_t samples,
                     double *restrict sums, uint16_t *restrict out)
{
    for (size_t i = 0; i < samples; i++) sums[i] = 0.0;
    for (int32_t j = 0; j < taps; j++) {
        const uint16_t *restrict a = (const uint16_t *)(const void *)(in + (size_t)j * stride);
        for (size_t i = 0; i < samples; i++) sums[i] += a[i] * w[j];
    }
    for (size_t i = 0; i < samples; i++) out[i] = to_u16(sums[i]);
}

/* ---- The two passes over whichever ---- */

static void pass_across(const struct dio_pixels *in, int32_t shift, const struct axis *axis, uint8_t *out,
                        size_t out_stride)
{
    for (int32_t y = 0; y < in->height; y++) {
        const uint8_t *from = (const uint8_t *)in->data + (size_t)y * in->stride;
        void *to = out + (size_t)y * out_stride;
        if (in->sample == DIO_SAMPLE_U16) {
            across_u16((const uint16_t *)(const void *)from, shift, in->channels, axis, to);
        } else if (in->channels == 3) {
            across3_u8(from, shift, axis, to);
        } else {
            across_u8(from, shift, in->channels, axis, to);
        }
    }
}

static void pass_down(const struct dio_pixels *in, int32_t shift, const struct axis *axis, void *sums, uint8_t *out,
                      size_t out_stride)
{
    const size_t samples = (size_t)in->width * (size_t)in->channels;
    for (int32_t y = 0; y < axis->count; y++) {
        const uint8_t *from = (const uint8_t *)in->data + (ptrdiff_t)(axis->first[y] - shift) * (ptrdiff_t)in->stride;
        const size_t weights = (size_t)y * (size_t)axis->width;
        void *to = out + (size_t)y * out_stride;
        if (in->sample == DIO_SAMPLE_U16) {
            down_u16(from, in->stride, axis->weights + weights, axis->taps[y], samples, sums, to);
        } else {
            down_u8(from, in->stride, axis->fixed + weights, axis->taps[y], samples, sums, to);
        }
    }
}

/* First and one past the last input sample that an axis needs. */
static void range_of(const struct axis *axis, int32_t *first, int32_t *end)
{
    *first = axis->first[0];
    *end = axis->first[0] + axis->taps[0];
    for (int32_t i = 1; i < axis->count; i++) {
        if (axis->first[i] < *first) *first = axis->first[i];
        if (axis->first[i] + axis->taps[i] > *end) *end = axis->first[i] + axis->taps[i];
    }
}

static size_t pixel_bytes(const struct dio_pixels *in)
{
    return (size_t)in->channels * (in->sample == DIO_SAMPLE_U16 ? 2u : 1u);
}

static struct dio_pixels part_of(const struct dio_pixels *in, int32_t x, int32_t y, int32_t width, int32_t height)
{
    struct dio_pixels part = *in;
    part.data = (const uint8_t *)in->data + (size_t)y * in->stride + (size_t)x * pixel_bytes(in);
    part.width = width;
    part.height = height;
    return part;
}

static void copy_part(const struct dio_pixels *in, const struct dio_region *region, void *out, size_t out_stride)
{
    const struct dio_pixels part = part_of(in, region->x, region->y, region->width, region->height);
    for (int32_t y = 0; y < region->height; y++) {
        memcpy((uint8_t *)out + (size_t)y * out_stride, (const uint8_t *)part.data + (size_t)y * in->stride,
               (size_t)region->width * pixel_bytes(in));
    }
}

/* Indices of the nearest samples.  Pillow adds the step up for 8-bit samples and multiplies for mode I;16, which its
 * scaling path does not take: the two round differently. */
static void nearest_indices(int32_t in, int32_t out, bool added, int32_t from, int32_t count, int32_t *indices)
{
    const double step = (double)in / out;
    double sum = step * 0.5;
    for (int32_t i = added ? 0 : from; i < from + count; i++, sum += step) {
        const double x = added ? sum : (i + 0.5) * step;
        if (i >= from) indices[i - from] = (int32_t)x < in ? (int32_t)x : in - 1;
    }
}

static dio_status resize_nearest(struct dio_ctx *ctx, const struct dio_pixels *in, int32_t out_width,
                                 int32_t out_height, const struct dio_region *region, void *out, size_t out_stride,
                                 struct dio_resize_scratch *scratch)
{
    int32_t *columns = grow(ctx, scratch, BLOCK_ACROSS, (size_t)region->width * sizeof *columns);
    int32_t *rows = grow(ctx, scratch, BLOCK_DOWN, (size_t)region->height * sizeof *rows);
    if (!columns || !rows) return DIO_ERR_ENV;
    const bool added = in->sample == DIO_SAMPLE_U8;
    nearest_indices(in->width, out_width, added, region->x, region->width, columns);
    nearest_indices(in->height, out_height, added, region->y, region->height, rows);
    const size_t pixel = pixel_bytes(in);
    for (int32_t y = 0; y < region->height; y++) {
        const uint8_t *from = (const uint8_t *)in->data + (size_t)rows[y] * in->stride;
        uint8_t *to = (uint8_t *)out + (size_t)y * out_stride;
        for (int32_t x = 0; x < region->width; x++, to += pixel) memcpy(to, from + (size_t)columns[x] * pixel, pixel);
    }
    return DIO_OK;
}

dio_status dio_resize(struct dio_ctx *ctx, const struct dio_pixels *in, int32_t out_width, int32_t out_height,
                      enum dio_interpolation interpolation, enum dio_pillow pillow, const struct dio_region *region,
                      void *out, size_t out_stride, struct dio_resize_scratch *scratch)
{
    const bool across = in->width != out_width, down = in->height != out_height;
    if (!across && !down) {
        copy_part(in, region, out, out_stride);
        return DIO_OK;
    }
    if (interpolation == DIO_NEAREST) {
        return resize_nearest(ctx, in, out_width, out_height, region, out, out_stride, scratch);
    }

    const bool fixed = in->sample == DIO_SAMPLE_U8;
    struct axis x_axis = {0}, y_axis = {0};
    int32_t left = region->x, right = region->x + region->width, top = region->y, bottom = region->y + region->height;
    if (across) {
        DIO_PASS(make_axis(ctx, scratch, BLOCK_ACROSS, in->width, out_width, region->x, region->width, interpolation,
                           fixed, &x_axis));
        range_of(&x_axis, &left, &right);
    }
    if (down) {
        DIO_PASS(make_axis(ctx, scratch, BLOCK_DOWN, in->height, out_height, region->y, region->height, interpolation,
                           fixed, &y_axis));
        range_of(&y_axis, &top, &bottom);
    }
    const struct dio_pixels needed = part_of(in, left, top, right - left, bottom - top);
    if (!down) {
        pass_across(&needed, left, &x_axis, out, out_stride);
        return DIO_OK;
    }
    const size_t widest = (size_t)(needed.width > region->width ? needed.width : region->width) * (size_t)in->channels;
    void *sums = grow(ctx, scratch, BLOCK_SUMS, widest * sizeof(double));
    if (!sums) return DIO_ERR_ENV;
    if (!across) {
        pass_down(&needed, top, &y_axis, sums, out, out_stride);
        return DIO_OK;
    }
    const int64_t lost_height = (int64_t)in->height - out_height, lost_width = (int64_t)in->width - out_width;
    const bool down_first = pillow == DIO_PILLOW_13 && lost_height > 0 && lost_height > 2 * lost_width;
    struct dio_pixels between = needed;
    if (down_first) between.height = region->height;
    else between.width = region->width;
    between.stride = (size_t)between.width * pixel_bytes(in);
    void *temporary = grow(ctx, scratch, BLOCK_TEMPORARY, between.stride * (size_t)between.height);
    if (!temporary) return DIO_ERR_ENV;
    between.data = temporary;
    if (down_first) {
        pass_down(&needed, top, &y_axis, sums, temporary, between.stride);
        pass_across(&between, left, &x_axis, out, out_stride);
    } else {
        pass_across(&needed, left, &x_axis, temporary, between.stride);
        pass_down(&between, top, &y_axis, sums, out, out_stride);
    }
    return DIO_OK;
}
