/* SGD as PyTorch has it: decay joins the gradient, the first buffer is the gradient itself, lr stays outside the buffer. */
#include "train/optimizer.h"

static void step(const struct dio_optimizer_settings *settings, const struct dio_optimizer_span *span)
{
    float lr = (float)span->lr, decay = (float)span->weight_decay, momentum = (float)settings->momentum;
    const float *restrict grad = span->grad;
    float *restrict param = span->param, *restrict buffer = span->slot[0];
    const bool momentum_on = settings->momentum > 0, first = span->t == 1;
    for (int64_t i = 0; i < span->count; i++) {
        float g = grad[i] + decay * param[i];
        if (momentum_on) {
            buffer[i] = first ? g : momentum * buffer[i] + g;
            g = settings->nesterov ? g + momentum * buffer[i] : buffer[i];
        }
        param[i] -= lr * g;
    }
}

static const char *const slot_names[] = {"momentum"};

const struct dio_optimizer dio_optimizer_sgd = {
    .name = "sgd",
    .about = "stochastic gradient descent with momentum",
    .slots = 1,
    .slot_names = slot_names,
    .lr_head = 0.01, .lr_rest = 0.003, .lr_scratch = 0.1,
    .weight_decay = 1e-4, .weight_decay_head = 1e-3,
    .step = step,
};
