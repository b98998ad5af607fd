// Calls the library as nobody should, and as everybody does, with sizes drawn at random: `fuzz SEED SECONDS`.
//
// It ends with 0 when every wrong call got an error and every right one finite numbers that do not depend on the other texts.
// It is compiled with sanitizers, which end it where memory is used that is nobody's.
#include "../source/engine.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern "C" {
const char *ftkit_native_kernels(const char *);
int ftkit_native_model(const int32_t *, int, float, float, const char *, void **);
int ftkit_native_put(void *, int, int, const void *, uint64_t);
int ftkit_native_finish(void *);
void ftkit_native_free(void *);
void *ftkit_native_scratch();
void ftkit_native_free_scratch(void *);
void *ftkit_native_pool();
void ftkit_native_work(void *, int);
void ftkit_native_stop(void *);
void ftkit_native_free_pool(void *);
int ftkit_native_logits(const void *, void *, void *, int, const int32_t *, const int32_t *, const int32_t *, int, int, float *, uint64_t);
}

static uint64_t state;
static uint32_t drawn() { // Source: Marsaglia 2003, "Xorshift RNGs"
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)(state >> 32);
}
static int from(int least, int most) { return least + (int)(drawn() % (uint32_t)(most - least + 1)); }

#define EXPECT(truth)                                                                                                        \
    if (!(truth)) return fprintf(stderr, "line %d: %s\n", __LINE__, #truth), 1

static int numbers_of(const Shape &s, int slot, int *size) {
    int attention = (s.heads * s.head + 63) / 64 * 64, distances = 2 * s.longest - 1, weight = s.int8 ? 1 : 2, tables = s.heads * distances;
    int scale = s.int8 ? 1 : 0, projected = s.embedding != s.hidden;
    int counts[][2] = {
        {s.vocabulary * s.embedding, 2}, {s.positions * s.embedding, 4}, {s.types * s.embedding, 4}, {projected * s.embedding, 4},
        {projected * s.embedding, 4}, {!projected * s.hidden, 4}, {!projected * s.hidden, 4}, {projected * s.hidden * s.embedding, weight},
        {projected * scale * s.hidden, 4}, {projected * s.hidden, 4}, {s.relative == BIASED ? tables : 0, 4}, {s.hidden * s.hidden, 4},
        {s.hidden, 4}, {s.classes * s.hidden, 4}, {s.classes, 4}, {3 * attention * s.hidden, weight}, {scale * 3 * attention, 4},
        {3 * attention, 4}, {attention * s.hidden, weight}, {scale * s.hidden, 4}, {s.hidden, 4}, {s.inner * s.hidden, weight},
        {scale * s.inner, 4}, {s.inner, 4}, {s.inner * s.hidden, weight}, {scale * s.hidden, 4}, {s.hidden, 4}, {s.hidden, 4},
        {s.hidden, 4}, {s.hidden, 4}, {s.hidden, 4}, {s.relative == DISENTANGLED ? tables * s.head : 0, 2},
        {s.relative == DISENTANGLED ? tables * s.head : 0, 2}};
    *size = counts[slot][1];
    return counts[slot][0];
}

static void fill(char *data, int count, int size) {
    for (int i = 0; i < count; i++) {
        float value = (from(0, 2000) - 1000) * 1e-4f;
        if (size == 4) memcpy(data + 4 * i, &value, 4);
        else if (size == 2) memcpy(data + 2 * i, (char *)&value + 2, 2);
        else data[i] = (char)from(-127, 127);
    }
}

static int put_all(void *model, const Shape &s, bool spoiled) {
    for (int layer = 0; layer < s.layers; layer++)
        for (int slot = 0; slot < 33; slot++) {
            int size, count = numbers_of(s, slot, &size);
            if (slot < 15 && layer) continue;
            if (!count && !spoiled) continue;
            uint64_t bytes = (uint64_t)count * size;
            char *data = (char *)malloc(bytes + 1); // of just this size, so that a byte too many is noticed
            fill(data, count, size);
            if (spoiled) {
                uint64_t wrong = bytes + from(1, 1000) * (uint64_t)from(1, 1 << 20);
                EXPECT(ftkit_native_put(model, slot, layer, data, wrong));
                EXPECT(ftkit_native_put(model, slot, s.layers + from(0, 9), data, bytes));
                EXPECT(ftkit_native_put(model, from(33, 1 << 30), layer, data, bytes));
                EXPECT(ftkit_native_put(model, -1 - slot, layer, data, bytes));
                EXPECT(ftkit_native_put(model, slot, layer, 0, bytes));
            } else EXPECT(!ftkit_native_put(model, slot, layer, data, bytes));
            free(data);
        }
    return 0;
}

static Shape shape() {
    Shape s = {};
    s.layers = from(1, 3), s.hidden = 64 * from(1, 3), s.hidden_used = s.hidden - from(0, 1) * from(0, 63);
    s.heads = from(1, 5), s.head = 16 * from(1, 9), s.inner = 64 * from(1, 4);
    bool projected = from(0, 3) == 0;
    s.embedding = projected ? s.hidden + 64 : s.hidden, s.embedding_used = projected && s.hidden_used < s.hidden ? s.embedding - from(0, 63) : projected ? s.embedding : s.hidden_used;
    s.vocabulary = from(2, 50), s.longest = from(1, 150), s.position_base = from(0, 2);
    s.positions = from(0, 1) * (s.longest + s.position_base + from(0, 3));
    s.padding = s.position_base && s.positions ? s.position_base - 1 : -1;
    if (s.padding >= s.vocabulary) s.padding = -1;
    s.types = from(0, 2), s.classes = from(1, 20), s.relative = from(0, 2), s.head_activation = from(0, 2), s.int8 = from(0, 1);
    return s;
}

static int run(void *pool) {
    static const char *const NAMES[] = {"", "avx2", "avx512", "avx512_bf16", "amx"};
    const char *kernels = NAMES[from(0, 4)];
    if (!*ftkit_native_kernels(kernels)) kernels = "";
    Shape s = shape();
    void *model = 0;
    Shape wrong = s;
    ((int32_t *)&wrong)[from(0, sizeof s / 4 - 1)] = from(0, 1) ? -from(2, 1 << 30) : (1 << 30) + from(1, 1000);
    EXPECT(ftkit_native_model((int32_t *)&wrong, sizeof s / 4, 1e-5f, 1, kernels, &model));
    EXPECT(ftkit_native_model((int32_t *)&s, from(0, 17), 1e-5f, 1, kernels, &model));
    EXPECT(ftkit_native_model((int32_t *)&s, sizeof s / 4, NAN, 1, kernels, &model));
    EXPECT(ftkit_native_model((int32_t *)&s, sizeof s / 4, 1e-5f, 1, "none", &model));
    EXPECT(!ftkit_native_model((int32_t *)&s, sizeof s / 4, 1e-5f, 0.2f, kernels, &model));
    EXPECT(ftkit_native_finish(model));
    if (from(0, 3) == 0 && put_all(model, s, true)) return 1;
    uint64_t begun = state;
    if (put_all(model, s, false)) return 1;
    EXPECT(!ftkit_native_finish(model));
    const char *others = NAMES[from(1, 4)];
    void *other = 0; // the same model in other kernels
    if (!*ftkit_native_kernels(others)) others = "";
    EXPECT(!ftkit_native_model((int32_t *)&s, sizeof s / 4, 1e-5f, 0.2f, others, &other));
    uint64_t now = state;
    state = begun;
    if (put_all(other, s, false)) return 1;
    state = now;

    void *scratch = ftkit_native_scratch();
    for (int call = 0; call < 4; call++) {
        int texts = from(0, 9), rows = 0, *starts = (int *)malloc(sizeof(int) * (texts + 1));
        starts[0] = 0;
        for (int i = 0; i < texts; i++) starts[i + 1] = rows += from(0, 3) ? from(1, s.longest < 20 ? s.longest : 20) : from(1, s.longest);
        int *ids = (int *)malloc(sizeof(int) * rows + 1), *types = (int *)malloc(sizeof(int) * rows + 1);
        for (int i = 0; i < rows; i++) ids[i] = from(0, s.vocabulary - 1), types[i] = s.types ? from(0, s.types - 1) : 0;
        int numbers = texts * s.classes;
        float *logits = (float *)malloc(sizeof(float) * numbers + 1), *alone = (float *)malloc(sizeof(float) * s.classes);
        EXPECT(!ftkit_native_logits(model, scratch, pool, from(1, 4), ids, types, starts, texts, rows, logits, numbers));
        bool padded = s.hidden_used < s.hidden; // then what is padded is not zero here, and grows from layer to layer
        for (int i = 0; i < numbers; i++) EXPECT(padded || isfinite(logits[i]));
        float *again = (float *)malloc(sizeof(float) * numbers + 1), most = 0.1f;
        EXPECT(!ftkit_native_logits(other, scratch, pool, 2, ids, types, starts, texts, rows, again, numbers));
        for (int i = 0; i < numbers; i++) most = fmaxf(most, fabsf(logits[i]));
        for (int i = 0; i < numbers; i++) EXPECT(padded || fabsf(again[i] - logits[i]) < 0.05f * most);
        free(again);
        for (int i = 0; i < texts; i += 3) {
            int one[2] = {0, starts[i + 1] - starts[i]};
            EXPECT(!ftkit_native_logits(model, scratch, 0, 1, ids + starts[i], types + starts[i], one, 1, one[1], alone, s.classes));
            for (int c = 0; c < s.classes; c++) EXPECT(padded || alone[c] == logits[i * s.classes + c]);
        }
        if (rows) { // each of these is wrong in one thing
            int at = from(0, rows - 1), kept = ids[at], text = from(0, texts);
            ids[at] = from(0, 1) ? -from(1, 1 << 30) : s.vocabulary + from(0, 1 << 30);
            EXPECT(ftkit_native_logits(model, scratch, pool, 2, ids, types, starts, texts, rows, logits, numbers));
            ids[at] = kept, kept = types[at];
            types[at] = from(0, 1) ? -from(1, 1 << 30) : 2 + from(0, 1 << 30);
            EXPECT(ftkit_native_logits(model, scratch, pool, 2, ids, types, starts, texts, rows, logits, numbers));
            types[at] = kept, kept = starts[text];
            starts[text] = from(0, 1) ? -from(1, 1 << 30) : rows + from(1, 1 << 30);
            EXPECT(ftkit_native_logits(model, scratch, pool, 2, ids, types, starts, texts, rows, logits, numbers));
            starts[text] = kept;
            EXPECT(ftkit_native_logits(model, scratch, pool, 2, ids, types, starts, texts, rows, logits, numbers + from(1, 9)));
            EXPECT(ftkit_native_logits(model, scratch, pool, 2, ids, types, starts, texts, rows + from(1, 9), logits, numbers));
            EXPECT(ftkit_native_logits(model, scratch, pool, from(65, 1000), ids, types, starts, texts, rows, logits, numbers));
            EXPECT(ftkit_native_logits(model, scratch, pool, 2, 0, types, starts, texts, rows, logits, numbers));
            EXPECT(ftkit_native_logits(model, 0, pool, 2, ids, types, starts, texts, rows, logits, numbers));
        }
        free(starts), free(ids), free(types), free(logits), free(alone);
    }
    ftkit_native_free_scratch(scratch);
    ftkit_native_free(model);
    ftkit_native_free(other);
    return 0;
}

static void *worker(void *of) {
    ftkit_native_work(((void **)of)[0], (int)(intptr_t)((void **)of)[1]);
    return 0;
}

int main(int count, char **arguments) {
    if (count != 3) return 2;
    state = 0x9e3779b97f4a7c15u ^ (uint64_t)atoll(arguments[1]);
    void *pool = ftkit_native_pool(), *work[3][2];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        work[i][0] = pool, work[i][1] = (void *)(intptr_t)(i + 1);
        pthread_create(&threads[i], 0, worker, work[i]);
    }
    clock_t begun = clock();
    int wrong = 0, runs = 0;
    while (!wrong && (runs < 3 || clock() - begun < (clock_t)(atof(arguments[2]) * CLOCKS_PER_SEC))) wrong = run(pool), runs++;
    ftkit_native_stop(pool);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], 0);
    ftkit_native_free_pool(pool);
    printf("%d models\n", runs);
    return wrong;
}
