#include "image/augment.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"

const struct dio_augment_name dio_augment_names[] = {
    {"crop", "none|random|shift", "random part of the picture, or a small picture shifted within a black border"},
    {"scale", "MIN,MAX", "share of the picture's area that a random crop keeps"},
    {"ratio", "MIN,MAX", "width divided by height of a random crop"},
    {"pad", "N", "border of crop shift, in pixels of the input"},
    {"flip", "P", "probability of mirroring left and right"},
    {"vflip", "P", "probability of mirroring top and bottom"},
    {"orientations", "true|false", "all eight turns and mirrorings, equally likely"},
    {"brightness", "X", "factor drawn from 1-X to 1+X"},
    {"contrast", "X", "factor drawn from 1-X to 1+X"},
    {"saturation", "X", "factor drawn from 1-X to 1+X"},
    {NULL, NULL, NULL}};

static const char *const crop_names[] = {"none", "random", "shift"};

struct dio_augment dio_augment_none(void)
{
    return (struct dio_augment){.scale_min = 0.08, .scale_max = 1, .ratio_min = 0.75, .ratio_max = 4.0 / 3.0, .pad = 4};
}

bool dio_augment_any(const struct dio_augment *augment)
{
    return augment->crop != DIO_CROP_NONE || augment->flip > 0 || augment->vflip > 0 || augment->orientations ||
           augment->brightness > 0 || augment->contrast > 0 || augment->saturation > 0;
}

/* ---- Text ---- */

static dio_status refuse(struct dio_ctx *ctx, const struct dio_place *place, const char *name, const char *value,
                         const char *wanted)
{
    char shown[64];
    dio_escape(shown, sizeof shown, value, strlen(value), 48);
    return dio_fail(ctx, DIO_ERR_INPUT, "Y4", place, "augment.%s must be %s (found \"%s\")", name, wanted, shown);
}

static dio_status refuse_name(struct dio_ctx *ctx, const struct dio_place *place, const char *name)
{
    const char *known[sizeof dio_augment_names / sizeof dio_augment_names[0]];
    size_t count = 0;
    char shown[64];
    while (dio_augment_names[count].name) {
        known[count] = dio_augment_names[count].name;
        count++;
    }
    dio_escape(shown, sizeof shown, name, strlen(name), 48);
    const char *nearest = dio_nearest(name, known, count);
    if (!nearest) return dio_fail(ctx, DIO_ERR_INPUT, "Y2", place, "unknown key \"augment.%s\"", shown);
    return dio_fail(ctx, DIO_ERR_INPUT, "Y2", place, "unknown key \"augment.%s\"; did you mean \"%s\"?", shown,
                    nearest);
}

static bool parse_truth(const char *value, bool *truth)
{
    *truth = strcmp(value, "true") == 0;
    return *truth || strcmp(value, "false") == 0;
}

static bool parse_number(const char *value, double low, double high, double *out)
{
    double number = 0;
    if (!dio_parse_double(value, strlen(value), &number) || !(number >= low && number <= high)) return false;
    *out = number;
    return true;
}

static bool parse_pair(const char *value, double low, double high, double *first, double *second)
{
    const char *comma = strchr(value, ',');
    if (!comma) return false;
    const char *rest = comma + 1;
    while (*rest == ' ') rest++;
    double a = 0, b = 0;
    if (!dio_parse_double(value, (size_t)(comma - value), &a) || !dio_parse_double(rest, strlen(rest), &b)) {
        return false;
    }
    if (!(a >= low && a <= b && b <= high)) return false;
    *first = a;
    *second = b;
    return true;
}

static bool parse_crop(const char *value, enum dio_augment_crop *crop)
{
    bool truth = false;
    if (parse_truth(value, &truth)) {
        *crop = truth ? DIO_CROP_RANDOM : DIO_CROP_NONE;
        return true;
    }
    for (size_t i = 0; i < sizeof crop_names / sizeof crop_names[0]; i++) {
        if (strcmp(value, crop_names[i]) != 0) continue;
        *crop = (enum dio_augment_crop)i;
        return true;
    }
    return false;
}

static bool parse_probability(const char *value, double *probability)
{
    bool truth = false;
    if (!parse_truth(value, &truth)) return parse_number(value, 0, 1, probability);
    *probability = truth ? 0.5 : 0;
    return true;
}

