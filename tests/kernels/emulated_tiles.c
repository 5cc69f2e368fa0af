/* template/gemm_tiles.inc on any machine: tiles are arrays, and a product of tiles is the loop that Intel's manual gives. */
#include <string.h>

#include "kernels/portable/pairs.h"

static _Thread_local unsigned char tiles[8][16][64];

static void load_tile(int tile, const void *from, long stride)
{
    for (int i = 0; i < 16; i++) memcpy(tiles[tile][i], (const char *)from + i * stride, 64);
}

static void store_tile(int tile, void *to, long stride)
{
    for (int i = 0; i < 16; i++) memcpy((char *)to + i * stride, tiles[tile][i], 64);
}

/* TDPBF16PS: c[m][n] += a[m][2k] * b[k][2n] + a[m][2k + 1] * b[k][2n + 1]. */
static void dot_bf16(int c, int a, int b)
{
    for (int m = 0; m < 16; m++) {
        for (int k = 0; k < 16; k++) {
            uint16_t left[2], right[2];
            memcpy(left, tiles[a][m] + 4 * k, sizeof left);
            for (int n = 0; n < 16; n++) {
                float sum;
                memcpy(&sum, tiles[c][m] + 4 * n, sizeof sum);
                memcpy(right, tiles[b][k] + 4 * n, sizeof right);
                sum += p_widen(left[0]) * p_widen(right[0]);
                sum += p_widen(left[1]) * p_widen(right[1]);
                memcpy(tiles[c][m] + 4 * n, &sum, sizeof sum);
            }
        }
    }
}

static void t_begin(void) { memset(tiles, 0xff, sizeof tiles); }
static void t_end(void) { memset(tiles, 0xff, sizeof tiles); }
#define t_load(tile, from, stride) load_tile(tile, from, (long)(stride))
#define t_store(tile, to, stride) store_tile(tile, to, (long)(stride))
#define t_dot_bf16(c, a, b) dot_bf16(c, a, b)

#define DIO_FILL fill_emulated_tiles
#include "kernels/template/gemm_tiles.inc"
