#include <string.h>

#include "train/checkpoint.h"

static bool changes(const struct dio_param *param)
{
    return param->trainable && param->role != DIO_PARAM_CONSTANT && param->data;
}

size_t dio_snapshot_size(const struct dio_param *param)
{
    return (size_t)dio_shape_elements(&param->shape) * (dio_dtype_size(param->dtype) / sizeof(float));
}

dio_status dio_snapshot_take(struct dio_ctx *ctx, const struct dio_graph *graph, struct dio_snapshot *snapshot)
{
    *snapshot = (struct dio_snapshot){0};
    for (int i = 0; i < graph->n_params; i++) {
        if (!changes(&graph->params[i])) continue;
        snapshot->count++;
        snapshot->floats += dio_snapshot_size(&graph->params[i]);
    }
    snapshot->params = dio_alloc_array(ctx, (size_t)snapshot->count, sizeof *snapshot->params, "snapshot");
    snapshot->block = dio_alloc_array(ctx, snapshot->floats, sizeof *snapshot->block, "a copy of what learns");
    if (!snapshot->params || !snapshot->block) {
        dio_snapshot_free(ctx, snapshot);
        return DIO_ERR_ENV;
    }
    for (int i = 0, n = 0; i < graph->n_params; i++) {
        if (changes(&graph->params[i])) snapshot->params[n++] = i;
    }
    dio_snapshot_update(graph, snapshot);
    return DIO_OK;
}

void dio_snapshot_update(const struct dio_graph *graph, struct dio_snapshot *snapshot)
{
    float *to = snapshot->block;
    for (int n = 0; n < snapshot->count; n++) {
        const struct dio_param *param = &graph->params[snapshot->params[n]];
        size_t size = dio_snapshot_size(param);
        memcpy(to, param->data, size * sizeof *to);
        to += size;
    }
}

void dio_snapshot_restore(const struct dio_graph *graph, const struct dio_snapshot *snapshot)
{
    const float *from = snapshot->block;
    for (int n = 0; n < snapshot->count; n++) {
        const struct dio_param *param = &graph->params[snapshot->params[n]];
        size_t size = dio_snapshot_size(param);
        memcpy(param->data, from, size * sizeof *from);
        from += size;
    }
}

void dio_snapshot_free(struct dio_ctx *ctx, struct dio_snapshot *snapshot)
{
    dio_free(ctx, snapshot->params);
    dio_free(ctx, snapshot->block);
    *snapshot = (struct dio_snapshot){0};
}
