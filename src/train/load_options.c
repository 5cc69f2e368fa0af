/* From the settings to what loading a model wants; for every call that opens one. */
#include <math.h>
#include <string.h>

#include "train/load_options.h"

struct dio_load_options dio_train_load_options(const struct dio_train_options *options)
{
    struct dio_load_options load = dio_load_options_default();
    load.read.key = options->key;
    load.read.allow_opaque = options->allow_opaque;
    load.arch = options->arch;
    load.bn_eps = isnan(options->bn_eps) ? 0 : options->bn_eps;
    load.padding = options->padding;
    load.stem_padding = options->stem_padding == DIO_UNSET_INT ? -1 : options->stem_padding;
    load.classes_file = options->classes;
    load.seed = (uint64_t)options->seed;
    struct dio_recipe_override *recipe = &load.recipe;
    recipe->image_size = options->image_size == DIO_UNSET_INT ? 0 : (int32_t)options->image_size;
    recipe->has_resize = options->resize != DIO_UNSET_INT;
    recipe->resize = recipe->has_resize ? (int32_t)options->resize : 0;
    recipe->crop = options->crop == DIO_UNSET_INT ? 0 : (int32_t)options->crop;
    recipe->fit = options->fit;
    recipe->interpolation = options->interpolation;
    recipe->mean = options->mean.count ? options->mean.values : NULL;
    recipe->mean_count = options->mean.count;
    recipe->std = options->std.count ? options->std.values : NULL;
    recipe->std_count = options->std.count;
    recipe->pillow = options->pillow == DIO_UNSET_INT ? 0 : (int)options->pillow;
    recipe->exif = !options->exif ? 0 : strcmp(options->exif, "apply") == 0 ? 1 : 2;
    recipe->decode = !options->decode ? 0 : strcmp(options->decode, "exact") == 0 ? 1 : 2;
    return load;
}

struct dio_limits dio_train_limits(const struct dio_train_options *options, struct dio_limits limits)
{
    const struct {
        int64_t given;
        uint64_t *limit;
    } all[] = {{options->max_header, &limits.max_header}, {options->max_tensors, &limits.max_tensors},
               {options->max_elements, &limits.max_elements}, {options->max_opcodes, &limits.max_opcodes},
               {options->max_unpack, &limits.max_unpack}, {options->max_pixels, &limits.max_pixels},
               {options->max_file, &limits.max_file}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i].given != DIO_UNSET_INT) *all[i].limit = (uint64_t)all[i].given;
    }
    if (options->max_scans != DIO_UNSET_INT) limits.max_scans = (uint32_t)options->max_scans;
    return limits;
}
