// Products of up to ROWS_AT_ONCE rows with a panel of 64 columns, from the tiles of the file that includes this one.
#pragma once

namespace {

typedef void (*Tile)(const bf16 *, long, const char *, long, long, int, float *, long);
#define OF_ROWS(R) {tile_bf16<R, 1>, tile_bf16<R, 2>, tile_bf16<R, 3>, tile_bf16<R, 4>}
const Tile TILES[GROUP][4] = {OF_ROWS(1), OF_ROWS(2), OF_ROWS(3), OF_ROWS(4), OF_ROWS(5), OF_ROWS(6)};

#ifndef MATRIX_UNITS
enum { ROWS_AT_ONCE = GROUP };
inline void begin_panels() {}
inline void finish_panels() {}
typedef void (*ByteTile)(const uint8_t *, long, const int8_t *, int, const ByteScale *, const float *, const int32_t *, float *);
const ByteTile BYTE_TILES[GROUP] = {tile_int8<1>, tile_int8<2>, tile_int8<3>, tile_int8<4>, tile_int8<5>, tile_int8<6>};

inline void panel_bf16(int rows, const bf16 *a, long width, const bf16 *b, int pairs, float *out) {
    TILES[rows - 1][3](a, width, (const char *)b, PANEL * 4, UNIT * 4, pairs, out, PANEL);
}
inline void panel_int8(int rows, const uint8_t *a, long width, const int8_t *b, int quads, const ByteScale *row_scales,
                       const float *scales, const int32_t *correction, float *out) {
    BYTE_TILES[rows - 1](a, width, b, quads, row_scales, scales, correction, out);
}
#endif

} // namespace
