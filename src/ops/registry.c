#include <string.h>

#include "base/memory.h"
#include "ops/op.h"

#define DIO_ENTRY(name) extern const struct dio_op dio_op_##name;
#include "ops/list.def"
#undef DIO_ENTRY

const struct dio_op *const dio_ops[] = {
#define DIO_ENTRY(name) &dio_op_##name,
#include "ops/list.def"
#undef DIO_ENTRY
    NULL,
};

const struct dio_op *dio_op_find(const char *name)
{
    for (const struct dio_op *const *op = dio_ops; *op; op++) {
        if (strcmp((*op)->name, name) == 0) return *op;
    }
    return NULL;
}

/* Small blocks that die with the step are chained through their first bytes. */
struct dio_step_block {
    struct dio_step_block *next;
    max_align_t data[];
};

void *dio_step_data(struct dio_ctx *ctx, struct dio_step *step, size_t size)
{
    if (size > SIZE_MAX / 2) {
        dio_fail(ctx, DIO_ERR_ENV, NULL, NULL, "out of memory: %zu bytes for the geometry of a step", size);
        return NULL;
    }
    struct dio_step_block *block = dio_alloc_zeroed(ctx, 1, sizeof *block + size, "the geometry of a step");
    if (!block) return NULL;
    block->next = step->data_blocks;
    step->data_blocks = block;
    return block->data;
}

void dio_step_free_data(struct dio_ctx *ctx, struct dio_step *step)
{
    struct dio_step_block *block = step->data_blocks;
    while (block) {
        struct dio_step_block *next = block->next;
        dio_free(ctx, block);
        block = next;
    }
    step->data_blocks = NULL;
    step->plan_data = NULL;
}

static const char *const precision_names[] = {"f32", "bf16x3", "bf16", "int8"}; /* enum dio_precision */

const char *dio_precision_name(enum dio_precision precision)
{
    return precision_names[precision];
}

bool dio_precision_parse(const char *name, enum dio_precision *out)
{
    for (size_t i = 0; i < sizeof precision_names / sizeof *precision_names; i++) {
        if (strcmp(name, precision_names[i]) != 0) continue;
        *out = (enum dio_precision)i;
        return true;
    }
    return false;
}
