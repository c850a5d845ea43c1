/* core/state/unique.h - a read-only index of distinct int64 keys with a word each: one cache line per look-up.
 *
 *   lines of 64 bytes: four keys, then their four values; a key stands in the line of its hash or, where that is full, in one behind it
 *   a line fills from the left; what is left of one with a key is filled with copies of its first key, so that a
 *   fourth key unlike the first says "full"; a line without a key has four times @absent, which is no key
 *
 * For joins whose one side is complete. Threads: one shard.   Errors: false without memory, or for keys that are made to
 * meet in one place: then there is no index.   Includes: memory.h
 */
#ifndef MILL_UNIQUE_H
#define MILL_UNIQUE_H

#include "core/memory.h"

struct unique_line {
    int64_t keys[4];
    uint64_t values[4];
};

struct unique {
    struct heap *heap;
    struct unique_line *lines;
    uint64_t count; /* of lines, a power of two */
    uint64_t seed;
    uint32_t shift;
    int64_t absent;
};

/* Of @keys in all; @absent is none of them. */
bool unique_open(struct unique *unique, struct heap *heap, uint32_t keys, uint64_t seed,
                 int64_t absent);
bool unique_add(struct unique *unique, const int64_t *keys, const uint64_t *values, uint32_t count);
/* No more keys: it can be looked up in. */
void unique_seal(struct unique *unique);
void unique_close(struct unique *unique); /* zeroed, or opened */

/* found[i]: keys[i] is there, values[i] its value (else anything). False: a key is @absent; nothing of this holds. */
bool unique_find(const struct unique *unique, const int64_t *keys, uint32_t count, uint64_t *values,
                 bool *found);

#endif
