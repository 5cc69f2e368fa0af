/* What pictures are like, from the facts that decoding left. */
#include <stdlib.h>

#include "data/audit.h"

void dio_audit_add(struct dio_audit *audit, const struct dio_picture_facts *facts)
{
    const struct {
        enum dio_picture_trait trait;
        uint64_t *count;
    } counts[] = {{DIO_TRAIT_GREY, &audit->grey}, {DIO_TRAIT_CMYK, &audit->cmyk}, {DIO_TRAIT_SIXTEEN, &audit->sixteen_bit},
                  {DIO_TRAIT_ALPHA, &audit->alpha}, {DIO_TRAIT_ICC, &audit->icc}, {DIO_TRAIT_GAMMA, &audit->gamma},
                  {DIO_TRAIT_TURNED, &audit->turned}, {DIO_TRAIT_DAMAGED, &audit->damaged}};
    if (audit->good++ == 0) {
        audit->min_width = audit->max_width = facts->width;
        audit->min_height = audit->max_height = facts->height;
    }
    if (facts->width < audit->min_width) audit->min_width = facts->width;
    if (facts->width > audit->max_width) audit->max_width = facts->width;
    if (facts->height < audit->min_height) audit->min_height = facts->height;
    if (facts->height > audit->max_height) audit->max_height = facts->height;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        *counts[i].count += (facts->traits & (uint32_t)counts[i].trait) != 0;
    }
}

static int by_int(const void *a, const void *b)
{
    return (*(const int32_t *)a > *(const int32_t *)b) - (*(const int32_t *)a < *(const int32_t *)b);
}

static int by_float(const void *a, const void *b)
{
    return (*(const float *)a > *(const float *)b) - (*(const float *)a < *(const float *)b);
}

/* Share of the area that a centre crop to the input's shape cuts off. */
static float lost_area(const struct dio_picture_facts *facts, const struct dio_image_recipe *recipe)
{
    double aspect = recipe ? (double)recipe->width / recipe->height : 1;
    double own = (double)facts->width / facts->height;
    return (float)(1 - (own > aspect ? aspect / own : own / aspect));
}

dio_status dio_audit_medians(struct dio_ctx *ctx, const struct dio_picture_facts *facts, size_t count,
                             const struct dio_image_recipe *recipe, struct dio_audit *audit)
{
    if (count == 0) return DIO_OK;
    int32_t *sides = dio_alloc_array(ctx, count, sizeof *sides, "sizes");
    float *losses = dio_alloc_array(ctx, count, sizeof *losses, "sizes");
    dio_status status = sides && losses ? DIO_OK : DIO_ERR_ENV;
    if (status == DIO_OK) {
        for (size_t i = 0; i < count; i++) losses[i] = lost_area(&facts[i], recipe);
        qsort(losses, count, sizeof *losses, by_float);
        audit->crop_loss = (double)losses[count / 2];
        for (size_t i = 0; i < count; i++) sides[i] = facts[i].width;
        qsort(sides, count, sizeof *sides, by_int);
        audit->median_width = sides[count / 2];
        for (size_t i = 0; i < count; i++) sides[i] = facts[i].height;
        qsort(sides, count, sizeof *sides, by_int);
        audit->median_height = sides[count / 2];
    }
    dio_free(ctx, sides);
    dio_free(ctx, losses);
    return status;
}

bool dio_audit_crops(const struct dio_audit *audit, const struct dio_image_recipe *recipe)
{
    return (!recipe || recipe->fit == DIO_FIT_CROP) && audit->crop_loss > 0.15;
}

void dio_audit_say_crop(struct dio_ctx *ctx, const struct dio_audit *audit)
{
    struct dio_place place = {.hint = "--fit pad or --fit squash keep what lies at the edges"};
    dio_say(ctx, DIO_LEVEL_WARNING, NULL, &place, "the centre crop loses %.0f %% of the area of half of the pictures or more",
            100 * audit->crop_loss);
}
