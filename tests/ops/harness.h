/* One operator at one case line, outside any plan: numbers made from a hash, memory with guards around it and poison in
 * it, phases run on a team. */
#ifndef DIO_TESTS_OPS_HARNESS_H
#define DIO_TESTS_OPS_HARNESS_H

#include "base/context.h"
#include "base/threads.h"
#include "ops/op.h"

/* Number i of tensor `stream`: uniform in [-1, 1), the same in make_golden.py. */
float op_number(uint32_t stream, uint64_t i);

enum { STREAM_INPUT = 1, STREAM_PARAM = 20, STREAM_DY = 40, STREAM_PERTURB = 60 };

struct op_case {
    struct dio_ctx *ctx;
    const struct dio_op *op;
    const char *line;
    char attrs_text[512];
    void *attrs;
    struct dio_op_shapes shapes; /* dims[0] is the batch */
    int64_t batch;
    void *x[DIO_OP_MAX_INPUTS];        /* f32 or i32 */
    void *param[DIO_OP_MAX_PARAMS];
    float *dy[DIO_OP_MAX_OUTPUTS];
};

/* Parses the line, infers, makes inputs, parameters and output gradients. */
dio_status op_case_open(struct dio_ctx *ctx, const struct dio_op *op, const char *line, struct op_case *c);
void op_case_close(struct op_case *c);
int64_t op_elements(const struct dio_shape *shape, int64_t n); /* with n instead of dims[0]; 1 for rank 0 */

struct op_run {
    const struct dio_kernels *kernels;
    struct dio_team *team;
    enum dio_mode mode;
    bool train_stats, exact;
    bool backward;
    struct dio_step_wants wants;
    float add_to;      /* gradients are added to this number, instead of written, when `add` */
    bool add;
    bool in_place;     /* y lies over x, where the step allows it, and a gradient over dy */
    enum dio_precision precision;
    bool bf16_in, bf16_out; /* f32 inputs are narrowed and handed over as bf16; outputs are bf16, and widened into the result */
    int64_t n;         /* images; 0: the batch */
    int64_t first;     /* image of the case that the run begins with */
    double seconds_forward, seconds_backward; /* answered */
};

/* What came out; every array has guards that op_result_intact looks at. */
struct op_result {
    struct dio_ctx *ctx;
    float *y[DIO_OP_MAX_OUTPUTS], *dx[DIO_OP_MAX_INPUTS], *dparam[DIO_OP_MAX_PARAMS], *param_after[DIO_OP_MAX_PARAMS];
    int64_t y_count[DIO_OP_MAX_OUTPUTS], dx_count[DIO_OP_MAX_INPUTS], param_count[DIO_OP_MAX_PARAMS];
    bool was_in_place;
    const char *damage; /* NULL, or which guard was touched */
};

dio_status op_run(const struct op_case *c, struct op_run *run, struct op_result *result);
void op_result_free(struct op_result *result);
/* Name of the first array with different bits; NULL: all are the same. */
const char *op_result_differs(const struct op_result *a, const struct op_result *b);

/* Everything that can be wanted. */
struct dio_step_wants op_wants_all(const struct op_case *c);
/* Does train_stats mean anything to this op? */
bool op_has_training_mode(const struct op_case *c);

#endif
