/* The vocabulary of template/gemm.inc and template/depthwise.inc in AVX2 with FMA. */
#ifndef DIO_KERNELS_AVX2_VECTOR_H
#define DIO_KERNELS_AVX2_VECTOR_H

#include <immintrin.h>

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#define UNROLL_ALL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define UNROLL_ALL _Pragma("GCC unroll 32")
#endif

enum { LANES = 8, BLOCK_PIXELS = 7, WIDE = 2 };
typedef __m256 vec;

static inline vec v_zero(void) { return _mm256_setzero_ps(); }
static inline vec v_set(float value) { return _mm256_set1_ps(value); }
static inline vec v_broadcast(const float *p) { return _mm256_broadcast_ss(p); }
static inline vec v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_store(float *p, vec value) { _mm256_storeu_ps(p, value); }
static inline vec v_add(vec a, vec b) { return _mm256_add_ps(a, b); }
static inline vec v_sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
static inline vec v_mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
static inline vec v_div(vec a, vec b) { return _mm256_div_ps(a, b); }
static inline vec v_fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
/* Where b is a NaN, b. */
static inline vec v_max(vec a, vec b) { return _mm256_max_ps(a, b); }
static inline vec v_min(vec a, vec b) { return _mm256_min_ps(a, b); }

static inline vec v_abs(vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
/* Where x is below zero a, else b. */
static inline vec v_below_zero(vec x, vec a, vec b) { return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, v_zero(), _CMP_LT_OQ)); }
/* value * 2^n, n in the lowest bits of a float that 1.5 * 2^23 was added to; value and product are normal numbers. */
static inline vec v_scale(vec value, vec shifted)
{
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value), _mm256_slli_epi32(_mm256_castps_si256(shifted), 23)));
}

static inline __m256i v_mask(int lanes)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline vec v_load_part(const float *p, int lanes)
{
    return lanes == LANES ? v_load(p) : _mm256_maskload_ps(p, v_mask(lanes));
}

static inline void v_store_part(float *p, vec value, int lanes)
{
    if (lanes == LANES) {
        v_store(p, value);
    } else {
        _mm256_maskstore_ps(p, v_mask(lanes), value);
    }
}

/* Member i of each lane's group of `group` lanes. */
typedef __m256i vec_index;
static inline vec_index v_member(int group, int i)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_add_epi32(_mm256_andnot_si256(_mm256_set1_epi32(group - 1), lane), _mm256_set1_epi32(i));
}
static inline vec v_pick(vec value, vec_index index) { return _mm256_permutevar8x32_ps(value, index); }

/* Rows times vectors: 12 accumulators of 16 registers. */
enum { TILE_MAX_ROWS = 12, TILE_MAX_VECTORS = 2, TILE_FULL_ROWS = 6 };
#define TILE_ROWS {0, 12, 6}
#define TILES                                                                                                          \
    TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(5, 1) TILE(6, 1) TILE(7, 1) TILE(8, 1) TILE(9, 1) TILE(10, 1)     \
    TILE(11, 1) TILE(12, 1)                                                                                            \
    TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2) TILE(5, 2) TILE(6, 2)

#endif
