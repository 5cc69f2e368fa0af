/* The vocabulary of template/gemm.inc and template/depthwise.inc in AVX-512. */
#ifndef DIO_KERNELS_AVX512_VECTOR_H
#define DIO_KERNELS_AVX512_VECTOR_H

#include <immintrin.h>

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#define UNROLL_ALL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define UNROLL_ALL _Pragma("GCC unroll 32")
#endif

enum { LANES = 16, BLOCK_PIXELS = 7, WIDE = 4 };
typedef __m512 vec;

static inline vec v_zero(void) { return _mm512_setzero_ps(); }
static inline vec v_set(float value) { return _mm512_set1_ps(value); }
static inline vec v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, vec value) { _mm512_storeu_ps(p, value); }
static inline vec v_add(vec a, vec b) { return _mm512_add_ps(a, b); }
static inline vec v_sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
static inline vec v_mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
static inline vec v_div(vec a, vec b) { return _mm512_div_ps(a, b); }
static inline vec v_fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
/* Where b is a NaN, b. */
static inline vec v_max(vec a, vec b) { return _mm512_max_ps(a, b); }
static inline vec v_min(vec a, vec b) { return _mm512_min_ps(a, b); }

static inline vec v_abs(vec a) { return _mm512_abs_ps(a); }
/* Where x is below zero a, else b. */
static inline vec v_below_zero(vec x, vec a, vec b) { return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, v_zero(), _CMP_LT_OQ), b, a); }
/* value * 2^n, n in the lowest bits of a float that 1.5 * 2^23 was added to; value and product are normal numbers. */
static inline vec v_scale(vec value, vec shifted)
{
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(value), _mm512_slli_epi32(_mm512_castps_si512(shifted), 23)));
}

/* One load for a whole row of multiply-adds: written out, or compilers fold the broadcast into each of them. */
static inline vec v_broadcast(const float *p)
{
    vec value;
    __asm__("vbroadcastss %1, %0" : "=v"(value) : "m"(*p));
    return value;
}

static inline vec v_load_part(const float *p, int lanes)
{
    return lanes == LANES ? v_load(p) : _mm512_maskz_loadu_ps((__mmask16)((1U << lanes) - 1), p);
}

static inline void v_store_part(float *p, vec value, int lanes)
{
    if (lanes == LANES) {
        v_store(p, value);
    } else {
        _mm512_mask_storeu_ps(p, (__mmask16)((1U << lanes) - 1), value);
    }
}

/* Member i of each lane's group of `group` lanes. */
typedef __m512i vec_index;
static inline vec_index v_member(int group, int i)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_add_epi32(_mm512_andnot_si512(_mm512_set1_epi32(group - 1), lane), _mm512_set1_epi32(i));
}
static inline vec v_pick(vec value, vec_index index) { return _mm512_permutexvar_ps(index, value); }

/* Rows times vectors: 24 accumulators of 32 registers where the panel is whole. */
enum { TILE_MAX_ROWS = 14, TILE_MAX_VECTORS = 4, TILE_FULL_ROWS = 6 };
#define TILE_ROWS {0, 14, 12, 8, 6}
#define TILES                                                                                                          \
    TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(5, 1) TILE(6, 1) TILE(7, 1) TILE(8, 1) TILE(9, 1) TILE(10, 1)     \
    TILE(11, 1) TILE(12, 1) TILE(13, 1) TILE(14, 1)                                                                    \
    TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2) TILE(5, 2) TILE(6, 2) TILE(7, 2) TILE(8, 2) TILE(9, 2) TILE(10, 2)     \
    TILE(11, 2) TILE(12, 2)                                                                                            \
    TILE(1, 3) TILE(2, 3) TILE(3, 3) TILE(4, 3) TILE(5, 3) TILE(6, 3) TILE(7, 3) TILE(8, 3)                            \
    TILE(1, 4) TILE(2, 4) TILE(3, 4) TILE(4, 4) TILE(5, 4) TILE(6, 4)

/* Half vectors, and the tiles that have a half one in the end (template/gemm_half.inc); others are rare. */
#define HALF_TILES TILE(11, 2) TILE(12, 2)
typedef __m256 half_vec;
static inline half_vec half_set(float value) { return _mm256_set1_ps(value); }
static inline half_vec half_of(vec value) { return _mm512_castps512_ps256(value); }
static inline half_vec half_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void half_store(float *p, half_vec value) { _mm256_storeu_ps(p, value); }
static inline half_vec half_add(half_vec a, half_vec b) { return _mm256_add_ps(a, b); }
static inline half_vec half_fma(half_vec a, half_vec b, half_vec c) { return _mm256_fmadd_ps(a, b, c); }
/* Where b is a NaN, b. */
static inline half_vec half_max(half_vec a, half_vec b) { return _mm256_max_ps(a, b); }
static inline half_vec half_min(half_vec a, half_vec b) { return _mm256_min_ps(a, b); }

#endif
