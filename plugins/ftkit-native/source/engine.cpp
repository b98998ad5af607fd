// The library's interface: whatever is handed over is checked here, so that the kernels need not.
#include "engine.h"
#include "memory.h"
#include "packing.h"
#include "pool.h"

#include <immintrin.h>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

enum Result { DONE = 0, BAD_SHAPE, BAD_WEIGHT, UNFINISHED, NO_MEMORY, BAD_TEXTS, BAD_ID, BAD_TYPE, TOO_LONG, NO_KERNELS, BAD_CALL };

// The weights of a model; those from QKV on are of one layer. Kept in step with `ftkit_native.weights.SLOTS`.
enum Slot {
    WORDS, POSITION, TYPE, BEFORE_GAIN, BEFORE_BIAS, AFTER_GAIN, AFTER_BIAS, PROJECTION, PROJECTION_SCALE, PROJECTION_BIAS,
    BIAS, POOL, POOL_BIAS, CLASSIFIER, CLASSIFIER_BIAS,
    QKV, QKV_SCALE, QKV_BIAS, OUT, OUT_SCALE, OUT_BIAS, UP, UP_SCALE, UP_BIAS, DOWN, DOWN_SCALE, DOWN_BIAS,
    FIRST_GAIN, FIRST_BIAS, SECOND_GAIN, SECOND_BIAS, POSITION_KEYS, POSITION_QUERIES, SLOTS
};

enum { FIELDS = sizeof(Shape) / sizeof(int32_t) };

bool between(int64_t value, int64_t least, int64_t most) { return least <= value && value <= most; }
bool multiple(int64_t value, int64_t of, int64_t most) { return between(value, of, most) && value % of == 0; }

bool possible(const Shape &s) {
    return between(s.layers, 1, 1000) && multiple(s.hidden, PANEL, 1 << 15) && between(s.hidden_used, 1, s.hidden) &&
           between(s.heads, 1, 1 << 10) && multiple(s.head, UNIT, 1 << 10) && s.heads * s.head <= 1 << 15 &&
           multiple(s.inner, PANEL, 1 << 17) && multiple(s.embedding, PANEL, 1 << 15) && between(s.embedding_used, 1, s.embedding) &&
           between(s.vocabulary, 1, 1 << 28) && between(s.positions, 0, 1 << 20) && between(s.position_base, 0, 1 << 10) &&
           between(s.padding, -1, s.vocabulary - 1) && between(s.types, 0, 1 << 10) && between(s.classes, 1, 1 << 20) &&
           between(s.longest, 1, 1 << 15) && between(s.relative, ABSOLUTE, DISENTANGLED) &&
           between(s.head_activation, TANH, GELU) && between(s.int8, 0, 1) &&
           (s.positions == 0 || (s.position_base + s.longest <= s.positions && s.padding < s.positions));
}

// What a slot holds: numbers of a size in bytes, 0 where this model has no such weight.
struct Wanted {
    int64_t numbers;
    int size;
};

bool is_norm_before(const Model &m) { return m.given[BEFORE_GAIN] || m.given[BEFORE_BIAS]; }

