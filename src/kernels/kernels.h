/* The kernel table: every arithmetic inner loop of the engine behind a pointer, filled for the CPU at hand.
 *
 * Slots get pointers, sizes and strides; no tensor type, no allocation, no status, no threads.  portable/ fills every
 * slot, each instruction set above it overwrites those it has.  ref/ (plain loops) is what tests compare with. */
#ifndef DIO_KERNELS_KERNELS_H
#define DIO_KERNELS_KERNELS_H

#include "base/context.h"
#include "kernels/bf16.h"
#include "kernels/depthwise.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/int8.h"
#include "kernels/peak.h"
#include "kernels/resize.h"
#include "kernels/rows.h"
#include "kernels/winograd.h"

enum dio_isa {
#define DIO_ISA_TABLE(name, flag) DIO_ISA_##name,
#define DIO_ISA_LEVEL(name, flag) DIO_ISA_##name,
#include "kernels/isa.def"
#undef DIO_ISA_TABLE
#undef DIO_ISA_LEVEL
    DIO_ISA_COUNT
};

enum dio_slot {
#define DIO_SLOT(type, name) DIO_SLOT_##name,
#include "kernels/slots.def"
#undef DIO_SLOT
    DIO_SLOT_COUNT
};

/* ---- linear layers: OpenBLAS or our own ---- */

enum dio_linear { DIO_LINEAR_AUTO, DIO_LINEAR_OWN, DIO_LINEAR_BLAS };

/* Row-major c[m][n] = alpha * op(a) op(b) + beta * c, as cblas_sgemm; leading dimensions in floats. */
typedef void dio_sgemm_fn(const void *handle, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                          const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

struct dio_blas {
    dio_sgemm_fn *sgemm;   /* NULL: not loaded */
    const void *handle;    /* first argument of sgemm */
    void *library;         /* dlopen handle */
    char name[64];         /* "OpenBLAS 0.3.21" */
    char core[32];         /* core type in use, as the library reports it */
    char note[160];        /* "core type chosen by us", "already in the process: taken as it is", or why there is none */
};

/* ---- the table ---- */

struct dio_kernels {
#define DIO_SLOT(type, name) type *name;
#include "kernels/slots.def"
#undef DIO_SLOT
    int panel_width;       /* output channels of a panel: 64 (AVX-512), 16 */
    int vector_width;      /* the last panel's width is a multiple of it */
    int depthwise_int8_block; /* channels that depthwise_row_int8 computes at once */
    enum dio_isa level;    /* the highest level in use */
    uint8_t slot_isa[DIO_SLOT_COUNT]; /* enum dio_isa that filled a slot */
    enum dio_linear linear;
    struct dio_blas blas;
};

const char *dio_isa_name(enum dio_isa isa);
const char *dio_slot_name(enum dio_slot slot);

/* The highest level that the CPU has. */
enum dio_isa dio_kernels_best(const struct dio_cpu *cpu);
/* A level by name ("portable", "avx2", "avx512", ...); NULL, "" and "auto" mean the best.  Refuses unknown names and
 * levels that this CPU lacks (DIO_ERR_USAGE).  `source` is what the user wrote it in: "--cpu" or "DIOPTER_CPU". */
dio_status dio_kernels_ceiling_parse(struct dio_ctx *ctx, const char *source, const char *text, enum dio_isa *ceiling);

/* Fills the table up to the ceiling; never above what the CPU has.  linear is DIO_LINEAR_OWN and blas empty. */
void dio_kernels_select(const struct dio_cpu *cpu, enum dio_isa ceiling, struct dio_kernels *out);

/* Chooses what computes the forward of linear layers; gradients are always our own.  AUTO is our own: on the machines
 * measured it is faster at every size but a handful of columns, and a row's bits do not depend on the rows beside it, which
 * OpenBLAS breaks (tests/kernels/bench_linear.c shows both).  BLAS loads OpenBLAS with the core type that fits the level, and
 * fails with DIO_ERR_ENV where there is none.  The environment is left as it was found; not to be called while other threads
 * of the process read or write environment variables. */
dio_status dio_kernels_linear(struct dio_ctx *ctx, struct dio_kernels *kernels, enum dio_linear linear);
void dio_kernels_close(struct dio_kernels *kernels); /* unloads the library; safe on a zeroed table */

#endif
