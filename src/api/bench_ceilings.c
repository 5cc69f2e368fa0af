/* What this machine can do at most: arithmetic on registers and from the first-level cache, bandwidth; one thread and all. */
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "api/bench.h"
#include "api/private.h"
#include "base/clock.h"
#include "kernels/peak.h"

enum { MEMORY_FLOATS = 32 << 20, USUAL_L2 = 1 << 20, MAX_THREADS = 1024 };
static const double WINDOW = 0.15; /* seconds of a measurement */

enum kind { BURN, READ, WRITE };

struct measurement {
    enum kind kind;
    dio_burn_fn *burn;
    const struct dio_kernels *kernels;
    float *buffer;        /* a thread's part: floats_each from thread * floats_each on */
    size_t floats_each;
    int threads;
    atomic_int begun;
    double rates[MAX_THREADS]; /* of each thread */
};

/* Nobody measures before every thread has a piece: one that took two would be counted twice, and they would not run at once.
 * A thread that the system does not give within a second is left out. */
static void measure_piece(void *arg, int64_t piece, int thread)
{
    (void)piece;
    struct measurement *m = arg;
    const double give_up = dio_clock_seconds() + 1;
    atomic_fetch_add(&m->begun, 1);
    while (atomic_load(&m->begun) < m->threads && dio_clock_seconds() < give_up) (void)sched_yield();
    float *part = m->buffer ? m->buffer + (size_t)thread * m->floats_each : NULL;
    switch (m->kind) {
    case BURN: m->rates[thread] = dio_peak_burn(m->burn, WINDOW); break;
    case READ: m->rates[thread] = dio_peak_read(m->kernels, part, m->floats_each, WINDOW); break;
    case WRITE: m->rates[thread] = dio_peak_write(part, m->floats_each, WINDOW); break;
    }
}

static struct api_rate measure(struct dio_ctx *ctx, struct measurement *m)
{
    struct api_rate rate = {0};
    m->threads = 1;
    atomic_store(&m->begun, 0);
    measure_piece(m, 0, 0);
    rate.one = m->rates[0];
    m->threads = dio_team_size(ctx->team) < MAX_THREADS ? dio_team_size(ctx->team) : MAX_THREADS;
    memset(m->rates, 0, sizeof m->rates);
    atomic_store(&m->begun, 0);
    dio_team_for(ctx->team, m->threads, measure_piece, m);
    for (int i = 0; i < m->threads; i++) rate.all += m->rates[i];
    return rate;
}

static struct api_rate burn(struct dio_ctx *ctx, struct measurement *m, dio_burn_fn *fn)
{
    m->kind = BURN;
    m->burn = fn;
    return fn != dio_burn_none ? measure(ctx, m) : (struct api_rate){0};
}

static void measure_bandwidth(struct dio_ctx *ctx, struct measurement *m, struct api_bandwidth *out)
{
    m->kind = READ;
    out->read = measure(ctx, m);
    m->kind = WRITE;
    out->write = measure(ctx, m);
}

dio_status api_bench_ceilings(struct dio_ctx *ctx, struct api_ceilings *out)
{
    const struct dio_kernels *k = ctx->kernels;
    *out = (struct api_ceilings){.threads = dio_team_size(ctx->team)};
    struct measurement *m = dio_alloc_zeroed(ctx, 1, sizeof *m, "the bandwidth measurement");
    float *memory = dio_alloc_aligned(ctx, sizeof(float) * MEMORY_FLOATS, "the bandwidth measurement");
    if (!memory || !m) {
        dio_free(ctx, memory);
        dio_free(ctx, m);
        return DIO_ERR_ENV;
    }
    memset(memory, 0, sizeof(float) * MEMORY_FLOATS);
    m->kernels = k;
    out->f32 = burn(ctx, m, k->burn_fma);
    out->f32_cached = burn(ctx, m, k->burn_fma_cached);
    out->bf16 = burn(ctx, m, k->burn_bf16);
    out->int8 = burn(ctx, m, k->burn_int8);
    out->amx_bf16 = burn(ctx, m, k->burn_amx_bf16);
    out->amx_int8 = burn(ctx, m, k->burn_amx_int8);
    m->buffer = memory;
    m->floats_each = (ctx->cpu.l2 ? ctx->cpu.l2 : USUAL_L2) / 2 / sizeof(float);
    measure_bandwidth(ctx, m, &out->l2);
    m->floats_each = MEMORY_FLOATS / (size_t)out->threads;
    measure_bandwidth(ctx, m, &out->memory);
    dio_free(ctx, memory);
    dio_free(ctx, m);
    return DIO_OK;
}

