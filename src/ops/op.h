/* An operator, once: what its shapes are, what it computes forward and backward, what memory that takes.
 *
 * ops/<op>.c ends in `const struct dio_op dio_op_<op>`; ops/list.def names it; nothing else knows it.  `infer` and
 * `prepare` are the only places that refuse.  The functions of the phases cannot fail: they allocate nothing, return
 * nothing, run on one thread, and see only their dio_step.
 *
 * Activations are channels last: [N, H, W, C] or [N, D]; f32, or narrower inside an inference plan of lower precision,
 * where the ops on both sides can (dio_op.narrow).  Parameters keep PyTorch's order: conv weights are
 * [K, C/groups, R, S], linear weights [out, in].  Shape letters: N images, H W height and width, C input channels,
 * K output channels, R S kernel, T tokens, D width. */
#ifndef DIO_OPS_OP_H
#define DIO_OPS_OP_H

#include "base/context.h"
#include "kernels/kernels.h"
#include "tensor/tensor.h"

enum {
    DIO_OP_MAX_INPUTS = 8,  /* concat takes the most */
    DIO_OP_MAX_OUTPUTS = 2,
    DIO_OP_MAX_PARAMS = 6,
    DIO_OP_MAX_PHASES = 6
};

/* Type of a value in a graph.  shape.dims[0] is the batch; it is 0 in a graph and a number in a plan.  A value of rank 0
 * (a loss) is one number whatever the batch. */
struct dio_value_type {
    enum dio_dtype dtype;
    struct dio_shape shape;
    float scale;  /* U8: a number is scale * (byte - zero); F32: not 0 where a reader may make bytes of it (dio_op.makes_u8) */
    int32_t zero;
};

/* ---- attributes: an op's own struct, described so that text (test cases, stored graphs, builders) can fill it ---- */

enum dio_attr_type {
    DIO_ATTR_INT,   /* int64_t */
    DIO_ATTR_INTS,  /* int64_t[count]; one number in the text stands for all of them, two for pairs of four */
    DIO_ATTR_FLOAT, /* double */
    DIO_ATTR_BOOL,  /* bool; text 0 or 1 */
    DIO_ATTR_ENUM   /* int; text is one of `names` */
};

struct dio_attr_def {
    const char *name; /* NULL ends the table */
    enum dio_attr_type type;
    size_t offset;
    int count;              /* INTS */
    double initial;         /* default; NAN: has to be given */
    double min, max;        /* inclusive */
    const char *const *names; /* ENUM, NULL-terminated */
    const char *onnx;       /* the attribute's ONNX name, or NULL */
};

/* ---- parameters ---- */

enum dio_param_role {
    DIO_PARAM_TRAINED,   /* weight, bias: gets a gradient when it is trainable */
    DIO_PARAM_STATISTIC, /* running_mean, running_var: moved by forward in training mode */
    DIO_PARAM_COUNTER,   /* num_batches_tracked: counts training steps (one i64); data may be NULL */
    DIO_PARAM_CONSTANT   /* given from outside and never trained: class weights of a loss */
};

enum dio_param_init {
    DIO_INIT_ZERO, DIO_INIT_ONE, DIO_INIT_KAIMING_NORMAL_OUT, DIO_INIT_LINEAR_UNIFORM,
    DIO_INIT_NORMAL_HUNDREDTH, /* deviation 0.01 */
    DIO_INIT_NORMAL_FIFTIETH,  /* deviation 0.02: embeddings */
    DIO_INIT_MILLIONTH         /* layer scale */
};

struct dio_param_def {
    const char *name; /* "weight"; the graph's parameter is called NODE.weight, or NODE where this is "" */
    enum dio_param_role role;
    enum dio_param_init init; /* from scratch; fan taken from the shape; LINEAR_UNIFORM: U(+-1/sqrt(fan_in)), fan_in below */
    int64_t fan_in;
    struct dio_shape shape;
    bool added; /* to what goes through, as biases and embeddings are: weight decay leaves it out */
};

/* ---- infer ---- */

struct dio_op_shapes {
    /* given */
    const void *attrs;
    int n_inputs;
    struct dio_value_type inputs[DIO_OP_MAX_INPUTS];
    /* answered */
    int n_outputs, n_params;
    struct dio_value_type outputs[DIO_OP_MAX_OUTPUTS];
    struct dio_param_def params[DIO_OP_MAX_PARAMS];
    int64_t macs; /* multiply-adds of convolutions and products, one image */
};

/* ---- a step: an op at fixed shapes inside a plan ---- */

struct dio_step;
/* `scratch`: step->scratch_bytes bytes, 64-byte aligned, this thread's own, contents undefined (tests poison it). */
typedef void dio_op_fn(const struct dio_step *step, int64_t piece, void *scratch);
/* How many pieces for step->n images.  Depends on shapes and n alone, never on the number of threads. */
typedef int64_t dio_pieces_fn(const struct dio_step *step);

