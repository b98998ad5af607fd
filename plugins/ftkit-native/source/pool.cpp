#include "pool.h"

#include <immintrin.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

enum { SPINS = 500 }; // some 10 to 25 microseconds, as torch's threads in `ftkit.encoders.process_environment`

long futex(uint32_t *at, int what, uint32_t value) { return syscall(SYS_futex, at, what | FUTEX_PRIVATE_FLAG, value, 0, 0, 0); }
template <class T> T read(T *at) { return __atomic_load_n(at, __ATOMIC_SEQ_CST); }

// The number of the job, the slots that may take part, its chunks and the next of them, in one word, so that nobody takes a
// chunk of a job that is over.
uint64_t packed(uint64_t job, uint64_t slots, uint64_t chunks) { return job << 40 | slots << 32 | chunks << 16; }
bool has_chunk(uint64_t state, int slot) {
    return (state & 0xffff) < (state >> 16 & 0xffff) && (uint64_t)slot < (state >> 32 & 0xff);
}

} // namespace

struct Pool {
    alignas(64) uint64_t state;
    Job job;
    alignas(64) uint32_t left;     // chunks that are not done yet
    uint32_t caller_sleeps;
    alignas(64) uint32_t sleepers;
    uint32_t alarm;                // threads sleep on it
    uint32_t stopped;
    uint32_t taken;
};

namespace {

// Take chunks of the present job until none is left; whether there was one.
bool take_part(Pool *pool, int slot) {
    bool any = false;
    for (uint64_t state = read(&pool->state); has_chunk(state, slot);) {
        if (!__atomic_compare_exchange_n(&pool->state, &state, state + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
        any = true;
        pool->job.run(pool->job.of, (int)(state & 0xffff), slot); // the job stays until this chunk is done
        if (__atomic_sub_fetch(&pool->left, 1, __ATOMIC_SEQ_CST) == 0 && read(&pool->caller_sleeps)) futex(&pool->left, FUTEX_WAKE, 1);
        state = read(&pool->state);
    }
    return any;
}

} // namespace

Pool *pool_new() {
    void *memory = 0;
    if (posix_memalign(&memory, 64, sizeof(Pool))) return 0;
    Pool *pool = (Pool *)memory;
    *pool = Pool();
    return pool;
}

void pool_work(Pool *pool, int slot) {
    unsigned control = _mm_getcsr();
    _mm_setcsr(control | 0x8040); // numbers near zero are zero: each would cost hundreds of cycles
    for (int spins = 0; !read(&pool->stopped);) {
        if (take_part(pool, slot)) spins = 0;
        else if (++spins < SPINS) _mm_pause();
        else {
            __atomic_add_fetch(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
            uint32_t alarm = read(&pool->alarm);
            if (!has_chunk(read(&pool->state), slot) && !read(&pool->stopped)) futex(&pool->alarm, FUTEX_WAIT, alarm);
            __atomic_sub_fetch(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
            spins = 0;
        }
    }
    _mm_setcsr(control);
}

void pool_stop(Pool *pool) {
    __atomic_store_n(&pool->stopped, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&pool->alarm, 1, __ATOMIC_SEQ_CST);
    futex(&pool->alarm, FUTEX_WAKE, 1 << 30);
}

void pool_free(Pool *pool) { free(pool); }

bool pool_take(Pool *pool) { return !__atomic_exchange_n(&pool->taken, 1, __ATOMIC_SEQ_CST); }
void pool_give(Pool *pool) { __atomic_store_n(&pool->taken, 0, __ATOMIC_SEQ_CST); }

void pool_run(Pool *pool, const Job &job) {
    pool->job = job;
    __atomic_store_n(&pool->left, (uint32_t)job.chunks, __ATOMIC_SEQ_CST);
    uint64_t number = (read(&pool->state) >> 40) + 1;
    __atomic_store_n(&pool->state, packed(number, (uint64_t)job.slots, (uint64_t)job.chunks), __ATOMIC_SEQ_CST);
    if (job.chunks > 1 && read(&pool->sleepers)) {
        __atomic_add_fetch(&pool->alarm, 1, __ATOMIC_SEQ_CST);
        futex(&pool->alarm, FUTEX_WAKE, 1 << 30);
    }
    take_part(pool, 0);
    uint32_t left;
    for (int spins = 0; (left = read(&pool->left));) {
        if (++spins < SPINS) _mm_pause();
        else {
            __atomic_store_n(&pool->caller_sleeps, 1, __ATOMIC_SEQ_CST);
            if ((left = read(&pool->left))) futex(&pool->left, FUTEX_WAIT, left);
            __atomic_store_n(&pool->caller_sleeps, 0, __ATOMIC_SEQ_CST);
        }
    }
}
