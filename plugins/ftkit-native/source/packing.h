// Weights as they are handed over, row by row, to weights as the kernels read them.
#pragma once
#include "engine.h"

// `weight` is [outputs][inputs].
inline void pack_bf16(const bf16 *weight, int outputs, int inputs, bf16 *panels) {
    for (int output = 0; output < outputs; output++) {
        bf16 *to = panels + (int64_t)(output / PANEL) * inputs * PANEL + output % PANEL * 2;
        for (int i = 0; i < inputs; i += 2) memcpy(to + (int64_t)i * PANEL, weight + (int64_t)output * inputs + i, 4);
    }
}
inline void pack_int8(const int8_t *weight, int outputs, int inputs, int8_t *panels, int32_t *correction) {
    for (int output = 0; output < outputs; output++) {
        int8_t *to = panels + (int64_t)(output / PANEL) * inputs * PANEL + output % PANEL * 4;
        int32_t total = 0;
        for (int i = 0; i < inputs; i++) {
            int8_t value = weight[(int64_t)output * inputs + i];
            to[(int64_t)(i / 4) * PANEL * 4 + i % 4] = value;
            total += value;
        }
        correction[output] = -total;
    }
}
// `table` is [heads][distances][head]; the columns of the result are as many as `columns`.
inline void pack_distances(const bf16 *table, int heads, int distances, int head, int columns, bf16 *units) {
    for (int of = 0; of < heads; of++)
        for (int i = 0; i < distances; i++) {
            const bf16 *from = table + ((int64_t)of * distances + i) * head;
            bf16 *to = units + (int64_t)of * columns * head + (int64_t)(i / UNIT) * head * UNIT + i % UNIT * 2;
            for (int j = 0; j < head; j += 2) memcpy(to + (int64_t)j * UNIT, from + j, 4);
        }
}