struct dio_op_phase {
    dio_op_fn *run;
    dio_pieces_fn *pieces;
};

enum { DIO_OVER_DY = 1 };

enum dio_mode {
    DIO_MODE_INFER, /* statistics are constants, dropout is off; weights are packed once */
    DIO_MODE_TRAIN  /* backward will be run; weights may change between runs (the plan calls `pack` again) */
};

/* Arithmetic of an inference plan.  BF16: convolutions and products multiply bf16 and sum in f32; values between ops are
 * bf16 where the ops allow it; what enters and what leaves the plan is f32.  INT8: products of bytes, summed
 * exactly, where values have ranges; the rest as in BF16.  BF16X3: values are f32; each factor of a product is split into
 * two bf16, of whose four products the three largest are summed in f32.  Training is F32. */
enum dio_precision { DIO_PRECISION_F32, DIO_PRECISION_BF16X3, DIO_PRECISION_BF16, DIO_PRECISION_INT8 };
const char *dio_precision_name(enum dio_precision precision); /* "f32", "bf16x3", "bf16", "int8" */
bool dio_precision_parse(const char *name, enum dio_precision *out);

/* One row of an image's output, computed from the rows of input 0 that it meets: `rows` are input rows
 * y * stride - top + i * dilation, i < count; NULL: outside, zeros.  They lie in one block of memory.  y, residual: the row's;
 * means: its place in output 1 (DIO_FUSE_LINE_MEANS). */
typedef void dio_op_row_fn(const struct dio_step *step, const void *const *rows, float *y, const float *residual, float *means, void *scratch);
enum { DIO_OP_MAX_ROWS = 32 };
struct dio_op_rows {
    dio_op_row_fn *run; /* NULL: this step cannot go row by row */
    int64_t count, stride, dilation, top;
};

struct dio_step_block;

struct dio_step {
    const struct dio_op *op;
    const void *attrs;
    const struct dio_kernels *kernels;
    enum dio_mode mode;
    enum dio_precision precision; /* prepare sets it back to F32 where products are f32 nevertheless */
    bool train_stats;   /* this batch norm uses and moves batch statistics; this dropout drops */
    bool exact;         /* no algorithm that changes the last digits (Winograd) */
    int n_inputs, n_outputs, n_params;
    struct dio_value_type in[DIO_OP_MAX_INPUTS], out[DIO_OP_MAX_OUTPUTS]; /* dims[0]: largest batch */
    struct dio_shape param_shape[DIO_OP_MAX_PARAMS];

    /* Answered by prepare.  Sizes in bytes for the largest batch. */
    size_t packed_bytes;   /* weights in the kernel's own layout, written by `pack`, read by forward */
    size_t saved_bytes;    /* written by forward, read by backward */
    size_t shared_bytes;   /* lives through the phases of one forward or one backward */
    size_t scratch_bytes;  /* per thread */
    bool reads_x, reads_y; /* backward reads the inputs / the outputs of forward, so the plan keeps them */
    bool in_place;         /* output 0 may lie over input `in_place_input` */
    int in_place_input;
    /* The gradient of input dx_over_dy - DIO_OVER_DY may lie over output 0's, where it is written, not added; 0: of none. */
    int dx_over_dy;
    /* Forward and backward read this parameter from `packed` alone (so an inference plan keeps no copy of it). */
    bool packs_param[DIO_OP_MAX_PARAMS];
    struct dio_op_rows rows;
    int n_forward, n_backward, n_pack;
    struct dio_op_phase forward[DIO_OP_MAX_PHASES], backward[DIO_OP_MAX_PHASES], pack[2];
    const void *plan_data; /* what prepare computed for the run (geometry); allocated with dio_step_data, freed by the plan */
    struct dio_step_block *data_blocks; /* of dio_step_data */

    /* Bound by the plan before a run. */
    int64_t n;                                /* images in this run, at most in[0].shape.dims[0] */
    bool alone;                               /* one thread runs all pieces: cutting finely shares nothing */
    uint64_t seed, step_index;                /* for dropout */
    const void *x[DIO_OP_MAX_INPUTS];
    void *y[DIO_OP_MAX_OUTPUTS];
    void *param[DIO_OP_MAX_PARAMS];           /* written only: statistics, under train_stats */
    void *packed, *saved, *shared;
    const float *dy[DIO_OP_MAX_OUTPUTS];
    float *dx[DIO_OP_MAX_INPUTS];             /* NULL: not wanted */
    bool add_dx[DIO_OP_MAX_INPUTS];           /* add to what is there instead of writing */
    float *dparam[DIO_OP_MAX_PARAMS];         /* NULL: frozen, costs nothing */
    bool add_dparam[DIO_OP_MAX_PARAMS];
};

/* What prepare is told about backward, so that it books only what is needed. */
struct dio_step_wants {
    bool dx[DIO_OP_MAX_INPUTS], dparam[DIO_OP_MAX_PARAMS];
};

