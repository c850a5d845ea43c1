/* core/state/sorter.h - the groups of a table in ascending key order, sorted in bounded turns.
 *
 * Narrow keys: radix sort, least significant byte first, bytes in which all keys agree are skipped. Wide keys: runs of 16
 * by insertion, then merged in pairs, by the first eight bytes of the encoded key where they differ.
 *
 *   a turn moves at most *budget entries and may stop anywhere; the table must not change in between
 *   16 bytes a group twice over, until the last turn
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
    SORTER_RUNS,
    SORTER_MERGE,
    SORTER_GIVE,
    SORTER_DONE
};

struct sorter {
    const struct table *table;
    uint32_t *order;
    enum sorter_phase phase;
    uint32_t count;  /* entries; NULL of a narrow key stands outside, in front */
    uint32_t before; /* 1: that NULL */
    uint32_t at;     /* next entry of the phase */
    struct ranked *from, *to, *memory;
    uint32_t digit;          /* radix: byte of the key */
    uint64_t width;          /* merge: length of the runs */
    uint32_t left, right;    /* merge: heads of the two runs */
    uint32_t (*digits)[256]; /* radix: counts, then positions */
};

/* Ids of all groups go to order[0 .. table->groups). */
bool sorter_open(struct sorter *sorter, const struct table *table, uint32_t *order);
/* Takes what it did from *budget (which may end below zero by less than 16). True: done, and closed. */
bool sorter_turn(struct sorter *sorter, int64_t *budget);
void sorter_close(struct sorter *sorter); /* also after the last turn, or never opened (zeroed) */

#endif
