#include "image/prepare.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "image/jitter.h"
#include "image/orient.h"
#include "kernels/kernels.h"

static float normalise(const struct dio_image_recipe *recipe, int32_t channel, double value, double largest)
{
    const float scaled = recipe->scaling == DIO_SCALE_RESCALE ? (float)(value * (0.00392156862745098 * 255.0 / largest))
                                                              : (float)value / (float)largest;
    return (scaled - (float)recipe->mean[channel]) / (float)recipe->std[channel];
}

dio_status dio_prepare_init(struct dio_ctx *ctx, const struct dio_image_recipe *recipe, struct dio_prepare *prepare)
{
    *prepare = (struct dio_prepare){.recipe = *recipe};
    prepare->table = dio_alloc_array(ctx, (size_t)recipe->channels, sizeof *prepare->table, "preprocessing tables");
    if (!prepare->table) return DIO_ERR_ENV;
    for (int32_t c = 0; c < recipe->channels; c++) {
        for (int v = 0; v < 256; v++) prepare->table[c][v] = normalise(recipe, c, v, 255);
        const double mean = recipe->mean[c] < 0 ? 0 : recipe->mean[c] > 1 ? 1 : recipe->mean[c];
        prepare->fill[c][0] = (uint16_t)rint(255 * mean);
        prepare->fill[c][1] = (uint16_t)rint(65535 * mean);
    }
    dio_normalise_init(&prepare->normalise, recipe->channels, prepare->table, recipe->mean, recipe->std);
    return DIO_OK;
}

void dio_prepare_free(struct dio_ctx *ctx, struct dio_prepare *prepare)
{
    dio_free(ctx, prepare->table);
    *prepare = (struct dio_prepare){0};
}

void dio_prepare_scratch_free(struct dio_ctx *ctx, struct dio_prepare_scratch *scratch)
{
    dio_resize_scratch_free(ctx, &scratch->resize);
    dio_free(ctx, scratch->canvas);
    dio_free(ctx, scratch->grey);
    dio_free(ctx, scratch->row);
    *scratch = (struct dio_prepare_scratch){0};
}

static void *grow(struct dio_ctx *ctx, void **block, size_t *capacity, size_t size)
{
    if (*block && *capacity >= size) return *block;
    dio_free(ctx, *block);
    *capacity = 0;
    *block = dio_alloc(ctx, size, "preparing a picture");
    if (*block) *capacity = size;
    return *block;
}

/* ---- Channels ---- */

static dio_status check_channels(struct dio_ctx *ctx, const struct dio_image_recipe *recipe, const char *name,
                                 const struct dio_picture *picture)
{
    const int32_t have = picture->channels, want = recipe->channels;
    if (have == want || (have == 1 && want == 3) || (have == 3 && want == 1)) return DIO_OK;
    return dio_fail(ctx, DIO_ERR_INPUT, "I22", &(struct dio_place){.file = name}, "%d channels, the model reads %d",
                    (int)have, (int)want);
}

/* A colour picture as grey, before anything else is done with it. */
static dio_status make_grey(struct dio_ctx *ctx, struct dio_prepare_scratch *scratch, const struct dio_picture *picture,
                            struct dio_picture *grey)
{
    const size_t pixels = (size_t)picture->held.width * (size_t)picture->held.height;
    const bool deep = picture->sample == DIO_SAMPLE_U16;
    *grey = *picture;
    grey->channels = 1;
    grey->data = grow(ctx, &scratch->grey, &scratch->grey_size, pixels * (deep ? 2 : 1));
    if (!grey->data) return DIO_ERR_ENV;
    for (size_t i = 0; i < pixels; i++) {
        const uint8_t *p8 = (const uint8_t *)picture->data + 3 * i;
        const uint16_t *p16 = (const uint16_t *)picture->data + 3 * i;
        const uint64_t r = deep ? p16[0] : p8[0], g = deep ? p16[1] : p8[1], b = deep ? p16[2] : p8[2];
        const uint64_t v = (19595 * r + 38470 * g + 7471 * b + 32768) >> 16;
        if (deep) ((uint16_t *)grey->data)[i] = (uint16_t)v;
        else ((uint8_t *)grey->data)[i] = (uint8_t)v;
    }
    return DIO_OK;
}