dio_status dio_augment_set(struct dio_ctx *ctx, const struct dio_place *place, const char *name, const char *value,
                           struct dio_augment *augment)
{
    bool fine = false;
    const char *wanted = "";
    if (strcmp(name, "crop") == 0) {
        wanted = "none, random or shift";
        fine = parse_crop(value, &augment->crop);
    } else if (strcmp(name, "scale") == 0) {
        wanted = "MIN,MAX, above 0 and up to 1";
        fine = parse_pair(value, 1e-6, 1, &augment->scale_min, &augment->scale_max);
    } else if (strcmp(name, "ratio") == 0) {
        wanted = "MIN,MAX from 0.01 to 100";
        fine = parse_pair(value, 0.01, 100, &augment->ratio_min, &augment->ratio_max);
    } else if (strcmp(name, "pad") == 0) {
        double pad = 0;
        wanted = "a whole number from 0 to 4096";
        fine = parse_number(value, 0, 4096, &pad) && pad == floor(pad);
        if (fine) augment->pad = (int32_t)pad;
    } else if (strcmp(name, "flip") == 0 || strcmp(name, "vflip") == 0) {
        wanted = "true, false, or a probability from 0 to 1";
        fine = parse_probability(value, name[0] == 'v' ? &augment->vflip : &augment->flip);
    } else if (strcmp(name, "orientations") == 0) {
        wanted = "true or false";
        fine = parse_truth(value, &augment->orientations);
    } else if (strcmp(name, "brightness") == 0 || strcmp(name, "contrast") == 0 || strcmp(name, "saturation") == 0) {
        wanted = "a number from 0 to 10";
        fine = parse_number(value, 0, 10,
                            name[0] == 'b'   ? &augment->brightness
                            : name[0] == 'c' ? &augment->contrast
                                             : &augment->saturation);
    } else {
        return refuse_name(ctx, place, name);
    }
    return fine ? DIO_OK : refuse(ctx, place, name, value, wanted);
}

static void add_number(struct dio_str *out, double value)
{
    char text[40];
    dio_format_double(text, sizeof text, value);
    dio_str_add(out, text);
}

void dio_augment_get(struct dio_str *out, const char *name, const struct dio_augment *augment)
{
    if (strcmp(name, "crop") == 0) {
        dio_str_add(out, crop_names[augment->crop]);
    } else if (strcmp(name, "scale") == 0 || strcmp(name, "ratio") == 0) {
        const bool scale = name[0] == 's';
        add_number(out, scale ? augment->scale_min : augment->ratio_min);
        dio_str_add(out, ",");
        add_number(out, scale ? augment->scale_max : augment->ratio_max);
    } else if (strcmp(name, "pad") == 0) {
        dio_str_addf(out, "%d", (int)augment->pad);
    } else if (strcmp(name, "flip") == 0) {
        add_number(out, augment->flip);
    } else if (strcmp(name, "vflip") == 0) {
        add_number(out, augment->vflip);
    } else if (strcmp(name, "orientations") == 0) {
        dio_str_add(out, augment->orientations ? "true" : "false");
    } else if (strcmp(name, "brightness") == 0) {
        add_number(out, augment->brightness);
    } else if (strcmp(name, "contrast") == 0) {
        add_number(out, augment->contrast);
    } else if (strcmp(name, "saturation") == 0) {
        add_number(out, augment->saturation);
    }
}

void dio_augment_write(struct dio_str *out, const struct dio_augment *augment)
{
    for (const struct dio_augment_name *name = dio_augment_names; name->name; name++) {
        dio_str_addf(out, "%s%s=", name == dio_augment_names ? "" : " ", name->name);
        dio_augment_get(out, name->name, augment);
    }
}

dio_status dio_augment_check(struct dio_ctx *ctx, const struct dio_place *place, const struct dio_augment *augment,
                             const struct dio_image_recipe *recipe)
{
    if (augment->orientations && recipe->width != recipe->height) {
        return dio_fail(ctx, DIO_ERR_INPUT, "Y4", place, "augment.orientations needs a square input, not %d x %d",
                        (int)recipe->width, (int)recipe->height);
    }
    if (recipe->channels != 3 && augment->saturation > 0) {
        return dio_fail(ctx, DIO_ERR_INPUT, "Y4", place, "augment.saturation needs colour, the input has %d channels",
                        (int)recipe->channels);
    }
    return DIO_OK;
}

/* ---- Drawing ---- */

