/* Geometry of a convolution at fixed shapes: which algorithm, how the work is cut, where packed weights lie.  All of it
 * follows from one image's shape and the kernel table, so that no picture's bits depend on its batch. */
#include <string.h>

#include "ops/conv.h"

enum {
    FEW_CHANNELS = 8,           /* up to here a line of the kernel makes a better tap than a pixel */
    PIECES = 8,                 /* wanted for one image, where the work allows */
    FETCH_MACS = 4,             /* multiply-adds in the time in which a weight comes from a third-level cache */
    CACHED_BYTES = 256 << 10    /* of a second-level cache, for the pixels of a piece */
};
static const int64_t piece_macs = 1 << 19; /* below this, cutting costs more than it shares */

/* Groups are joined while a block's outputs do not fill a vector. */
static int64_t joined_groups(int64_t groups, int64_t group_k, int64_t vector_width)
{
    int64_t joined = 1;
    for (int64_t n = 2; n <= groups && joined * group_k < vector_width; n++) {
        if (groups % n == 0 && n * group_k <= 64) joined = n;
    }
    return joined;
}

static bool few_channels(const struct dio_conv_shape *s) { return s->groups == 1 && s->c <= FEW_CHANNELS && s->s > 1; }

bool dio_conv_makes_u8(const struct dio_conv_shape *s) { return few_channels(s) && s->dilation[1] == 1; }

bool dio_conv_reads_u8(const struct dio_conv_shape *s)
{
    if (s->groups == s->c && s->k == s->c && s->groups > 1) return s->r <= DIO_DEPTHWISE_MAX && s->s <= DIO_DEPTHWISE_MAX;
    return !few_channels(s) && s->c / s->groups > 1 && s->k / s->groups > 1 && (s->groups == 1 || s->c / s->groups >= 16)
           && s->c / s->groups * s->r * s->s <= DIO_INT8_MAX_TERMS;
}

static enum dio_conv_path choose_path(const struct dio_conv_shape *s, const struct dio_kernels *kernels)
{
    const int64_t group = s->c / s->groups, width = kernels->vector_width;
    const bool small_groups = group == 1 || (group < width && width % group == 0 && s->c % width == 0);
    if (s->groups > 1 && s->k == s->c && small_groups && s->r <= DIO_DEPTHWISE_MAX && s->s <= DIO_DEPTHWISE_MAX) return DIO_CONV_DEPTHWISE;
    const bool plain = s->stride[0] == 1 && s->stride[1] == 1 && s->top == 0 && s->left == 0 && s->oh == s->h && s->ow == s->w;
    if (s->r == 1 && s->s == 1 && plain && s->groups == 1) return DIO_CONV_POINTWISE;
    if (few_channels(s) && s->dilation[1] == 1) return DIO_CONV_FEW;
    return DIO_CONV_GATHER;
}

const char *dio_conv_path_name(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    if (conv->tiles.m) return conv->tiles.m == 4 ? "winograd 4x4" : "winograd 2x2";
    switch (conv->path) {
    case DIO_CONV_POINTWISE: return "pointwise";
    case DIO_CONV_GATHER: return "direct";
    case DIO_CONV_FEW: return "few channels";
    case DIO_CONV_DEPTHWISE: break;
    }
    return "depthwise";
}

/* Too few pieces to share; an odd number of not many leaves one of two threads without work for as long as a piece takes. */
static bool few_pieces(int64_t pieces) { return pieces < PIECES || (pieces < 2 * PIECES && pieces % 2 != 0); }

/* row_bytes: of input under one output row; macs: of one row and one panel. */
static struct dio_conv_cut cut_rows(int64_t rows, int64_t row_bytes, int64_t macs, int64_t panels, int64_t blocks, int64_t weight_bytes)
{
    struct dio_conv_cut cut = {.panel_group = panels};
    cut.row_block = dio_min_i64(dio_max_i64(CACHED_BYTES / row_bytes, 48), 432);
    const int64_t usual = dio_min_i64(rows, cut.row_block);
    while (cut.panel_group > 1 && dio_ceil_div(rows, cut.row_block) * dio_ceil_div(panels, cut.panel_group) * blocks < PIECES
           && (usual + FETCH_MACS) * macs * cut.panel_group / 2 >= piece_macs) {
        cut.panel_group = dio_ceil_div(cut.panel_group, 2);
    }
    while (cut.row_block >= 48 && few_pieces(dio_ceil_div(rows, cut.row_block) * dio_ceil_div(panels, cut.panel_group) * blocks)
           && cut.row_block * macs * cut.panel_group / 2 >= piece_macs && rows > 24) {
        cut.row_block = dio_ceil_div(dio_min_i64(cut.row_block, rows), 2);
    }
    const int64_t stretches = dio_ceil_div(rows, cut.row_block);
    const bool odd = stretches * dio_ceil_div(panels, cut.panel_group) * blocks % 2 != 0;
    if (stretches > 1) cut.row_block = dio_ceil_div(rows, stretches + odd); /* else a piece may hold rows of several images */
    cut.panels_first = weight_bytes > rows * row_bytes;
    return cut;
}

