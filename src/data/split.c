/* Cutting a validation part from the training pictures: by class, whole groups at a time, as a function of the seed and
 * the list alone. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/rng.h"
#include "data/dataset_private.h"

static const struct {
    const char *name;
    enum dio_split split;
} names[] = {{"train", DIO_SPLIT_TRAIN}, {"training", DIO_SPLIT_TRAIN}, {"val", DIO_SPLIT_VAL},
             {"valid", DIO_SPLIT_VAL},   {"validation", DIO_SPLIT_VAL}, {"dev", DIO_SPLIT_VAL},
             {"test", DIO_SPLIT_TEST},   {"testing", DIO_SPLIT_TEST}};

bool dio_split_from_name(const char *name, enum dio_split *split)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(name, names[i].name) == 0) {
            *split = names[i].split;
            return true;
        }
    }
    return false;
}

const char *dio_split_name(enum dio_split split)
{
    switch (split) {
    case DIO_SPLIT_TRAIN: return "train";
    case DIO_SPLIT_VAL: return "val";
    case DIO_SPLIT_TEST: return "test";
    default: return "all";
    }
}

void dio_dataset_shuffle(uint64_t seed, uint32_t epoch, uint32_t *order, size_t count)
{
    struct dio_rng rng = dio_rng_make(seed, DIO_RNG_SHUFFLE, epoch, 0);
    dio_rng_shuffle(&rng, order, count);
}

/* What stays together: one picture, or all of one group.  It counts for the class of its first picture. */
struct unit {
    uint32_t first, size;
    int32_t label, group;
};

struct cut {
    struct dio_ctx *ctx;
    struct dio_dataset *dataset;
    struct unit *units;
    size_t n_units;
    uint8_t *group_chosen; /* by group */
    uint32_t *order;       /* units of one class */
};

static dio_status make_units(struct cut *cut)
{
    struct dio_dataset *dataset = cut->dataset;
    int64_t *unit_of = dio_alloc_array(cut->ctx, dataset->groups.count, sizeof *unit_of, "groups");
    if (!unit_of) return DIO_ERR_ENV;
    for (size_t g = 0; g < dataset->groups.count; g++) unit_of[g] = -1;
    for (size_t i = 0; i < dataset->count; i++) {
        const struct dio_item *item = &dataset->items[i];
        if (item->split != DIO_SPLIT_TRAIN || item->label < 0) continue;
        if (item->group >= 0 && unit_of[item->group] >= 0) {
            cut->units[unit_of[item->group]].size++;
            continue;
        }
        if (item->group >= 0) unit_of[item->group] = (int64_t)cut->n_units;
        cut->units[cut->n_units++] = (struct unit){(uint32_t)i, 1, item->label, item->group};
    }
    dio_free(cut->ctx, unit_of);
    return DIO_OK;
}

/* Units are taken in random order until the class has its share; never the last one. */
static void cut_class(struct cut *cut, int32_t label, size_t first, size_t n, double share, uint64_t seed)
{
    uint64_t pictures = 0, taken = 0;
    for (size_t i = 0; i < n; i++) pictures += cut->units[cut->order[first + i]].size;
    uint64_t wanted = (uint64_t)(share * (double)pictures + 0.5);
    if (wanted == 0 && n > 1) wanted = 1;
    struct dio_rng rng = dio_rng_make(seed, DIO_RNG_SPLIT, 0, (uint64_t)label);
    dio_rng_shuffle(&rng, cut->order + first, n);
    size_t left = n;
    for (size_t i = 0; i < n && taken < wanted && left > 1; i++) {
        const struct unit *unit = &cut->units[cut->order[first + i]];
        if (unit->size > 1 && taken + unit->size > wanted + wanted / 4 + 1) continue; /* a large group would be far too much */
        taken += unit->size;
        left--;
        cut->dataset->items[unit->first].split = DIO_SPLIT_VAL;
        if (unit->group >= 0) cut->group_chosen[unit->group] = 1;
    }
}

static int by_label(const void *a, const void *b, void *units)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    const struct unit *u = units;
    if (u[x].label != u[y].label) return (u[x].label > u[y].label) - (u[x].label < u[y].label);
    return (x > y) - (x < y);
}

dio_status dio_split_cut(struct dio_ctx *ctx, struct dio_dataset *dataset, const struct dio_dataset_options *options)
{
    struct cut cut = {.ctx = ctx, .dataset = dataset};
    dio_status status = DIO_ERR_ENV;
    cut.units = dio_alloc_array(ctx, dataset->count, sizeof *cut.units, "validation cut");
    cut.order = dio_alloc_array(ctx, dataset->count, sizeof *cut.order, "validation cut");
    cut.group_chosen = dio_alloc_zeroed(ctx, dataset->groups.count, 1, "validation cut");
    if (!cut.units || !cut.order || !cut.group_chosen) goto fail;
    DIO_TRY(make_units(&cut));
    for (size_t i = 0; i < cut.n_units; i++) cut.order[i] = (uint32_t)i;
    if (cut.n_units) qsort_r(cut.order, cut.n_units, sizeof *cut.order, by_label, cut.units);
    for (size_t first = 0; first < cut.n_units;) {
        int32_t label = cut.units[cut.order[first]].label;
        size_t n = 1;
        while (first + n < cut.n_units && cut.units[cut.order[first + n]].label == label) n++;
        cut_class(&cut, label, first, n, options->val_share, options->seed);
        first += n;
    }
    for (size_t i = 0; i < dataset->count; i++) {
        struct dio_item *item = &dataset->items[i];
        if (item->group >= 0 && cut.group_chosen[item->group] && item->split == DIO_SPLIT_TRAIN) item->split = DIO_SPLIT_VAL;
    }
    dataset->val_cut = dio_dataset_has(dataset, DIO_SPLIT_VAL);
    status = DIO_OK;
fail:
    dio_free(ctx, cut.units);
    dio_free(ctx, cut.order);
    dio_free(ctx, cut.group_chosen);
    return status;
}
