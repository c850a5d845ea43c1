/* core/state/expiry.h - ids by time: they leave in order of time once a limit has reached them.
 *
 * Ids lie in buckets by time, all of one width, in the order in which they came. Only the first bucket is ever sorted, when
 * the limit reaches into it; so ids that come nearly in order of time cost an append and a look. Too many buckets (times
 * far apart, or a width too small) are joined four by four.
 *   buckets ascend by number; number = floor(time / width); ids of one time are always in one bucket, in their order
 *   a sorted bucket: ids[first .. count) by (time, arrival)
 * For what is kept until the watermark passes it: rows of joins, groups of windows. Who keeps them must know them by id.
 *
 * Threads: one shard.   Errors: false without memory.   Includes: memory.h
 */
#ifndef MILL_EXPIRY_H
#define MILL_EXPIRY_H

#include "core/memory.h"

#define EXPIRY_BUCKETS 256u

struct expiry_entry {
    int64_t time;
    uint32_t id, arrival; /* arrival: in its bucket */
};

struct expiry_bucket {
    int64_t number;
    struct expiry_entry *entries;
    uint32_t first, count, room;
    bool sorted;
};

struct expiry {
    struct heap *heap;
    int64_t width;
    struct expiry_bucket buckets[EXPIRY_BUCKETS];
    uint32_t bucket_count, recent; /* recent: bucket of the last id added */
    struct expiry_entry *spare;    /* memory of an emptied bucket */
    uint32_t spare_room;
    uint64_t ids;
};

/* @width > 0: a small part of how long an id stays. Allocates nothing. */
void expiry_open(struct expiry *e, struct heap *heap, int64_t width);
void expiry_close(struct expiry *e); /* zeroed, or opened */
bool expiry_add(struct expiry *e, int64_t time, uint32_t id);
/* Takes the next id with time <= @limit, in (time, arrival) order. False: none. */
bool expiry_take(struct expiry *e, int64_t limit, struct expiry_entry *out);
/* No id has a lesser time; TIME_MAX: there are none. May lie before the least time by less than the width. */
int64_t expiry_least(const struct expiry *e);
/* Least time that the first bucket cannot hold: what is taken up to just before it is at most one bucket. TIME_MAX: no ids. */
int64_t expiry_first_end(const struct expiry *e);
/* The i-th id, 0 <= i < ids, such that those of one time come in their order. */
void expiry_each(const struct expiry *e, void (*each)(void *user, const struct expiry_entry *entry),
                 void *user);
bool expiry_valid(const struct expiry *e);

#endif
