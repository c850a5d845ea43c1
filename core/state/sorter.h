/* core/state/sorter.h - the groups of a table in ascending key order, sorted in bounded turns.
 *
 * Narrow keys: radix sort, least significant digit first, by the distance from the least key: over its first bits, as many as tell most of that
 * many random keys apart, in digits of up to 12 bits. Insertion puts right what they left; where that moves too much, all bits are sorted by
 * after all. Wide keys: runs of 16 by insertion, then merged in pairs, by the first eight bytes of the encoded key (of its first 40)
 * that are not the same in all keys: of two numbers these are mostly all that differs; else by the whole keys.
 *
 *   a turn moves at most *budget entries and may stop anywhere; the table must not change in between
 *   the memory, 36 bytes a group, stays for the next sort until sorter_close()
 *
 * Threads: one shard.   Errors: false without memory.   Includes: table.h
 */
#ifndef MILL_SORTER_H
#define MILL_SORTER_H

#include "core/state/table.h"

#define SORTER_WORDS 5u /* that are looked at of wide keys */

struct ranked {
    uint64_t key;
    uint32_t id;
};

enum sorter_phase {
    SORTER_BOUNDS,
    SORTER_RANK,
    SORTER_RADIX,
    SORTER_TIDY,
    SORTER_RUNS,
    SORTER_MERGE,
    SORTER_GIVE,
    SORTER_DONE
};

struct sorter {
    const struct table *table;
    uint32_t *order; /* the answer: ids of the table's groups */
    enum sorter_phase phase;
    uint32_t count;  /* entries; NULL of a narrow key stands outside, in front */
    uint32_t before; /* 1: that NULL */
    uint32_t at;     /* next entry of the phase */
    struct ranked *from, *to;
    int64_t least, greatest; /* narrow: bounds of the keys, NULL left out */
    uint64_t differ
        [SORTER_WORDS]; /* wide: the bits in which some key is not as the first; zeros behind a key's end */
    uint8_t places[8]; /* wide: the bytes that they are ranked by */
    uint32_t place_count;
    uint32_t shift, bits, passes; /* radix: by key >> shift, so many bits in each pass */
    uint32_t pass;
    bool whole;           /* by all bits */
    uint64_t moves;       /* tidy: entries moved so far */
    uint64_t width;       /* merge: length of the runs */
    uint32_t left, right; /* merge: heads of the two runs */
    uint32_t *counts;     /* radix, of each pass: counts, then positions */
    /* kept */
    struct heap *heap;
    struct ranked *memory; /* two times room, and the counts */
    uint32_t room;         /* groups */
};

/* @sorter: zeroed, or used before. Ids of all groups go to sorter->order[0 .. table->groups), good until the next sort. */
bool sorter_open(struct sorter *sorter, const struct table *table);
/* Takes what it did from *budget (which may end below zero by less than 16). True: done. */
bool sorter_turn(struct sorter *sorter, int64_t *budget);
/* Frees the memory; also in the middle of a sort, or never opened (zeroed). */
void sorter_close(struct sorter *sorter);

/* After a sort: the sorter knows the keys themselves; they are narrow, and more than one. */
static inline bool sorter_has_words(const struct sorter *s)
{
    return s->count > 0 && s->table->layout->narrow;
}

/* The key of the @i-th group in order, which is not NULL. */
static inline int64_t sorter_word(const struct sorter *s, uint32_t i)
{
    return (int64_t)(s->from[i - s->before].key + (uint64_t)s->least);
}

#endif
