// The forward pass of a chunk, in the vectors of the file that includes this one.
#include "engine.h"

#include <math.h>
#include <string.h>

namespace {

// ---------------------------------------------------------------------------------------------------- functions of numbers

// x * Phi(x), within 6e-5: Phi(x) - 1/2 as an odd polynomial up to 4.5, where it is 1/2 within 4e-6.
inline Vector gelu(Vector x) {
    static const float coefficients[] = {3.000302e-11f, -3.2839233e-9f, 1.58026101e-7f, -4.43169133e-6f, 8.12097807e-5f,
                                         -1.0362537e-3f, 9.58065476e-3f, -6.59772718e-2f, 3.98708575e-1f};
    Vector near = smaller(larger(x, all(-4.5f)), all(4.5f)), square = multiply(near, near), total = all(coefficients[0]);
#pragma GCC unroll 8
    for (int i = 1; i < 9; i++) total = fused(total, square, all(coefficients[i]));
    return multiply(x, fused(near, total, all(0.5f)));
}

// e to the power of numbers up to 0, within 3e-6 of itself.
inline Vector exponential(Vector x) {
    Vector two = larger(multiply(x, all(1.44269504f)), all(-126.0f)), whole = rounded(two), part = subtract(two, whole);
    Vector total = fused(part, all(1.33335581e-3f), all(9.61812911e-3f));
    total = fused(total, part, all(5.55041087e-2f));
    total = fused(total, part, all(2.40226507e-1f));
    total = fused(total, part, all(6.93147181e-1f));
    return multiply(fused(total, part, all(1.0f)), power(whole));
}

inline float activated(float x, int kind) {
    if (kind == TANH) return tanhf(x);
    if (kind == RELU) return x > 0 ? x : 0;
    return 0.5f * x * (1 + erff(x * 0.70710678f));
}

// The layer normalisation of a row in place; what lies beyond `used` becomes the bias there, which is zero.
inline void normalise(float *row, int width, int used, const Norm &norm, float epsilon) {
    int even = used / LANES * LANES;
    Vector total = zero();
    for (int i = 0; i < even; i += LANES) total = add(total, load(row + i));
    float mean = sum(total);
    for (int i = even; i < used; i++) mean += row[i];
    mean /= used;
    total = zero();
    for (int i = 0; i < even; i += LANES) {
        Vector away = subtract(load(row + i), all(mean));
        total = fused(away, away, total);
    }
    float variance = sum(total);
    for (int i = even; i < used; i++) variance += (row[i] - mean) * (row[i] - mean);
    float inverse = 1 / sqrtf(variance / used + epsilon);
    for (int i = 0; i < width; i += LANES) {
        Vector value = multiply(subtract(load(row + i), all(mean)), all(inverse));
        store(row + i, fused(value, load(norm.gain + i), load(norm.bias + i)));
    }
}

// ------------------------------------------------------------------------------------------------------- products with weights

// Put a row where a product reads it: in bf16, or in bytes with a scale and a zero of its own, so that all 256 bytes are used by
// what lies on one side of zero as well, such as what gelu leaves.
template <class Load> inline void prepare(const Model &model, Temporary &own, int row, int width, Load value) {
    if (!model.shape.int8) {
        bf16 *to = (bf16 *)own.input + (long)row * width;
        for (int i = 0; i < width; i += LANES) store_bf16(to + i, value(i));
        return;
    }
    Vector above = zero(), below = zero();
    for (int i = 0; i < width; i += LANES) {
        above = larger(above, value(i));
        below = larger(below, subtract(zero(), value(i)));
    }
    float lowest = largest(below), scale = fmaxf((largest(above) + lowest) / 255, 1e-12f);
    ByteScale bytes = {scale, (int32_t)lrintf(lowest / scale)};
    own.row_scales[row] = bytes;
    Vector inverse = all(1 / scale);
    uint8_t *to = (uint8_t *)own.input + (long)row * width;
    for (int i = 0; i < width; i += LANES) store_bytes(to + i, multiply(value(i), inverse), bytes.zero);
}
inline void prepare_floats(const Model &model, Temporary &own, int row, int width, const float *from) {
    prepare(model, own, row, width, [from](int i) { return load(from + i); });
}
inline void prepare_bf16(const Model &model, Temporary &own, int row, int width, const bf16 *from) {
    if (!model.shape.int8) memcpy((bf16 *)own.input + (long)row * width, from, width * sizeof(bf16));
    else prepare(model, own, row, width, [from](int i) { return load_bf16(from + i); });
}

// `done(row, count, column, tile)` for every tile of the products of rows that were prepared: 64 columns from `column` on.
template <class Done>
void products(const Model &model, const Linear &weight, Temporary &own, int rows, int from, int to, Done done) {
    alignas(64) float tile[ROWS_AT_ONCE * PANEL];
    int groups = (rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE, width = weight.inputs;
    begin_panels();
    for (int panel = from; panel < to; panel++)
        for (int group = 0; group < groups; group++) { // of nearly equal size
            int begin = rows * group / groups, count = rows * (group + 1) / groups - begin;
            if (model.shape.int8) {
                const uint8_t *a = (const uint8_t *)own.input + (long)begin * width;
                const int8_t *b = (const int8_t *)weight.panels + (long)panel * width * PANEL;
                panel_int8(count, a, width, b, width / 4, own.row_scales + begin, weight.scales + panel * PANEL,
                           weight.correction + panel * PANEL, tile);
            } else {
                const bf16 *a = (const bf16 *)own.input + (long)begin * width;
                const bf16 *b = (const bf16 *)weight.panels + (long)panel * width * PANEL;
                panel_bf16(count, a, width, b, width / 2, tile);
            }
            done(begin, count, panel * PANEL, tile);
        }
    finish_panels();
}

// Add a product and its bias to rows of floats.
inline void add_product(const Model &model, const Linear &weight, Temporary &own, int rows, float *to, long width) {
    products(model, weight, own, rows, 0, weight.outputs / PANEL, [&](int begin, int count, int column, const float *tile) {
        for (int r = 0; r < count; r++) {
            float *row = to + (begin + r) * width + column;
            for (int i = 0; i < PANEL; i += LANES)
                store(row + i, add(load(row + i), add(load(tile + r * PANEL + i), load(weight.bias + column + i))));
        }
    });
}

// ------------------------------------------------------------------------------------------------------------------- attention

inline int up(int count, int multiple) { return (count + multiple - 1) / multiple * multiple; }

// Rows of `a` times columns that lie in units: `count` units from `unit` on.
inline void by_units(const bf16 *a, long width, int rows, const bf16 *b, int unit, int count, int head, float *out, long out_width) {
    long size = (long)head * UNIT;
    for (int done = 0; done < count; done += 4) {
        int some = count - done < 4 ? count - done : 4;
        TILES[rows - 1][some - 1](a, width, (const char *)(b + (unit + done) * size), UNIT * 4, size * 2, head / 2,
                                  out + done * UNIT, out_width);
    }
}

// Store the keys and values of a row, of all heads.
//
// Keys of a text: [heads][tokens / 16][head / 2][16][2], so that they are the columns of a product with queries. Values:
// [heads][tokens / 2][head][2], so that they are the columns of a product with shares of attention.
inline void store_key(const Call &call, int layer, int row, int column, const float *values) {
    const Model &model = *call.model;
    int head = model.shape.head, text = call.text_of[row], tokens = up(call.starts[text + 1] - call.starts[text], UNIT);
    int place = call.position_of[row];
    bf16 numbers[PANEL];
    for (int i = 0; i < PANEL; i += LANES) store_bf16(numbers + i, load(values + i));
    if (model.shape.relative == DISENTANGLED)
        memcpy(call.key_rows[layer % 2] + (long)row * model.attention + column, numbers, sizeof numbers);
    bf16 *keys = call.keys[layer % 2] + call.keys_at[text];
    for (int i = 0; i < PANEL; i += UNIT) {
        int of = (column + i) / head, within = (column + i) % head;
        if (of >= model.shape.heads) return;
        bf16 *to = keys + (long)of * tokens * head + ((long)(place / UNIT) * head + within) * UNIT + place % UNIT * 2;
        for (int pair = 0; pair < UNIT / 2; pair++) memcpy(to + pair * 2 * UNIT, numbers + i + 2 * pair, 4);
    }
}
inline void store_value(const Call &call, int layer, int row, int column, const float *values) {
    const Model &model = *call.model;
    int head = model.shape.head, text = call.text_of[row], tokens = up(call.starts[text + 1] - call.starts[text], 2);
    int place = call.position_of[row];
    bf16 *to_text = call.values[layer % 2] + call.values_at[text];
    for (int i = 0; i < PANEL; i += UNIT) {
        int of = (column + i) / head, within = (column + i) % head;
        if (of >= model.shape.heads) return;
        bf16 *to = to_text + (long)of * tokens * head + ((long)(place / 2) * head + within) * 2;
        for (int j = 0; j < UNIT; j += LANES) store_second(to + 2 * j, load(values + i + j), place % 2);
        if (tokens != call.starts[text + 1] - call.starts[text] && place + 2 == tokens) // its odd neighbour is no token
            for (int j = 0; j < UNIT; j += LANES) store_second(to + 2 * j, zero(), true);
    }
}

// Products of a text's keys with the position queries, of the distances to some of its queries.
inline void keys_by_distance(const Call &call, Temporary &own, int layer, int text, int of, int from, int to) {
    const Model &model = *call.model;
    int head = model.shape.head, start = call.starts[text], tokens = call.starts[text + 1] - start;
    const bf16 *table = model.layer[layer].position_queries + (long)of * model.distances * head;
    const bf16 *rows = call.key_rows[layer % 2] + (long)start * model.attention + of * head;
    for (int key = 0; key < tokens; key += GROUP) {
        int count = tokens - key < GROUP ? tokens - key : GROUP;
        int lowest = from - (key + count - 1) + model.shape.longest - 1, unit = lowest / UNIT;
        int highest = to - 1 - key + model.shape.longest - 1;
        by_units(rows + (long)key * model.attention, model.attention, count, table, unit, highest / UNIT - unit + 1, head,
                 own.by_key + (long)key * KEY_WIDTH, KEY_WIDTH);
    }
}

// Add what the distances between queries and keys contribute to the scores of a group of queries.
inline void add_distances(const Call &call, Temporary &own, int layer, int text, int of, int from, int query, int count,
                          const bf16 *queries) {
    const Model &model = *call.model;
    int tokens = call.starts[text + 1] - call.starts[text], head = model.shape.head, width = own.score_width;
    int middle = model.shape.longest - 1;
    if (model.shape.relative == BIASED) {
        const float *table = model.bias + (long)of * model.distances;
        for (int r = 0; r < count; r++) {
            const float *row = table + middle - (query + r);
            float *scores = own.scores + r * width;
            for (int key = 0; key < tokens; key++) scores[key] += row[key];
        }
        return;
    }
    const bf16 *table = model.layer[layer].position_keys + (long)of * model.distances * head;
    int unit = (middle - (query + count - 1)) / UNIT, last = (middle - query + tokens - 1) / UNIT;
    by_units(queries, model.attention, count, table, unit, last - unit + 1, head, own.by_distance, width);
    for (int r = 0; r < count; r++) {
        const float *row = own.by_distance + r * width + middle - (query + r) - unit * UNIT;
        float *scores = own.scores + r * width;
        for (int key = 0; key < tokens; key++) scores[key] += row[key];
        for (int key = 0; key < tokens; key += GROUP) { // as `keys_by_distance` laid them down
            int some = tokens - key < GROUP ? tokens - key : GROUP;
            int base = (from - (key + some - 1) + middle) / UNIT * UNIT;
            const float *product = own.by_key + (long)key * KEY_WIDTH + query + r - key + middle - base;
            for (int i = 0; i < some; i++) scores[key + i] += product[i * (KEY_WIDTH - 1)];
        }
    }
}

// Attention of the queries of a text from place `from` to before `to`; `queries` and `out` begin with the first of them.
inline void attend(const Call &call, Temporary &own, int layer, int text, int from, int to, const bf16 *queries, bf16 *out) {
    const Model &model = *call.model;
    int head = model.shape.head, tokens = call.starts[text + 1] - call.starts[text], width = own.score_width;
    int units = up(tokens, UNIT) / UNIT, pairs = up(tokens, 2) / 2, groups = (to - from + GROUP - 1) / GROUP;
    Vector scale = all(model.scale);
    for (int of = 0; of < model.shape.heads; of++) {
        const bf16 *keys = call.keys[layer % 2] + call.keys_at[text] + (long)of * units * UNIT * head;
        const bf16 *values = call.values[layer % 2] + call.values_at[text] + (long)of * pairs * 2 * head;
        if (model.shape.relative == DISENTANGLED) keys_by_distance(call, own, layer, text, of, from, to);
        for (int group = 0; group < groups; group++) {
            int first = (to - from) * group / groups, count = (to - from) * (group + 1) / groups - first;
            const bf16 *rows = queries + (long)first * model.attention + of * head;
            by_units(rows, model.attention, count, keys, 0, units, head, own.scores, width);
            if (model.shape.relative != ABSOLUTE) add_distances(call, own, layer, text, of, from, from + first, count, rows);
            float inverse[GROUP];
            for (int r = 0; r < count; r++) {
                float *scores = own.scores + r * width;
                bf16 *shares = own.shares + r * width;
                for (int i = tokens; i < units * UNIT; i++) scores[i] = -1e30f;
                Vector most = load(scores);
                for (int i = LANES; i < units * UNIT; i += LANES) most = larger(most, load(scores + i));
                Vector top = all(largest(most)), total = zero();
                for (int i = 0; i < units * UNIT; i += LANES) {
                    Vector share = exponential(multiply(subtract(load(scores + i), top), scale));
                    total = add(total, share);
                    store_bf16(shares + i, share);
                }
                inverse[r] = 1 / sum(total);
            }
            alignas(64) float tile[GROUP * PANEL];
            for (int column = 0; column < head; column += PANEL) {
                int some = (head - column < PANEL ? head - column : PANEL) / UNIT;
                TILES[count - 1][some - 1](own.shares, width, (const char *)(values + column * 2), head * 4, UNIT * 4, pairs, tile, PANEL);
                for (int r = 0; r < count; r++) {
                    bf16 *row = out + (long)(first + r) * model.attention + of * head + column;
                    for (int i = 0; i < some * UNIT; i += LANES)
                        store_bf16(row + i, multiply(load(tile + r * PANEL + i), all(inverse[r])));
                }
            }
        }
    }
    for (int r = 0; r < to - from; r++) // the columns that no head has
        for (int i = model.shape.heads * head; i < model.attention; i++) out[(long)r * model.attention + i] = 0;
}

// -------------------------------------------------------------------------------------------------------------------- a layer

// The queries, keys and values of rows `begin` to `begin + rows` for a layer; in the last layer, keys and values alone.
void project(const Call &call, Temporary &own, int layer, int begin, int rows) {
    const Model &model = *call.model;
    const Linear &weight = model.layer[layer].qkv;
    int attention = model.attention, panels = attention / PANEL, first = layer + 1 == model.shape.layers ? panels : 0;
    for (int r = 0; r < rows; r++)
        prepare_floats(model, own, r, model.shape.hidden, call.hidden + (long)(begin + r) * model.shape.hidden);
    products(model, weight, own, rows, first, 3 * panels, [&](int at, int count, int column, float *tile) {
        int part = column / attention, within = column - part * attention;
        for (int r = 0; r < count; r++) {
            float *values = tile + r * PANEL;
            int row = begin + at + r;
            for (int i = 0; i < PANEL; i += LANES) store(values + i, add(load(values + i), load(weight.bias + column + i)));
            if (part == 1) store_key(call, layer, row, within, values);
            else if (part == 2) store_value(call, layer, row, within, values);
            else
                for (int i = 0; i < PANEL; i += LANES)
                    store_bf16(call.queries + (long)row * attention + within + i, load(values + i));
        }
    });
}

// What follows the attention in a layer: `hidden` are the rows that came in, and become those that go out.
void complete(const Model &model, Temporary &own, int number, int rows, float *hidden) {
    const Layer &layer = model.layer[number];
    const Shape &shape = model.shape;
    for (int r = 0; r < rows; r++) prepare_bf16(model, own, r, model.attention, own.context + (long)r * model.attention);
    add_product(model, layer.out, own, rows, hidden, shape.hidden);
    for (int r = 0; r < rows; r++) {
        float *row = hidden + (long)r * shape.hidden;
        normalise(row, shape.hidden, shape.hidden_used, layer.first, model.epsilon);
        prepare_floats(model, own, r, shape.hidden, row);
    }
    products(model, layer.up, own, rows, 0, shape.inner / PANEL, [&](int at, int count, int column, const float *tile) {
        for (int r = 0; r < count; r++) {
            bf16 *row = own.middle + (long)(at + r) * shape.inner + column;
            for (int i = 0; i < PANEL; i += LANES)
                store_bf16(row + i, gelu(add(load(tile + r * PANEL + i), load(layer.up.bias + column + i))));
        }
    });
    for (int r = 0; r < rows; r++) prepare_bf16(model, own, r, shape.inner, own.middle + (long)r * shape.inner);
    add_product(model, layer.down, own, rows, hidden, shape.hidden);
    for (int r = 0; r < rows; r++)
        normalise(hidden + (long)r * shape.hidden, shape.hidden, shape.hidden_used, layer.second, model.epsilon);
}

void embed(const Call &call, Temporary &own, int begin, int end) {
    const Model &model = *call.model;
    const Shape &shape = model.shape;
    int width = shape.embedding;
    bool projected = model.projection.outputs != 0;
    for (int row = begin; row < end; row++) {
        float *to = projected ? own.first : call.hidden + (long)row * shape.hidden;
        const bf16 *from = model.words + (long)call.ids[row] * width;
        for (int i = 0; i < width; i += LANES) store(to + i, load_bf16(from + i));
        if (model.position) {
            const float *added = model.position + (long)call.place_of[row] * width;
            for (int i = 0; i < width; i += LANES) store(to + i, add(load(to + i), load(added + i)));
        }
        if (model.type) {
            const float *added = model.type + (long)(call.types ? call.types[row] : 0) * width;
            for (int i = 0; i < width; i += LANES) store(to + i, add(load(to + i), load(added + i)));
        }
        if (model.before.gain) normalise(to, width, shape.embedding_used, model.before, model.epsilon);
        if (projected) {
            prepare_floats(model, own, row - begin, width, to);
            memset(call.hidden + (long)row * shape.hidden, 0, shape.hidden * sizeof(float));
        }
    }
    if (projected) add_product(model, model.projection, own, end - begin, call.hidden + (long)begin * shape.hidden, shape.hidden);
    if (model.after.gain)
        for (int row = begin; row < end; row++)
            normalise(call.hidden + (long)row * shape.hidden, shape.hidden, shape.hidden_used, model.after, model.epsilon);
    project(call, own, 0, begin, end - begin);
}

void layer(const Call &call, Temporary &own, int number, int begin, int end) {
    const Model &model = *call.model;
    for (int row = begin; row < end;) {
        int text = call.text_of[row], from = call.position_of[row], start = call.starts[text];
        int to = (end < call.starts[text + 1] ? end : call.starts[text + 1]) - start;
        attend(call, own, number, text, from, to, call.queries + (long)row * model.attention,
               own.context + (long)(row - begin) * model.attention);
        row = start + to;
    }
    complete(model, own, number, end - begin, call.hidden + (long)begin * model.shape.hidden);
    project(call, own, number + 1, begin, end - begin);
}

float dot_product(const float *a, const float *b, int width) {
    Vector total = zero();
    for (int i = 0; i < width; i += LANES) total = fused(load(a + i), load(b + i), total);
    return sum(total);
}

// The head reads the first token of a text alone, so in the last layer nothing else is computed.
void last(const Call &call, Temporary &own, int begin, int end) {
    const Model &model = *call.model;
    const Shape &shape = model.shape;
    int number = shape.layers - 1, attention = model.attention, width = shape.hidden, rows = end - begin;
    const Linear &weight = model.layer[number].qkv;
    for (int r = 0; r < rows; r++) {
        float *row = own.first + (long)r * width;
        memcpy(row, call.hidden + (long)call.starts[begin + r] * width, width * sizeof(float));
        prepare_floats(model, own, r, width, row);
    }
    products(model, weight, own, rows, 0, attention / PANEL, [&](int at, int count, int column, const float *tile) {
        for (int r = 0; r < count; r++)
            for (int i = 0; i < PANEL; i += LANES)
                store_bf16(own.first_queries + (long)(at + r) * attention + column + i,
                           add(load(tile + r * PANEL + i), load(weight.bias + column + i)));
    });
    for (int r = 0; r < rows; r++)
        attend(call, own, number, begin + r, 0, 1, own.first_queries + (long)r * attention, own.context + (long)r * attention);
    complete(model, own, number, rows, own.first);
    for (int r = 0; r < rows; r++) {
        float *row = own.first + (long)r * width, *pooled = own.scores; // scores have room for a row
        for (int i = 0; i < width; i++)
            pooled[i] = activated(dot_product(row, model.pool + (long)i * width, width) + model.pool_bias[i], shape.head_activation);
        for (int i = 0; i < shape.classes; i++)
            call.logits[(long)(begin + r) * shape.classes + i] =
                dot_product(pooled, model.classifier + (long)i * width, width) + model.classifier_bias[i];
    }
}

} // namespace
