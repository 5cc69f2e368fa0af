/* Chains of an inference plan: neighbouring convolutions whose maps between them are large are computed together, row by row.
 * A row of the last one asks for the rows that it meets of the one before, and so on; each keeps as many of its latest rows
 * as the next one's kernel is high.  The maps between them, several megabytes where an inverted block widens, never leave
 * the near caches.  Rows hold the same bits as when each step fills its whole map. */
#include "graph/plan_internal.h"

enum {
    MAP_BYTES = 1 << 20,    /* smaller maps between steps stay in the cache anyway */
    BAND_ROWS = 14,         /* of the last output, at least: rows at the seams of bands are computed twice */
    PIECES = 8              /* wanted */
};

/* ---- choice ---- */

static bool goes_by_rows(const struct dio_plan *plan, int i)
{
    const struct dio_plan_step *slot = &plan->steps[i];
    const struct dio_step *step = &slot->step;
    return step->rows.run && step->rows.count <= DIO_OP_MAX_ROWS && step->in[0].shape.rank == 4
           && step->out[0].shape.rank == 4 && step->in[0].dtype == DIO_F32 && step->out[0].dtype == DIO_F32;
}

/* Steps that read a value; an output of the plan counts. */
static int readers(const struct dio_plan *plan, int value)
{
    int count = 0;
    for (int i = 0; i < plan->n_steps; i++) {
        for (int j = 0; j < plan->steps[i].step.n_inputs; j++) count += plan->steps[i].inputs[j] == value;
    }
    for (int i = 0; i < plan->n_outputs; i++) count += plan->outputs[i] == value;
    return count;
}

/* May step i + 1 read step i's output row by row?  Not where a map is smaller than those around it: there is the place to part. */
static bool joins(const struct dio_plan *plan, int i)
{
    const struct dio_plan_step *step = &plan->steps[i], *next = &plan->steps[i + 1];
    const int value = step->outputs[0];
    if (!goes_by_rows(plan, i) || step->step.n_outputs != 1 || !goes_by_rows(plan, i + 1) || next->inputs[0] != value || readers(plan, value) != 1) return false;
    const size_t bytes = plan->values[value].image_bytes, before = plan->values[step->inputs[0]].image_bytes;
    return bytes >= MAP_BYTES && !(bytes < before && bytes < plan->values[next->outputs[0]].image_bytes);
}

/* Kernels that are high and dense would repeat much at the seams of bands, for maps that cost little beside their sums. */
static bool is_light(const struct dio_plan *plan, int i)
{
    const struct dio_plan_step *slot = &plan->steps[i];
    const int64_t outputs = dio_shape_elements(&slot->step.out[0].shape) / plan->chunk;
    return slot->macs < outputs * 256;
}

static size_t row_bytes(const struct dio_value_type *type)
{
    return (size_t)(type->shape.dims[2] * type->shape.dims[3]) * sizeof(float);
}

static int64_t kept_rows(const struct dio_step *next) { return (next->rows.count - 1) * next->rows.dilation + 1; }

static size_t ring_bytes(const struct dio_step *step, const struct dio_step *next)
{
    return dio_buffer_round(row_bytes(&step->out[0]) * (size_t)kept_rows(next));
}

void dio_plan_choose_chains(struct dio_plan *plan)
{
    size_t most = 0, rings = 0;
    for (int i = 0; i < plan->n_steps; i += plan->steps[i].chain) {
        struct dio_plan_step *first = &plan->steps[i];
        first->chain = 1;
        rings = 0;
        for (int last = i; last + 1 < plan->n_steps && first->chain < DIO_CHAIN_MAX && last + 1 != plan->n_deep; last++) {
            if (!joins(plan, last) || !is_light(plan, last) || !is_light(plan, last + 1)) break;
            rings += ring_bytes(&plan->steps[last].step, &plan->steps[last + 1].step);
            first->chain++;
        }
        for (int k = i; first->chain > 1 && k < i + first->chain; k++) plan->steps[k].in_chain = true;
        if (rings > most) most = rings;
    }
    plan->chain_offset = plan->scratch_bytes;
    plan->scratch_bytes += most;
}

/* ---- running ---- */