/* The remainders by the strides, and for each the taps that reach it. */
static bool plan_phases(struct dio_ctx *ctx, struct dio_step *step, struct dio_conv *conv)
{
    const int64_t rows = dio_min_i64(conv->stride[0], conv->h), columns = dio_min_i64(conv->stride[1], conv->w);
    const int64_t taps = conv->r * conv->s;
    int64_t *order = dio_step_data(ctx, step, (size_t)taps * 3 * sizeof *order);
    struct dio_conv_phase *phases = dio_step_data(ctx, step, (size_t)(rows * columns) * sizeof *phases);
    if (!order || !phases) return false;
    int64_t *tap_y = order, *tap_x = order + taps, *tap_offset = order + 2 * taps, n = 0;
    for (int64_t i = 0; i < rows * columns; i++) {
        struct dio_conv_phase phase = {.y = i / columns, .x = i % columns, .first_tap = n};
        phase.height = dio_ceil_div(conv->h - phase.y, conv->stride[0]);
        phase.width = dio_ceil_div(conv->w - phase.x, conv->stride[1]);
        for (int64_t r = 0; r < conv->r; r++) {
            if ((phase.y + conv->top - r * conv->dilation[0]) % conv->stride[0] != 0) continue;
            for (int64_t column = 0; column < conv->s; column++) {
                if ((phase.x + conv->left - column * conv->dilation[1]) % conv->stride[1] != 0) continue;
                tap_y[n] = r;
                tap_x[n] = column;
                tap_offset[n++] = r * conv->s + column;
            }
        }
        phase.taps = n - phase.first_tap;
        phases[i] = phase;
    }
    conv->tap_y = tap_y;
    conv->tap_x = tap_x;
    conv->phases = phases;
    conv->n_phases = rows * columns;
    conv->transposed.taps = n; /* a map smaller than the stride leaves some out */
    conv->transposed.tap_offset = tap_offset;
    return true;
}

static void plan_packing(struct dio_conv *conv, const struct dio_kernels *kernels)
{
    const int64_t taps = conv->r * conv->s;
    conv->forward = (struct dio_pack){.taps = taps, .channels = conv->block_c, .columns = conv->block_k, .c_stride = taps,
                                      .column_stride = conv->group_c * taps, .panel_width = kernels->panel_width,
                                      .vector_width = kernels->vector_width, .tap_offset = conv->forward.tap_offset};
    conv->forward_size = conv->tiles.m ? 0 : dio_pack_size(&conv->forward);
    conv->panels = dio_ceil_div(conv->block_k, kernels->panel_width);
    if (conv->phases) {
        conv->transposed.channels = conv->block_k;
        conv->transposed.columns = conv->block_c;
        conv->transposed.c_stride = conv->group_c * taps;
        conv->transposed.column_stride = taps;
        conv->transposed.panel_width = kernels->panel_width;
        conv->transposed.vector_width = kernels->vector_width;
        conv->transposed_size = dio_pack_size(&conv->transposed);
        conv->transposed_panels = dio_ceil_div(conv->block_c, kernels->panel_width);
    }
    conv->at_bias = (dio_max_i64(conv->block_c, conv->block_k) + 15) / 16 * 16;
    conv->at_forward = conv->at_bias + (conv->bias ? (conv->k + 15) / 16 * 16 : 0);
    conv->at_transposed = conv->at_forward + (conv->packs_tiles ? conv->tiles.floats : conv->blocks * conv->forward_size);
    conv->packed_floats = conv->at_transposed + conv->blocks * conv->transposed_size;
}