static double draw_between(struct dio_rng *rng, double low, double high)
{
    return low + (high - low) * dio_rng_uniform(rng);
}

static int32_t draw_up_to(struct dio_rng *rng, int32_t largest)
{
    return (int32_t)dio_rng_below(rng, (uint64_t)largest + 1);
}

/* torchvision's RandomResizedCrop.get_params. */
static void draw_random_crop(const struct dio_augment *augment, int32_t width, int32_t height, struct dio_rng *rng,
                             struct dio_view *view)
{
    const double area = (double)width * height;
    const double low = log(augment->ratio_min), high = log(augment->ratio_max);
    for (int attempt = 0; attempt < 10; attempt++) {
        const double target = area * draw_between(rng, augment->scale_min, augment->scale_max);
        const double ratio = exp(draw_between(rng, low, high));
        const double w = rint(sqrt(target * ratio)), h = rint(sqrt(target / ratio));
        if (w > 0 && w <= width && h > 0 && h <= height) {
            view->width = (int32_t)w;
            view->height = (int32_t)h;
            view->y = draw_up_to(rng, height - view->height);
            view->x = draw_up_to(rng, width - view->width);
            return;
        }
    }
    const double aspect = (double)width / height;
    view->width = width;
    view->height = height;
    if (aspect < augment->ratio_min) view->height = (int32_t)rint(width / augment->ratio_min);
    else if (aspect > augment->ratio_max) view->width = (int32_t)rint(height * augment->ratio_max);
    if (view->width < 1) view->width = 1;
    if (view->height < 1) view->height = 1;
    view->x = (width - view->width) / 2;
    view->y = (height - view->height) / 2;
}

static void draw_shift(const struct dio_augment *augment, const struct dio_image_recipe *recipe, int32_t width,
                       int32_t height, struct dio_rng *rng, struct dio_view *view)
{
    int32_t w = 0, h = 0;
    dio_image_recipe_resized(recipe, width, height, &w, &h);
    view->pad = augment->pad;
    const int32_t spare_x = w + 2 * augment->pad - recipe->width, spare_y = h + 2 * augment->pad - recipe->height;
    view->x = spare_x >= 0 ? draw_up_to(rng, spare_x) : -(-spare_x / 2);
    view->y = spare_y >= 0 ? draw_up_to(rng, spare_y) : -(-spare_y / 2);
    view->width = recipe->width;
    view->height = recipe->height;
}

/* torchvision's ColorJitter without hue: the order first, then the factors. */
static void draw_jitter(const struct dio_augment *augment, struct dio_rng *rng, struct dio_view *view)
{
    const double strength[DIO_JITTER_STEPS] = {augment->brightness, augment->contrast, augment->saturation};
    uint32_t order[DIO_JITTER_STEPS] = {DIO_JITTER_BRIGHTNESS, DIO_JITTER_CONTRAST, DIO_JITTER_SATURATION};
    dio_rng_shuffle(rng, order, DIO_JITTER_STEPS);
    for (int i = 0; i < DIO_JITTER_STEPS; i++) {
        const double low = strength[i] < 1 ? 1 - strength[i] : 0;
        view->order[i] = (enum dio_jitter_step)order[i];
        view->factor[i] = (float)draw_between(rng, low, 1 + strength[i]);
        view->jitter = view->jitter || strength[i] > 0;
    }
}

void dio_augment_draw(const struct dio_augment *augment, const struct dio_image_recipe *recipe, int32_t width,
                      int32_t height, uint64_t seed, uint32_t epoch, uint64_t index, struct dio_view *view)
{
    struct dio_rng rng = dio_rng_make(seed, DIO_RNG_AUGMENT, epoch, index);
    *view = (struct dio_view){.crop = augment->crop, .orientation = 1};
    if (augment->crop == DIO_CROP_RANDOM) draw_random_crop(augment, width, height, &rng, view);
    else if (augment->crop == DIO_CROP_SHIFT) draw_shift(augment, recipe, width, height, &rng, view);
    const bool flip = dio_rng_uniform(&rng) < augment->flip, vflip = dio_rng_uniform(&rng) < augment->vflip;
    if (augment->orientations) view->orientation = 1 + draw_up_to(&rng, 7);
    else view->orientation = flip ? (vflip ? 3 : 2) : vflip ? 4 : 1;
    draw_jitter(augment, &rng, view);
}
