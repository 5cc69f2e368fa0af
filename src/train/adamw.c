/* AdamW as PyTorch has it: decay shrinks the parameter before the step; eps is added after the bias correction. */
#include <math.h>

#include "train/optimizer.h"

static void step(const struct dio_optimizer_settings *settings, const struct dio_optimizer_span *span)
{
    double correction1 = 1 - pow(settings->beta1, (double)span->t), correction2 = 1 - pow(settings->beta2, (double)span->t);
    float shrink = (float)(1 - span->lr * span->weight_decay), rate = (float)(span->lr / correction1);
    float root = (float)(1 / sqrt(correction2)), eps = (float)settings->eps;
    float b1 = (float)settings->beta1, b2 = (float)settings->beta2;
    float c1 = (float)(1 - settings->beta1), c2 = (float)(1 - settings->beta2);
    const float *restrict grad = span->grad;
    float *restrict param = span->param, *restrict mean = span->slot[0], *restrict square = span->slot[1];
    for (int64_t i = 0; i < span->count; i++) {
        const float g = grad[i];
        mean[i] = b1 * mean[i] + c1 * g;
        square[i] = b2 * square[i] + c2 * g * g;
        param[i] = param[i] * shrink - rate * (mean[i] / (sqrtf(square[i]) * root + eps));
    }
}

static const char *const slot_names[] = {"exp_avg", "exp_avg_sq"};

const struct dio_optimizer dio_optimizer_adamw = {
    .name = "adamw",
    .about = "Adam with decoupled weight decay",
    .slots = 2,
    .slot_names = slot_names,
    .lr_head = 3e-3, .lr_rest = 3e-4, .lr_scratch = 2e-3,
    .weight_decay = 0.01, .weight_decay_head = 0.1,
    .step = step,
};
