#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "data/dataset_private.h"

void dio_text_set_init(struct dio_text_set *texts, struct dio_ctx *ctx)
{
    *texts = (struct dio_text_set){0};
    dio_arena_init(&texts->arena, ctx);
}

void dio_text_set_free(struct dio_ctx *ctx, struct dio_text_set *texts)
{
    dio_free(ctx, texts->texts);
    dio_free(ctx, texts->slots);
    dio_arena_free(&texts->arena);
    *texts = (struct dio_text_set){0};
}

static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash ^ hash >> 29;
}

static size_t slot_of(const struct dio_text_set *texts, const char *text)
{
    size_t slot = (size_t)hash_of(text) & (texts->n_slots - 1);
    while (texts->slots[slot] && strcmp(texts->texts[texts->slots[slot] - 1], text) != 0) slot = (slot + 1) & (texts->n_slots - 1);
    return slot;
}

static dio_status more_slots(struct dio_ctx *ctx, struct dio_text_set *texts)
{
    size_t n = texts->n_slots ? 2 * texts->n_slots : 64;
    uint32_t *slots = dio_alloc_zeroed(ctx, n, sizeof *slots, "label table");
    if (!slots) return DIO_ERR_ENV;
    dio_free(ctx, texts->slots);
    texts->slots = slots;
    texts->n_slots = n;
    for (size_t i = 0; i < texts->count; i++) slots[slot_of(texts, texts->texts[i])] = (uint32_t)i + 1;
    return DIO_OK;
}

int32_t dio_text_set_find(const struct dio_text_set *texts, const char *text)
{
    if (!texts->n_slots) return -1;
    return (int32_t)texts->slots[slot_of(texts, text)] - 1;
}

dio_status dio_text_set_put(struct dio_ctx *ctx, struct dio_text_set *texts, const char *text, int32_t *number)
{
    *number = dio_text_set_find(texts, text);
    if (*number >= 0) return DIO_OK;
    if (texts->count >= INT32_MAX / 2) return dio_fail(ctx, DIO_ERR_INPUT, NULL, NULL, "too many different labels");
    if (2 * (texts->count + 1) > texts->n_slots) DIO_PASS(more_slots(ctx, texts));
    DIO_PASS(dio_grow(ctx, (void **)&texts->texts, &texts->capacity, texts->count + 1, sizeof *texts->texts, "labels"));
    char *copy = dio_arena_strndup(&texts->arena, text, strlen(text));
    if (!copy) return DIO_ERR_ENV;
    *number = (int32_t)texts->count;
    texts->slots[slot_of(texts, text)] = (uint32_t)texts->count + 1;
    texts->texts[texts->count++] = copy;
    return DIO_OK;
}

/* ---- classes ---- */

dio_status dio_dataset_name_classes(struct dio_ctx *ctx, struct dio_dataset *dataset, const char *const *names, size_t count)
{
    (void)ctx;
    char **classes = dio_arena_alloc(&dataset->arena, (count ? count : 1) * sizeof *classes);
    if (!classes) return DIO_ERR_ENV;
    for (size_t i = 0; i < count; i++) {
        classes[i] = dio_arena_strndup(&dataset->arena, names[i], strlen(names[i]));
        if (!classes[i]) return DIO_ERR_ENV;
    }
    dataset->classes = classes;
    dataset->n_classes = count;
    return DIO_OK;
}

struct named {
    const char *text;
    int64_t value;
    int32_t number;
};

static int by_bytes(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->text, ((const struct named *)b)->text);
}

static int by_value(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    return x->value != y->value ? (x->value > y->value) - (x->value < y->value) : strcmp(x->text, y->text);
}

/* Training: the labels' own names, sorted. */
static dio_status sort_classes(struct dio_ctx *ctx, struct dio_dataset *dataset, const struct dio_text_set *labels, int32_t *map)
{
    size_t n = labels->count;
    struct named *named = dio_alloc_array(ctx, n, sizeof *named, "classes");
    const char **names = dio_alloc_array(ctx, n, sizeof *names, "classes");
    dio_status status = named && names ? DIO_OK : DIO_ERR_ENV;
    bool numbers = true;
    for (size_t i = 0; i < n && status == DIO_OK; i++) {
        named[i] = (struct named){labels->texts[i], 0, (int32_t)i};
        numbers = numbers && dio_parse_i64(labels->texts[i], strlen(labels->texts[i]), &named[i].value);
    }
    if (status == DIO_OK) {
        qsort(named, n, sizeof *named, numbers ? by_value : by_bytes);
        for (size_t i = 0; i < n; i++) {
            names[i] = named[i].text;
            map[named[i].number] = (int32_t)i;
        }
        status = dio_dataset_name_classes(ctx, dataset, names, n);
    }
    dio_free(ctx, named);
    dio_free(ctx, names);
    return status;
}