Wanted wanted(const Model &m, int slot) {
    const Shape &s = m.shape;
    int64_t hidden = s.hidden, width = s.embedding, inner = s.inner, attention = m.attention;
    int weight = s.int8 ? 1 : 2;
    bool relative = s.relative == DISENTANGLED;
    int64_t distances = 2 * (int64_t)s.longest - 1;
    switch (slot) {
    case WORDS: return {s.vocabulary * width, 2};
    case POSITION: return {s.positions * width, 4};
    case TYPE: return {s.types * width, 4};
    case BEFORE_GAIN: case BEFORE_BIAS: return {width, 4};
    case AFTER_GAIN: case AFTER_BIAS: return {hidden, 4};
    case PROJECTION: return {hidden * width, weight};
    case PROJECTION_SCALE: return {s.int8 ? hidden : 0, 4};
    case PROJECTION_BIAS: return {hidden, 4};
    case BIAS: return {s.relative == BIASED ? s.heads * distances : 0, 4};
    case POOL: return {hidden * hidden, 4};
    case POOL_BIAS: return {hidden, 4};
    case CLASSIFIER: return {s.classes * hidden, 4};
    case CLASSIFIER_BIAS: return {s.classes, 4};
    case QKV: return {3 * attention * hidden, weight};
    case QKV_SCALE: return {s.int8 ? 3 * attention : 0, 4};
    case QKV_BIAS: return {3 * attention, 4};
    case OUT: return {hidden * attention, weight};
    case OUT_SCALE: return {s.int8 ? hidden : 0, 4};
    case UP: return {inner * hidden, weight};
    case UP_SCALE: return {s.int8 ? inner : 0, 4};
    case UP_BIAS: return {inner, 4};
    case DOWN: return {hidden * inner, weight};
    case DOWN_SCALE: return {s.int8 ? hidden : 0, 4};
    case OUT_BIAS: case DOWN_BIAS: case FIRST_GAIN: case FIRST_BIAS: case SECOND_GAIN: case SECOND_BIAS: return {hidden, 4};
    case POSITION_KEYS: case POSITION_QUERIES: return {relative ? s.heads * distances * s.head : 0, 2};
    }
    return {0, 0};
}

// Which of a model's weights it can do without.
bool optional(const Model &m, int slot) {
    bool projected = m.given[PROJECTION] || m.shape.embedding != m.shape.hidden || m.shape.embedding_used != m.shape.hidden_used;
    switch (slot) {
    case BEFORE_GAIN: case BEFORE_BIAS: return !is_norm_before(m);
    case AFTER_GAIN: case AFTER_BIAS: return !(m.given[AFTER_GAIN] || m.given[AFTER_BIAS]);
    case PROJECTION: case PROJECTION_SCALE: case PROJECTION_BIAS: return !projected;
    }
    return false;
}

int place(int slot, int layer) { return slot < QKV ? slot : QKV + layer * (SLOTS - QKV) + slot - QKV; }

bool copy(float *&to, const void *data, int64_t numbers) {
    if (!to && !(to = (float *)aligned_zeros(numbers * 4))) return false;
    memcpy(to, data, numbers * 4);
    return true;
}

bool put_weight(const Model &m, Linear &linear, const void *data, int outputs, int inputs) {
    int64_t numbers = (int64_t)outputs * inputs;
    if (!linear.panels) linear.panels = aligned_zeros(numbers * (m.shape.int8 ? 1 : 2));
    if (m.shape.int8 && !linear.correction) linear.correction = (int32_t *)aligned_zeros(outputs * 4);
    if (!linear.panels || (m.shape.int8 && !linear.correction)) return false;
    linear.outputs = outputs;
    linear.inputs = inputs;
    if (m.shape.int8) pack_int8((const int8_t *)data, outputs, inputs, (int8_t *)linear.panels, linear.correction);
    else pack_bf16((const bf16 *)data, outputs, inputs, (bf16 *)linear.panels);
    return true;
}

bool put_distances(const Model &m, bf16 *&to, const void *data) {
    const Shape &s = m.shape;
    if (!to && !(to = (bf16 *)aligned_zeros((int64_t)s.heads * m.distances * s.head * 2))) return false;
    pack_distances((const bf16 *)data, s.heads, 2 * s.longest - 1, s.head, m.distances, to);
    return true;
}

