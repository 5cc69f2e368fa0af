/* The few operators that others know by name: the passes of graph/, which fold and fuse them. */
#ifndef DIO_OPS_KNOWN_H
#define DIO_OPS_KNOWN_H

#include "ops/op.h"

extern const struct dio_op dio_op_batch_norm, dio_op_add, dio_op_activation, dio_op_layer_scale, dio_op_linear, dio_op_layer_norm,
    dio_op_select_token, dio_op_global_avg_pool, dio_op_mul;

double dio_batch_norm_eps(const void *attrs);
const char *dio_activation_kind(const void *attrs); /* "relu" */

#endif
