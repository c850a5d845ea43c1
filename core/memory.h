/* core/memory.h - who may use how many bytes: budget, heap, arena.
 *
 *   budget   one per engine: a limit in bytes, shared by all its heaps
 *   heap     one per shard (and one for the planner): allocations with sizes, counted in the budget
 *   arena    bump allocation on a heap, freed as a whole: plan trees, string bytes of a batch
 *
 * Threads: a budget is shared, a heap or arena belongs to one thread at a time.
 * Errors: NULL when the budget or the machine has no more.   Includes: base.h, env.h, atomic.h
 */
#ifndef MILL_MEMORY_H
#define MILL_MEMORY_H

#include "core/atomic.h"
#include "core/base.h"
#include "core/env.h"

#include <setjmp.h>

struct budget {
    uint64_t limit;
    OWN_LINE at_u64 used;
    at_u64 peak;
    at_u64 refused;     /* bytes over the limit, the last time */
    at_u64 denied;      /* bytes that the machine did not have, the last time */
    at_u64 allocations; /* made since the engine was opened */
    at_u32 warm;        /* warm-up is over: a debug build stops at the next allocation */
};

struct heap {
    const struct env *env;
    struct budget *budget;
    void *handle;      /* env's */
    uint64_t used;     /* bytes now allocated by this heap */
    uint64_t reserved; /* bytes taken from the budget in advance; used <= reserved */
    bool shared;       /* several threads: guarded, off the data path only */
    at_u32 guard;
    /* an account: memory comes from @within, is counted here too */
    struct heap *within;
    at_u64 held;
    const struct heap *refused; /* the account (or this heap) that asked in vain last */
};

void heap_open(struct heap *heap, const struct env *env, struct budget *budget);
/* For the buffers of sources, which any shard may use: handle NULL (the env's thread-safe allocator). */
void heap_open_shared(struct heap *heap, const struct env *env, struct budget *budget);
/* An account within @heap, which may be opened later: allocations count in both. */
void heap_open_account(struct heap *account, const struct env *env, struct heap *heap);
void heap_close(struct heap *heap); /* CHECKs that used == 0 */
/* Bytes allocated now from an account or a shared heap; from any thread. */
uint64_t heap_held(struct heap *heap);
/* 64-byte aligned, not zeroed. @bytes > 0. NULL: over the limit, or the machine has no more. */
void *heap_alloc(struct heap *heap, size_t bytes);
void *heap_zalloc(struct heap *heap, size_t bytes); /* zeroed */
/* New block of @bytes with the old content; the old one is freed. NULL leaves the old one. */
void *heap_grow(struct heap *heap, void *old, size_t old_bytes, size_t bytes);
void heap_free(struct heap *heap, void *memory, size_t bytes); /* NULL: nothing happens */

struct arena_chunk;

struct arena {
    struct heap *heap;
    struct arena_chunk *chunks; /* newest first */
    char *next, *end;
    size_t bytes;     /* handed out since open or reset */
    jmp_buf *on_full; /* not NULL: arena_alloc() jumps there instead of returning NULL */
};

void arena_open(struct arena *arena, struct heap *heap);
/* 16-byte aligned, not zeroed. NULL without memory, unless on_full is set. */
void *arena_alloc(struct arena *arena, size_t bytes);
void *arena_zalloc(struct arena *arena, size_t bytes);
char *arena_text(struct arena *arena, const char *text, size_t bytes); /* copies, adds a NUL */
char *arena_format(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
void arena_reset(struct arena *arena); /* empties it, keeps one chunk */
void arena_close(struct arena *arena);

#define arena_new(arena, type) ((type *)arena_zalloc((arena), sizeof(type)))
#define arena_array(arena, type, count) ((type *)arena_zalloc((arena), (count) * sizeof(type)))

#endif
