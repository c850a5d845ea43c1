/* core/ops/rank_impl.h - inside of Top-N: op_rank.c takes rows and gives changes, rank_key.c keeps a key's rows sorted and
 * finds what a row changes, rank_fire.c gives final rows.
 *
 *   entries of a key ascend by (prefix, order, arrival)     those with a rank of at most the limit are *visible*
 *   scopes[0 .. scope_count) ascend by end; without windows there is one, whose end is INT64_MAX
 *
 * Threads: one shard.   Errors: false without memory.   Includes: emit.h, rank.h, rows.h, sorter.h
 */
#ifndef MILL_RANK_IMPL_H
#define MILL_RANK_IMPL_H

#include "core/ops/emit.h"
#include "core/ops/rank.h"
#include "core/plan/physical.h"
#include "core/state/rows.h"
#include "core/state/sorter.h"
#include "core/zone.h"

struct rank_entry {
    uint64_t prefix;
    uint32_t id;
};

struct rank_key {
    struct rank_entry one; /* room 0: the only one */
    struct rank_entry *entries;
    uint32_t count, room;
    int64_t touched_us;
};

struct rank_scope { /* all rows, or those of windows with one end */
    int64_t end;
    uint64_t rows; /* that came in */
    struct table table;
};

struct visible {
    uint32_t id;
    int64_t rank;
};
struct visible_list {
    struct visible *items;
    uint32_t count, room;
};

struct pending {
    uint32_t id;
    int64_t rank;
    int8_t kind;
};

struct rank_op {
    struct op op;
    const struct rank_node *node;
    const struct mill_schema *input;
    const struct mill_schema *schema;
    bool changelog, keeps_all, windowed;
    bool nanos;
    const struct zone *zone;
    uint32_t *order_kept; /* per column of the order: among the kept ones */
    uint32_t *given_kept; /* per given column, or UINT32_MAX: nobody reads it */
    struct key_layout keys;
    struct key_batch batch_keys;
    struct row_store rows;
    struct rank_scope *scopes; /* by ascending end */
    uint32_t scope_count, scope_room;
    struct emitter emit;
    /* the batch being taken, as changes: from live row @next on */
    struct batch *batch;
    uint32_t next;
    struct pending *pending;
    uint32_t pending_count, pending_room, given;
    struct visible_list before, after;
    struct visible_list gone; /* rows to be freed once their changes have been given */
    bool ignored;             /* the row took back one that is not there */
    /* firing scopes[0] */
    bool ending, sorting;
    int64_t swept_us;
    struct sorter sorter;
    uint32_t group, entry;
    uint32_t ids[BATCH_ROWS_MAX];
    int64_t ranks[BATCH_ROWS_MAX];
    char *key;
    uint32_t key_room;
    void *found[BATCH_ROWS_MAX];
    uint32_t new_ids[BATCH_ROWS_MAX];
    uint16_t taken[BATCH_ROWS_MAX];
    uint64_t prefixes[BATCH_ROWS_MAX];
};

static inline struct rank_entry *rank_entries_of(struct rank_key *key)
{
    return key->room == 0 ? &key->one : key->entries;
}

/* The watermark at which windows with this end are closed. */
static inline int64_t rank_closes_at(const struct rank_op *r, int64_t end)
{
    return time_add(zone_reached(r->zone, end, r->nanos), -type_time_unit(&r->node->time_type));
}

enum op_progress rank_no_memory(struct rank_op *r);

/* ---- op_rank.c ---- */

/* Columns of kept rows into rows @at .. of the emitter's batch. */
bool rank_put_rows(struct rank_op *r, const uint32_t *ids, const int64_t *ranks, uint32_t count,
                   uint32_t at);

/* ---- rank_key.c ---- */

/* The rank of entry @i, given that of the one before. */
int64_t rank_of(const struct rank_op *r, const struct rank_entry *entries, uint32_t i,
                int64_t before);
void rank_forget_key(struct rank_op *r, struct rank_key *key);
/* Row @row of @batch, stored as @e, comes or is taken back. As a changelog pending[] gets what that changes, and rows that go
 * wait in gone[] until those changes have been given. */
bool rank_apply(struct rank_op *r, struct rank_key *key, const struct rank_entry *e,
                const struct batch *batch, uint32_t row);
void rank_free_gone(struct rank_op *r);
bool rank_key_restore(struct rank_op *r, struct rank_key *key, struct snapshot_reader *from);
bool rank_key_valid(const struct rank_op *r, struct rank_key *key);

/* ---- rank_fire.c ---- */

/* Gives what the watermark after the step closes. OP_BUSY: more of it in the next turn. */
enum op_progress rank_fire(struct rank_op *r, const struct step_time *t, int64_t *budget);
/* The first scope goes, with its rows. */
void rank_scope_drop(struct rank_op *r);

#endif
