// Eight floats, and tiles of products, by AVX2 and FMA.
#pragma once
#include <immintrin.h>

namespace {

typedef __m256 Vector;
enum { LANES = 8 };

inline Vector zero() { return _mm256_setzero_ps(); }
inline Vector all(float value) { return _mm256_set1_ps(value); }
inline Vector load(const float *from) { return _mm256_loadu_ps(from); }
inline void store(float *to, Vector v) { _mm256_storeu_ps(to, v); }
inline Vector add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
inline Vector subtract(Vector a, Vector b) { return _mm256_sub_ps(a, b); }
inline Vector multiply(Vector a, Vector b) { return _mm256_mul_ps(a, b); }
inline Vector fused(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); } // a * b + c
inline Vector larger(Vector a, Vector b) { return _mm256_max_ps(a, b); }
inline Vector smaller(Vector a, Vector b) { return _mm256_min_ps(a, b); }
inline float sum(Vector v) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
inline float largest(Vector v) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}
inline Vector rounded(Vector v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
// 2 to the power of whole numbers from -126 to 127.
inline Vector power(Vector whole) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127)), 23));
}

inline Vector load_bf16(const bf16 *from) {
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
inline __m256i narrowed(Vector v) { // in the lower halves of 32 bits
    __m256i bits = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    return _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
}
inline void store_bf16(bf16 *to, Vector v) {
    __m256i wide = narrowed(v);
    _mm_storeu_si128((__m128i *)to, _mm_packus_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1)));
}
// Every second of 16 numbers: those with even places, or those with odd ones.
inline void store_second(bf16 *to, Vector v, bool odd) {
    bf16 numbers[8];
    store_bf16(numbers, v);
    for (int i = 0; i < 8; i++) to[2 * i + odd] = numbers[i];
}
// Numbers that are bytes when they are rounded and the zero is added. Both may be rounded up: then 256 becomes 255.
inline void store_bytes(uint8_t *to, Vector v, int32_t zero) {
    __m256i whole = _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(zero));
    __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64((__m128i *)to, _mm_packus_epi16(words, words));
}

inline int32_t word(const void *from) {
    int32_t value;
    __builtin_memcpy(&value, from, 4);
    return value;
}

// R rows of `a` times 16 * U columns: those of a unit lie together, a pair of inputs each; `step` bytes from pair to pair.
template <int R, int U>
void tile_bf16(const bf16 *a, long width, const char *b, long step, long unit, int pairs, float *out, long out_width) {
    const __m256i upper = _mm256_set1_epi32((int)0xffff0000u);
    for (int u = 0; u < U; u++) {
        const char *from = b + u * unit;
        __m256 total[R][2];
#pragma GCC unroll 6
        for (int r = 0; r < R; r++) total[r][0] = total[r][1] = _mm256_setzero_ps();
        for (int k = 0; k < pairs; k++, from += step) {
            __m256i left = _mm256_loadu_si256((const __m256i *)from), right = _mm256_loadu_si256((const __m256i *)(from + 32));
            __m256 even[2] = {_mm256_castsi256_ps(_mm256_slli_epi32(left, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(right, 16))};
#pragma GCC unroll 6
            for (int r = 0; r < R; r++) {
                __m256 row = _mm256_castsi256_ps(_mm256_set1_epi32((int)((uint32_t)word(a + r * width + 2 * k) << 16)));
                total[r][0] = _mm256_fmadd_ps(row, even[0], total[r][0]);
                total[r][1] = _mm256_fmadd_ps(row, even[1], total[r][1]);
            }
            __m256 odd[2] = {_mm256_castsi256_ps(_mm256_and_si256(left, upper)), _mm256_castsi256_ps(_mm256_and_si256(right, upper))};
#pragma GCC unroll 6
            for (int r = 0; r < R; r++) {
                __m256 row = _mm256_castsi256_ps(_mm256_set1_epi32(word(a + r * width + 2 * k) & (int)0xffff0000u));
                total[r][0] = _mm256_fmadd_ps(row, odd[0], total[r][0]);
                total[r][1] = _mm256_fmadd_ps(row, odd[1], total[r][1]);
            }
        }
#pragma GCC unroll 6
        for (int r = 0; r < R; r++) {
            _mm256_storeu_ps(out + r * out_width + u * UNIT, total[r][0]);
            _mm256_storeu_ps(out + r * out_width + u * UNIT + 8, total[r][1]);
        }
    }
}

// R rows of bytes times a panel of 64 columns, four inputs at a time; `out` has 64 columns.
template <int R>
void tile_int8(const uint8_t *a, long width, const int8_t *b, int quads, const ByteScale *row_scales, const float *scales,
               const int32_t *correction, float *out) {
    const __m256i ones = _mm256_set1_epi16(1);
    for (int u = 0; u < PANEL; u += 16) {
        const int8_t *from = b + u * 4;
        __m256i total[R][2];
#pragma GCC unroll 6
        for (int r = 0; r < R; r++) total[r][0] = total[r][1] = _mm256_setzero_si256();
        for (int k = 0; k < quads; k++, from += 256) {
            __m256i left = _mm256_loadu_si256((const __m256i *)from), right = _mm256_loadu_si256((const __m256i *)(from + 32));
#pragma GCC unroll 6
            for (int r = 0; r < R; r++) {
                // Bytes 128 lower, with magnitudes up to 128, times 127: two of them fit into 16 bits, so nothing is cut off.
                __m256i row = _mm256_set1_epi32(word(a + r * width + 4 * k) ^ (int)0x80808080u), absolute = _mm256_abs_epi8(row);
                __m256i one = _mm256_maddubs_epi16(absolute, _mm256_sign_epi8(left, row));
                __m256i two = _mm256_maddubs_epi16(absolute, _mm256_sign_epi8(right, row));
                total[r][0] = _mm256_add_epi32(total[r][0], _mm256_madd_epi16(one, ones));
                total[r][1] = _mm256_add_epi32(total[r][1], _mm256_madd_epi16(two, ones));
            }
        }
#pragma GCC unroll 6
        for (int r = 0; r < R; r++)
            for (int half = 0; half < 2; half++) {
                __m256i sums = _mm256_loadu_si256((const __m256i *)(correction + u + half * 8));
                __m256i more = _mm256_mullo_epi32(sums, _mm256_set1_epi32(row_scales[r].zero - 128));
                Vector value = multiply(_mm256_cvtepi32_ps(_mm256_add_epi32(total[r][half], more)), load(scales + u + half * 8));
                store(out + r * PANEL + u + half * 8, multiply(value, all(row_scales[r].scale)));
            }
    }
}

} // namespace
