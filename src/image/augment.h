/* Random views of a picture for training: what is drawn (here) apart from how it is applied (prepare.h).
 *
 * A view is a function of (seed, epoch or view number, index of the picture), never of the order of calls. */
#ifndef DIO_IMAGE_AUGMENT_H
#define DIO_IMAGE_AUGMENT_H

#include "base/context.h"
#include "base/str.h"
#include "image/recipe.h"

enum dio_augment_crop {
    DIO_CROP_NONE,    /* the recipe's own resize and centre crop */
    DIO_CROP_RANDOM,  /* random resized crop (torchvision's RandomResizedCrop) */
    DIO_CROP_SHIFT    /* small pictures: the recipe's resize, black border of `pad`, random crop of the input's size */
};

/* All zero: no augmentation.  Text names are those of the recipe's `augment` mapping and of the --augment-NAME options.
 */
struct dio_augment {
    enum dio_augment_crop crop;      /* crop: none | random | shift */
    double scale_min, scale_max;     /* scale: share of the area, "0.08,1" */
    double ratio_min, ratio_max;     /* ratio: width / height, "0.75,1.3333333333333333" */
    int32_t pad;                     /* pad: of `shift`, in pixels of the input */
    double flip, vflip;              /* flip, vflip: probability 0..1 of mirroring left-right, top-bottom */
    bool orientations;               /* orientations: all eight turns and mirrorings, equally likely (square inputs) */
    double brightness, contrast, saturation; /* factors drawn from max(0, 1 - x) .. 1 + x; 8-bit pictures */
};

/* Scale 0.08..1, ratio 3/4..4/3, pad 4 and nothing switched on: what the options start from. */
struct dio_augment dio_augment_none(void);
bool dio_augment_any(const struct dio_augment *augment); /* is anything random switched on? */

/* The names that dio_augment_set knows, NULL-terminated, each followed by a line of help. */
struct dio_augment_name {
    const char *name, *value, *help; /* "scale", "MIN,MAX", "share of the picture's area that a random crop keeps" */
};
extern const struct dio_augment_name dio_augment_names[];

/* Sets one by its text name; "true"/"false" mean a probability of 0.5/0 for flips and random/none for crop.
 * DIO_ERR_USAGE is never used: a wrong name or value is DIO_ERR_INPUT at `place`. */
dio_status dio_augment_set(struct dio_ctx *ctx, const struct dio_place *place, const char *name, const char *value,
                           struct dio_augment *augment);
/* The value of one name as dio_augment_set reads it; for resolved recipes. */
void dio_augment_get(struct dio_str *out, const char *name, const struct dio_augment *augment);
dio_status dio_augment_check(struct dio_ctx *ctx, const struct dio_place *place, const struct dio_augment *augment,
                             const struct dio_image_recipe *recipe);
/* All values in one line, in one order: part of cache keys and run records. */
void dio_augment_write(struct dio_str *out, const struct dio_augment *augment);

/* One drawn view. */
enum dio_jitter_step { DIO_JITTER_BRIGHTNESS, DIO_JITTER_CONTRAST, DIO_JITTER_SATURATION, DIO_JITTER_STEPS };
struct dio_view {
    enum dio_augment_crop crop;
    int32_t x, y, width, height; /* random: the part of the picture; shift: x, y of the window in the padded picture */
    int32_t pad;
    int32_t orientation;         /* 1..8 as in EXIF, applied to the cropped result: flips and turns together */
    bool jitter;
    enum dio_jitter_step order[DIO_JITTER_STEPS];
    float factor[DIO_JITTER_STEPS]; /* by step, not by place in the order */
};

/* `width` and `height` are the picture's, after its EXIF orientation.  epoch: the epoch, or the number of a cached
 * view. */
void dio_augment_draw(const struct dio_augment *augment, const struct dio_image_recipe *recipe, int32_t width,
                      int32_t height, uint64_t seed, uint32_t epoch, uint64_t index, struct dio_view *view);

#endif
