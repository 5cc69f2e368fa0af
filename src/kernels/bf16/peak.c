/* Ceiling of vdpbf16ps. */
#include "kernels/bf16/pairs.h"
#include "kernels/kernels.h"

enum { CHAINS = 12, UNROLLED = 8 };

static int64_t burn_bf16(int64_t rounds, float *work)
{
    const pair factor = _mm512_set1_epi32(0x3e003e00), other = _mm512_set1_epi32(work[1] > 0 ? 0x3f803f80 : 0);
    vec acc[CHAINS];
    UNROLL for (int i = 0; i < CHAINS; i++) acc[i] = v_set((float)i);
    for (int64_t r = 0; r < rounds; r++) {
        UNROLL for (int u = 0; u < UNROLLED; u++) {
            UNROLL for (int i = 0; i < CHAINS; i++) acc[i] = v_dot(factor, other, acc[i]);
        }
    }
    vec sum = acc[0];
    UNROLL for (int i = 1; i < CHAINS; i++) sum = v_add(sum, acc[i]);
    work[0] = _mm512_cvtss_f32(sum);
    return rounds * UNROLLED * CHAINS * LANES * 4;
}

void dio_fill_peak_bf16(struct dio_kernels *k);
void dio_fill_peak_bf16(struct dio_kernels *k)
{
    k->burn_bf16 = burn_bf16;
}