/* ---- Geometry: canvas of width x height, of which `inner` comes from a resize and the rest is filled ---- */

struct layout {
    struct dio_region source;  /* of the picture */
    int32_t resized_width, resized_height;
    int32_t x, y;              /* place of the canvas in the resized picture; negative: filled up */
    struct dio_region region;  /* of the resized picture, on the canvas; may be empty */
};

/* torchvision's centre: half of what is left over, round half to even; what is missing is shared, less of it in front.
 */
static int32_t centre(int32_t size, int32_t crop)
{
    return size >= crop ? (int32_t)rint((size - crop) / 2.0) : -((crop - size) / 2);
}

static void lay_source(const struct dio_image_recipe *recipe, const struct dio_view *view, int32_t width,
                       int32_t height, struct layout *layout)
{
    *layout = (struct layout){.source = {0, 0, width, height}};
    if (view && view->crop == DIO_CROP_RANDOM) {
        layout->source = (struct dio_region){view->x, view->y, view->width, view->height};
        layout->resized_width = recipe->width;
        layout->resized_height = recipe->height;
        return;
    }
    dio_image_recipe_resized(recipe, width, height, &layout->resized_width, &layout->resized_height);
    if (view && view->crop == DIO_CROP_SHIFT) {
        layout->x = view->x - view->pad;
        layout->y = view->y - view->pad;
    } else {
        layout->x = centre(layout->resized_width, recipe->width);
        layout->y = centre(layout->resized_height, recipe->height);
    }
}

static struct layout make_layout(const struct dio_image_recipe *recipe, const struct dio_view *view, int32_t width,
                                 int32_t height)
{
    struct layout layout;
    lay_source(recipe, view, width, height, &layout);
    struct dio_region region = {layout.x < 0 ? 0 : layout.x, layout.y < 0 ? 0 : layout.y, 0, 0};
    const int64_t right = (int64_t)layout.x + recipe->width, bottom = (int64_t)layout.y + recipe->height;
    region.width = (int32_t)(right < layout.resized_width ? right : layout.resized_width) - region.x;
    region.height = (int32_t)(bottom < layout.resized_height ? bottom : layout.resized_height) - region.y;
    layout.region = region;
    return layout;
}

int32_t dio_prepare_shrink(const struct dio_prepare *prepare, const struct dio_view *view, int32_t width, int32_t height)
{
    if (!prepare->recipe.fast_decode) return 1;
    const struct layout layout = make_layout(&prepare->recipe, view, width, height);
    return dio_picture_shrink((int64_t)width * height, layout.source.width, layout.source.height, layout.resized_width,
                              layout.resized_height);
}

/* A rectangle of the full picture in the one that was decoded smaller: not empty, and inside. */
static struct dio_region shrunk(const struct dio_picture *picture, const struct dio_region *full)
{
    const int32_t by = picture->shrink, right = full->x + full->width, bottom = full->y + full->height;
    struct dio_region out = {full->x / by, full->y / by, 0, 0};
    out.width = (right == picture->full_width ? picture->width : right / by) - out.x;
    out.height = (bottom == picture->full_height ? picture->height : bottom / by) - out.y;
    return out;
}

struct dio_region dio_prepare_window(const struct dio_prepare *prepare, const struct dio_view *view, int32_t width,
                                     int32_t height)
{
    const struct layout layout = make_layout(&prepare->recipe, view, width, height);
    if (layout.region.width <= 0 || layout.region.height <= 0) return (struct dio_region){0, 0, 1, 1};
    struct dio_region window = dio_resize_needs(layout.source.width, layout.source.height, layout.resized_width,
                                                layout.resized_height, prepare->recipe.interpolation, &layout.region);
    window.x += layout.source.x;
    window.y += layout.source.y;
    return window;
}

