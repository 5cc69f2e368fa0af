/* What the files of the convolution share; linear layers are convolutions with a 1 x 1 kernel over their rows.
 *
 * conv.c: the operator.  conv_plan.c: geometry, algorithm, cutting into pieces, packing of weights.
 * conv_forward.c, conv_backward.c, conv_weights.c: dense and grouped convolution.  conv_winograd.c, conv_winograd_weights.c: 3 x 3
 * kernels by fewer multiplications, forward and input gradient, weight gradient.  conv_bf16.c: forward in bf16.  conv_depthwise.c: one filter a channel, or a few.
 * conv_int8.c, conv_depthwise_int8.c: forward in bytes. */
#ifndef DIO_OPS_CONV_H
#define DIO_OPS_CONV_H

#include "ops/helpers.h"

enum dio_conv_path {
    DIO_CONV_POINTWISE, /* 1 x 1, stride 1, no padding: the pixels of a batch are rows of one matrix */
    DIO_CONV_GATHER,    /* rows of pixels gathered by offsets, one for each tap */
    DIO_CONV_FEW,       /* few channels: a padded copy of some lines, where one tap is a whole line of the kernel */
    DIO_CONV_DEPTHWISE  /* and groups smaller than a vector: row by row */
};

enum { DIO_DEPTHWISE_MAX = 32 }; /* taps along a side; larger kernels take the path of other grouped convolutions */

/* The pixels of an input gradient whose coordinates leave the same remainders by the strides; they meet the same taps. */
struct dio_conv_phase {
    int64_t y, x;               /* the remainders */
    int64_t height, width;      /* pixels */
    int64_t first_tap, taps;    /* in tap_y, tap_x */
};

/* One of the two products of a 3 x 3 convolution with stride 1 by Winograd's tiles: the forward, or the input's gradient, which
 * is a convolution of dy with the kernels turned by half a circle. */
struct dio_winograd {
    int m;                  /* outputs along a tile's side, 2 or 4; 0: direct */
    bool flipped;
    int64_t h, w, c;        /* the map that is read */
    int64_t oh, ow, k;      /* and written */
    int64_t top, left;
    int64_t weights_c, weights_k; /* floats between the kernels of neighbouring channels */
    /* Transformed weights: [panel][position][c][width], positions a line more apart than they are long. */
    int panel_width, vector_width;
    int64_t panels, position_floats, floats;
    size_t at_shared;       /* where they lie in the shared memory (training) */
};

/* plan_data of a step: a pure function of one image's shape and of the kernel table. */
struct dio_conv {
    int64_t h, w, c, oh, ow, k; /* of one image */
    int64_t r, s, stride[2], dilation[2], top, left;
    bool bias;
    bool gate;                  /* the last input multiplies the channels of x (DIO_FUSE_GATE) */
    enum dio_act act;           /* at the store */
    enum dio_act late_act;      /* in a phase of its own, its input kept for backward; of act and late_act one is none */
    enum dio_conv_path path;

    /* Groups of few channels are joined until a block has a vector of outputs; the joined weights are block-diagonal. */
    int64_t group_c, group_k, joined;
    int64_t blocks, block_c, block_k;

    struct dio_pack forward, transposed; /* panels of one block; transposed: taps in the order of the phases */
    int64_t forward_size, transposed_size, panels, transposed_panels;
    const int64_t *tap_y, *tap_x; /* kernel coordinates of the transposed taps */
    bool with_dx; /* an input gradient is wanted */
    int64_t n_phases;
    const struct dio_conv_phase *phases;
    /* In `packed`, floats: a row of zeros, the bias, the panels of all blocks, the transposed ones. */
    int64_t at_bias, at_forward, at_transposed, packed_floats;