struct chain {
    const struct dio_step *const *steps;
    int n;
    int64_t image;
    float *ring[DIO_CHAIN_MAX];
    int64_t next[DIO_CHAIN_MAX]; /* the first row that is not in the ring yet */
    void *scratch;
};

static int64_t row_elements(const struct dio_value_type *type) { return type->shape.dims[2] * type->shape.dims[3]; }

static const float *row_of_map(const struct chain *chain, const void *map, const struct dio_value_type *type, int64_t row)
{
    return (const float *)map + (chain->image * type->shape.dims[1] + row) * row_elements(type);
}

static float *row_of_ring(const struct chain *chain, int i, int64_t row)
{
    return chain->ring[i] + row % kept_rows(chain->steps[i + 1]) * row_elements(&chain->steps[i]->out[0]);
}

static void compute_row(struct chain *chain, int i, int64_t row);

static void compute_up_to(struct chain *chain, int i, int64_t first, int64_t last)
{
    if (chain->next[i] < first) chain->next[i] = first;
    for (; chain->next[i] <= last; chain->next[i]++) compute_row(chain, i, chain->next[i]);
}

static void compute_row(struct chain *chain, int i, int64_t row)
{
    const struct dio_step *step = chain->steps[i];
    const struct dio_op_rows *r = &step->rows;
    const int64_t first = row * r->stride - r->top, height = step->in[0].shape.dims[1], low = first < 0 ? 0 : first;
    int64_t high = first + (r->count - 1) * r->dilation;
    if (high >= height) high = height - 1;
    if (i > 0) compute_up_to(chain, i - 1, low, high);
    const void *rows[DIO_OP_MAX_ROWS];
    for (int64_t k = 0; k < r->count; k++) {
        const int64_t at = first + k * r->dilation;
        rows[k] = at < 0 || at >= height ? NULL : i == 0 ? row_of_map(chain, step->x[0], &step->in[0], at) : row_of_ring(chain, i - 1, at);
    }
    float *y = i + 1 < chain->n ? row_of_ring(chain, i, row) : (float *)(uintptr_t)row_of_map(chain, step->y[0], &step->out[0], row);
    const float *residual = step->n_inputs == 2 ? row_of_map(chain, step->x[1], &step->in[1], row) : NULL;
    float *means = step->n_outputs == 2 ? (float *)(uintptr_t)row_of_map(chain, step->y[1], &step->out[1], row) : NULL;
    r->run(step, rows, y, residual, means, chain->scratch);
}

static int64_t bands(const struct dio_step *last)
{
    const int64_t height = last->out[0].shape.dims[1], most = height / BAND_ROWS;
    const int64_t wanted = (PIECES + last->n - 1) / last->n;
    return most < 1 ? 1 : wanted < most ? wanted : most;
}

int64_t dio_chain_pieces(const struct dio_step *last) { return last->n * bands(last); }

static void run_rows(const struct dio_plan *plan, struct chain *chain, int64_t begin, int64_t end, unsigned char *scratch)
{
    chain->scratch = scratch;
    unsigned char *at = scratch + plan->chain_offset;
    for (int i = 0; i + 1 < chain->n; i++) {
        chain->ring[i] = (float *)(void *)at;
        chain->next[i] = 0;
        at += ring_bytes(chain->steps[i], chain->steps[i + 1]);
    }
    for (int64_t row = begin; row < end; row++) compute_row(chain, chain->n - 1, row);
}

void dio_chain_run(const struct dio_plan *plan, const struct dio_step *const *steps, int n, int64_t piece, unsigned char *scratch)
{
    const struct dio_step *last = steps[n - 1];
    const int64_t count = bands(last), height = last->out[0].shape.dims[1], band = piece % count;
    struct chain chain = {.steps = steps, .n = n, .image = piece / count};
    run_rows(plan, &chain, height * band / count, height * (band + 1) / count, scratch);
}

void dio_chain_run_image(const struct dio_plan *plan, const struct dio_step *const *steps, int n, int64_t image, unsigned char *scratch)
{
    struct chain chain = {.steps = steps, .n = n, .image = image};
    run_rows(plan, &chain, 0, steps[n - 1]->out[0].shape.dims[1], scratch);
}
