/* core/state/sorter.h - the groups of a table in ascending key order, sorted in bounded turns.
 *
 * Narrow keys: radix sort, least significant byte first, over the first bytes in which not all keys agree: as many as tell most of that many
 * random keys apart. Insertion puts right what they left; where that moves too much, all bytes are sorted by after all. Wide keys: runs of 16
 * by insertion, then merged in pairs, by the first eight bytes of the encoded key where they differ.
 *
 *   a turn moves at most *budget entries and may stop anywhere; the table must not change in between
 *   the memory, 36 bytes a group, stays for the next sort until sorter_close()
 *
 * Threads: one shard.   Errors: false without memory.   Includes: table.h
 */
#ifndef MILL_SORTER_H
#define MILL_SORTER_H

#include "core/state/table.h"

struct ranked {
    uint64_t key;
    uint32_t id;
};

enum sorter_phase {
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
    uint32_t digit;          /* radix: byte of the key */
    bool whole;              /* by all bytes */
    uint64_t moves;          /* tidy: entries moved so far */
    uint64_t width;          /* merge: length of the runs */
    uint32_t left, right;    /* merge: heads of the two runs */
    uint32_t (*digits)[256]; /* radix: counts, then positions */
    /* kept */
    struct heap *heap;
    struct ranked *memory; /* two times room, and the digits */
    uint32_t room;         /* groups */
};

/* @sorter: zeroed, or used before. Ids of all groups go to sorter->order[0 .. table->groups), good until the next sort. */
bool sorter_open(struct sorter *sorter, const struct table *table);
/* Takes what it did from *budget (which may end below zero by less than 16). True: done. */
bool sorter_turn(struct sorter *sorter, int64_t *budget);
/* Frees the memory; also in the middle of a sort, or never opened (zeroed). */
void sorter_close(struct sorter *sorter);

#endif