double api_ceiling_of(const struct api_ceilings *c, enum dio_precision precision)
{
    if (precision == DIO_PRECISION_INT8 && c->amx_int8.all > 0) return c->amx_int8.all;
    if (precision == DIO_PRECISION_INT8 && c->int8.all > 0) return c->int8.all;
    if (precision == DIO_PRECISION_BF16X3) return api_ceiling_of(c, DIO_PRECISION_BF16) / 3;
    if (precision != DIO_PRECISION_BF16) return c->f32.all;
    if (c->amx_bf16.all > 0) return c->amx_bf16.all;
    return c->bf16.all > 0 ? c->bf16.all : c->f32.all;
}

static void add_rate(struct dio_str *out, const char *name, struct api_rate rate, const char *unit, int threads)
{
    if (rate.all <= 0) return;
    dio_str_addf(out, "%-26s %8.1f %s one thread, %8.1f %s %d threads\n", name, rate.one / 1e9, unit, rate.all / 1e9, unit, threads);
}

void api_ceilings_text(struct dio_str *out, const struct api_ceilings *c)
{
    add_rate(out, "FMA peak, f32", c->f32, "GF", c->threads);
    add_rate(out, "  from L1, as a product", c->f32_cached, "GF", c->threads);
    add_rate(out, "bf16 products (AVX-512)", c->bf16, "GF", c->threads);
    add_rate(out, "int8 products (AVX-512)", c->int8, "Gop/s", c->threads);
    add_rate(out, "bf16 products (AMX)", c->amx_bf16, "GF", c->threads);
    add_rate(out, "int8 products (AMX)", c->amx_int8, "Gop/s", c->threads);
    add_rate(out, "L2, read", c->l2.read, "GB/s", c->threads);
    add_rate(out, "L2, write", c->l2.write, "GB/s", c->threads);
    add_rate(out, "memory, read", c->memory.read, "GB/s", c->threads);
    add_rate(out, "memory, write", c->memory.write, "GB/s", c->threads);
}

static void put_rate(struct dio_json_writer *w, const char *one, const char *all, struct api_rate rate)
{
    if (rate.all <= 0) return;
    dio_json_double(w, one, rate.one);
    dio_json_double(w, all, rate.all);
}

void api_ceilings_json(struct dio_json_writer *w, const struct api_ceilings *c)
{
    dio_json_i64(w, "threads", c->threads);
    put_rate(w, "fma_one_thread", "fma_all_threads", c->f32);
    put_rate(w, "fma_cached_one_thread", "fma_cached_all_threads", c->f32_cached);
    put_rate(w, "bf16_one_thread", "bf16_all_threads", c->bf16);
    put_rate(w, "int8_one_thread", "int8_all_threads", c->int8);
    put_rate(w, "amx_bf16_one_thread", "amx_bf16_all_threads", c->amx_bf16);
    put_rate(w, "amx_int8_one_thread", "amx_int8_all_threads", c->amx_int8);
    put_rate(w, "l2_read_one_thread", "l2_read_all_threads", c->l2.read);
    put_rate(w, "l2_write_one_thread", "l2_write_all_threads", c->l2.write);
    put_rate(w, "read_one_thread", "read_all_threads", c->memory.read);
    put_rate(w, "write_one_thread", "write_all_threads", c->memory.write);
}
