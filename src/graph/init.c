/* Parameters from scratch: PyTorch's distributions, drawn from (seed, name), so that neither the order of parameters nor
 * other layers change a layer's numbers. */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "graph/graph.h"

static struct dio_rng rng_of(const char *name, uint64_t seed)
{
    struct dio_digest digest = dio_sha256_of(name, strlen(name));
    uint64_t index = 0;
    for (int i = 0; i < 8; i++) index |= (uint64_t)digest.bytes[i] << (8 * i);
    return dio_rng_make(seed, DIO_RNG_INIT, 0, index);
}

/* Inputs of the layer that each output channel feeds: K * R * S, as PyTorch counts for grouped convolutions too. */
static double fan_out(const struct dio_shape *shape)
{
    double fan = (double)shape->dims[0];
    for (int i = 2; i < shape->rank; i++) fan *= (double)shape->dims[i];
    return fan;
}

void dio_param_init(struct dio_param *param, uint64_t seed)
{
    if (!param->data) return;
    int64_t count = dio_shape_elements(&param->shape);
    if (param->role == DIO_PARAM_COUNTER) {
        *(int64_t *)param->data = 0;
        return;
    }
    float *data = param->data;
    struct dio_rng rng = rng_of(param->name, seed);
    double deviation = sqrt(2 / fan_out(&param->shape)), bound = 1 / sqrt((double)(param->fan_in > 0 ? param->fan_in : 1));
    for (int64_t i = 0; i < count; i++) {
        switch (param->init) {
        case DIO_INIT_ZERO: data[i] = 0; break;
        case DIO_INIT_ONE: data[i] = 1; break;
        case DIO_INIT_NORMAL_FIFTIETH: data[i] = (float)(0.02 * dio_rng_normal(&rng)); break;
        case DIO_INIT_MILLIONTH: data[i] = 1e-6f; break;
        case DIO_INIT_KAIMING_NORMAL_OUT: data[i] = (float)(deviation * dio_rng_normal(&rng)); break;
        case DIO_INIT_NORMAL_HUNDREDTH: data[i] = (float)(0.01 * dio_rng_normal(&rng)); break;
        case DIO_INIT_LINEAR_UNIFORM: data[i] = (float)(bound * (2 * dio_rng_uniform(&rng) - 1)); break;
        }
    }
}

void dio_graph_init_params(struct dio_graph *graph, uint64_t seed)
{
    for (int i = 0; i < graph->n_params; i++) dio_param_init(&graph->params[i], seed);
}
