#include "image/recipe.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "text/json.h"
#include "text/json_write.h"

const char *const dio_fit_names[] = {"crop", "pad", "squash", NULL};
const char *const dio_interpolation_names[] = {"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos", NULL};
static const char *const scaling_names[] = {"divide", "rescale", NULL};
static const char *const exif_names[] = {"apply", "ignore", NULL};
static const char *const decode_names[] = {"exact", "fast", NULL};

static bool find_name(const char *const *names, const char *name, int *index)
{
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], name) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

const char *dio_fit_name(enum dio_fit fit) { return dio_fit_names[fit]; }

const char *dio_interpolation_name(enum dio_interpolation interpolation)
{
    return dio_interpolation_names[interpolation];
}

bool dio_fit_from_name(const char *name, enum dio_fit *fit)
{
    int index = 0;
    if (!find_name(dio_fit_names, name, &index)) return false;
    *fit = (enum dio_fit)index;
    return true;
}

bool dio_interpolation_from_name(const char *name, enum dio_interpolation *interpolation)
{
    int index = 0;
    if (!find_name(dio_interpolation_names, name, &index)) return false;
    *interpolation = (enum dio_interpolation)index;
    return true;
}

struct dio_image_recipe dio_image_recipe_imagenet(int32_t resize, int32_t size)
{
    return (struct dio_image_recipe){.version = DIO_IMAGE_RECIPE_VERSION,
                                     .height = size,
                                     .width = size,
                                     .channels = 3,
                                     .resize_height = resize,
                                     .resize_width = resize,
                                     .fit = DIO_FIT_CROP,
                                     .interpolation = DIO_BILINEAR,
                                     .pillow = DIO_PILLOW_13,
                                     .mean = {0.485, 0.456, 0.406},
                                     .std = {0.229, 0.224, 0.225}};
}

/* A side from a computed number, whatever the number: what is too large is refused by dio_image_recipe_check. */
static int32_t to_side(double value)
{
    if (!(value >= 1)) return 1;
    return value < 1 << 30 ? (int32_t)value : 1 << 30;
}

int32_t dio_image_recipe_resize_for(int32_t size, double crop_pct)
{
    return to_side(floor(size / crop_pct));
}

static int32_t in_proportion(int32_t resize, int32_t size, int32_t before)
{
    return resize == 0 ? 0 : to_side(floor((double)resize * size / before + 0.5));
}

void dio_image_recipe_set_size(struct dio_image_recipe *recipe, int32_t size)
{
    recipe->resize_height = in_proportion(recipe->resize_height, size, recipe->height);
    recipe->resize_width = in_proportion(recipe->resize_width, size, recipe->width);
    recipe->height = recipe->width = size;
}

void dio_image_recipe_set_fit(struct dio_image_recipe *recipe, enum dio_fit fit)
{
    if (recipe->fit == DIO_FIT_CROP && fit != DIO_FIT_CROP) {
        recipe->resize_height = recipe->height;
        recipe->resize_width = recipe->width;
    }
    recipe->fit = fit;
}

void dio_image_recipe_resized(const struct dio_image_recipe *recipe, int32_t width, int32_t height,
                              int32_t *resized_width, int32_t *resized_height)
{
    const int32_t target_width = recipe->resize_width, target_height = recipe->resize_height;
    *resized_width = width;
    *resized_height = height;
    if (target_width == 0 || target_height == 0) return;
    if (recipe->fit == DIO_FIT_SQUASH) {
        *resized_width = target_width;
        *resized_height = target_height;
    } else if (recipe->fit == DIO_FIT_CROP && target_width == target_height) {
        const int64_t side = target_width;
        *resized_width = width <= height ? target_width : to_side((double)(side * width / height));
        *resized_height = width <= height ? to_side((double)(side * height / width)) : target_height;
    } else {
        const double across = (double)width / target_width, down = (double)height / target_height;
        const double ratio = (recipe->fit == DIO_FIT_PAD) == (across > down) ? across : down;
        *resized_width = to_side(rint(width / ratio)); /* round half to even, as Python does */
        *resized_height = to_side(rint(height / ratio));
    }
}