bool put(Model &m, int slot, int layer, const void *data, int64_t numbers) {
    const Shape &s = m.shape;
    Layer &l = m.layer[slot < QKV ? 0 : layer];
    switch (slot) {
    case WORDS:
        if (!m.words && !(m.words = (bf16 *)aligned_zeros(numbers * 2))) return false;
        memcpy(m.words, data, numbers * 2);
        return true;
    case POSITION: return copy(m.position, data, numbers);
    case TYPE: return copy(m.type, data, numbers);
    case BEFORE_GAIN: return copy(m.before.gain, data, numbers);
    case BEFORE_BIAS: return copy(m.before.bias, data, numbers);
    case AFTER_GAIN: return copy(m.after.gain, data, numbers);
    case AFTER_BIAS: return copy(m.after.bias, data, numbers);
    case PROJECTION: return put_weight(m, m.projection, data, s.hidden, s.embedding);
    case PROJECTION_SCALE: return copy(m.projection.scales, data, numbers);
    case PROJECTION_BIAS: return copy(m.projection.bias, data, numbers);
    case BIAS: {
        int64_t distances = 2 * (int64_t)s.longest - 1;
        if (!m.bias && !(m.bias = (float *)aligned_zeros((int64_t)s.heads * m.distances * 4))) return false;
        for (int of = 0; of < s.heads; of++)
            memcpy(m.bias + (int64_t)of * m.distances, (const float *)data + of * distances, distances * 4);
        return true;
    }
    case POOL: return copy(m.pool, data, numbers);
    case POOL_BIAS: return copy(m.pool_bias, data, numbers);
    case CLASSIFIER: return copy(m.classifier, data, numbers);
    case CLASSIFIER_BIAS: return copy(m.classifier_bias, data, numbers);
    case QKV: return put_weight(m, l.qkv, data, 3 * m.attention, s.hidden);
    case QKV_SCALE: return copy(l.qkv.scales, data, numbers);
    case QKV_BIAS: return copy(l.qkv.bias, data, numbers);
    case OUT: return put_weight(m, l.out, data, s.hidden, m.attention);
    case OUT_SCALE: return copy(l.out.scales, data, numbers);
    case OUT_BIAS: return copy(l.out.bias, data, numbers);
    case UP: return put_weight(m, l.up, data, s.inner, s.hidden);
    case UP_SCALE: return copy(l.up.scales, data, numbers);
    case UP_BIAS: return copy(l.up.bias, data, numbers);
    case DOWN: return put_weight(m, l.down, data, s.hidden, s.inner);
    case DOWN_SCALE: return copy(l.down.scales, data, numbers);
    case DOWN_BIAS: return copy(l.down.bias, data, numbers);
    case FIRST_GAIN: return copy(l.first.gain, data, numbers);
    case FIRST_BIAS: return copy(l.first.bias, data, numbers);
    case SECOND_GAIN: return copy(l.second.gain, data, numbers);
    case SECOND_BIAS: return copy(l.second.bias, data, numbers);
    case POSITION_KEYS: return put_distances(m, l.position_keys, data);
    case POSITION_QUERIES: return put_distances(m, l.position_queries, data);
    }
    return false;
}

void release(Linear &l) { free(l.panels), free(l.bias), free(l.scales), free(l.correction); }
void release(Norm &n) { free(n.gain), free(n.bias); }

// ------------------------------------------------------------------------------------------------------------------- kernels

const Kernels *const ALL[] = {&kernels_amx, &kernels_avx512_bf16, &kernels_avx512, &kernels_avx2};

} // namespace

bool amx_granted();

