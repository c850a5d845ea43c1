/* core/ops/versions.h - which row of a table is valid when: rows by key and time.
 *
 * A version is a row and the time from which it is valid, inclusive; a version without a row ends the one before it. Of a key
 * they stand in order of time, equal times in order of arrival, so the later one counts.
 *
 *   seen = the watermark just before a version came. seen >= time: it is late. Who leaves at T, when the watermark reaches T,
 *   sees versions with time <= T and seen < T: a late one changes later results only
 *
 * With a *reach* a version is valid for so long at most (ASOF JOIN within a tolerance).
 * Threads: one shard.   Errors: false without memory.   Includes: rows.h, table.h
 */
#ifndef MILL_VERSIONS_H
#define MILL_VERSIONS_H

#include "core/state/rows.h"
#include "core/state/table.h"

struct version {
    int64_t time, seen;
    uint32_t id; /* in the row store; ROW_NONE: there is no row from here on */
};

/* Of a key; most have one. */
struct version_list {
    struct version one;
    struct version *all;         /* NULL: in one */
    uint32_t first, count, room; /* all[first .. first + count) */
};

struct versions {
    struct heap *heap;
    struct row_store rows;
    struct key_layout keys; /* of the table's rows */
    struct table table;     /* state: struct version_list */
    bool limited;
    int64_t reach; /* limited: valid from time to time + reach, inclusive */
    uint64_t held; /* versions on time with a row */
    uint64_t gone; /* those dropped since this was last set to 0 */
    uint32_t swept;
};

/* Keeps columns[0 .. count) of rows of @schema by the columns @keys; all must outlive it. */
bool versions_open(struct versions *v, struct heap *heap, const struct mill_schema *schema,
                   const uint32_t *columns, uint32_t count, const uint32_t *keys,
                   uint32_t key_count, uint64_t seed);
void versions_close(struct versions *v); /* zeroed, or opened */

/* The lists of the keys, made where there are none. */
bool versions_of(struct versions *v, const struct key_batch *keys, uint32_t count,
                 struct version_list **lists);
bool versions_add(struct versions *v, struct version_list *list, const struct version *version);
/* The row valid for who leaves at @time; ROW_NONE: none. */
uint32_t versions_at(const struct versions *v, const struct version_list *list, int64_t time);
/* The same for a row of @time that comes when the watermark is @w >= time: of what is still kept then. */
uint32_t versions_late(const struct versions *v, const struct version_list *list, int64_t time,
                       int64_t w);
/* Drops what nobody can see any more who comes or leaves after @w. */
void versions_drop(struct versions *v, struct version_list *list, int64_t w);
/* The same for the next @groups keys, round about. */
void versions_sweep(struct versions *v, uint32_t groups, int64_t w);

/* All of them, at the end of the input. */
void versions_forget(struct versions *v);

void versions_snapshot(const struct versions *v, struct snapshot_writer *to);
bool versions_restore(struct versions *v, struct snapshot_reader *from);
bool versions_valid(const struct versions *v);

static inline struct version_list *versions_list(const struct versions *v, uint32_t group)
{
    return table_state(&v->table, group);
}

#endif
