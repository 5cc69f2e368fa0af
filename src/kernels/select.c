#include <string.h>

#include "base/str.h"
#include "kernels/kernels.h"

/* Instruction sets whose files this build has. */
#ifdef DIOPTER_X86
enum { HIGHEST_BUILT = DIO_ISA_COUNT - 1 };
#else
enum { HIGHEST_BUILT = DIO_ISA_portable };
#endif

typedef void fill_fn(struct dio_kernels *kernels);

#define DIO_ISA_TABLE(name, flag) fill_fn dio_kernels_fill_##name;
#define DIO_ISA_LEVEL(name, flag)
#include "kernels/isa.def"
#undef DIO_ISA_TABLE
#undef DIO_ISA_LEVEL

#ifdef DIOPTER_X86
#define FILL(name) dio_kernels_fill_##name
#else
#define FILL(name) (DIO_ISA_##name == DIO_ISA_portable ? dio_kernels_fill_portable : NULL)
#endif

static const struct isa {
    const char *name;
    uint32_t flag;
    fill_fn *fill; /* NULL: a level without slots of its own */
} isas[DIO_ISA_COUNT] = {
#define DIO_ISA_TABLE(name, flag) {#name, flag, FILL(name)},
#define DIO_ISA_LEVEL(name, flag) {#name, flag, NULL},
#include "kernels/isa.def"
#undef DIO_ISA_TABLE
#undef DIO_ISA_LEVEL
};

static const char *const slot_names[DIO_SLOT_COUNT] = {
#define DIO_SLOT(type, name) #name,
#include "kernels/slots.def"
#undef DIO_SLOT
};

const char *dio_isa_name(enum dio_isa isa)
{
    return isas[isa].name;
}

const char *dio_slot_name(enum dio_slot slot)
{
    return slot_names[slot];
}

enum dio_isa dio_kernels_best(const struct dio_cpu *cpu)
{
    int best = DIO_ISA_portable;
    while (best < HIGHEST_BUILT && (cpu->flags & isas[best + 1].flag)) best++;
    return (enum dio_isa)best;
}

dio_status dio_kernels_ceiling_parse(struct dio_ctx *ctx, const char *source, const char *text, enum dio_isa *ceiling)
{
    const enum dio_isa best = dio_kernels_best(&ctx->cpu);
    *ceiling = best;
    if (!text || !*text || strcmp(text, "auto") == 0) return DIO_OK;
    const char *names[DIO_ISA_COUNT + 1] = {"auto"};
    for (int i = 0; i < DIO_ISA_COUNT; i++) {
        names[i + 1] = isas[i].name;
        if (strcmp(text, isas[i].name) != 0) continue;
        if (i <= (int)best) {
            *ceiling = (enum dio_isa)i;
            return DIO_OK;
        }
        return dio_fail(ctx, DIO_ERR_USAGE, NULL, &(struct dio_place){.hint = "leave it out to use the best there is"},
                        "%s: this machine lacks %s; its best level is %s", source, isas[i].name, isas[best].name);
    }
    char shown[64];
    dio_escape(shown, sizeof shown, text, strlen(text), 40);
    const char *near = dio_nearest(text, names, DIO_ISA_COUNT + 1);
    return dio_fail(ctx, DIO_ERR_USAGE, NULL, &(struct dio_place){0},
                    "%s: unknown level '%s'%s%s; known: auto, portable, avx2, avx512, vnni, bf16, amx", source, shown,
                    near ? ", did you mean " : "", near ? near : "");
}

/* Which slots a level has filled is seen from what it changed. */
static void note_changes(struct dio_kernels *k, const struct dio_kernels *before, enum dio_isa isa)
{
#define DIO_SLOT(type, name) \
    if (k->name != before->name) k->slot_isa[DIO_SLOT_##name] = (uint8_t)isa;
#include "kernels/slots.def"
#undef DIO_SLOT
}

void dio_kernels_select(const struct dio_cpu *cpu, enum dio_isa ceiling, struct dio_kernels *out)
{
    memset(out, 0, sizeof *out);
    const enum dio_isa best = dio_kernels_best(cpu);
    out->level = ceiling < best ? ceiling : best;
    out->linear = DIO_LINEAR_OWN;
    for (int i = 0; i <= (int)out->level; i++) {
        if (!isas[i].fill) continue;
        const struct dio_kernels before = *out;
        isas[i].fill(out);
        note_changes(out, &before, (enum dio_isa)i);
    }
}
