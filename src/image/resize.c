/* Pillow's resize: two passes of filtered sums, 8-bit samples with 22-bit fixed-point weights and rounded to 8 bits
 * between the passes.  Only the rows, columns and weights that the wanted region needs are computed. */
#include "image/resize.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "kernels/kernels.h"

enum block { BLOCK_TEMPORARY, BLOCK_ACROSS, BLOCK_DOWN, BLOCK_PASS };

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
    const struct dio_region *held = &picture->held;
    const size_t stride = pixel * (size_t)held->width;
    struct dio_pixels pixels = {picture->data, stride, width, height, picture->channels, picture->sample, 0, 0};
    /* What is held begins before the part, or within it. */
    const int32_t left = x - held->x, top = y - held->y;
    if (top > 0) pixels.data = (const uint8_t *)pixels.data + (size_t)top * stride;
    if (left > 0) pixels.data = (const uint8_t *)pixels.data + (size_t)left * pixel;
    pixels.left = left < 0 ? -left : 0;
    pixels.top = top < 0 ? -top : 0;
    return pixels;
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
    scratch->blocks[block] = dio_alloc_aligned(ctx, size, "resizing a picture");
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

static int32_t slots_of(int32_t in, int32_t out, enum dio_interpolation interpolation)
{
    const double scale = (double)in / out, support = filter_of(interpolation).support * (scale < 1.0 ? 1.0 : scale);
    const double most = ceil(support) * 2 + 1;
    return most < in ? (int32_t)most : in;
}

/* Where output i of an axis looks: the first sample, and one past the last. */
static void taps_of(int32_t in, double scale, double support, int32_t i, int32_t *first, int32_t *end)
{
    const double center = (i + 0.5) * scale;
    /* Pillow converts to int, which truncates; both ends lie within the input afterwards. */
    const double lo = center - support + 0.5, hi = center + support + 0.5;
    *first = lo < 0 ? 0 : (int32_t)lo;
    *end = hi > in ? in : (int32_t)hi;
}

static void compute_weights(const struct dio_resize_key *key, const struct axis *axis)
{
    const struct filter filter = filter_of(key->interpolation);
    const double scale = (double)key->in / key->out, filter_scale = scale < 1.0 ? 1.0 : scale;
    const double support = filter.support * filter_scale, inverse = 1.0 / filter_scale;
    for (int32_t i = 0; i < axis->count; i++) {
        const double center = (key->from + i + 0.5) * scale;
        int32_t first = 0, last = 0;
        taps_of(key->in, scale, support, key->from + i, &first, &last);
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
        for (int32_t j = 0; key->fixed && j < last - first; j++) {
            k[j] = (int32_t)(w[j] < 0 ? w[j] * (1 << DIO_RESIZE_BITS) - 0.5 : w[j] * (1 << DIO_RESIZE_BITS) + 0.5);
        }
    }
}

/* The weights of the last picture serve again when this one asks for the same: pictures of one size often follow each
 * other. */
static dio_status make_axis(struct dio_ctx *ctx, struct dio_resize_scratch *scratch, enum block block,
                            const struct dio_resize_key *key, struct axis *axis)
{
    struct dio_resize_key *kept = &scratch->keys[block == BLOCK_DOWN];
    const struct dio_resize_key before = *kept;
    *axis = (struct axis){.count = key->count, .width = slots_of(key->in, key->out, key->interpolation)};
    size_t slots = 0, bytes = 0;
    if (!dio_mul_size((size_t)axis->count, (size_t)axis->width, &slots) ||
        !dio_mul_size(slots, sizeof(double) + sizeof(int32_t), &bytes) ||
        !dio_add_size(bytes, (size_t)axis->count * 2 * sizeof(int32_t), &bytes)) {
        bytes = SIZE_MAX;
    }
    *kept = (struct dio_resize_key){0};
    axis->weights = grow(ctx, scratch, block, bytes);
    if (!axis->weights) return DIO_ERR_ENV;
    axis->fixed = (int32_t *)(axis->weights + slots);
    axis->first = axis->fixed + slots;
    axis->taps = axis->first + axis->count;
    const bool same = before.in == key->in && before.out == key->out && before.from == key->from &&
                      before.count == key->count && before.interpolation == key->interpolation &&
                      before.fixed == key->fixed;
    if (!same) compute_weights(key, axis);
    *kept = *key;
    return DIO_OK;
}