static uint32_t first_line_of(const struct dio_dataset *dataset, int32_t label)
{
    for (size_t i = 0; i < dataset->count; i++) {
        if (dataset->items[i].label == label) return dataset->items[i].line;
    }
    return 0;
}

bool dio_classes_are_indices(const struct dio_dataset_options *options)
{
    char index[24];
    for (size_t i = 0; i < options->n_model_classes; i++) {
        snprintf(index, sizeof index, "%zu", i);
        if (strcmp(index, options->model_classes[i]) != 0) return false;
    }
    return true;
}

static dio_status unknown_class(struct dio_ctx *ctx, const struct dio_dataset *dataset,
                                const struct dio_dataset_options *options, const char *text, int32_t label, const char *shown)
{
    char hint[256];
    const char *near = dio_nearest(text, options->model_classes, options->n_model_classes);
    struct dio_place place = {.file = shown, .line = first_line_of(dataset, label), .hint = hint};
    size_t n = options->n_model_classes;
    if (near) {
        snprintf(hint, sizeof hint, "did you mean \"%.200s\"?", near);
    } else {
        size_t used = (size_t)snprintf(hint, sizeof hint, "known are ");
        for (size_t i = 0; i < n && i < 4; i++) {
            used += (size_t)snprintf(hint + used, sizeof hint - used, "%s\"%.40s\"", i ? ", " : "", options->model_classes[i]);
        }
        if (n > 4) snprintf(hint + used, sizeof hint - used, " and %zu more", n - 4);
    }
    int64_t value;
    if (!options->names_only && dio_parse_i64(text, strlen(text), &value)) {
        snprintf(hint, sizeof hint, "whole numbers are class indices, 0 to %zu", n - 1);
    } else if (!options->names_only && dio_classes_are_indices(options)) {
        snprintf(hint, sizeof hint, "the model has no class names; --classes FILE gives them");
    }
    return dio_fail(ctx, DIO_ERR_INPUT, "D3", &place, "class \"%.200s\" is not one of the %zu %s", text, n,
                    options->names_only ? "training classes" : "classes of the model");
}

/* A model's classes: by name first, else by index. */
static dio_status map_classes(struct dio_ctx *ctx, struct dio_dataset *dataset, const struct dio_dataset_options *options,
                              const struct dio_text_set *labels, const char *shown, int32_t *map)
{
    struct dio_text_set known;
    dio_text_set_init(&known, ctx);
    dio_status status = DIO_OK;
    /* A model may have one name twice (ImageNet has two cranes): the first stands for it. */
    int32_t *index = dio_alloc_array(ctx, options->n_model_classes, sizeof *index, "classes");
    if (!index) status = DIO_ERR_ENV;
    for (size_t i = 0; i < options->n_model_classes && status == DIO_OK; i++) {
        int32_t number;
        size_t before = known.count;
        status = dio_text_set_put(ctx, &known, options->model_classes[i], &number);
        if (known.count > before) index[number] = (int32_t)i;
    }
    for (size_t i = 0; i < labels->count && status == DIO_OK; i++) {
        const char *text = labels->texts[i];
        int32_t number = dio_text_set_find(&known, text);
        int64_t value;
        if (number >= 0) {
            map[i] = index[number];
        } else if (!options->names_only && dio_parse_i64(text, strlen(text), &value) && value >= 0 &&
                   (uint64_t)value < options->n_model_classes) {
            map[i] = (int32_t)value;
        } else {
            status = unknown_class(ctx, dataset, options, text, (int32_t)i, shown);
        }
    }
    dio_free(ctx, index);
    dio_text_set_free(ctx, &known);
    DIO_PASS(status);
    return dio_dataset_name_classes(ctx, dataset, options->model_classes, options->n_model_classes);
}

dio_status dio_dataset_set_classes(struct dio_ctx *ctx, struct dio_dataset *dataset,
                                   const struct dio_dataset_options *options, const struct dio_text_set *labels,
                                   const char *shown)
{
    if (labels->count > DIO_MAX_CLASSES) {
        struct dio_place place = {.file = shown};
        return dio_fail(ctx, DIO_ERR_INPUT, "D2", &place, "%zu classes, at most %d", labels->count, DIO_MAX_CLASSES);
    }
    int32_t *map = dio_alloc_array(ctx, labels->count, sizeof *map, "classes");
    if (!map) return DIO_ERR_ENV;
    dio_status status = options->model_classes ? map_classes(ctx, dataset, options, labels, shown, map)
                                               : sort_classes(ctx, dataset, labels, map);
    for (size_t i = 0; i < dataset->count && status == DIO_OK; i++) {
        if (dataset->items[i].label >= 0) dataset->items[i].label = map[dataset->items[i].label];
    }
    dio_free(ctx, map);
    return status;
}
