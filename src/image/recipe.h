/* What a model wants of a picture: its size, how the picture is brought to it, and how samples become numbers.
 *
 * It is stored with the model (text form), overridden by options, hashed into cache keys, and applied by prepare.h the
 * same way in train, eval and predict. */
#ifndef DIO_IMAGE_RECIPE_H
#define DIO_IMAGE_RECIPE_H

#include "base/context.h"
#include "base/hash.h"
#include "base/str.h"
#include "image/picture.h"

enum {
    DIO_IMAGE_RECIPE_VERSION = 1
};

/* How a picture of another shape comes to `resize`, which is followed by a centre crop to height x width. */
enum dio_fit {
    DIO_FIT_CROP, /* keep the aspect, short side to `resize` (torchvision's Resize(n), timm's crop_mode center) */
    DIO_FIT_PAD,  /* keep the aspect, long side to `resize`, then fill up with the mean colour (timm's crop_mode border)
                   */
    DIO_FIT_SQUASH /* to `resize` x `resize`, aspect lost */
};

enum dio_interpolation {
    DIO_NEAREST,
    DIO_BOX,
    DIO_BILINEAR,
    DIO_HAMMING,
    DIO_BICUBIC,
    DIO_LANCZOS
};

/* Pillow's order of the two passes: always across first (all versions before 13), or down first for pictures that lose
 * much more height than width (13 and later). */
enum dio_pillow { DIO_PILLOW_12 = 12, DIO_PILLOW_13 = 13 };

/* v / 255 as PyTorch does it, or v * 0.00392156862745098 as Hugging Face's processors do. */
enum dio_scaling { DIO_SCALE_DIVIDE, DIO_SCALE_RESCALE };

struct dio_image_recipe {
    int32_t version;
    int32_t height, width, channels;      /* of the model's input: the crop */
    int32_t resize_height, resize_width;  /* equal but for non-square inputs; 0: not resized, only cropped or padded */
    enum dio_fit fit;
    enum dio_interpolation interpolation;
    enum dio_pillow pillow;
    enum dio_scaling scaling;
    bool ignore_exif;
    bool fast_decode; /* --decode fast: dio_picture_shrink's rule; pixels of large JPEGs differ from Pillow's */
    double mean[DIO_PICTURE_MAX_CHANNELS], std[DIO_PICTURE_MAX_CHANNELS]; /* of samples scaled to 0..1 */
};

/* ImageNet's: 3 x size x size, short side to `resize`, bilinear, mean .485 .456 .406, std .229 .224 .225, Pillow 13. */
struct dio_image_recipe dio_image_recipe_imagenet(int32_t resize, int32_t size);

/* timm's size to resize to before the centre crop: floor(size / crop_pct), in double. */
int32_t dio_image_recipe_resize_for(int32_t size, double crop_pct);

/* Makes the input size x size and resizes in the same proportion as before (256 for 224 gives 366 for 320). */
void dio_image_recipe_set_size(struct dio_image_recipe *recipe, int32_t size);

/* Changes the fit.  From crop to pad or squash the resize becomes the input's own size, so that nothing is cut off. */
void dio_image_recipe_set_fit(struct dio_image_recipe *recipe, enum dio_fit fit);

/* Sizes 1..65535 and below max_pixels, channels 1..16, std above 0, everything finite.  `place` as for dio_fail;
 * failures are DIO_ERR_INPUT. */
dio_status dio_image_recipe_check(struct dio_ctx *ctx, const struct dio_place *place,
                                  const struct dio_image_recipe *recipe);

/* Size of a picture of width x height after the resize, before crop or padding: torchvision's Resize for fit crop,
 * timm's ResizeKeepRatio for fit pad and for resizes that are not square. */
void dio_image_recipe_resized(const struct dio_image_recipe *recipe, int32_t width, int32_t height,
                              int32_t *resized_width, int32_t *resized_height);

/* The text form: one JSON object on one line, keys always present and in one order, so that equal recipes give equal
 * text.  {"version": 1, "input": [3, 224, 224], "resize": [256, 256], "fit": "crop", "interpolation": "bilinear",
 * "pillow": 13, "scaling": "divide", "exif": "apply", "mean": [...], "std": [...]}; input: channels, height, width;
 * resize: height, width.  With --decode fast "decode": "fast" stands behind exif; exact decoding is not written. */
void dio_image_recipe_write(struct dio_str *out, const struct dio_image_recipe *recipe);

/* Reads the text form.  Unknown keys and missing ones (but decode) are refused (DIO_ERR_INPUT, with `file` and `part` in front). */
dio_status dio_image_recipe_parse(struct dio_ctx *ctx, const char *file, const char *part, const char *text,
                                  size_t length, struct dio_image_recipe *recipe);


/* In words for `info`: "short side to 256 (bilinear, Pillow 13), centre 224 x 224, mean 0.485 0.456 0.406, std ...". */
void dio_image_recipe_describe(struct dio_str *out, const struct dio_image_recipe *recipe);

/* Names as in options and the text form; *_from_name is false for an unknown one.  *_names is NULL-terminated. */
extern const char *const dio_fit_names[];
extern const char *const dio_interpolation_names[];
const char *dio_fit_name(enum dio_fit fit);
const char *dio_interpolation_name(enum dio_interpolation interpolation);
bool dio_fit_from_name(const char *name, enum dio_fit *fit);
bool dio_interpolation_from_name(const char *name, enum dio_interpolation *interpolation);

#endif
