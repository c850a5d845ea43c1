/* core/state/expiry.c - buckets of ids by time. */
#include "core/state/expiry.h"

#include <stdlib.h>

void expiry_open(struct expiry *e, struct heap *heap, int64_t width)
{
    memset(e, 0, sizeof *e);
    e->heap = heap;
    e->width = max_i64(width, 1);
}

static void bucket_free(struct expiry *e, struct expiry_bucket *b)
{
    if (b->room > e->spare_room) {
        heap_free(e->heap, e->spare, e->spare_room * sizeof *e->spare);
        e->spare = b->entries;
        e->spare_room = b->room;
    } else {
        heap_free(e->heap, b->entries, b->room * sizeof *b->entries);
    }
    *b = (struct expiry_bucket){0};
}

void expiry_close(struct expiry *e)
{
    if (e->heap == NULL)
        return;
    for (uint32_t i = 0; i < e->bucket_count; i++)
        bucket_free(e, &e->buckets[i]);
    heap_free(e->heap, e->spare, e->spare_room * sizeof *e->spare);
    *e = (struct expiry){0};
}

/* ---- one bucket ---- */

static bool bucket_room(struct expiry *e, struct expiry_bucket *b, uint32_t count)
{
    struct expiry_entry *grown;
    uint32_t room = max_u32(64, b->room);

    if (count <= b->room)
        return true;
    if (b->room == 0 && e->spare_room >= count) {
        b->entries = e->spare;
        b->room = e->spare_room;
        e->spare = NULL;
        e->spare_room = 0;
        return true;
    }
    while (room < count && room < UINT32_MAX / 2)
        room *= 2;
    if (room < count)
        return false;
    grown = heap_grow(e->heap, b->entries, b->room * sizeof *grown, room * sizeof *grown);
    if (grown == NULL)
        return false;
    b->entries = grown;
    b->room = room;
    return true;
}

static bool bucket_add(struct expiry *e, struct expiry_bucket *b, int64_t time, uint32_t id)
{
    if (!bucket_room(e, b, b->count + 1))
        return false;
    if (b->sorted && b->count > b->first && b->entries[b->count - 1].time > time)
        b->sorted = false;
    b->entries[b->count] = (struct expiry_entry){time, id, b->count};
    b->count++;
    return true;
}

static int by_time(const void *a, const void *b)
{
    const struct expiry_entry *x = a, *y = b;

    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return x->arrival < y->arrival ? -1 : 1;
}

/* Few that came out of order go to their places one by one, while that moves little. */
static bool insertion_sorts(struct expiry_bucket *b)
{
    uint64_t moves = 4 * (uint64_t)(b->count - b->first);

    for (uint32_t i = b->first + 1; i < b->count; i++) {
        const struct expiry_entry entry = b->entries[i];
        uint32_t at = i;

        for (; at > b->first && by_time(&b->entries[at - 1], &entry) > 0 && moves > 0;
             at--, moves--)
            b->entries[at] = b->entries[at - 1];
        b->entries[at] = entry;
        if (moves == 0)
            return false;
    }
    return true;
}

static void bucket_sort(struct expiry_bucket *b)
{
    if (!insertion_sorts(b))
        qsort(b->entries + b->first, b->count - b->first, sizeof *b->entries, by_time);
    b->sorted = true;
}

/* ---- all of them ---- */

