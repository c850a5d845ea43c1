/* core/memory.c - budget, heap, arena. */
#include "core/memory.h"

#include <stdarg.h>
#include <stdio.h>

/* A heap takes from the shared budget in pieces of this size, so that small allocations do not touch it. */
#define RESERVE_BYTES ((uint64_t)1 << 18)

static bool budget_take(struct budget *budget, uint64_t bytes)
{
    const uint64_t used = at_add_relaxed(&budget->used, bytes) + bytes;

    if (used > budget->limit) {
        at_add_relaxed(&budget->used, -bytes);
        at_store_relaxed(&budget->refused, bytes);
        return false;
    }
    if (used > at_load_relaxed(&budget->peak)) /* a lost race only lowers a statistic */
        at_store_relaxed(&budget->peak, used);
    return true;
}

void heap_open(struct heap *heap, const struct env *env, struct budget *budget)
{
    memset(heap, 0, sizeof *heap);
    heap->env = env;
    heap->budget = budget;
    heap->handle = env->alloc.heap_open(env->self);
}

void heap_open_shared(struct heap *heap, const struct env *env, struct budget *budget)
{
    memset(heap, 0, sizeof *heap);
    heap->env = env;
    heap->budget = budget;
    heap->shared = true;
}

void heap_open_account(struct heap *account, const struct env *env, struct heap *heap)
{
    memset(account, 0, sizeof *account);
    account->env = env;
    account->within = heap;
}

/* A short spin: held for a few instructions, or one malloc of a large buffer. */
static void heap_lock(struct heap *heap)
{
    if (heap->shared)
        while (at_exchange_acquire(&heap->guard, 1) != 0)
            heap->env->run.yield(heap->env->self);
}

static void heap_unlock(struct heap *heap)
{
    if (heap->shared)
        at_store_release(&heap->guard, 0);
}

void heap_close(struct heap *heap)
{
    if (heap->env == NULL)
        return;
    CHECK(heap->used == 0);
    at_add_relaxed(&heap->budget->used, -heap->reserved);
    if (!heap->shared)
        heap->env->alloc.heap_close(heap->env->self, heap->handle);
    heap->env = NULL;
}

static bool heap_reserve(struct heap *heap, uint64_t bytes)
{
    const uint64_t missing = heap->used + bytes - heap->reserved;

    if (heap->used + bytes <= heap->reserved)
        return true;
    if (budget_take(heap->budget, missing + RESERVE_BYTES)) {
        heap->reserved += missing + RESERVE_BYTES;
        return true;
    }
    if (!budget_take(heap->budget, missing))
        return false;
    heap->reserved += missing;
    return true;
}

static void *account_alloc(struct heap *account, size_t bytes)
{
    void *memory = heap_alloc(account->within, bytes);

    if (memory != NULL)
        at_store_relaxed(&account->held, at_load_relaxed(&account->held) + bytes);
    else
        account->within->refused = account;
    return memory;
}

void *heap_alloc(struct heap *heap, size_t bytes)
{
    void *memory = NULL;

    CHECK(bytes > 0);
    if (heap->within != NULL)
        return account_alloc(heap, bytes);
    heap_lock(heap);
    if (heap_reserve(heap, bytes)) {
        memory = heap->env->alloc.alloc(heap->env->self, heap->handle, bytes);
        if (memory == NULL)
            at_store_relaxed(&heap->budget->denied, bytes);
    }
    ASSERT(at_load_relaxed(&heap->budget->warm) == 0);
    at_add_relaxed(&heap->budget->allocations, 1);
    if (memory != NULL)
        heap->used += bytes;
    else
        heap->refused = heap;
    heap_unlock(heap);
    return memory;
}

uint64_t heap_held(struct heap *heap)
{
    uint64_t held;

    if (heap->within != NULL)
        return at_load_relaxed(&heap->held);
    heap_lock(heap);
    held = heap->used;
    heap_unlock(heap);
    return held;
}

void *heap_zalloc(struct heap *heap, size_t bytes)
{
    void *memory = heap_alloc(heap, bytes);

    if (memory != NULL)
        memset(memory, 0, bytes);
    return memory;
}