/* Halves of a map, and so of any even number of threads, get the same number of pieces: whole lines, unless these are few. */
static void cut_depthwise(struct dio_conv *conv, int64_t vector_width)
{
    int64_t lines = dio_min_i64(dio_max_i64(1, 128 / conv->ow), dio_max_i64(1, conv->oh / PIECES));
    while (lines > 1 && conv->oh % (2 * lines) != 0) lines--;
    conv->lines = lines;
    const bool halves = dio_ceil_div(conv->oh, lines) % 2 != 0 && conv->oh < 2 * PIECES && conv->c >= 8 * vector_width;
    conv->channels = halves ? dio_ceil_div(conv->c, 2 * vector_width) * vector_width : conv->c;
}

static void plan_cuts(struct dio_conv *conv, const struct dio_kernels *kernels)
{
    const int64_t taps = conv->r * conv->s, width = conv->forward.panel_width, rows = conv->oh * conv->ow;
    const int64_t k = dio_min_i64(conv->block_k, width), c = dio_min_i64(conv->block_c, width);
    const int64_t area = dio_min_i64(conv->stride[0], conv->r) * dio_min_i64(conv->stride[1], conv->s);
    conv->cut = cut_rows(rows, conv->block_c * area * 4, taps * conv->block_c * k, conv->panels, conv->blocks, conv->forward_size * 4);
    conv->lines = dio_max_i64(1, dio_ceil_div(128, conv->ow));
    if (conv->path == DIO_CONV_FEW) conv->cut.row_block = conv->lines * conv->ow;
    if (conv->path == DIO_CONV_DEPTHWISE) cut_depthwise(conv, kernels->vector_width);
    if (conv->phases) {
        const struct dio_conv_phase *first = conv->phases;
        conv->dx_cut = cut_rows(first->height * first->width, conv->block_k * 4, dio_max_i64(first->taps, 1) * conv->block_k * c,
                                conv->transposed_panels, conv->blocks * conv->n_phases, conv->transposed_size * 4);
    }
    if (conv->path == DIO_CONV_DEPTHWISE) {
        dio_depthwise_weights_plan(conv);
    } else {
        dio_conv_weights_plan(conv);
    }
}

/* Which gradients are wanted changes no other's algorithm. */
static void choose_tiles(struct dio_conv *conv, const struct dio_step *step, const struct dio_conv_shape *s, bool dx)
{
    const bool training = step->mode == DIO_MODE_TRAIN;
    const struct dio_conv_shape turned = dio_winograd_turned(s);
    const int m = dio_winograd_tile(s, step->kernels, training), dx_m = dx ? dio_winograd_tile(&turned, step->kernels, true) : 0;
    if (m) dio_winograd_plan(&conv->tiles, s, false, step->kernels, m);
    if (dx_m) dio_winograd_plan(&conv->dx_tiles, s, true, step->kernels, dx_m);
    conv->packs_tiles = m && !training;
    conv->dw.tile = training ? dio_winograd_weights_tile(s, step->kernels) : 0;
}

const struct dio_conv *dio_conv_plan(struct dio_ctx *ctx, struct dio_step *step, const struct dio_conv_shape *s, bool dx)
{
    struct dio_conv *conv = dio_step_data(ctx, step, sizeof *conv);
    int64_t *tap_offset = dio_step_data(ctx, step, (size_t)(s->r * s->s) * sizeof *tap_offset);
    if (!conv || !tap_offset) return NULL;
    for (int64_t t = 0; t < s->r * s->s; t++) tap_offset[t] = t;
    *conv = (struct dio_conv){.h = s->h, .w = s->w, .c = s->c, .oh = s->oh, .ow = s->ow, .k = s->k, .r = s->r, .s = s->s,
                              .stride = {s->stride[0], s->stride[1]}, .dilation = {s->dilation[0], s->dilation[1]}, .top = s->top,
                              .left = s->left, .bias = s->bias, .gate = s->gate, .path = choose_path(s, step->kernels), .with_dx = dx, .group_c = s->c / s->groups,
                              .group_k = s->k / s->groups};
    *(s->backward && s->act > DIO_ACT_LAST_CLIP ? &conv->late_act : &conv->act) = s->act;
    conv->forward.tap_offset = tap_offset;
    if (conv->path == DIO_CONV_GATHER && step->precision == DIO_PRECISION_F32 && !step->exact) choose_tiles(conv, step, s, dx);
    conv->joined = joined_groups(s->groups, conv->group_k, step->kernels->vector_width);
    conv->blocks = s->groups / conv->joined;
    conv->block_c = conv->group_c * conv->joined;
    conv->block_k = conv->group_k * conv->joined;
    if (dx && conv->path != DIO_CONV_DEPTHWISE && !conv->dx_tiles.m && !plan_phases(ctx, step, conv)) return NULL;
    plan_packing(conv, step->kernels);
    plan_cuts(conv, step->kernels);
    return conv;
}

