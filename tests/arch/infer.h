/* One forward pass of a loaded model. */
#ifndef DIO_TESTS_ARCH_INFER_H
#define DIO_TESTS_ARCH_INFER_H

#include "graph/plan.h"
#include "model/model.h"

/* Numbers that the model gives for one picture: logits, or features of a backbone. */
static inline int64_t infer_width(const struct dio_model *model)
{
    const struct dio_shape *shape = &model->graph->values[model->logits >= 0 ? model->logits : model->features].type.shape;
    int64_t width = 1;
    for (int i = 1; i < shape->rank; i++) width *= shape->dims[i];
    return width;
}

/* n pictures, channels last; out: n times infer_width. */
static inline dio_status infer_run(struct dio_ctx *ctx, const struct dio_model *model, const float *pictures, int64_t n, enum dio_precision precision, float *out)
{
    struct dio_plan *plan = NULL;
    struct dio_plan_options options = {.batch = n, .precision = precision};
    int output = model->logits >= 0 ? model->logits : model->features;
    DIO_PASS(dio_plan_infer(ctx, model->graph, model->graph->inputs, 1, &output, 1, &options, &plan));
    dio_plan_run(plan, n, (const void *const[]){pictures}, (void *const[]){out});
    dio_plan_free(plan);
    return DIO_OK;
}

#endif