void *heap_grow(struct heap *heap, void *old, size_t old_bytes, size_t bytes)
{
    void *memory = heap_alloc(heap, bytes);

    if (memory == NULL)
        return NULL;
    if (old != NULL) {
        memcpy(memory, old, old_bytes < bytes ? old_bytes : bytes);
        heap_free(heap, old, old_bytes);
    }
    return memory;
}

void heap_free(struct heap *heap, void *memory, size_t bytes)
{
    if (memory == NULL)
        return;
    if (heap->within != NULL) {
        CHECK(at_load_relaxed(&heap->held) >= bytes);
        at_store_relaxed(&heap->held, at_load_relaxed(&heap->held) - bytes);
        heap = heap->within;
    }
    heap_lock(heap);
    CHECK(heap->used >= bytes);
    heap->used -= bytes;
    heap->env->alloc.free(heap->env->self, heap->handle, memory, bytes);
    if (heap->reserved - heap->used > 4 * RESERVE_BYTES) {
        at_add_relaxed(&heap->budget->used, -(heap->reserved - heap->used - RESERVE_BYTES));
        heap->reserved = heap->used + RESERVE_BYTES;
    }
    heap_unlock(heap);
}

/* ---- arena ---- */

/* Chunks double from CHUNK_MIN to CHUNK_MAX; the newest is bumped. */
#define CHUNK_MIN 4096u
#define CHUNK_MAX (1u << 20)

struct arena_chunk {
    struct arena_chunk *older;
    size_t bytes; /* of the whole block, this header included */
};
_Static_assert(sizeof(struct arena_chunk) == 16, "chunks hand out 16-byte aligned memory");

void arena_open(struct arena *arena, struct heap *heap)
{
    *arena = (struct arena){.heap = heap};
}

static void *arena_full(struct arena *arena)
{
    if (arena->on_full != NULL)
        longjmp(*arena->on_full, 1);
    return NULL;
}

static bool arena_add_chunk(struct arena *arena, size_t bytes)
{
    size_t size = arena->chunks != NULL ? arena->chunks->bytes * 2 : CHUNK_MIN;
    struct arena_chunk *chunk;

    if (size > CHUNK_MAX)
        size = CHUNK_MAX;
    if (size < bytes + sizeof *chunk)
        size = ALIGN_UP(bytes + sizeof *chunk, (size_t)CHUNK_MIN);
    chunk = heap_alloc(arena->heap, size);
    if (chunk == NULL)
        return false;
    *chunk = (struct arena_chunk){arena->chunks, size};
    arena->chunks = chunk;
    arena->next = (char *)(chunk + 1);
    arena->end = (char *)chunk + size;
    return true;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    void *memory;

    if (bytes > SIZE_MAX / 2)
        return arena_full(arena);
    bytes = ALIGN_UP(bytes, (size_t)16);
    if ((size_t)(arena->end - arena->next) < bytes && !arena_add_chunk(arena, bytes))
        return arena_full(arena);
    memory = arena->next;
    arena->next += bytes;
    arena->bytes += bytes;
    return memory;
}

void *arena_zalloc(struct arena *arena, size_t bytes)
{
    void *memory = arena_alloc(arena, bytes > 0 ? bytes : 1);

    if (memory != NULL)
        memset(memory, 0, bytes);
    return memory;
}

char *arena_text(struct arena *arena, const char *text, size_t bytes)
{
    char *copy = arena_alloc(arena, bytes + 1);

    if (copy == NULL)
        return NULL;
    if (bytes > 0)
        memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    char *text;
    int length;

    va_start(args, format);
    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    text = arena_alloc(arena, (size_t)length + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

static void arena_free_older(struct arena *arena, struct arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct arena_chunk *older = chunk->older;

        heap_free(arena->heap, chunk, chunk->bytes);
        chunk = older;
    }
}

void arena_reset(struct arena *arena)
{
    arena->bytes = 0;
    if (arena->chunks == NULL)
        return;
    arena_free_older(arena, arena->chunks->older);
    arena->chunks->older = NULL;
    arena->next = (char *)(arena->chunks + 1);
}

void arena_close(struct arena *arena)
{
    if (arena->heap != NULL)
        arena_free_older(arena, arena->chunks);
    *arena = (struct arena){.heap = arena->heap, .on_full = arena->on_full};
}