namespace {

bool runs(const Kernels *kernels) {
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
    bool units = avx512 && __builtin_cpu_supports("avx512bf16");
    if (kernels == &kernels_amx) return units && amx_granted();
    if (kernels == &kernels_avx512_bf16) return units;
    if (kernels == &kernels_avx512) return avx512;
    return avx2;
}

// The fastest first. Intel's processors multiply bf16 in vectors at half the rate of floats, AMD's at twice that rate.
const Kernels *chosen(const char *name) {
    for (const Kernels *each : ALL)
        if (!name || !*name ? runs(each) && !(each == &kernels_avx512_bf16 && __builtin_cpu_is("intel")) : !strcmp(name, each->name))
            return runs(each) ? each : 0;
    return 0;
}

// -------------------------------------------------------------------------------------------------------------------- a call

struct Scratch {
    char *block;
    uint64_t size;
};

void free_block(Scratch *scratch) {
    if (scratch->block) ALLOW(scratch->block, scratch->size);
    free(scratch->block);
}

void lay_out(Arena &arena, Call &call, int slots, int longest) {
    const Model &m = *call.model;
    const Shape &s = m.shape;
    uint64_t rows = call.rows, texts = call.texts, padded = 0;
    arena.take(call.text_of, rows);
    arena.take(call.position_of, rows);
    arena.take(call.place_of, rows);
    arena.take(call.keys_at, texts);
    arena.take(call.values_at, texts);
    for (int text = 0; text < call.texts; text++) padded += (call.starts[text + 1] - call.starts[text] + UNIT - 1) / UNIT * UNIT;
    uint64_t kept = padded * s.heads * s.head;
    arena.take(call.hidden, rows * s.hidden);
    arena.take(call.queries, rows * m.attention);
    for (int i = 0; i < 2; i++) {
        arena.take(call.keys[i], kept);
        arena.take(call.values[i], kept);
        if (s.relative == DISENTANGLED) arena.take(call.key_rows[i], rows * m.attention);
    }
    arena.take(call.temporary, slots);
    uint64_t widest = s.inner > m.attention ? s.inner : m.attention;
    widest = widest > (uint64_t)s.hidden ? widest : s.hidden;
    widest = widest > (uint64_t)s.embedding ? widest : s.embedding;
    int width = longest + GROUP + 3 * UNIT > s.hidden ? longest + GROUP + 3 * UNIT : s.hidden;
    width = (width + UNIT - 1) / UNIT * UNIT;
    for (int slot = 0; slot < slots; slot++) {
        Temporary unused, &own = arena.block ? call.temporary[slot] : unused;
        char *input = 0;
        arena.take(input, (MAX_ROWS + 2 * UNIT) * widest * 2); // matrix units read whole groups of sixteen rows
        own.input = input;
        arena.take(own.row_scales, MAX_ROWS + 2 * UNIT);
        arena.take(own.context, (uint64_t)MAX_ROWS * m.attention);
        arena.take(own.middle, (uint64_t)MAX_ROWS * s.inner);
        arena.take(own.first, (uint64_t)MAX_ROWS * (s.hidden > s.embedding ? s.hidden : s.embedding));
        arena.take(own.first_queries, (uint64_t)MAX_ROWS * m.attention);
        arena.take(own.scores, (uint64_t)GROUP * width);
        arena.take(own.shares, (uint64_t)GROUP * width);
        if (s.relative == DISENTANGLED) {
            arena.take(own.by_distance, (uint64_t)GROUP * width);
            arena.take(own.by_key, ((uint64_t)longest + GROUP) * KEY_WIDTH);
        }
        own.score_width = width;
    }
}

Result check(const Call &call, const int32_t *types, int *longest) {
    const Shape &s = call.model->shape;
    if (call.starts[0] != 0 || call.starts[call.texts] != call.rows) return BAD_TEXTS;
    for (int text = 0; text < call.texts; text++) {
        int64_t length = (int64_t)call.starts[text + 1] - call.starts[text];
        if (length < 1 || call.starts[text + 1] > call.rows) return BAD_TEXTS;
        if (length > s.longest) return TOO_LONG;
        if (length > *longest) *longest = (int)length;
    }
    for (int row = 0; row < call.rows; row++) {
        if (call.ids[row] < 0 || call.ids[row] >= s.vocabulary) return BAD_ID;
        if (types && (types[row] < 0 || types[row] >= (s.types > 1 ? s.types : 1))) return BAD_TYPE;
    }
    return DONE;
}

void number(Call &call) {
    const Shape &s = call.model->shape;
    int64_t keys = 0, values = 0, width = (int64_t)s.heads * s.head;
    for (int text = 0; text < call.texts; text++) {
        int begin = call.starts[text], end = call.starts[text + 1], place = s.position_base;
        call.keys_at[text] = keys;
        call.values_at[text] = values;
        keys += (end - begin + UNIT - 1) / UNIT * UNIT * width;
        values += (end - begin + 1) / 2 * 2 * width;
        for (int row = begin; row < end; row++) {
            call.text_of[row] = text;
            call.position_of[row] = row - begin;
            call.place_of[row] = s.padding >= 0 && call.ids[row] == s.padding ? s.padding : place++;
        }
    }
}

struct Step {
    const Call *call;
    int layer, chunks; // -1 is the embeddings
};
void run_step(void *of, int chunk, int slot) {
    const Step &step = *(const Step *)of;
    const Call &call = *step.call;
    const Kernels &kernels = *call.model->kernels;
    bool last = step.layer + 1 == call.model->shape.layers;
    int64_t all = last ? call.texts : call.rows;
    int begin = (int)(all * chunk / step.chunks), end = (int)(all * (chunk + 1) / step.chunks);
    Temporary &own = call.temporary[slot];
    if (step.layer < 0) kernels.embed(call, own, begin, end);
    else if (last) kernels.last(call, own, begin, end);
    else kernels.layer(call, own, step.layer, begin, end);
}

enum { SHARED_ROWS = 64, MOST_ROWS = 1 << 20 };
static_assert(MOST_ROWS / SHARED_ROWS + MAX_SLOTS <= MOST_CHUNKS, "the chunks of a call must be countable");

int chunks_of(int count, int threads) {
    // Fewer than MAX_ROWS, so that a thread that is late holds less up
    if (threads == 1) return (count + MAX_ROWS - 1) / MAX_ROWS;
    int rounds = (count + SHARED_ROWS * threads - 1) / (SHARED_ROWS * threads), chunks = rounds * threads;
    return chunks < count ? chunks : count;
}

void forward(Call &call, Pool *pool, int threads) {
    for (int layer = -1; layer < call.model->shape.layers; layer++) {
        int count = layer + 1 == call.model->shape.layers ? call.texts : call.rows;
        Step step = {&call, layer, chunks_of(count, threads)};
        if (pool) pool_run(pool, {run_step, &step, step.chunks, threads});
        else
            for (int chunk = 0; chunk < step.chunks; chunk++) run_step(&step, chunk, 0);
    }
}

} // namespace

