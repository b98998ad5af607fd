#include "engine.h"
#include "vector_avx512.h"
#include "panels.inl"
#include "kernels.inl"
extern const Kernels kernels_avx512_bf16 = {"avx512_bf16", embed, layer, last};