    /* Cutting: a piece is a block of output rows (pixels) times a run of panels. */
    struct dio_conv_cut {
        int64_t row_block, panel_group;
        bool panels_first; /* pieces that share weights are neighbours; else those that share pixels */
    } cut, dx_cut;
    struct dio_winograd tiles, dx_tiles;
    bool packs_tiles;      /* inference: the transformed weights of `tiles` lie in `packed` */
    int64_t lines;         /* DIO_CONV_FEW, depthwise: output lines of a piece */
    int64_t channels;      /* depthwise: of a piece */
    struct {               /* the weight gradient; a unit is what lies between two additions to it */
        int64_t channels, taps, panels; /* of a piece */
        int64_t parts, tap_groups, panel_groups, pieces; /* of all */
        int64_t lines, rows;            /* of a unit: output lines, or rows where a batch is one matrix */
        bool narrow;                    /* a panel is no wider than a cache line */
        bool bias;                      /* its gradient is summed with the weights' */
        int tile;                       /* Winograd: outputs along a side, 2 or 4; a unit is `rows` tiles of the pictures */
        int64_t sums;                   /* floats of a piece's part of the gradient */
        size_t at_shared;               /* where the shares' sums lie in the shared memory */
    } dw;
};

/* Fills everything from h to act; c % groups == 0 and k % groups == 0 were checked. */
struct dio_conv_shape {
    int64_t h, w, c, oh, ow, k, r, s, stride[2], dilation[2], top, left, groups;
    bool bias, gate;
    enum dio_act act;
    bool backward; /* will be run */
};
/* NULL: out of memory, recorded. */
const struct dio_conv *dio_conv_plan(struct dio_ctx *ctx, struct dio_step *step, const struct dio_conv_shape *shape, bool dx);

/* Phases and sizes of a step whose plan_data is set; the inputs are x and, maybe, a residual. */
void dio_conv_prepare(struct dio_step *step, const struct dio_step_wants *wants);

static inline const struct dio_conv *dio_conv_of(const struct dio_step *step) { return step->plan_data; }
/* Are the pixels of all images rows of one matrix? */
static inline bool dio_conv_joins_images(const struct dio_conv *conv) { return conv->path == DIO_CONV_POINTWISE && !conv->gate; }
static inline int64_t dio_conv_images(const struct dio_step *step)
{
    return dio_conv_joins_images(dio_conv_of(step)) ? 1 : step->n;
}
/* Rows (pixels) of one of those images. */
static inline int64_t dio_conv_rows(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return conv->oh * conv->ow * (dio_conv_joins_images(conv) ? step->n : 1);
}

/* Source pixel of output (y, x): y * step_y + at_y and likewise; a table for pixels `rows` of a map `width` wide. */
struct dio_conv_source {
    int64_t step_y, at_y, step_x, at_x;
    int64_t height, width, channels;
};
void dio_conv_offsets(int32_t *out, struct dio_range rows, int64_t width, const struct dio_conv_source *source);
/* Of all taps of the forward, one stretch of rows after another. */
void dio_conv_tap_offsets(const struct dio_conv *conv, struct dio_range rows, int32_t *out);
/* Outputs [begin, end) below `outputs` whose source o * step + at lies in [0, size). */
struct dio_range dio_conv_inside(int64_t outputs, int64_t step, int64_t at, int64_t size);

/* The input that is added, or NULL. */
static inline const float *dio_conv_residual(const struct dio_step *step)
{
    return step->n_inputs - dio_conv_of(step)->gate == 2 ? step->x[1] : NULL;
}

/* What piece `index` of the forward covers. */
struct dio_conv_piece {
    int64_t image, block;
    struct dio_range rows, panels;
};
struct dio_conv_piece dio_conv_locate(const struct dio_step *step, int64_t index);

void dio_conv_forward(const struct dio_step *step, int64_t piece, void *scratch);
int64_t dio_conv_forward_pieces(const struct dio_step *step);
size_t dio_conv_forward_scratch(const struct dio_conv *conv);

/* dio_op_row_fn of all paths but Winograd's and the depthwise one. */
void dio_conv_row(const struct dio_step *step, const void *const *rows, float *y, const float *residual, float *means, void *scratch);
size_t dio_conv_row_scratch(const struct dio_conv *conv);