// -------------------------------------------------------------------------------------------------------------- the interface

EXPORT int ftkit_native_interface() { return 1; }

// Whether this processor runs kernels of this name; the name of those that are chosen where none is given.
EXPORT const char *ftkit_native_kernels(const char *name) {
    const Kernels *kernels = chosen(name);
    return kernels ? kernels->name : "";
}

EXPORT int ftkit_native_model(const int32_t *shape, int fields, float epsilon, float scale, const char *kernels, Model **to) {
    if (!shape || !to || fields != FIELDS) return BAD_CALL;
    *to = 0;
    Shape s;
    memcpy(&s, shape, sizeof s);
    if (!possible(s) || !(epsilon > 0 && epsilon < 1) || !(scale > 0 && scale < 1e4f)) return BAD_SHAPE;
    const Kernels *found = chosen(kernels);
    if (!found) return NO_KERNELS;
    Model *m = (Model *)aligned_zeros(sizeof(Model));
    if (!m) return NO_MEMORY;
    m->shape = s;
    m->attention = (s.heads * s.head + PANEL - 1) / PANEL * PANEL;
    m->distances = (2 * s.longest - 1 + UNIT - 1) / UNIT * UNIT;
    m->epsilon = epsilon;
    m->scale = scale;
    m->kernels = found;
    m->layer = (Layer *)aligned_zeros(sizeof(Layer) * (uint64_t)s.layers);
    m->given = (uint8_t *)aligned_zeros(QKV + (uint64_t)s.layers * (SLOTS - QKV));
    if (!m->layer || !m->given) {
        free(m->layer), free(m->given), free(m);
        return NO_MEMORY;
    }
    *to = m;
    return DONE;
}

EXPORT void ftkit_native_free(Model *m) {
    if (!m) return;
    for (int i = 0; i < m->shape.layers; i++) {
        Layer &l = m->layer[i];
        release(l.qkv), release(l.out), release(l.up), release(l.down), release(l.first), release(l.second);
        free(l.position_keys), free(l.position_queries);
    }
    release(m->projection), release(m->before), release(m->after);
    free(m->words), free(m->position), free(m->type), free(m->bias), free(m->pool), free(m->pool_bias);
    free(m->classifier), free(m->classifier_bias), free(m->layer), free(m->given), free(m);
}

