/* core/ring.h - bounded single-producer single-consumer ring of pointers.
 *
 *   head   next slot to read, written by the consumer only
 *   tail   next slot to write, written by the producer only
 *   tail - head <= slots (mod 2^32); the indices run on and wrap
 * Each side keeps the other's index as it last saw it and looks again only when that does not suffice, so a
 * steady stream moves a cache line once per burst, not once per message.
 * (Lee, Bu, Chandranmenon: MCRingBuffer, IPDPS 2010.)
 *
 * Threads: one producer, one consumer.   Errors: full and empty are return values.   Includes: atomic.h, memory.h
 */
#ifndef MILL_RING_H
#define MILL_RING_H

#include "core/atomic.h"
#include "core/memory.h"

struct ring {
    OWN_LINE at_u32 head;        /* consumer's */
    OWN_LINE uint32_t tail_seen; /* its own: not on the line that the producer looks at */
    OWN_LINE at_u32 tail;        /* producer's */
    OWN_LINE uint32_t head_seen; /* its own, written with every item */
    uint32_t tail_local;         /* written, not yet published; == tail unless staging */
    OWN_LINE uint32_t mask;
    void **slots;
};

/* @slots: a power of two. False without memory. @start: first index, for tests near wrap. */
static inline bool ring_open(struct ring *ring, struct heap *heap, uint32_t slots, uint32_t start)
{
    memset(ring, 0, sizeof *ring);
    ring->slots = heap_alloc(heap, slots * sizeof *ring->slots);
    ring->mask = slots - 1;
    at_store_relaxed(&ring->head, start);
    at_store_relaxed(&ring->tail, start);
    ring->tail_seen = ring->head_seen = ring->tail_local = start;
    return ring->slots != NULL;
}

static inline void ring_close(struct ring *ring, struct heap *heap)
{
    heap_free(heap, ring->slots, ((size_t)ring->mask + 1) * sizeof *ring->slots);
    ring->slots = NULL;
}

/* Producer only. Puts @item into the next slot without showing it yet. False: full. */
static inline bool ring_stage(struct ring *ring, void *item)
{
    const uint32_t tail = ring->tail_local;

    if (UNLIKELY(tail - ring->head_seen > ring->mask)) {
        /* A1, with R1 in ring_pop(): the slot is free again */
        ring->head_seen = at_load_acquire(&ring->head);
        if (tail - ring->head_seen > ring->mask)
            return false;
    }
    ring->slots[tail & ring->mask] = item;
    ring->tail_local = tail + 1;
    return true;
}

/* Producer only. Shows all staged items. */
static inline void ring_publish(struct ring *ring)
{
    /* R0, with A0 in ring_peek(): the items are complete before they are seen */
    at_store_release(&ring->tail, ring->tail_local);
}

/* Producer only, wait-free. False: full, the caller keeps the item. */
static inline bool ring_push(struct ring *ring, void *item)
{
    if (!ring_stage(ring, item))
        return false;
    ring_publish(ring);
    return true;
}

/* Consumer only. The oldest item, which stays, or NULL. */
static inline void *ring_peek(struct ring *ring)
{
    const uint32_t head = at_load_relaxed(&ring->head); /* ours alone to write */

    if (head == ring->tail_seen) {
        /* A0, with R0 in ring_publish() */
        ring->tail_seen = at_load_acquire(&ring->tail);
        if (head == ring->tail_seen)
            return NULL;
    }
    return ring->slots[head & ring->mask];
}

/* Consumer only, wait-free. NULL: empty. */
static inline void *ring_pop(struct ring *ring)
{
    void *item = ring_peek(ring);

    if (item != NULL) {
        /* R1, with A1 in ring_stage(): the slot has been read before it is written again */
        at_store_release(&ring->head, at_load_relaxed(&ring->head) + 1);
    }
    return item;
}

/* Consumer only. Takes up to @count items; publishes the head once. */
static inline uint32_t ring_pop_burst(struct ring *ring, void **items, uint32_t count)
{
    const uint32_t head = at_load_relaxed(&ring->head);
    uint32_t n;

    if (ring->tail_seen - head < count)
        ring->tail_seen = at_load_acquire(&ring->tail); /* A0 */
    n = min_u32(count, ring->tail_seen - head);
    for (uint32_t i = 0; i < n; i++)
        items[i] = ring->slots[(head + i) & ring->mask];
    if (n > 0)
        at_store_release(&ring->head, head + n); /* R1 */
    return n;
}

/* Producer only: nothing is in it as far as the producer can see. */
static inline bool ring_empty_to_producer(struct ring *ring)
{
    ring->head_seen = at_load_acquire(&ring->head); /* A1 */
    return ring->head_seen == ring->tail_local;
}

#endif
