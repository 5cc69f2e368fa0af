#include "base/memory.h"
#include "base/str.h"
#include "format/load_parts.h"
#include "tensor/convert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAMED = 10, NAME_LIMIT = 60 }; /* tensors named in one message, and bytes of each */

/* A list of names that may grow long: the first ten, then a count. */
struct name_list {
    struct dio_str text;
    size_t count;
};

static void list_name(struct name_list *list, const char *name, size_t length, const char *more)
{
    if (list->count++ >= NAMED) return;
    char escaped[NAME_LIMIT + 1];
    dio_escape(escaped, sizeof escaped, name, length, 0);
    dio_str_addf(&list->text, "%s%s%s", list->count > 1 ? ", " : "", escaped, more);
}

static void end_list(struct name_list *list)
{
    if (list->count > NAMED) dio_str_addf(&list->text, " and %zu more", list->count - NAMED);
}

static const struct dio_weight *find(const struct dio_loaded *loaded, const char *prefix, const char *name)
{
    char whole[DIO_MAX_TENSOR_NAME];
    int length = snprintf(whole, sizeof whole, "%s%s", prefix, name);
    if (length < 0 || (size_t)length >= sizeof whole) return NULL;
    return dio_weights_find_n(&loaded->weights, whole, (size_t)length);
}

static bool fits(const struct dio_param *param, const struct dio_weight *weight)
{
    if (param->role == DIO_PARAM_COUNTER) return weight->elements == 1; /* [] or [1] */
    return dio_weight_is(weight, param->shape.rank, param->shape.dims);
}

/* Row J8: all that is missing or of the wrong shape, in one message. */
static dio_status check(struct dio_ctx *ctx, const struct dio_loaded *loaded, const struct dio_model *model, const char *prefix,
                        const char *why)
{
    struct name_list missing = {0}, wrong = {0};
    dio_str_init(&missing.text, ctx);
    dio_str_init(&wrong.text, ctx);
    for (int i = 0; i < model->graph->n_params; i++) {
        const struct dio_param *param = &model->graph->params[i];
        const struct dio_weight *weight = find(loaded, prefix, param->name);
        if (!weight && param->role == DIO_PARAM_COUNTER) continue; /* files of old PyTorch have none */
        if (!weight) {
            list_name(&missing, param->name, strlen(param->name), "");
        } else if (!fits(param, weight)) {
            char is[96], expected[96], more[220];
            dio_dims_format(is, sizeof is, weight->dims, weight->rank);
            dio_shape_format(expected, sizeof expected, &param->shape);
            snprintf(more, sizeof more, " is %s, expected %s", is, expected);
            list_name(&wrong, weight->name, weight->name_length, more);
        }
    }
    end_list(&missing);
    end_list(&wrong);
    dio_status status = dio_str_status(&missing.text);
    if (status == DIO_OK) status = dio_str_status(&wrong.text);
    struct dio_place place = {.file = loaded->weights_path, .hint = why};
    const char *variant = model->variant ? model->variant : "the stored graph";
    if (status == DIO_OK && missing.count > 0) {
        status = dio_fail(ctx, DIO_ERR_INPUT, "J8", &place, "%zu tensor%s of %s missing: %s%s%s", missing.count,
                          missing.count == 1 ? "" : "s", variant, missing.text.data, wrong.count ? "; tensor " : "",
                          wrong.count ? wrong.text.data : "");
    } else if (status == DIO_OK && wrong.count > 0) {
        status = dio_fail(ctx, DIO_ERR_INPUT, "J8", &place, "tensor %s", wrong.text.data);
    }
    dio_str_free(&missing.text);
    dio_str_free(&wrong.text);
    return status;
}

static dio_status copy(struct dio_ctx *ctx, const struct dio_weights *weights, const struct dio_weight *weight,
                       struct dio_param *param)
{
    if (param->role != DIO_PARAM_COUNTER) return dio_weight_to_f32(ctx, weights, weight, param->data);
    if (weight->dtype == DIO_I64) return dio_weight_copy(ctx, weights, weight, param->data);
    float value;
    DIO_PASS(dio_weight_to_f32(ctx, weights, weight, &value));
    *(int64_t *)param->data = value >= 0 && value < 9e18f ? (int64_t)value : 0;
    return DIO_OK;
}

/* Row S18; the first ten tensors by name. */
static dio_status say_nonfinite(struct dio_ctx *ctx, struct dio_loaded *loaded, const char *name, uint64_t nan, uint64_t inf)
{
    if (nan + inf == 0 || ++loaded->nonfinite_tensors > NAMED) return DIO_OK;
    if (nan && inf) {
        return dio_loaded_message(ctx, loaded, DIO_LEVEL_WARNING, "S18",
                                  "tensor %s holds %" PRIu64 " NaN and %" PRIu64 " infinite values", name, nan, inf);
    }
    return dio_loaded_message(ctx, loaded, DIO_LEVEL_WARNING, "S18", "tensor %s holds %" PRIu64 " %s values", name, nan + inf,
                              nan ? "NaN" : "infinite");
}