/* The first bucket whose number is not below @number. */
static uint32_t find(const struct expiry *e, int64_t number)
{
    uint32_t low = 0, high = e->bucket_count;

    while (low < high) {
        const uint32_t middle = (low + high) / 2;

        if (e->buckets[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* @from goes behind @into: what is of one time was in one bucket, so its order stays. */
static bool bucket_join(struct expiry *e, struct expiry_bucket *into, struct expiry_bucket *from)
{
    if (!bucket_room(e, into, into->count + (from->count - from->first)))
        return false;
    for (uint32_t i = from->first; i < from->count; i++)
        into->entries[into->count++] = from->entries[i];
    bucket_free(e, from);
    return true;
}

static void number_arrivals(struct expiry_bucket *b)
{
    for (uint32_t i = b->first; i < b->count; i++)
        b->entries[i].arrival = i;
    b->sorted = false;
}

/* Fewer, wider buckets. On false all ids are still there. */
static bool widen(struct expiry *e)
{
    uint32_t kept = 0;
    bool ok = true;

    if (e->width > TIME_MAX / 8)
        return false;
    e->width *= 4;
    for (uint32_t i = 0; i < e->bucket_count; i++) {
        struct expiry_bucket *b = &e->buckets[i];
        const int64_t number = floor_div(b->number, 4);

        if (kept > 0 && e->buckets[kept - 1].number == number) {
            ok = ok && bucket_join(e, &e->buckets[kept - 1], b);
            if (b->entries == NULL)
                continue;
        }
        b->number = number;
        if (kept != i) {
            e->buckets[kept] = *b;
            *b = (struct expiry_bucket){0};
        }
        kept++;
    }
    for (uint32_t i = 0; i < kept; i++)
        number_arrivals(&e->buckets[i]);
    e->bucket_count = kept;
    e->recent = 0;
    return ok;
}

static struct expiry_bucket *bucket_of(struct expiry *e, int64_t time)
{
    int64_t number = floor_div(time, e->width);
    uint32_t at;

    if (e->bucket_count > 0 && e->buckets[e->recent].number == number)
        return &e->buckets[e->recent];
    at = find(e, number);
    if (at == e->bucket_count || e->buckets[at].number != number) {
        while (e->bucket_count == EXPIRY_BUCKETS) {
            if (!widen(e))
                return NULL;
            number = floor_div(time, e->width);
            at = find(e, number);
        }
        if (at == e->bucket_count || e->buckets[at].number != number) {
            memmove(&e->buckets[at + 1], &e->buckets[at],
                    (e->bucket_count - at) * sizeof *e->buckets);
            e->buckets[at] = (struct expiry_bucket){.number = number};
            e->bucket_count++;
        }
    }
    e->recent = at;
    return &e->buckets[at];
}

bool expiry_add(struct expiry *e, int64_t time, uint32_t id)
{
    struct expiry_bucket *b = bucket_of(e, time);

    if (b == NULL || !bucket_add(e, b, time, id))
        return false;
    e->ids++;
    return true;
}

static void drop_empty(struct expiry *e)
{
    while (e->bucket_count > 0 && e->buckets[0].first == e->buckets[0].count) {
        bucket_free(e, &e->buckets[0]);
        memmove(&e->buckets[0], &e->buckets[1], --e->bucket_count * sizeof *e->buckets);
        e->recent = 0;
    }
}

bool expiry_take(struct expiry *e, int64_t limit, struct expiry_entry *out)
{
    struct expiry_bucket *b = &e->buckets[0];

    if (e->ids == 0 || expiry_least(e) > limit)
        return false;
    if (b->first == b->count) {
        drop_empty(e);
        if (expiry_least(e) > limit)
            return false;
    }
    if (!b->sorted)
        bucket_sort(b);
    if (b->entries[b->first].time > limit)
        return false;
    *out = b->entries[b->first++];
    e->ids--;
    if (b->first == b->count)
        drop_empty(e);
    return true;
}

int64_t expiry_least(const struct expiry *e)
{
    const struct expiry_bucket *b = &e->buckets[0];

    if (e->ids == 0)
        return TIME_MAX;
    return b->sorted && b->first < b->count ? b->entries[b->first].time
                                            : time_mul(b->number, e->width);
}

int64_t expiry_first_end(const struct expiry *e)
{
    return e->ids == 0 ? TIME_MAX : time_mul(e->buckets[0].number + 1, e->width);
}

void expiry_each(const struct expiry *e, void (*each)(void *user, const struct expiry_entry *entry),
                 void *user)
{
    for (uint32_t k = 0; k < e->bucket_count; k++)
        for (uint32_t i = e->buckets[k].first; i < e->buckets[k].count; i++)
            each(user, &e->buckets[k].entries[i]);
}

bool expiry_valid(const struct expiry *e)
{
    uint64_t ids = 0;

    for (uint32_t k = 0; k < e->bucket_count; k++) {
        const struct expiry_bucket *b = &e->buckets[k];

        if (k > 0 && e->buckets[k - 1].number >= b->number)
            return false;
        for (uint32_t i = b->first; i < b->count; i++)
            if (floor_div(b->entries[i].time, e->width) != b->number ||
                (b->sorted && i > b->first && by_time(&b->entries[i - 1], &b->entries[i]) > 0))
                return false;
        ids += b->count - b->first;
    }
    return ids == e->ids;
}
