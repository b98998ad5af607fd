// Sixteen rows times a panel, by Intel's matrix units. With EMULATED_TILES, by loops that do what the units do: so the kernels
// can be tested on other processors. Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, TDPBF16PS.
#pragma once
#include "engine.h"

#ifndef EMULATED_TILES
#include <immintrin.h>
#define TILE_ZERO(tile) _tile_zero(tile)
#define TILE_LOAD(tile, from, stride) _tile_loadd(tile, from, stride)
#define TILE_STORE(tile, to, stride) _tile_stored(tile, to, stride)
#define TILE_DOT_BF16(total, a, b) _tile_dpbf16ps(total, a, b)
#define TILE_DOT_BYTES(total, a, b) _tile_dpbusd(total, a, b)
#else
namespace {
thread_local char tiles[8][16][64];
inline void tile_load(int tile, const void *from, long stride) {
    for (int r = 0; r < 16; r++) __builtin_memcpy(tiles[tile][r], (const char *)from + r * stride, 64);
}
inline void tile_store(int tile, void *to, long stride) {
    for (int r = 0; r < 16; r++) __builtin_memcpy((char *)to + r * stride, tiles[tile][r], 64);
}
inline float tile_float(bf16 half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}
inline void tile_dot_bf16(int total, int a, int b) {
    for (int r = 0; r < 16; r++)
        for (int k = 0; k < 16; k++)
            for (int c = 0; c < 16; c++) {
                float &sum = ((float *)tiles[total][r])[c];
                const bf16 *left = (const bf16 *)tiles[a][r] + 2 * k, *right = (const bf16 *)tiles[b][k] + 2 * c;
                sum += tile_float(left[0]) * tile_float(right[0]) + tile_float(left[1]) * tile_float(right[1]);
            }
}
inline void tile_dot_bytes(int total, int a, int b) {
    for (int r = 0; r < 16; r++)
        for (int k = 0; k < 16; k++)
            for (int c = 0; c < 16; c++)
                for (int i = 0; i < 4; i++)
                    ((int32_t *)tiles[total][r])[c] += ((uint8_t *)tiles[a][r])[4 * k + i] * ((int8_t *)tiles[b][k])[4 * c + i];
}
} // namespace
#define TILE_ZERO(tile) __builtin_memset(tiles[tile], 0, sizeof tiles[tile])
#define TILE_LOAD(tile, from, stride) tile_load(tile, from, stride)
#define TILE_STORE(tile, to, stride) tile_store(tile, to, stride)
#define TILE_DOT_BF16(total, a, b) tile_dot_bf16(total, a, b)
#define TILE_DOT_BYTES(total, a, b) tile_dot_bytes(total, a, b)
#endif

namespace {

enum { ROWS_AT_ONCE = 16 };

// All tiles of this thread have 16 rows of 64 bytes, until `finish_panels`.
inline void begin_panels() {
#ifndef EMULATED_TILES
    alignas(64) uint8_t configuration[64] = {1};
    for (int tile = 0; tile < 8; tile++) {
        configuration[16 + 2 * tile] = 64;
        configuration[48 + tile] = 16;
    }
    __asm__ volatile("" ::"r"(configuration) : "memory"); // GCC 12 does not know that the configuration is read
    _tile_loadconfig(configuration);
#endif
}
inline void finish_panels() {
#ifndef EMULATED_TILES
    _tile_release();
#endif
}

// A panel's rows of pairs or quads are 256 bytes long. Rows of `a` beyond those that are asked for are read, and not used.
#define PANEL_OF_TILES(DOT)                                                                                                  \
    TILE_ZERO(0); TILE_ZERO(1); TILE_ZERO(2); TILE_ZERO(3);                                                                 \
    for (int k = 0; k < steps; k += 16) {                                                                                    \
        TILE_LOAD(4, (const char *)a + 4 * k, stride);                                                                       \
        TILE_LOAD(5, (const char *)b + 256 * k, 256);                                                                        \
        TILE_LOAD(6, (const char *)b + 256 * k + 64, 256);                                                                   \
        DOT(0, 4, 5);                                                                                                        \
        DOT(1, 4, 6);                                                                                                        \
        TILE_LOAD(5, (const char *)b + 256 * k + 128, 256);                                                                  \
        TILE_LOAD(6, (const char *)b + 256 * k + 192, 256);                                                                  \
        DOT(2, 4, 5);                                                                                                        \
        DOT(3, 4, 6);                                                                                                        \
    }                                                                                                                        \
    TILE_STORE(0, out, PANEL * 4);                                                                                           \
    TILE_STORE(1, out + UNIT, PANEL * 4);                                                                                    \
    TILE_STORE(2, out + 2 * UNIT, PANEL * 4);                                                                                \
    TILE_STORE(3, out + 3 * UNIT, PANEL * 4)

inline void panel_bf16(int, const bf16 *a, long width, const bf16 *b, int steps, float *out) {
    long stride = width * 2;
    PANEL_OF_TILES(TILE_DOT_BF16);
    __asm__ volatile("" ::: "memory");
}
inline void panel_int8(int rows, const uint8_t *a, long stride, const int8_t *b, int steps, const ByteScale *row_scales,
                       const float *scales, const int32_t *correction, float *out) {
    PANEL_OF_TILES(TILE_DOT_BYTES);
    __asm__ volatile("" ::: "memory");
    for (int r = 0; r < rows; r++)
        for (int u = 0; u < PANEL; u += UNIT) {
            __m512i more = _mm512_mullo_epi32(_mm512_loadu_si512(correction + u), _mm512_set1_epi32(row_scales[r].zero));
            __m512i whole = _mm512_add_epi32(_mm512_loadu_si512(out + r * PANEL + u), more);
            store(out + r * PANEL + u, multiply(multiply(_mm512_cvtepi32_ps(whole), load(scales + u)), all(row_scales[r].scale)));
        }
}

} // namespace