static dio_status end_nonfinite(struct dio_ctx *ctx, struct dio_loaded *loaded)
{
    if (loaded->nonfinite_tensors <= NAMED) return DIO_OK;
    return dio_loaded_message(ctx, loaded, DIO_LEVEL_WARNING, "S18", "and %" PRIu64 " more tensors",
                              loaded->nonfinite_tensors - NAMED);
}

dio_status dio_loaded_scan(struct dio_ctx *ctx, struct dio_loaded *loaded)
{
    for (size_t i = 0; i < loaded->weights.count; i++) {
        const struct dio_weight *weight = &loaded->weights.items[i];
        uint64_t nan = 0, inf = 0;
        DIO_PASS(dio_weight_nonfinite(ctx, &loaded->weights, weight, &nan, &inf));
        char name[208];
        dio_escape(name, sizeof name, weight->name, weight->name_length, 200);
        DIO_PASS(say_nonfinite(ctx, loaded, name, nan, inf));
    }
    return end_nonfinite(ctx, loaded);
}

/* Row J9. */
static dio_status say_unused(struct dio_ctx *ctx, struct dio_loaded *loaded, const struct dio_model *model, const char *prefix)
{
    struct name_list unused = {0};
    dio_str_init(&unused.text, ctx);
    bool *used = dio_alloc_zeroed(ctx, loaded->weights.count + 1, sizeof *used, "used tensors");
    if (!used) return DIO_ERR_ENV;
    for (int i = 0; i < model->graph->n_params; i++) {
        const struct dio_weight *weight = find(loaded, prefix, model->graph->params[i].name);
        if (weight) used[weight - loaded->weights.items] = true;
    }
    for (size_t i = 0; i < loaded->weights.count; i++) {
        const struct dio_weight *weight = &loaded->weights.items[i];
        if (!used[i]) list_name(&unused, weight->name, weight->name_length, "");
    }
    dio_free(ctx, used);
    end_list(&unused);
    dio_status status = dio_str_status(&unused.text);
    if (status == DIO_OK && unused.count > 0) {
        status = dio_loaded_message(ctx, loaded, DIO_LEVEL_WARNING, "J9", "%zu tensor%s not used: %s", unused.count,
                                    unused.count == 1 ? "" : "s", unused.text.data);
    }
    dio_str_free(&unused.text);
    return status;
}

dio_status dio_loaded_check(struct dio_ctx *ctx, const struct dio_loaded *loaded)
{
    for (size_t i = 0; i < loaded->weights.source_count; i++) {
        if (dio_blob_unchanged(&loaded->weights.blobs[i])) continue;
        return dio_fail(ctx, DIO_ERR_INPUT, "S20", &(struct dio_place){.file = loaded->weights.sources[i]}, "changed while it was read");
    }
    return DIO_OK;
}

/* f32 as they are, at a place where floats may lie. */
static bool can_view(const struct dio_weight *weight, const struct dio_param *param)
{
    return param->role != DIO_PARAM_COUNTER && weight->dtype == DIO_F32 && !weight->strides && !weight->swapped &&
           (uintptr_t)weight->data % _Alignof(float) == 0;
}

/* An unpacked entry of a mapped file is a block of its own. */
static bool in_mapping(const struct dio_weights *weights, const struct dio_weight *weight)
{
    const struct dio_blob *blob = &weights->blobs[weight->source];
    const uintptr_t begin = (uintptr_t)blob->data, at = (uintptr_t)weight->data;
    return blob->mapped && at >= begin && at < begin + blob->size;
}

static dio_status take(struct dio_ctx *ctx, const struct dio_loaded *loaded, const struct dio_weight *weight,
                       struct dio_param *param, bool view)
{
    if (!view || !can_view(weight, param)) return copy(ctx, &loaded->weights, weight, param);
    param->data = (void *)(uintptr_t)weight->data;
    param->mapped = in_mapping(&loaded->weights, weight);
    return DIO_OK;
}

dio_status dio_load_weights(struct dio_ctx *ctx, struct dio_loaded *loaded, struct dio_model *model, const char *prefix,
                            const char *why, bool view)
{
    DIO_PASS(check(ctx, loaded, model, prefix, why));
    DIO_PASS(dio_loaded_check(ctx, loaded));
    for (int i = 0; i < model->graph->n_params; i++) {
        struct dio_param *param = &model->graph->params[i];
        const struct dio_weight *weight = find(loaded, prefix, param->name);
        if (!weight) continue; /* a counter */
        DIO_PASS(take(ctx, loaded, weight, param, view));
        uint64_t nan = 0, inf = 0;
        if (param->role != DIO_PARAM_COUNTER) {
            dio_count_nonfinite(param->data, DIO_F32, (size_t)dio_shape_elements(&param->shape), &nan, &inf);
        }
        DIO_PASS(say_nonfinite(ctx, loaded, param->name, nan, inf));
    }
    DIO_PASS(end_nonfinite(ctx, loaded));
    return say_unused(ctx, loaded, model, prefix);
}
