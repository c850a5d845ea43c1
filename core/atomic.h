/* core/atomic.h - the only place that spells a memory order; names carry it.
 *
 * Every shared word has a row in docs/CONCURRENCY.md.
 * Threads: any.   Errors: none.   Includes: base.h
 */
#ifndef MILL_ATOMIC_H
#define MILL_ATOMIC_H

#include "core/base.h"

#include <stdatomic.h>

typedef _Atomic uint32_t at_u32;
typedef _Atomic uint64_t at_u64;
typedef _Atomic int64_t at_i64;

#define CACHE_LINE 64
#define OWN_LINE _Alignas(CACHE_LINE)

#define at_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define at_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define at_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define at_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define at_exchange_acquire(p, v) atomic_exchange_explicit((p), (v), memory_order_acquire)
#define at_exchange_seqcst(p, v) atomic_exchange_explicit((p), (v), memory_order_seq_cst)
#define at_load_seqcst(p) atomic_load_explicit((p), memory_order_seq_cst)
#define at_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define at_add_acqrel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

#endif