static struct dio_region evaluation_region(void *arg, int32_t width, int32_t height)
{
    return dio_prepare_window(arg, NULL, width, height);
}

static int32_t evaluation_shrink(void *arg, int32_t width, int32_t height)
{
    return dio_prepare_shrink(arg, NULL, width, height);
}

struct dio_window dio_prepare_evaluation_window(const struct dio_prepare *prepare)
{
    return (struct dio_window){evaluation_region, evaluation_shrink, (void *)(uintptr_t)prepare};
}

static void fill_canvas(const struct dio_prepare *prepare, const struct dio_picture *picture, bool mean_colour,
                        void *canvas)
{
    const size_t samples = (size_t)prepare->recipe.width * (size_t)prepare->recipe.height * (size_t)picture->channels;
    const bool deep = picture->sample == DIO_SAMPLE_U16;
    if (!mean_colour) {
        memset(canvas, 0, samples * (deep ? 2 : 1));
        return;
    }
    for (size_t i = 0; i < samples; i++) {
        const uint16_t value = prepare->fill[i % (size_t)picture->channels][deep];
        if (deep) ((uint16_t *)canvas)[i] = value;
        else ((uint8_t *)canvas)[i] = (uint8_t)value;
    }
}

static dio_status draw_canvas(struct dio_ctx *ctx, const struct dio_prepare *prepare, const struct dio_view *view,
                              const struct dio_picture *picture, struct dio_prepare_scratch *scratch)
{
    const struct dio_image_recipe *recipe = &prepare->recipe;
    const size_t pixel = (size_t)picture->channels * (picture->sample == DIO_SAMPLE_U16 ? 2u : 1u);
    const size_t stride = (size_t)recipe->width * pixel;
    uint8_t *canvas = grow(ctx, &scratch->canvas, &scratch->canvas_size, stride * (size_t)recipe->height);
    if (!canvas) return DIO_ERR_ENV;
    const struct layout layout = make_layout(recipe, view, picture->full_width, picture->full_height);
    const struct dio_region region = layout.region;
    if (region.width < recipe->width || region.height < recipe->height) {
        fill_canvas(prepare, picture, recipe->fit == DIO_FIT_PAD && !(view && view->crop == DIO_CROP_SHIFT), canvas);
        if (region.width <= 0 || region.height <= 0) return DIO_OK; /* a shift that leaves the picture */
    }
    uint8_t *out = canvas + (size_t)(region.y - layout.y) * stride + (size_t)(region.x - layout.x) * pixel;
    const struct dio_region from = shrunk(picture, &layout.source);
    const struct dio_pixels source = dio_pixels_of(picture, from.x, from.y, from.width, from.height);
    DIO_PASS(dio_resize(ctx, &source, layout.resized_width, layout.resized_height, recipe->interpolation,
                        recipe->pillow, &region, out, stride, &scratch->resize));
    if (view && view->jitter) {
        dio_jitter_apply(view, canvas, (size_t)recipe->width * (size_t)recipe->height, picture->channels,
                         picture->sample);
    }
    return DIO_OK;
}

static dio_status make_canvas(struct dio_ctx *ctx, const struct dio_prepare *prepare, const struct dio_view *view,
                              const char *name, const struct dio_picture *picture, struct dio_prepare_scratch *scratch,
                              int32_t *channels)
{
    DIO_PASS(check_channels(ctx, &prepare->recipe, name, picture));
    struct dio_picture grey;
    if (picture->channels == 3 && prepare->recipe.channels == 1) {
        DIO_PASS(make_grey(ctx, scratch, picture, &grey));
        picture = &grey;
    }
    *channels = picture->channels;
    return draw_canvas(ctx, prepare, view, picture, scratch);
}

/* ---- Numbers ---- */

static struct dio_turn turn_for(const struct dio_image_recipe *recipe, const struct dio_view *view)
{
    return dio_turn_of(view ? view->orientation : 1, recipe->width, recipe->height);
}

