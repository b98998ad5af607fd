#include "engine.h"
#include "vector_avx512.h"
#include "tiles_amx.h"
#define MATRIX_UNITS
#include "panels.inl"
#include "kernels.inl"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

extern const Kernels kernels_amx = {"amx", embed, layer, last};

// Whether there are units for bf16 and bytes, and the system lets this process use them. It is asked once for all threads.
bool amx_granted() {
#ifdef EMULATED_TILES
    return true;
#else
    enum { REQUEST = 0x1023, TILE_DATA = 18 }; // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    const unsigned units = 1u << 22 | 1u << 24 | 1u << 25; // bf16, tiles, bytes
    return (d & units) == units && syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
#endif
}