dio_status dio_image_recipe_check(struct dio_ctx *ctx, const struct dio_place *place,
                                  const struct dio_image_recipe *recipe)
{
    const int32_t w = recipe->width, h = recipe->height, rw = recipe->resize_width, rh = recipe->resize_height;
    if (w < 1 || w > DIO_MAX_PICTURE_SIDE || h < 1 || h > DIO_MAX_PICTURE_SIDE ||
        (uint64_t)w * (uint64_t)h > ctx->limits.max_pixels) {
        return dio_fail(ctx, DIO_ERR_INPUT, NULL, place, "input of %d x %d pixels (1 to %d a side)", (int)w, (int)h,
                        DIO_MAX_PICTURE_SIDE);
    }
    if (recipe->channels < 1 || recipe->channels > DIO_PICTURE_MAX_CHANNELS) {
        return dio_fail(ctx, DIO_ERR_INPUT, NULL, place, "input of %d channels (1 to %d)", (int)recipe->channels,
                        DIO_PICTURE_MAX_CHANNELS);
    }
    if (rw < 0 || rw > DIO_MAX_PICTURE_SIDE || rh < 0 || rh > DIO_MAX_PICTURE_SIDE || (rw == 0) != (rh == 0)) {
        return dio_fail(ctx, DIO_ERR_INPUT, NULL, place, "resize to %d x %d pixels (1 to %d a side, or 0 for none)",
                        (int)rw, (int)rh, DIO_MAX_PICTURE_SIDE);
    }
    for (int32_t c = 0; c < recipe->channels; c++) {
        if (!isfinite((float)recipe->mean[c])) {
            return dio_fail(ctx, DIO_ERR_INPUT, NULL, place, "mean of channel %d is not finite", (int)c);
        }
        if (!isfinite((float)recipe->std[c]) || !((float)recipe->std[c] > 0)) {
            return dio_fail(ctx, DIO_ERR_INPUT, NULL, place, "std of channel %d is %g, not above 0", (int)c,
                            recipe->std[c]);
        }
    }
    return DIO_OK;
}

static void write_numbers(struct dio_json_writer *json, const char *key, const double *values, int32_t count)
{
    dio_json_row(json, key);
    for (int32_t i = 0; i < count; i++) dio_json_double(json, NULL, values[i]);
    dio_json_end_list(json);
}

void dio_image_recipe_write(struct dio_str *out, const struct dio_image_recipe *recipe)
{
    struct dio_json_writer json;
    dio_json_begin(&json, out, 0);
    dio_json_map(&json, NULL);
    dio_json_i64(&json, "version", recipe->version);
    dio_json_row(&json, "input");
    dio_json_i64(&json, NULL, recipe->channels);
    dio_json_i64(&json, NULL, recipe->height);
    dio_json_i64(&json, NULL, recipe->width);
    dio_json_end_list(&json);
    dio_json_row(&json, "resize");
    dio_json_i64(&json, NULL, recipe->resize_height);
    dio_json_i64(&json, NULL, recipe->resize_width);
    dio_json_end_list(&json);
    dio_json_text(&json, "fit", dio_fit_name(recipe->fit));
    dio_json_text(&json, "interpolation", dio_interpolation_name(recipe->interpolation));
    dio_json_i64(&json, "pillow", recipe->pillow);
    dio_json_text(&json, "scaling", scaling_names[recipe->scaling]);
    dio_json_text(&json, "exif", exif_names[recipe->ignore_exif]);
    if (recipe->fast_decode) dio_json_text(&json, "decode", decode_names[true]);
    write_numbers(&json, "mean", recipe->mean, recipe->channels);
    write_numbers(&json, "std", recipe->std, recipe->channels);
    dio_json_end_map(&json);
}

static dio_status read_sizes(struct dio_tree *tree, const char *key, size_t count, int32_t *const *out)
{
    double numbers[3];
    DIO_PASS(dio_tree_numbers(tree, tree->root, key, count, 0, DIO_MAX_PICTURE_SIDE, numbers, NULL));
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] != floor(numbers[i])) {
            return dio_tree_fail(tree, dio_node_get(tree->root, key), "%s: not a whole number", key);
        }
        *out[i] = (int32_t)numbers[i];
    }
    return DIO_OK;
}

static dio_status read_choice(struct dio_tree *tree, const char *key, const char *const *names, int *out)
{
    size_t count = 0, index = 0;
    while (names[count]) count++;
    DIO_PASS(dio_tree_choice(tree, tree->root, key, names, count, &index, NULL));
    *out = (int)index;
    return DIO_OK;
}