/* First and one past the last input sample that outputs from .. from + count - 1 need. */
static void range_of(int32_t in, int32_t out, enum dio_interpolation interpolation, int32_t from, int32_t count,
                     int32_t *first, int32_t *end)
{
    *first = from;
    *end = from + count;
    if (in == out) return;
    if (interpolation == DIO_NEAREST) { /* sums of steps, which rounding may move by one */
        const double step = (double)in / out;
        const int32_t lo = (int32_t)(step * from) - 1, hi = (int32_t)(step * (from + count)) + 2;
        *first = lo < 0 ? 0 : lo;
        *end = hi > in ? in : hi;
        return;
    }
    const double scale = (double)in / out, support = filter_of(interpolation).support * (scale < 1.0 ? 1.0 : scale);
    int32_t unused = 0;
    taps_of(in, scale, support, from, first, &unused);
    taps_of(in, scale, support, from + count - 1, &unused, end);
}

struct dio_region dio_resize_needs(int32_t width, int32_t height, int32_t out_width, int32_t out_height,
                                   enum dio_interpolation interpolation, const struct dio_region *region)
{
    int32_t left = 0, right = 0, top = 0, bottom = 0;
    range_of(width, out_width, interpolation, region->x, region->width, &left, &right);
    range_of(height, out_height, interpolation, region->y, region->height, &top, &bottom);
    return (struct dio_region){left, top, right - left, bottom - top};
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

static struct dio_resize_axis fixed_axis(const struct axis *axis)
{
    return (struct dio_resize_axis){axis->count, axis->width, axis->first, axis->taps, axis->fixed};
}

static void pass_across(const struct dio_kernels *kernels, const struct dio_pixels *in, int32_t shift,
                        const struct axis *axis, void *scratch, uint8_t *out, size_t out_stride)
{
    if (in->sample == DIO_SAMPLE_U8) {
        const struct dio_resize_axis fixed = fixed_axis(axis);
        (kernels ? kernels->resize_across : dio_resize_across_plain)(
            &(struct dio_resize_across){&fixed, in->data, in->stride, in->height, in->width, shift, in->channels, out,
                                        out_stride, scratch});
        return;
    }
    for (int32_t y = 0; y < in->height; y++) {
        const void *from = (const uint8_t *)in->data + (size_t)y * in->stride;
        void *to = out + (size_t)y * out_stride;
        across_u16(from, shift, in->channels, axis, to);
    }
}

static void pass_down(const struct dio_kernels *kernels, const struct dio_pixels *in, int32_t shift,
                      const struct axis *axis, void *scratch, uint8_t *out, size_t out_stride)
{
    const size_t samples = (size_t)in->width * (size_t)in->channels;
    if (in->sample == DIO_SAMPLE_U8) {
        const struct dio_resize_axis fixed = fixed_axis(axis);
        (kernels ? kernels->resize_down : dio_resize_down_plain)(
            &(struct dio_resize_down){&fixed, in->data, in->stride, samples, shift, out, out_stride, scratch});
        return;
    }
    for (int32_t y = 0; y < axis->count; y++) {
        const uint8_t *from = (const uint8_t *)in->data + (ptrdiff_t)(axis->first[y] - shift) * (ptrdiff_t)in->stride;
        void *to = out + (size_t)y * out_stride;
        down_u16(from, in->stride, axis->weights + (size_t)y * (size_t)axis->width, axis->taps[y], samples, scratch, to);
    }
}

/* What either pass works in. */
static size_t pass_scratch(const struct axis *across, const struct axis *down, int32_t widest,
                           const struct dio_pixels *in)
{
    if (in->sample == DIO_SAMPLE_U16) return (size_t)widest * (size_t)in->channels * sizeof(double);
    const size_t a = across->count ? dio_resize_across_scratch(across->count, across->width, in->channels) : 0;
    const size_t b = dio_resize_down_scratch(down->width);
    return a > b ? a : b;
}

static size_t pixel_bytes(const struct dio_pixels *in)
{
    return (size_t)in->channels * (in->sample == DIO_SAMPLE_U16 ? 2u : 1u);
}

static struct dio_pixels part_of(const struct dio_pixels *in, int32_t x, int32_t y, int32_t width, int32_t height)
{
    struct dio_pixels part = *in;
    part.data = (const uint8_t *)in->data + (size_t)(y - in->top) * in->stride + (size_t)(x - in->left) * pixel_bytes(in);
    part.width = width;
    part.height = height;
    part.left = part.top = 0;
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
    scratch->keys[0] = scratch->keys[1] = (struct dio_resize_key){0};
    int32_t *columns = grow(ctx, scratch, BLOCK_ACROSS, (size_t)region->width * sizeof *columns);
    int32_t *rows = grow(ctx, scratch, BLOCK_DOWN, (size_t)region->height * sizeof *rows);
    if (!columns || !rows) return DIO_ERR_ENV;
    const bool added = in->sample == DIO_SAMPLE_U8;
    nearest_indices(in->width, out_width, added, region->x, region->width, columns);
    nearest_indices(in->height, out_height, added, region->y, region->height, rows);
    const size_t pixel = pixel_bytes(in);
    for (int32_t y = 0; y < region->height; y++) {
        const uint8_t *from = (const uint8_t *)in->data + (size_t)(rows[y] - in->top) * in->stride;
        uint8_t *to = (uint8_t *)out + (size_t)y * out_stride;
        for (int32_t x = 0; x < region->width; x++, to += pixel) {
            memcpy(to, from + (size_t)(columns[x] - in->left) * pixel, pixel);
        }
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
    const struct dio_region need =
        dio_resize_needs(in->width, in->height, out_width, out_height, interpolation, region);
    struct axis x_axis = {0}, y_axis = {0};
    if (across) {
        const struct dio_resize_key key = {in->width, out_width, region->x, region->width, interpolation, fixed};
        DIO_PASS(make_axis(ctx, scratch, BLOCK_ACROSS, &key, &x_axis));
    }
    if (down) {
        const struct dio_resize_key key = {in->height, out_height, region->y, region->height, interpolation, fixed};
        DIO_PASS(make_axis(ctx, scratch, BLOCK_DOWN, &key, &y_axis));
    }
    const struct dio_pixels needed = part_of(in, need.x, need.y, need.width, need.height);
    const int32_t widest = need.width > region->width ? need.width : region->width;
    void *pass = grow(ctx, scratch, BLOCK_PASS, pass_scratch(&x_axis, &y_axis, widest, in));
    if (!pass) return DIO_ERR_ENV;
    if (!down) {
        pass_across(ctx->kernels, &needed, need.x, &x_axis, pass, out, out_stride);
        return DIO_OK;
    }
    if (!across) {
        pass_down(ctx->kernels, &needed, need.y, &y_axis, pass, out, out_stride);
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
        pass_down(ctx->kernels, &needed, need.y, &y_axis, pass, temporary, between.stride);
        pass_across(ctx->kernels, &between, need.x, &x_axis, pass, out, out_stride);
    } else {
        pass_across(ctx->kernels, &needed, need.x, &x_axis, pass, temporary, between.stride);
        pass_down(ctx->kernels, &between, need.y, &y_axis, pass, out, out_stride);
    }
    return DIO_OK;
}
