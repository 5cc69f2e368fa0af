/* The vocabulary of template/gemm_tiles.inc in AMX.  Tiles are set up and given back by every call of a kernel: that takes
 * some hundred cycles of the tens of thousands that a call has, and no thread keeps state.  base/cpu.c has asked the
 * system for them. */
#ifndef DIO_KERNELS_AMX_TILES_H
#define DIO_KERNELS_AMX_TILES_H

#include <immintrin.h>
#include <stdint.h>

#define t_load(tile, from, stride) _tile_loadd(tile, from, (long)(stride))
#define t_store(tile, to, stride) _tile_stored(tile, to, (long)(stride))
#define t_dot_bf16(c, a, b) _tile_dpbf16ps(c, a, b)

/* All eight tiles: 16 rows of 64 bytes. */
static inline void t_begin(void)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = 16;
    }
    _tile_loadconfig(&config);
}

static inline void t_end(void) { _tile_release(); }

#endif