/* y = late_act(y), what it was kept in `saved`. */
void dio_conv_late_activation(const struct dio_step *step, int64_t piece, void *scratch);
/* dy through the activation, and the gradient of the residual; a piece is a block of elements. */
void dio_conv_activation_backward(const struct dio_step *step, int64_t piece, void *scratch);
/* Gradients of x, of the weights and of the bias. */
void dio_conv_backward(const struct dio_step *step, int64_t piece, void *scratch);
int64_t dio_conv_backward_pieces(const struct dio_step *step);
size_t dio_conv_backward_scratch(const struct dio_conv *conv);
/* The weights' part of it, in pieces that come first; where the pictures were shared among pieces, a second phase sums up. */
int64_t dio_conv_weights_pieces(const struct dio_step *step);
void dio_conv_weights_backward(const struct dio_step *step, int64_t index, void *scratch);
size_t dio_conv_weights_scratch(const struct dio_conv *conv);
int64_t dio_conv_weights_sum_pieces(const struct dio_step *step);
void dio_conv_weights_sum(const struct dio_step *step, int64_t index, void *scratch);
void dio_conv_weights_plan(struct dio_conv *conv);
size_t dio_conv_weights_shared(const struct dio_conv *conv, int64_t images); /* bytes, for as many images at most */
/* The same for DIO_CONV_DEPTHWISE, always in two phases. */
void dio_depthwise_weights_plan(struct dio_conv *conv);
size_t dio_depthwise_weights_shared(const struct dio_conv *conv, int64_t images);
int64_t dio_depthwise_weights_pieces(const struct dio_step *step);
void dio_depthwise_weights_backward(const struct dio_step *step, int64_t share);
int64_t dio_depthwise_weights_sum_pieces(const struct dio_step *step);
void dio_depthwise_weights_sum(const struct dio_step *step, int64_t piece, void *scratch);
/* The way that a prepared step takes: dio_op.path. */
const char *dio_conv_path_name(const struct dio_step *step);

/* DIO_CONV_FEW: copies the lines of x under output lines [first, first + lines) with their padding, and returns the floats
 * of a line of the copy; dio_conv_copy_floats: of all of them. */
int64_t dio_conv_copy_lines(const struct dio_conv *conv, const float *x, int64_t first, int64_t lines, float *copy);
int64_t dio_conv_copy_floats(const struct dio_conv *conv, int64_t lines);
/* The bias alone, where it is not summed with the weights: its pieces, blocks of channels. */
int64_t dio_conv_bias_pieces(const struct dio_step *step);
void dio_conv_bias_backward(const struct dio_step *step, int64_t index);
/* dy behind the activation: the plan's own where there is none. */
const float *dio_conv_dy(const struct dio_step *step);

/* conv_winograd.c.  Outputs along a tile's side where Winograd's convolution is estimated to be faster than the direct one, else
 * 0; in training the weights are transformed for each run, which has several pictures, in inference once. */
int dio_winograd_tile(const struct dio_conv_shape *shape, const struct dio_kernels *kernels, bool training);
int dio_winograd_weights_tile(const struct dio_conv_shape *shape, const struct dio_kernels *kernels);
/* The shape that the input's gradient has as a convolution of dy. */
struct dio_conv_shape dio_winograd_turned(const struct dio_conv_shape *shape);
void dio_winograd_plan(struct dio_winograd *tiles, const struct dio_conv_shape *shape, bool turned, const struct dio_kernels *kernels, int m);
void dio_winograd_prepare(struct dio_step *step);
void dio_winograd_prepare_backward(struct dio_step *step);
int64_t dio_winograd_dx_pieces(const struct dio_step *step);
void dio_winograd_dx(const struct dio_step *step, int64_t piece, void *scratch);
size_t dio_winograd_scratch(const struct dio_winograd *tiles);