EXPORT int ftkit_native_put(Model *m, int slot, int layer, const void *data, uint64_t bytes) {
    if (!m || !data || !between(slot, 0, SLOTS - 1) || !between(layer, 0, slot < QKV ? 0 : m->shape.layers - 1)) return BAD_CALL;
    Wanted want = wanted(*m, slot);
    if (!want.numbers || bytes != (uint64_t)want.numbers * want.size) return BAD_WEIGHT;
    if (!put(*m, slot, layer, data, want.numbers)) return NO_MEMORY;
    m->given[place(slot, layer)] = 1;
    return DONE;
}

namespace {
bool finished(const Model &m) {
    for (int slot = 0; slot < SLOTS; slot++)
        for (int layer = 0; layer < (slot < QKV ? 1 : m.shape.layers); layer++)
            if (!m.given[place(slot, layer)] && wanted(m, slot).numbers && !optional(m, slot)) return false;
    return true;
}
} // namespace

EXPORT int ftkit_native_finish(Model *m) {
    if (!m) return BAD_CALL;
    return finished(*m) ? DONE : UNFINISHED;
}

EXPORT Scratch *ftkit_native_scratch() { return (Scratch *)aligned_zeros(sizeof(Scratch)); }
EXPORT void ftkit_native_free_scratch(Scratch *scratch) {
    if (scratch) free_block(scratch);
    free(scratch);
}

EXPORT Pool *ftkit_native_pool() { return pool_new(); }
EXPORT void ftkit_native_work(Pool *pool, int slot) {
    if (pool && between(slot, 1, MAX_SLOTS - 1)) pool_work(pool, slot);
}
EXPORT void ftkit_native_stop(Pool *pool) {
    if (pool) pool_stop(pool);
}
EXPORT void ftkit_native_free_pool(Pool *pool) { pool_free(pool); }

// The logits of texts whose tokens lie end to end: `starts` has texts + 1 places. Types may be null, and so may the pool,
// whose threads beside the caller are `threads` - 1. A scratch serves one call at a time.
EXPORT int ftkit_native_logits(const Model *m, Scratch *scratch, Pool *pool, int threads, const int32_t *ids, const int32_t *types,
                               const int32_t *starts, int texts, int rows, float *logits, uint64_t numbers) {
    if (!m || !scratch || !ids || !starts || !logits || texts < 0 || rows < 0 || !between(threads, 1, MAX_SLOTS)) return BAD_CALL;
    if (numbers != (uint64_t)texts * m->shape.classes) return BAD_CALL;
    if (!finished(*m)) return UNFINISHED;
    if (texts == 0) return rows == 0 ? DONE : BAD_TEXTS;
    if (rows > MOST_ROWS) return TOO_LONG;
    Call call = Call();
    call.model = m;
    call.ids = ids, call.types = types, call.starts = starts;
    call.texts = texts, call.rows = rows;
    call.logits = logits;
    int longest = 0;
    Result wrong = check(call, types, &longest);
    if (wrong) return wrong;
    bool shared = pool && threads > 1 && pool_take(pool);
    int slots = shared ? threads : 1;
    Arena arena = Arena();
    lay_out(arena, call, slots, longest);
    if (arena.used > scratch->size) {
        free_block(scratch);
        scratch->size = 0;
        scratch->block = (char *)aligned_zeros(arena.used);
        if (!scratch->block) {
            if (shared) pool_give(pool);
            return NO_MEMORY;
        }
        scratch->size = arena.used;
    }
    ALLOW(scratch->block, scratch->size);
    arena.block = scratch->block;
    arena.used = 0;
    lay_out(arena, call, slots, longest);
    number(call);
    unsigned control = _mm_getcsr();
    _mm_setcsr(control | 0x8040); // as in `pool_work`
    forward(call, shared ? pool : 0, slots);
    _mm_setcsr(control);
    if (shared) pool_give(pool);
    return DONE;
}
