#include "engine.h"
#include "vector_avx512.h"
#include "panels.inl"
#include "kernels.inl"
extern const Kernels kernels_avx512 = {"avx512", embed, layer, last};