static dio_status read_tree(struct dio_ctx *ctx, struct dio_tree *tree, struct dio_image_recipe *recipe)
{
    static const char *const keys[] = {"version", "input",   "resize", "fit",  "interpolation",
                                       "pillow",  "scaling", "exif",   "mean", "std", "decode"};
    if (tree->root->type != DIO_NODE_MAP) return dio_tree_fail(tree, tree->root, "the image recipe is not an object");
    int64_t version = 0, pillow = 0;
    DIO_PASS(dio_tree_whole(tree, tree->root, "version", 1, DIO_IMAGE_RECIPE_VERSION, &version, NULL));
    DIO_PASS(dio_tree_only_keys(tree, tree->root, "", keys, sizeof keys / sizeof keys[0]));
    int32_t *const input[3] = {&recipe->channels, &recipe->height, &recipe->width};
    int32_t *const resize[2] = {&recipe->resize_height, &recipe->resize_width};
    int fit = 0, interpolation = 0, scaling = 0, exif = 0, decode = 0;
    recipe->version = (int32_t)version;
    DIO_PASS(read_sizes(tree, "input", 3, input));
    DIO_PASS(read_sizes(tree, "resize", 2, resize));
    DIO_PASS(read_choice(tree, "fit", dio_fit_names, &fit));
    DIO_PASS(read_choice(tree, "interpolation", dio_interpolation_names, &interpolation));
    DIO_PASS(dio_tree_whole(tree, tree->root, "pillow", DIO_PILLOW_12, DIO_PILLOW_13, &pillow, NULL));
    DIO_PASS(read_choice(tree, "scaling", scaling_names, &scaling));
    DIO_PASS(read_choice(tree, "exif", exif_names, &exif));
    if (dio_node_get(tree->root, "decode")) DIO_PASS(read_choice(tree, "decode", decode_names, &decode));
    recipe->fit = (enum dio_fit)fit;
    recipe->interpolation = (enum dio_interpolation)interpolation;
    recipe->pillow = (enum dio_pillow)pillow;
    recipe->scaling = (enum dio_scaling)scaling;
    recipe->ignore_exif = exif == 1;
    recipe->fast_decode = decode == 1;
    if (recipe->channels < 1 || recipe->channels > DIO_PICTURE_MAX_CHANNELS) {
        return dio_tree_fail(tree, dio_node_get(tree->root, "input"), "%d channels (1 to %d)", (int)recipe->channels,
                             DIO_PICTURE_MAX_CHANNELS);
    }
    DIO_PASS(
        dio_tree_numbers(tree, tree->root, "mean", (size_t)recipe->channels, -FLT_MAX, FLT_MAX, recipe->mean, NULL));
    DIO_PASS(dio_tree_numbers(tree, tree->root, "std", (size_t)recipe->channels, 0, FLT_MAX, recipe->std, NULL));
    struct dio_place place = {.file = tree->file, .part = tree->part};
    return dio_image_recipe_check(ctx, &place, recipe);
}

dio_status dio_image_recipe_parse(struct dio_ctx *ctx, const char *file, const char *part, const char *text,
                                  size_t length, struct dio_image_recipe *recipe)
{
    struct dio_tree tree;
    *recipe = (struct dio_image_recipe){0};
    DIO_PASS(dio_json_parse(ctx, file, part, "J1", text, length, &tree));
    dio_status status = read_tree(ctx, &tree, recipe);
    dio_tree_free(&tree);
    return status;
}

static void describe_numbers(struct dio_str *out, const char *what, const double *values, int32_t count)
{
    dio_str_add(out, what);
    for (int32_t i = 0; i < count; i++) {
        char number[32];
        dio_format_double(number, sizeof number, values[i]);
        dio_str_addf(out, " %s", number);
    }
}

void dio_image_recipe_describe(struct dio_str *out, const struct dio_image_recipe *recipe)
{
    const int rw = recipe->resize_width, rh = recipe->resize_height, w = recipe->width, h = recipe->height;
    if (rw == 0) {
        dio_str_add(out, "not resized");
    } else {
        if (recipe->fit == DIO_FIT_SQUASH) dio_str_addf(out, "squashed to %d x %d", rw, rh);
        else if (rw == rh) dio_str_addf(out, "%s side to %d", recipe->fit == DIO_FIT_PAD ? "long" : "short", rw);
        else dio_str_addf(out, "%s %d x %d", recipe->fit == DIO_FIT_PAD ? "into" : "over", rw, rh);
        dio_str_addf(out, " (%s, Pillow %s)", dio_interpolation_name(recipe->interpolation),
                     recipe->pillow == DIO_PILLOW_12 ? "12" : "13");
    }
    dio_str_addf(out, ", %s %d x %d", recipe->fit == DIO_FIT_PAD ? "padded with the mean colour to" : "centre", w, h);
    if (recipe->ignore_exif) dio_str_add(out, ", EXIF orientation ignored");
    if (recipe->fast_decode) dio_str_add(out, ", large JPEGs decoded smaller (--decode fast)");
    if (recipe->scaling == DIO_SCALE_RESCALE) dio_str_add(out, ", times 0.00392156862745098");
    describe_numbers(out, ", mean", recipe->mean, recipe->channels);
    describe_numbers(out, ", std", recipe->std, recipe->channels);
}