struct dio_range dio_conv_inside(int64_t outputs, int64_t step, int64_t at, int64_t size)
{
    struct dio_range range = {at < 0 ? dio_ceil_div(-at, step) : 0, at >= size ? 0 : (size - 1 - at) / step + 1};
    range.end = dio_min_i64(range.end, outputs);
    if (range.begin > range.end) range.begin = range.end;
    return range;
}

void dio_conv_offsets(int32_t *out, struct dio_range rows, int64_t width, const struct dio_conv_source *source)
{
    const struct dio_range inside = dio_conv_inside(width, source->step_x, source->at_x, source->width);
    const int32_t step = (int32_t)(source->step_x * source->channels);
    int64_t x = rows.begin % width, y = rows.begin / width;
    for (int64_t row = rows.begin; row < rows.end; x = 0, y++) {
        const int64_t end = dio_min_i64(width, x + rows.end - row), iy = y * source->step_y + source->at_y;
        const bool exists = iy >= 0 && iy < source->height;
        const int64_t low = exists ? dio_min_i64(dio_max_i64(inside.begin, x), end) : end;
        const int64_t high = exists ? dio_max_i64(dio_min_i64(inside.end, end), low) : end;
        for (int64_t i = x; i < low; i++) *out++ = -1;
        const int64_t first = (iy * source->width + low * source->step_x + source->at_x) * source->channels;
        for (int64_t i = 0; i < high - low; i++) out[i] = (int32_t)(first + i * step);
        out += high - low;
        for (int64_t i = high; i < end; i++) *out++ = -1;
        row += end - x;
    }
}

void dio_conv_tap_offsets(const struct dio_conv *conv, struct dio_range rows, int32_t *out)
{
    for (int64_t t = 0; t < conv->r * conv->s; t++, out += rows.end - rows.begin) {
        const struct dio_conv_source source = {conv->stride[0], t / conv->s * conv->dilation[0] - conv->top, conv->stride[1],
                                               t % conv->s * conv->dilation[1] - conv->left, conv->h, conv->w, conv->c};
        dio_conv_offsets(out, rows, conv->ow, &source);
    }
}

/* Where element (tap, c, column) of a block lies in its panels. */
static float *packed_at(const struct dio_pack *pack, float *packed, int64_t tap, int64_t c, int64_t column)
{
    int width;
    const int64_t p = column / pack->panel_width, at = dio_pack_panel(pack, p, &width);
    return packed + at + (tap * pack->channels + c) * width + column - p * pack->panel_width;
}

/* One block of joined groups: zero but on the diagonal. */
static void pack_joined(const struct dio_conv *conv, const struct dio_pack *pack, const float *w, float *packed, bool transposed)
{
    memset(packed, 0, (size_t)dio_pack_size(pack) * sizeof *packed);
    for (int64_t k = 0; k < conv->block_k; k++) {
        const int64_t first_c = k / conv->group_k * conv->group_c;
        for (int64_t c = 0; c < conv->group_c; c++) {
            for (int64_t t = 0; t < pack->taps; t++) {
                const float value = w[(k * conv->group_c + c) * conv->r * conv->s + pack->tap_offset[t]];
                *(transposed ? packed_at(pack, packed, t, k, first_c + c) : packed_at(pack, packed, t, first_c + c, k)) = value;
            }
        }
    }
}

static int64_t forward_panels(const struct dio_conv *conv) { return conv->forward_size ? conv->panels : 0; }

/* One piece a panel of the forward weights of a block, then of the transposed ones, then one for what is left. */
static int64_t pack_pieces(const struct dio_step *step)
{
    const struct dio_conv *conv = dio_conv_of(step);
    return conv->blocks * (forward_panels(conv) + conv->transposed_panels) + 1;
}