/* Tiles of some pictures' maps, counted from the first picture's first. */
struct dio_winograd_place {
    int64_t image, y, x; /* of a tile's first output */
};
int64_t dio_winograd_tiles(int64_t oh, int64_t ow, int m);
struct dio_winograd_place dio_winograd_locate(int64_t oh, int64_t ow, int m, int64_t tile);
/* The side x side pixels of a map of that shape from (y, x) on; those outside are `zeros`. */
void dio_winograd_pixels(const float *map, const int64_t shape[3], int64_t y, int64_t x, int side, const float *zeros, const float **pixels);
/* Floats between neighbouring rows of a matrix, and between positions: no multiples of a page's size, or lines that are used
 * together would meet in one set of the near cache. */
static inline int64_t dio_winograd_row(int64_t count) { return (count + 15) / 16 * 16 + 16; }
static inline int64_t dio_winograd_position(int64_t rows, int64_t row) { return (rows * row + 255) / 256 * 256 + 48; }

/* conv_winograd_weights.c: adds some tiles to the sums [panel][position][channel][width] of some channels and panels. */
struct dio_winograd_unit {
    struct dio_range tiles, channels, panels;
    float *sums;
    int64_t panel_floats, pitch; /* between panels; behind each position */
    bool first; /* the sums hold nothing yet */
};
void dio_winograd_add_unit(const struct dio_step *step, const struct dio_winograd_unit *unit, float *scratch);
size_t dio_winograd_unit_scratch(const struct dio_conv *conv);

/* Does a step whose plan_data is set run in bf16?  In bytes? */
bool dio_conv_is_bf16(const struct dio_step *step);
bool dio_conv_is_int8(const struct dio_step *step);
/* A convolution that could read bytes: not one of few channels, not of small groups unless it is depthwise, and its sums fit. */
bool dio_conv_reads_u8(const struct dio_conv_shape *shape);
/* One of few channels, that could make bytes of the pixels that it copies. */
bool dio_conv_makes_u8(const struct dio_conv_shape *shape);
void dio_conv_int8_prepare(struct dio_step *step);
/* From weights of one output channel to whole numbers; 0 where all are zeros, or none of them is finite. */
float dio_conv_inverse_scale(const float *w, int64_t count);
/* Where the view that kernels of narrow numbers have of the taps differs from the layer's: a line of the kernel is one tap
 * (DIO_CONV_FEW), or groups were joined.  Weights then are staged before they are packed. */
static inline bool dio_conv_is_staged(const struct dio_conv *conv) { return conv->path == DIO_CONV_FEW || conv->joined > 1; }
/* Taps and channels of that view; those of a line are filled up to a multiple of `group`. */
static inline struct dio_pack dio_conv_narrow_layout(const struct dio_conv *conv, int64_t group)
{
    struct dio_pack pack = conv->forward;
    if (conv->path != DIO_CONV_FEW) return pack;
    pack.taps = conv->r;
    pack.channels = dio_ceil_div(conv->s * conv->c, group) * group;
    return pack;
}
/* The weights of columns [first, first + columns) of a block as [column][channel][tap] of such a layout, zero where groups do
 * not meet. */
void dio_conv_stage(const struct dio_conv *conv, const struct dio_pack *pack, const float *w, int64_t first, int64_t columns, float *out);
/* Size in pixels of the padded copy that `lines` output lines are computed from (DIO_CONV_FEW). */
static inline int64_t dio_conv_copied_height(const struct dio_conv *conv, int64_t lines)
{
    return (lines - 1) * conv->stride[0] + (conv->r - 1) * conv->dilation[0] + 1;
}
static inline int64_t dio_conv_copied_width(const struct dio_conv *conv) { return (conv->ow - 1) * conv->stride[1] + conv->s; }
/* Does its kernel write f32 into scratch, from where the op narrows it? */
bool dio_conv_leaves_as_floats(const struct dio_step *step);
void dio_conv_bf16_prepare(struct dio_step *step);
/* Where the input is f32, a phase that narrows it into `shared`. */
void dio_conv_bf16_narrow(struct dio_step *step);

void dio_depthwise_prepare(struct dio_step *step, const struct dio_step_wants *wants);
void dio_depthwise_int8_prepare(struct dio_step *step);

#endif
