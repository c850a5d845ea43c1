/* core/shard/profile.h - where the time of one shard goes: what EXPLAIN ANALYZE measures.
 *
 * At every moment the shard is in one *slot*: an operator, a part of one, the engine itself, or waiting for something. The clock is
 * read when it goes from one slot to another, which is at the edges of batches; the time since the last reading belongs to the slot
 * that is left. So the slots sum up to the whole, and what an operator hands on is not counted twice.
 *
 * The clock costs 10 to 25 ns. Where an operator does nothing more once it has handed its batch on (source, filter, union, receiving) it
 * is not read again on the way back: a chain of n operators takes n + 1 readings a batch.
 *
 * A query that is not measured has no struct profile: its operators are called as ever. One that is has in each operator a copy of
 * its vtable, whose calls go through here.
 *
 * Threads: written by the shard's; read by anyone once the job has ended (R14).   Errors: false without memory.
 * Includes: op.h, physical.h
 */
#ifndef MILL_PROFILE_H
#define MILL_PROFILE_H

#include "core/ops/op.h"
#include "core/plan/physical.h"

/* Parts of a node's time. Slots of node n: part * node_count + n. */
enum profile_part {
    PART_RUN,  /* the operator's own calls */
    PART_EDGE, /* source: decoding; exchange: receiving, the merge included */
    PART_READ, /* source: cutting steps and reading ahead, on this thread */
    PART_WAIT, /* source: nothing to do but wait for its bytes */
    PART_COUNT
};
/* And behind all of them the shard's own. */
enum profile_own {
    OWN_ENGINE, /* turns, the step directory, ending */
    OWN_START,  /* opening operators, rings, pools */
    OWN_PEERS,  /* nothing to do before another shard has gone on */
    OWN_ROOM,   /* an exchange has no room */
    OWN_COUNT
};

/* Of one exchange, in one shard: counted always, it costs nothing beside a batch. */
struct traffic {
    uint64_t batches, lent, rows;           /* sent; of the batches those lent in place of copies */
    uint64_t bytes;                         /* of copied rows; only while measured */
    uint64_t ring_full, pool_empty;         /* a sender found no slot, no batch */
    uint64_t suspended_rows, suspended_end; /* sends put off: within rows, within results */
    uint64_t empty;                         /* a receiver looked and found nothing */
};

struct profile_node {
    struct op_vtable vtable; /* the measuring one */
    const struct op_vtable *real;
    uint64_t batches, bytes_max;
    struct op_state state; /* when the entries were most, within a tenth */
};

struct profile {
    const struct env *env;
    uint64_t first, last; /* readings of the clock */
    uint32_t current;     /* slot */
    uint32_t node_count, slot_count;
    uint64_t *ticks; /* per slot */
    bool *
        tail; /* per slot: nothing is done there behind a push, so the clock is not read when it returns */
    uint64_t *counted; /* per slot ENV_COUNTERS; zeros without counters */
    void *counters;    /* env's, or NULL */
    uint64_t counters_last[ENV_COUNTERS];
    bool running, has_counters; /* it had counters, also once it has ended */
    char no_counters[80];
    struct profile_node *nodes;
    uint64_t turn_ticks;       /* of the engine when the turn began */
    uint64_t waited_for_bytes; /* probes seen */
    uint32_t waits_for;        /* node of the source that had no bytes last */
};

struct shard;

/* From @heap, which profile_free() gives back to. */
struct profile *profile_new(struct heap *heap, const struct env *env, const struct phys_plan *plan);
void profile_free(struct heap *heap, struct profile *profile);
/* From here on the shard's thread is measured ... */
void profile_start(struct profile *profile);
/* ... to here. A second time: nothing happens. */
void profile_stop(struct profile *profile);
/* Makes the calls of a new operator go through the profile. */
void profile_measure(struct profile *profile, struct op *op);

uint64_t profile_clock(const struct env *env);
/* Reads the clock and goes to another slot. Returns the one that is left. */
uint32_t profile_switch(struct profile *profile, uint32_t slot);
static inline uint32_t profile_own(const struct profile *p, enum profile_own own)
{
    return PART_COUNT * p->node_count + own;
}

/* @profile may be NULL in what follows: not measured. */

static inline uint32_t profile_enter(struct profile *p, enum profile_part part, uint32_t node)
{
    return UNLIKELY(p != NULL) ? profile_switch(p, part * p->node_count + node) : 0;
}
static inline void profile_leave(struct profile *p, uint32_t outer)
{
    if (UNLIKELY(p != NULL))
        profile_switch(p, outer);
}
/* Nothing was done there: the time belongs to whoever asked. */
static inline void profile_forget(struct profile *p, uint32_t outer)
{
    if (UNLIKELY(p != NULL))
        p->current = outer;
}
/* Around a turn of the shard that did @work. @blocked: an exchange has no room. */
/* What comes is not the shard's work: the caller's own, or waiting for the others at the end. */
void profile_pause(struct profile *profile);
void profile_turn_begin(struct profile *profile);
void profile_turn_end(struct profile *profile, uint32_t work, bool blocked, uint64_t waited);

#endif
