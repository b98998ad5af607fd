// Sixteen floats, and tiles of products, by AVX-512 with VNNI; bf16 by its own instruction where the variant has it.
#pragma once
#include <immintrin.h>

namespace {

typedef __m512 Vector;
enum { LANES = 16 };

inline Vector zero() { return _mm512_setzero_ps(); }
inline Vector all(float value) { return _mm512_set1_ps(value); }
inline Vector load(const float *from) { return _mm512_loadu_ps(from); }
inline void store(float *to, Vector v) { _mm512_storeu_ps(to, v); }
inline Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
inline Vector subtract(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
inline Vector multiply(Vector a, Vector b) { return _mm512_mul_ps(a, b); }
inline Vector fused(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); } // a * b + c
inline Vector larger(Vector a, Vector b) { return _mm512_max_ps(a, b); }
inline Vector smaller(Vector a, Vector b) { return _mm512_min_ps(a, b); }
inline float sum(Vector v) { return _mm512_reduce_add_ps(v); }
inline float largest(Vector v) { return _mm512_reduce_max_ps(v); }
inline Vector rounded(Vector v) { return _mm512_roundscale_ps(v, 8); }
// 2 to the power of whole numbers from -126 to 127.
inline Vector power(Vector whole) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(whole), _mm512_set1_epi32(127)), 23));
}

inline __m512 widened(__m256i halves) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16)); }
inline Vector load_bf16(const bf16 *from) { return widened(_mm256_loadu_si256((const __m256i *)from)); }
inline __m256i narrowed(Vector v) {
#ifdef __AVX512BF16__
    return (__m256i)_mm512_cvtneps_pbh(v);
#else
    __m512i bits = _mm512_castps_si512(v);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    bits = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16));
#endif
}
inline void store_bf16(bf16 *to, Vector v) { _mm256_storeu_si256((__m256i *)to, narrowed(v)); }
// Every second of 32 numbers: those with even places, or those with odd ones.
inline void store_second(bf16 *to, Vector v, bool odd) {
    __m512i wide = _mm512_cvtepu16_epi32(narrowed(v));
    if (odd) _mm512_mask_storeu_epi16(to, 0xaaaaaaaau, _mm512_slli_epi32(wide, 16));
    else _mm512_mask_storeu_epi16(to, 0x55555555u, wide);
}
// Numbers that are bytes when they are rounded and the zero is added. Both may be rounded up: then 256 becomes 255.
inline void store_bytes(uint8_t *to, Vector v, int32_t zero) {
    __m512i whole = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(zero));
    _mm_storeu_si128((__m128i *)to, _mm512_cvtusepi32_epi8(_mm512_max_epi32(whole, _mm512_setzero_si512())));
}

inline void dot(__m512 &total, __m512i a, __m512i b) {
#ifdef __AVX512BF16__
    total = _mm512_dpbf16_ps(total, (__m512bh)a, (__m512bh)b);
#else
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    total = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(a, 16)), _mm512_castsi512_ps(_mm512_slli_epi32(b, 16)), total);
    total = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(a, upper)), _mm512_castsi512_ps(_mm512_and_si512(b, upper)), total);
#endif
}

inline int32_t word(const void *from) {
    int32_t value;
    __builtin_memcpy(&value, from, 4);
    return value;
}

// R rows of `a` times 16 * U columns: those of a unit lie together, a pair of inputs each; `step` bytes from pair to pair.
template <int R, int U>
void tile_bf16(const bf16 *a, long width, const char *b, long step, long unit, int pairs, float *out, long out_width) {
    __m512 total[R][U];
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int u = 0; u < U; u++) total[r][u] = _mm512_setzero_ps();
    for (int k = 0; k < pairs; k++, b += step) {
        __m512i columns[U];
#pragma GCC unroll 4
        for (int u = 0; u < U; u++) columns[u] = _mm512_loadu_si512(b + u * unit);
#pragma GCC unroll 6
        for (int r = 0; r < R; r++) {
            __m512i row = _mm512_set1_epi32(word(a + r * width + 2 * k));
#pragma GCC unroll 4
            for (int u = 0; u < U; u++) dot(total[r][u], row, columns[u]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int u = 0; u < U; u++) _mm512_storeu_ps(out + r * out_width + u * UNIT, total[r][u]);
}

// R rows of bytes times a panel of 64 columns, four inputs at a time; `out` has 64 columns.
template <int R>
void tile_int8(const uint8_t *a, long width, const int8_t *b, int quads, const ByteScale *row_scales, const float *scales,
               const int32_t *correction, float *out) {
    __m512i total[R][4];
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int u = 0; u < 4; u++)
            total[r][u] = _mm512_mullo_epi32(_mm512_loadu_si512(correction + u * UNIT), _mm512_set1_epi32(row_scales[r].zero));
    for (int k = 0; k < quads; k++, b += 256) {
        __m512i columns[4];
#pragma GCC unroll 4
        for (int u = 0; u < 4; u++) columns[u] = _mm512_loadu_si512(b + u * 64);
#pragma GCC unroll 6
        for (int r = 0; r < R; r++) {
            __m512i row = _mm512_set1_epi32(word(a + r * width + 4 * k));
#pragma GCC unroll 4
            for (int u = 0; u < 4; u++) // the intrinsic makes GCC 12 copy the totals
                __asm__("vpdpbusd %2, %1, %0" : "+v"(total[r][u]) : "v"(row), "v"(columns[u]));
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
        __m512 scale = _mm512_set1_ps(row_scales[r].scale);
#pragma GCC unroll 4
        for (int u = 0; u < 4; u++) {
            __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(total[r][u]), _mm512_loadu_ps(scales + u * UNIT));
            _mm512_storeu_ps(out + r * PANEL + u * UNIT, _mm512_mul_ps(value, scale));
        }
    }
}

} // namespace