/* One row of the turned canvas, with the channels of the recipe: in place where it lies so, else collected in `row`. */
static const uint8_t *turned_row(const struct dio_turn *turn, const uint8_t *canvas, int32_t y, int32_t stored,
                                 int32_t channels, uint8_t *row)
{
    const uint8_t *from = canvas + (turn->start + y * turn->row) * stored;
    if (turn->column == 1 && stored == channels) return from;
    const ptrdiff_t step = turn->column * stored;
    uint8_t *to = row;
    for (int32_t x = 0; x < turn->width; x++, from += step) {
        if (stored == 3 && channels == 3) {
            to[0] = from[0];
            to[1] = from[1];
            to[2] = from[2];
            to += 3;
            continue;
        }
        for (int32_t c = 0; c < channels; c++) *to++ = from[stored == 1 ? 0 : c];
    }
    return row;
}

static void write_u8(const struct dio_kernels *kernels, const struct dio_prepare *prepare, const struct dio_turn *turn,
                     const uint8_t *canvas, int32_t stored, uint8_t *row, float *out)
{
    const int32_t channels = prepare->recipe.channels;
    const int64_t samples = (int64_t)turn->width * channels;
    for (int32_t y = 0; y < turn->height; y++, out += samples) {
        const uint8_t *from = turned_row(turn, canvas, y, stored, channels, row);
        (kernels ? kernels->normalise_u8 : dio_normalise_u8_plain)(&prepare->normalise, from, samples, out);
    }
}

static void write_u16(const struct dio_prepare *prepare, const struct dio_turn *turn, const uint16_t *canvas,
                      int32_t stored, float *out)
{
    const int32_t channels = prepare->recipe.channels;
    for (int32_t y = 0; y < turn->height; y++) {
        const uint16_t *row = canvas + (turn->start + y * turn->row) * stored;
        for (int32_t x = 0; x < turn->width; x++) {
            const uint16_t *p = row + x * turn->column * stored;
            for (int32_t c = 0; c < channels; c++) {
                *out++ = normalise(&prepare->recipe, c, p[stored == 1 ? 0 : c], 65535);
            }
        }
    }
}

dio_status dio_prepare_run(struct dio_ctx *ctx, const struct dio_prepare *prepare, const struct dio_view *view,
                           const char *name, const struct dio_picture *picture, struct dio_prepare_scratch *scratch,
                           float *out)
{
    int32_t stored = 0;
    DIO_PASS(make_canvas(ctx, prepare, view, name, picture, scratch, &stored));
    const struct dio_turn turn = turn_for(&prepare->recipe, view);
    if (picture->sample == DIO_SAMPLE_U16) {
        write_u16(prepare, &turn, scratch->canvas, stored, out);
        return DIO_OK;
    }
    uint8_t *row = grow(ctx, &scratch->row, &scratch->row_size, (size_t)turn.width * (size_t)prepare->recipe.channels);
    if (!row) return DIO_ERR_ENV;
    write_u8(ctx->kernels, prepare, &turn, scratch->canvas, stored, row, out);
    return DIO_OK;
}

dio_status dio_prepare_pixels(struct dio_ctx *ctx, const struct dio_prepare *prepare, const struct dio_view *view,
                              const char *name, const struct dio_picture *picture, struct dio_prepare_scratch *scratch,
                              uint8_t *out)
{
    int32_t stored = 0;
    DIO_PASS(make_canvas(ctx, prepare, view, name, picture, scratch, &stored));
    const struct dio_turn turn = turn_for(&prepare->recipe, view);
    const int32_t channels = prepare->recipe.channels;
    for (int32_t y = 0; y < turn.height; y++) {
        for (int32_t x = 0; x < turn.width; x++) {
            const ptrdiff_t at = (turn.start + y * turn.row + x * turn.column) * stored;
            for (int32_t c = 0; c < channels; c++) {
                const ptrdiff_t i = at + (stored == 1 ? 0 : c);
                *out++ = picture->sample == DIO_SAMPLE_U16 ? (uint8_t)(((const uint16_t *)scratch->canvas)[i] >> 8)
                                                           : ((const uint8_t *)scratch->canvas)[i];
            }
        }
    }
    return DIO_OK;
}
