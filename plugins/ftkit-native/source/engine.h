// What the parts of the library share: a model's weights as they lie in memory, a call, and the table of kernels.
//
// All widths are padded by whoever hands the weights over: hidden, inner and embedding widths to multiples of 64, heads to
// multiples of 16. What is padded is zero, so no kernel has a column left over.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef uint16_t bf16;

enum {
    PANEL = 64,     // columns of a weight that a kernel computes at once
    UNIT = 16,      // columns of keys, values and position tables that lie together
    GROUP = 6,      // rows that a kernel computes at once
    MAX_ROWS = 96,  // tokens of a chunk: what they need fits into a core's second cache
    MAX_SLOTS = 64, // threads that share a call
};

enum Relative { ABSOLUTE = 0, BIASED = 1, DISENTANGLED = 2 };
enum Activation { TANH = 0, RELU = 1, GELU = 2 };

// A weight in panels of 64 outputs: [outputs / 64][inputs / 2][64][2] in bf16, [outputs / 64][inputs / 4][64][4] in int8.
struct Linear {
    int outputs, inputs;
    void *panels;
    float *bias;
    float *scales;       // of int8: one for each output
    int32_t *correction; // of int8: the sum of each output's weights, negative; times a row's zero it is what the row has too much
};

struct Norm {
    float *gain, *bias;
};

struct Layer {
    Linear qkv, out, up, down;
    Norm first, second;
    bf16 *position_keys, *position_queries; // of DISENTANGLED: [heads][distances / 16][head / 2][16][2]
};

struct Shape {
    int32_t layers, hidden, hidden_used, heads, head, inner, embedding, embedding_used;
    int32_t vocabulary, positions, position_base, padding, types, classes, longest, relative, head_activation, int8;
};

struct Model {
    Shape shape;
    int attention; // columns of the queries, of the keys and of the values: heads * head, padded to 64
    int distances; // columns of a position table: 2 * longest - 1, padded
    float epsilon, scale;
    const struct Kernels *kernels;
    bf16 *words;                       // [vocabulary][embedding]
    float *position, *type;            // [positions][embedding], [types][embedding]
    Norm before, after;                // of the embeddings: before and after their projection
    Linear projection;                 // of embeddings that are narrower than the layers
    float *bias;                       // of BIASED: [heads][distances], in units of the scores before they are scaled
    float *pool, *pool_bias, *classifier, *classifier_bias;
    Layer *layer;
    uint8_t *given;                    // which weights have been handed over
};

// What a row's bytes stand for: (byte - zero) * scale.
struct ByteScale {
    float scale;
    int32_t zero;
};

// What one thread needs while it computes a chunk.
struct Temporary {
    void *input;           // [MAX_ROWS][widest]: the rows that are multiplied, in bf16 or in int8
    ByteScale *row_scales; // [MAX_ROWS]: of int8
    bf16 *context;         // [MAX_ROWS][attention]
    bf16 *middle;          // [MAX_ROWS][inner]
    float *first;          // [MAX_ROWS][hidden or embedding]
    bf16 *first_queries;   // [MAX_ROWS][attention]
    float *scores;         // [GROUP][score_width]
    bf16 *shares;          // [GROUP][score_width]
    float *by_distance;    // [GROUP][score_width]: a query's products with the position keys
    float *by_key;         // [longest text of the call][KEY_WIDTH]: keys' products with the position queries
    int score_width;
};
enum { KEY_WIDTH = 128 }; // MAX_ROWS queries, GROUP - 1 further distances, and up to UNIT - 1 before them

// One request: the tokens of all texts, end to end.
struct Call {
    const Model *model;
    const int32_t *ids, *types, *starts; // types may be null; starts has texts + 1 entries
    int texts, rows;
    int32_t *text_of, *position_of; // by row
    int32_t *place_of;              // by row: its row of the position embeddings
    int64_t *keys_at, *values_at;   // by text: where its keys and values begin
    float *hidden;                  // [rows][hidden]
    bf16 *queries;                  // [rows][attention]
    bf16 *keys[2], *values[2];      // of this layer and of the next: see `attend` for their order
    bf16 *key_rows[2];              // of DISENTANGLED: [rows][attention]
    float *logits;
    Temporary *temporary; // by slot
};

// The same functions, compiled for each kind of processor.
struct Kernels {
    const char *name;
    void (*embed)(const Call &, Temporary &, int begin, int end);           // rows: to the queries, keys and values of layer 0
    void (*layer)(const Call &, Temporary &, int layer, int begin, int end); // rows: from there to those of the next layer
    void (*last)(const Call &, Temporary &, int begin, int end);            // texts: the last layer's first row, and the head
};

extern const Kernels kernels_avx2, kernels_avx512, kernels_avx512_bf16, kernels_amx;