/* What passes may put into an op of an inference plan, f32 where outputs are more than one: y = activation(op(x) * scale + bias + residual). */
enum {
    DIO_FUSE_SCALE = 1 << 0,      /* params[0] is the weight, its first axis the output channels, and a bool attribute
                                     `bias` adds params[1]: a batch norm behind the op folds into the two */
    DIO_FUSE_ADD = 1 << 1,        /* takes one more input (max_inputs says so), of the output's shape, added before the activation */
    DIO_FUSE_ACTIVATION = 1 << 2, /* has an enum attribute `activation` ("none" first, then kinds of the op activation) */
    DIO_FUSE_LINE_MEANS = 1 << 3, /* with one filter of at most DIO_OP_MAX_ROWS x DIO_OP_MAX_ROWS a channel, takes one more output,
                                     [N, OH, 1, K]: the means of each line of the first */
    DIO_FUSE_GATE = 1 << 4        /* with a 1 x 1 kernel that makes a map from one as large, takes one more input behind the others,
                                     [N, 1, 1, C], which multiplies the channels of the first */
};

/* In a plan of lower precision any input and any output may be bf16 or u8, each for itself, of an op that has the flag;
 * dio_step.in and out say which.  Parameters are f32. */
enum {
    DIO_BF16_READS = 1 << 0,
    DIO_BF16_WRITES = 1 << 1,
    DIO_U8_READS = 1 << 2,
    DIO_U8_WRITES = 1 << 3,
    DIO_U8_SAME_RANGE = 1 << 4, /* what is written lies where what is read lay: one scale for both */
    DIO_NARROW = DIO_BF16_READS | DIO_BF16_WRITES | DIO_U8_READS | DIO_U8_WRITES
};

struct dio_op {
    const char *name;               /* "conv" */
    const char *onnx;               /* "Conv", or NULL */
    size_t attrs_size;
    const struct dio_attr_def *attrs;
    int min_inputs, max_inputs;
    bool no_grad;                   /* an op without backward says so; the registry test wants one or the other */
    unsigned fuses;                 /* DIO_FUSE_*, in an inference plan */
    unsigned fuses_in_training;     /* the same in a training plan, whose bits are then what they were without */
    unsigned narrow;                /* DIO_BF16_*, DIO_U8_* of forward */
    /* With DIO_U8_READS, whether it does with these attributes and this input; NULL: always. */
    bool (*reads_u8)(const void *attrs, const struct dio_shape *input);
    /* Whether it makes bytes of an f32 input that has a scale, as it reads it; NULL: never. */
    bool (*makes_u8)(const void *attrs, const struct dio_shape *input);
    /* Does something in training that no parameter's flag tells (dropout)?  NULL: never.  Ends a frozen prefix. */
    bool (*only_in_training)(const void *attrs);
    /* The place names the node.  Refuses with text; fills shapes->outputs, params, macs. */
    dio_status (*infer)(struct dio_ctx *ctx, const struct dio_place *place, struct dio_op_shapes *shapes);
    /* Fills the "answered by prepare" part of a step whose first part is set. */
    dio_status (*prepare)(struct dio_ctx *ctx, struct dio_step *step, const struct dio_step_wants *wants);
    /* Which of its ways a prepared step goes, in a word or two for people ("winograd 4x4"); NULL: there is one. */
    const char *(*path)(const struct dio_step *step);
    /* Test cases: each line "in=2x7x9x16[,...] ATTRIBUTES [# remark]"; odd and degenerate sizes among them. */
    const char *const *cases;       /* NULL-terminated */
};

/* 0 is returned for a failed allocation (already recorded); the memory is zeroed and freed with the plan. */
void *dio_step_data(struct dio_ctx *ctx, struct dio_step *step, size_t size);
void dio_step_free_data(struct dio_ctx *ctx, struct dio_step *step);

/* ---- registry ---- */

extern const struct dio_op *const dio_ops[]; /* NULL-terminated */
const struct dio_op *dio_op_find(const char *name);

/* ---- attributes as text: "kernel=3 stride=2,1 padding=1 groups=32" ---- */

/* Defaults, then the text over them; `attrs` has op->attrs_size bytes.  The place names the node. */
dio_status dio_attrs_parse(struct dio_ctx *ctx, const struct dio_op *op, const struct dio_place *place,
                           const char *text, void *attrs);
/* For passes: false when there is no such attribute, or it cannot have that value. */
bool dio_attr_set(const struct dio_op *op, void *attrs, const char *name, const char *value);
/* Is there such an attribute, and does it have that value? */
bool dio_attr_is(const struct dio_op *op, const void *attrs, const char *name, const char *value);
struct dio_str;
/* Only what differs from the defaults, in table order. */
void dio_attrs_print(const struct dio_op *op, const void *attrs, struct dio_str *out);

#endif
