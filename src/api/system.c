#include <stdio.h>

#include "api/private.h"
#include "text/json_write.h"

static const struct {
    uint32_t flag;
    const char *name;
} features[] = {{DIO_CPU_AVX2, "avx2"}, {DIO_CPU_AVX512, "avx512"}, {DIO_CPU_VNNI, "vnni"}, {DIO_CPU_BF16, "bf16"},
                {DIO_CPU_AMX, "amx"}};
enum { FEATURES = sizeof features / sizeof *features };

static const char *linear_name(enum dio_linear linear)
{
    switch (linear) {
    case DIO_LINEAR_AUTO: return "auto";
    case DIO_LINEAR_OWN: return "own";
    case DIO_LINEAR_BLAS: break;
    }
    return "blas";
}

/* OpenBLAS as it is in use, or as --linear blas would find it: then loaded for a moment.  No name: it is not there. */
static struct dio_blas find_blas(diopter_context *context)
{
    if (context->kernels.blas.library) return context->kernels.blas;
    struct dio_kernels trial = context->kernels;
    dio_status status = dio_kernels_linear(&context->ctx, &trial, DIO_LINEAR_BLAS);
    struct dio_blas found = trial.blas;
    dio_kernels_close(&trial);
    if (status != DIO_OK) {
        dio_ctx_clear_error(&context->ctx); /* nobody asked for it */
        found.name[0] = found.core[0] = found.note[0] = '\0';
    }
    return found;
}

static void write_linear(struct dio_str *out, enum dio_linear asked, const struct dio_blas *blas)
{
    dio_str_addf(out, "linear    %s: ", linear_name(asked));
    if (asked == DIO_LINEAR_BLAS) {
        dio_str_addf(out, "%s, core type %s", blas->name, blas->core);
        if (blas->note[0]) dio_str_addf(out, " (%s)", blas->note);
    } else {
        dio_str_add(out, "own kernels (measured faster, and a row's bits never depend on its neighbours); ");
        if (blas->name[0]) dio_str_addf(out, "%s is there, core type %s (--linear blas)", blas->name, blas->core);
        else dio_str_add(out, "no OpenBLAS is there");
    }
    dio_str_add(out, "\n");
}

static void write_text(struct dio_str *out, const diopter_context *context, const struct dio_blas *blas)
{
    const struct dio_ctx *ctx = &context->ctx;
    const struct dio_cpu *cpu = &ctx->cpu;
    const struct dio_kernels *k = ctx->kernels;
    dio_str_addf(out, "version   %s\ncpu       %s %s\nhas      ", DIOPTER_VERSION, cpu->vendor, cpu->model);
    for (int i = 0; i < FEATURES; i++) {
        if (cpu->flags & features[i].flag) dio_str_addf(out, " %s", features[i].name);
    }
    dio_str_addf(out, "\nin use    %s\nthreads   %d of %d allowed\n", dio_isa_name(k->level), dio_team_size(ctx->team),
                 cpu->allowed);
    dio_str_addf(out, "caches    L1 %zu KB, L2 %zu KB, L3 %zu KB\n", cpu->l1d >> 10, cpu->l2 >> 10, cpu->l3 >> 10);
    dio_str_addf(out, "memory    %.1f GB, limit %.1f GB\n", (double)cpu->memory / 1e9, (double)cpu->memory_limit / 1e9);
    write_linear(out, context->linear_asked, blas);
    dio_str_add(out, "\nkernel                    instruction set\n");
    for (int i = 0; i < DIO_SLOT_COUNT; i++) {
        dio_str_addf(out, "%-25s %s\n", dio_slot_name((enum dio_slot)i), dio_isa_name((enum dio_isa)k->slot_isa[i]));
    }
}

static void write_json(struct dio_str *out, const diopter_context *context, const struct dio_blas *blas)
{
    const struct dio_ctx *ctx = &context->ctx;
    const struct dio_cpu *cpu = &ctx->cpu;
    const struct dio_kernels *k = ctx->kernels;
    struct dio_json_writer w;
    dio_json_begin(&w, out, 0);
    dio_json_map(&w, NULL);
    dio_json_text(&w, "version", DIOPTER_VERSION);
    dio_json_text(&w, "vendor", cpu->vendor);
    dio_json_text(&w, "model", cpu->model);
    dio_json_list(&w, "features");
    for (int i = 0; i < FEATURES; i++) {
        if (cpu->flags & features[i].flag) dio_json_text(&w, NULL, features[i].name);
    }
    dio_json_end_list(&w);
    dio_json_text(&w, "level", dio_isa_name(k->level));
    dio_json_i64(&w, "threads", dio_team_size(ctx->team));
    dio_json_i64(&w, "threads_allowed", cpu->allowed);
    dio_json_u64(&w, "l1d", cpu->l1d);
    dio_json_u64(&w, "l2", cpu->l2);
    dio_json_u64(&w, "l3", cpu->l3);
    dio_json_u64(&w, "memory", cpu->memory);
    dio_json_u64(&w, "memory_limit", cpu->memory_limit);
    dio_json_text(&w, "linear", linear_name(k->linear));
    dio_json_text(&w, "linear_asked", linear_name(context->linear_asked));
    dio_json_text(&w, "blas", blas->name);
    dio_json_text(&w, "blas_core", blas->core);
    dio_json_text(&w, "blas_note", blas->note);
    dio_json_map(&w, "kernels");
    for (int i = 0; i < DIO_SLOT_COUNT; i++) {
        dio_json_text(&w, dio_slot_name((enum dio_slot)i), dio_isa_name((enum dio_isa)k->slot_isa[i]));
    }
    dio_json_end_map(&w);
    dio_json_end_map(&w);
    dio_str_add(out, "\n");
}

char *diopter_system_text(diopter_context *context, bool json)
{
    struct dio_str text;
    api_begin(context, NULL);
    dio_str_init(&text, &context->ctx);
    const struct dio_blas blas = find_blas(context);
    if (json) write_json(&text, context, &blas);
    else write_text(&text, context, &blas);
    return api_take_text(&text);
}