static void pack(const struct dio_step *step, int64_t piece, void *scratch)
{
    (void)scratch;
    const struct dio_conv *conv = dio_conv_of(step);
    const int64_t panels = forward_panels(conv), per_block = panels + conv->transposed_panels, block = per_block ? piece / per_block : conv->blocks;
    float *packed = step->packed;
    if (block == conv->blocks) {
        memset(packed, 0, (size_t)conv->at_bias * sizeof *packed);
        if (conv->bias) memcpy(packed + conv->at_bias, step->param[1], (size_t)conv->k * sizeof *packed);
        return;
    }
    const bool transposed = piece % per_block >= panels;
    const struct dio_pack *pack = transposed ? &conv->transposed : &conv->forward;
    const int64_t panel = piece % per_block - (transposed ? panels : 0);
    const float *w = (const float *)step->param[0] + block * conv->block_k * conv->group_c * conv->r * conv->s;
    packed += transposed ? conv->at_transposed + block * conv->transposed_size : conv->at_forward + block * conv->forward_size;
    if (conv->joined == 1) {
        dio_pack_panels(pack, w, panel, 1, packed);
    } else if (panel == 0) {
        pack_joined(conv, pack, w, packed, transposed);
    }
}

/* Sums of the weight gradient's shares, and the phase that adds them up. */
static void book_shares(struct dio_step *step)
{
    struct dio_conv *conv = (struct dio_conv *)(uintptr_t)step->plan_data; /* still being prepared */
    const int64_t images = step->out[0].shape.dims[0];
    const bool depthwise = conv->path == DIO_CONV_DEPTHWISE;
    conv->dw.at_shared = step->shared_bytes;
    step->shared_bytes += (depthwise ? dio_depthwise_weights_shared : dio_conv_weights_shared)(conv, images);
    dio_add_backward(step, depthwise ? dio_depthwise_weights_sum : dio_conv_weights_sum, depthwise ? dio_depthwise_weights_sum_pieces : dio_conv_weights_sum_pieces);
}

static void dense_prepare(struct dio_step *step, const struct dio_step_wants *wants)
{
    const struct dio_conv *conv = dio_conv_of(step);
    if (dio_conv_is_int8(step)) {
        dio_conv_int8_prepare(step);
        return;
    }
    if (dio_conv_is_bf16(step)) {
        step->rows.run = NULL;
        dio_conv_bf16_prepare(step);
        return;
    }
    step->packed_bytes = (size_t)conv->packed_floats * sizeof(float);
    step->pack[step->n_pack++] = (struct dio_op_phase){pack, pack_pieces};
    if (wants->dx[0] || wants->dparam[0] || wants->dparam[1]) {
        step->scratch_bytes = dio_conv_backward_scratch(conv);
        if (conv->dx_tiles.m) dio_winograd_prepare_backward(step);
        dio_add_backward(step, dio_conv_backward, dio_conv_backward_pieces);
        if (wants->dparam[0]) book_shares(step);
    }
    if (conv->tiles.m) {
        dio_winograd_prepare(step);
        return;
    }
    const size_t scratch = dio_conv_forward_scratch(conv), row_scratch = dio_conv_row_scratch(conv);
    if (scratch > step->scratch_bytes) step->scratch_bytes = scratch;
    if (row_scratch > step->scratch_bytes) step->scratch_bytes = row_scratch;
    dio_add_forward(step, dio_conv_forward, dio_conv_forward_pieces);
}

void dio_conv_prepare(struct dio_step *step, const struct dio_step_wants *wants)
{
    const struct dio_conv *conv = dio_conv_of(step);
    step->in_place = step->n_inputs - conv->gate == 2; /* the residual is read where the output is written */
    step->in_place_input = 1;
    step->packs_param[0] = true;
    step->packs_param[1] = conv->bias;
    const bool backward = wants->dx[0] || wants->dx[1] || wants->dparam[0] || wants->dparam[1];
    step->reads_x = wants->dparam[0];
    step->reads_y = backward && conv->act != DIO_ACT_NONE;
    const bool late = conv->late_act != DIO_ACT_NONE, activates = late || conv->act != DIO_ACT_NONE;
    if (backward && activates) {
        step->shared_bytes = (size_t)(step->out[0].shape.dims[0] * conv->oh * conv->ow * conv->k + 15) / 16 * 64;
        if (late) step->saved_bytes = step->shared_bytes;
    }
    if (backward && (activates || wants->dx[1])) {
        dio_add_backward(step, dio_conv_activation_backward, dio_pieces_output_elements);
    }
    if (conv->r <= DIO_OP_MAX_ROWS && !late && !conv->gate) step->rows = (struct dio_op_rows){dio_conv_row, conv->r, conv->stride[0], conv->dilation[0], conv->top};
    if (conv->path == DIO_CONV_DEPTHWISE) {
        dio_depthwise_prepare(step, wants);
        if (wants->dparam[0]) book_shares(step);
    } else {
        dense_prepare(step, wants);
    }
    if (late) dio_add_forward(step, dio_conv_late_activation, dio_pieces_output_elements);
}
