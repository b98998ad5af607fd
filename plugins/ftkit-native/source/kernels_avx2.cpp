#include "engine.h"
#include "vector_avx2.h"
#include "panels.inl"
#include "kernels.inl"
extern const Kernels kernels_avx2 = {"avx2", embed, layer, last};
