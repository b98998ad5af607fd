// Memory aligned to cache lines, of which a request may run short: then there is an error, and nothing is lost.
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Null where there is no such memory; zeros.
inline void *aligned_zeros(uint64_t bytes) {
    void *memory = 0;
    bytes = (bytes + 127) / 64 * 64; // one line more than asked for: a vector may be read beyond the last number
    if (bytes > (uint64_t)1 << 40 || posix_memalign(&memory, 64, bytes)) return 0;
    memset(memory, 0, bytes);
    return memory;
}

#ifdef __SANITIZE_ADDRESS__ // what lies between the parts of a block is then no memory of anybody's
#include <sanitizer/asan_interface.h>
#define FORBID(from, bytes) __asan_poison_memory_region(from, bytes)
#define ALLOW(from, bytes) __asan_unpoison_memory_region(from, bytes)
#else
#define FORBID(from, bytes) (void)0
#define ALLOW(from, bytes) (void)0
#endif

// One block that grows, from which a call takes what it needs.
struct Arena {
    char *block;
    uint64_t size, used;

    // Count first, with no block, then take the same again from a block of that size.
    template <class T> void take(T *&to, uint64_t count) {
        uint64_t bytes = (count * sizeof(T) + 127) / 64 * 64;
        if (block) {
            to = (T *)(block + used);
            FORBID((char *)to + count * sizeof(T), bytes - count * sizeof(T));
        }
        used += bytes;
    }
};
