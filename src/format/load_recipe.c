/* Preprocessing, from weak to strong: the variant's own, config.json, the file's metadata, options. */
#include "format/load_parts.h"

#include <math.h>
#include <string.h>

/* timm's config: crop_pct of the crop, and what becomes of other aspects. */
static void apply_timm(const struct dio_origin_config *config, struct dio_image_recipe *recipe)
{
    if (config->crop_mode) {
        recipe->fit = strcmp(config->crop_mode, "squash") == 0   ? DIO_FIT_SQUASH
                      : strcmp(config->crop_mode, "border") == 0 ? DIO_FIT_PAD
                                                                 : DIO_FIT_CROP;
    }
    double crop_pct = config->crop_pct;
    if (isnan(crop_pct) || !(crop_pct > 0)) return;
    recipe->resize_height = dio_image_recipe_resize_for(recipe->height, crop_pct);
    recipe->resize_width = dio_image_recipe_resize_for(recipe->width, crop_pct);
}

static void apply_transformers(const struct dio_origin_config *config, struct dio_image_recipe *recipe)
{
    if (config->crop_height > 0 && config->crop_width > 0) {
        recipe->height = (int32_t)config->crop_height;
        recipe->width = (int32_t)config->crop_width;
    }
    if (config->resize_shortest > 0) {
        recipe->fit = DIO_FIT_CROP;
        recipe->resize_height = recipe->resize_width = (int32_t)config->resize_shortest;
    } else if (config->resize_height > 0 && config->resize_width > 0) {
        recipe->fit = DIO_FIT_SQUASH;
        recipe->resize_height = (int32_t)config->resize_height;
        recipe->resize_width = (int32_t)config->resize_width;
    }
    bool cropped = !config->has_do_center_crop || config->do_center_crop;
    if (!cropped && recipe->resize_height > 0) {
        recipe->height = recipe->resize_height;
        recipe->width = recipe->resize_width;
    }
    if (config->has_do_resize && !config->do_resize) recipe->resize_height = recipe->resize_width = 0;
    recipe->scaling = DIO_SCALE_RESCALE;
}

static void set_values(double *out, int channels, const double *values, int count)
{
    for (int c = 0; c < channels; c++) out[c] = values[count == 1 ? 0 : c];
}

static bool fits_channels(int count, int channels) { return count == 1 || count == channels; }

/* A mean or std of config.json; an option settles what the file has wrong. */
static dio_status set_from_config(struct dio_ctx *ctx, const struct dio_origin_config *config, const char *key,
                                  const double *values, int count, bool given, double *out, int channels)
{
    if (count == 0 || given) return DIO_OK;
    if (!fits_channels(count, channels)) {
        return dio_fail(ctx, DIO_ERR_INPUT, "J6", &(struct dio_place){.file = config->path},
                        "%s has %d numbers, the weights have %d channels", key, count, channels);
    }
    set_values(out, channels, values, count);
    return DIO_OK;
}

