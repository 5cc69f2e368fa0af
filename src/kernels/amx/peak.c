/* Ceilings of tile products. */
#ifdef __AMX_BF16__
#include "kernels/amx/tiles.h"
#include "kernels/kernels.h"

enum { UNROLLED = 4, TILE_BF16 = 16 * 16 * 32 * 2, TILE_INT8 = 16 * 16 * 64 * 2 }; /* operations of a product */

static void load_all(const float *work)
{
    t_load(0, work, 64);
    t_load(1, work, 64);
    t_load(2, work, 64);
    t_load(3, work, 64);
    t_load(4, work + 256, 64);
    t_load(5, work + 512, 64);
    t_load(6, work + 768, 64);
    t_load(7, work + 1024, 64);
}

static int64_t burn_amx_bf16(int64_t rounds, float *work)
{
    t_begin();
    load_all(work);
    for (int64_t r = 0; r < rounds; r++) {
        for (int u = 0; u < UNROLLED; u++) {
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    t_store(0, work, 64);
    t_end();
    return rounds * UNROLLED * 4 * TILE_BF16;
}

static int64_t burn_amx_int8(int64_t rounds, float *work)
{
    t_begin();
    load_all(work);
    for (int64_t r = 0; r < rounds; r++) {
        for (int u = 0; u < UNROLLED; u++) {
            _tile_dpbusd(0, 4, 6);
            _tile_dpbusd(1, 4, 7);
            _tile_dpbusd(2, 5, 6);
            _tile_dpbusd(3, 5, 7);
        }
    }
    t_store(0, work, 64);
    t_end();
    return rounds * UNROLLED * 4 * TILE_INT8;
}

void dio_fill_peak_amx(struct dio_kernels *k);
void dio_fill_peak_amx(struct dio_kernels *k)
{
    k->burn_amx_bf16 = burn_amx_bf16;
    k->burn_amx_int8 = burn_amx_int8;
}
#else
typedef int dio_built_without_amx;
#endif
