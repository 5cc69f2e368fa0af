/* From a picture to the numbers a model reads: resize, crop or pad, turn, normalise; straight into a slot of a batch.
 */
#ifndef DIO_IMAGE_PREPARE_H
#define DIO_IMAGE_PREPARE_H

#include "image/augment.h"
#include "image/picture.h"
#include "image/recipe.h"
#include "image/resize.h"
#include "kernels/resize.h"

/* A recipe with its tables; read-only once made, shared by all workers. */
struct dio_prepare {
    struct dio_image_recipe recipe;
    float (*table)[256];   /* per channel: the number for each 8-bit sample, (v/255 - mean)/std in float32 */
    struct dio_normalise normalise; /* the same table, for the kernels */
    uint16_t fill[DIO_PICTURE_MAX_CHANNELS][2]; /* mean colour as 8-bit and as 16-bit sample, for fit pad */
};

/* The recipe must have passed dio_image_recipe_check. */
dio_status dio_prepare_init(struct dio_ctx *ctx, const struct dio_image_recipe *recipe, struct dio_prepare *prepare);
void dio_prepare_free(struct dio_ctx *ctx, struct dio_prepare *prepare);

/* One a worker; all zero at first; grows to what the largest picture needed. */
struct dio_prepare_scratch {
    struct dio_resize_scratch resize;
    void *canvas, *grey, *row;
    size_t canvas_size, grey_size, row_size;
};
void dio_prepare_scratch_free(struct dio_ctx *ctx, struct dio_prepare_scratch *scratch);

/* The part of a picture of width x height that a view needs; a decoder may leave the rest out (struct dio_window). */
struct dio_region dio_prepare_window(const struct dio_prepare *prepare, const struct dio_view *view, int32_t width,
                                     int32_t height);

/* How many times smaller it may be decoded for that view: 1 unless the recipe says --decode fast. */
int32_t dio_prepare_shrink(const struct dio_prepare *prepare, const struct dio_view *view, int32_t width, int32_t height);

/* The evaluation transform's wishes, for dio_decode_options. */
struct dio_window dio_prepare_evaluation_window(const struct dio_prepare *prepare);

/* Writes height x width x channels float32 (NHWC, one slot of a batch) of the recipe to `out`.  view NULL: the
 * evaluation transform.  A grey picture gives its value to every channel of a colour recipe; a colour picture is made
 * grey by Pillow's rule for a one-channel recipe; other differences in channels are refused (DIO_ERR_INPUT, `name` in
 * front).  Samples that lie outside a picture smaller than the crop are 0 before normalisation (torchvision's
 * CenterCrop); fit pad fills with the mean colour, round(255 mean).  No allocation but growth of the scratch. */
dio_status dio_prepare_run(struct dio_ctx *ctx, const struct dio_prepare *prepare, const struct dio_view *view,
                           const char *name, const struct dio_picture *picture, struct dio_prepare_scratch *scratch,
                           float *out);

/* The same up to normalisation: 8-bit samples, for thumbnails and tests.  16-bit pictures give their high byte. */
dio_status dio_prepare_pixels(struct dio_ctx *ctx, const struct dio_prepare *prepare, const struct dio_view *view,
                              const char *name, const struct dio_picture *picture, struct dio_prepare_scratch *scratch,
                              uint8_t *out);

#endif