dio_status dio_recipe_from_config(struct dio_ctx *ctx, const struct dio_origin_config *config,
                                  const struct dio_recipe_override *given, struct dio_image_recipe *recipe, bool *said)
{
    const struct dio_place place = {.file = config->path};
    const bool transformers = config->library == DIO_ORIGIN_TRANSFORMERS;
    const char *mean = transformers ? "image_mean" : "mean", *std = transformers ? "image_std" : "std";
    if (config->input_size[0] > 0 && config->input_size[0] != recipe->channels) {
        return dio_fail(ctx, DIO_ERR_INPUT, "J8", &place, "the number of channels is %lld (%s), the weights have %d",
                        (long long)config->input_size[0], transformers ? "num_channels" : "input_size or in_chans",
                        (int)recipe->channels);
    }
    if (!isnan(config->rescale) && fabs(config->rescale * 255 - 1) > 1e-6) {
        return dio_fail(ctx, DIO_ERR_INPUT, "J6", &place, "rescale_factor %g (1: do_rescale is false) is not supported; 1/255 is",
                        config->rescale);
    }
    *said = config->mean_count > 0 || config->std_count > 0 || !isnan(config->crop_pct) || config->interpolation ||
            config->input_size[1] > 0 || config->resize_shortest > 0 || config->resize_height > 0;
    if (!*said) return DIO_OK;
    if (config->input_size[1] > 0 && config->input_size[2] > 0) {
        if (config->input_size[1] == config->input_size[2]) {
            dio_image_recipe_set_size(recipe, (int32_t)config->input_size[1]);
        }
        recipe->height = (int32_t)config->input_size[1];
        recipe->width = (int32_t)config->input_size[2];
    }
    if (config->interpolation) dio_interpolation_from_name(config->interpolation, &recipe->interpolation);
    if (transformers) apply_transformers(config, recipe);
    else apply_timm(config, recipe);
    if (recipe->resize_height > DIO_MAX_PICTURE_SIDE && !isnan(config->crop_pct)) {
        return dio_fail(ctx, DIO_ERR_INPUT, "J6", &place, "crop_pct %g of an input of %d pixels wants pictures above %d a side",
                        config->crop_pct, (int)recipe->height, DIO_MAX_PICTURE_SIDE);
    }
    bool normalised = !config->has_do_normalize || config->do_normalize;
    for (int c = 0; !normalised && c < recipe->channels; c++) {
        recipe->mean[c] = 0;
        recipe->std[c] = 1;
    }
    if (normalised) {
        DIO_PASS(set_from_config(ctx, config, mean, config->mean, config->mean_count, given->mean_count > 0, recipe->mean,
                                 recipe->channels));
        DIO_PASS(set_from_config(ctx, config, std, config->std, config->std_count, given->std_count > 0, recipe->std,
                                 recipe->channels));
    }
    return dio_image_recipe_check(ctx, &place, recipe);
}

static dio_status set_option(struct dio_ctx *ctx, const char *option, const double *values, int count, double *out,
                             int channels)
{
    if (!values || count == 0) return DIO_OK;
    if (!fits_channels(count, channels)) {
        return dio_fail(ctx, DIO_ERR_USAGE, "A4", NULL, "%s must have 1 or %d numbers, not %d", option, channels, count);
    }
    set_values(out, channels, values, count);
    return DIO_OK;
}

dio_status dio_recipe_override_apply(struct dio_ctx *ctx, const struct dio_recipe_override *override,
                                     struct dio_image_recipe *recipe)
{
    if (override->image_size > 0) dio_image_recipe_set_size(recipe, override->image_size);
    if (override->fit) {
        enum dio_fit fit;
        if (!dio_fit_from_name(override->fit, &fit)) {
            return dio_fail(ctx, DIO_ERR_USAGE, "A4", NULL, "--fit must be crop, pad or squash, not \"%s\"", override->fit);
        }
        dio_image_recipe_set_fit(recipe, fit);
    }
    if (override->interpolation && !dio_interpolation_from_name(override->interpolation, &recipe->interpolation)) {
        return dio_fail(ctx, DIO_ERR_USAGE, "A4", NULL,
                        "--interpolation must be nearest, box, bilinear, hamming, bicubic or lanczos, not \"%s\"",
                        override->interpolation);
    }
    if (override->crop > 0) recipe->height = recipe->width = override->crop;
    if (override->resize > 0 || override->has_resize) recipe->resize_height = recipe->resize_width = override->resize;
    if (override->pillow == 12) recipe->pillow = DIO_PILLOW_12;
    if (override->pillow == 13) recipe->pillow = DIO_PILLOW_13;
    if (override->exif) recipe->ignore_exif = override->exif == 2;
    if (override->decode) recipe->fast_decode = override->decode == 2;
    DIO_PASS(set_option(ctx, "--mean", override->mean, override->mean_count, recipe->mean, recipe->channels));
    DIO_PASS(set_option(ctx, "--std", override->std, override->std_count, recipe->std, recipe->channels));
    return DIO_OK;
}
