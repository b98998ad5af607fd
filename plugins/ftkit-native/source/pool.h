// Threads that share the chunks of a call. A thread that has none waits patiently: it spins for some microseconds, then sleeps.
//
// Chunks are taken, not given: a thread that is not running holds nothing up but the chunk it has taken. The caller takes
// part, so a pool without threads works too. Whoever makes a pool starts its threads, each in `pool_work`.
#pragma once
#include <stdint.h>

struct Pool;
struct Job {
    void (*run)(void *of, int chunk, int slot);
    void *of;
    int chunks; // at most MOST_CHUNKS
    int slots;  // threads with a higher slot take no part
};
enum { MOST_CHUNKS = 0xffff };

Pool *pool_new();
void pool_work(Pool *, int slot); // until `pool_stop`; slots begin with 1, as 0 is the caller's
void pool_stop(Pool *);
void pool_free(Pool *); // when all of its threads have returned
bool pool_take(Pool *); // for one call at a time; false while another has it
void pool_give(Pool *);
void pool_run(Pool *, const Job &); // by who has taken it; all chunks are done when it returns
