/* core/ops/over_view.h - inside of OVER as a view: op_over_view.c takes rows and gives changes, over_view_keys.c keeps a key's
 * rows sorted and finds frames, over_view_values.c computes what frames hold, over_view_fire.c gives final rows.
 *
 *   entries of a key ascend by (prefix, order, arrival); final rows of input that only grows: as they came, sorted at the end
 *   a *side* shows the entries, all of them or all but one: the key without a row and with it are two sides of one array
 *   what a row gives is a function of the rows in its frame and their order alone, not of how the frame came to them: so a row that
 *   is taken back is the one that was given
 *
 * Threads: one shard.   Errors: false without memory.   Includes: emit.h, over.h, rows.h, sorter.h, physical.h
 */
#ifndef MILL_OVER_VIEW_H
#define MILL_OVER_VIEW_H

#include "core/ops/emit.h"
#include "core/ops/over.h"
#include "core/plan/physical.h"
#include "core/state/rows.h"
#include "core/state/sorter.h"

struct view_entry {
    uint64_t prefix;
    uint32_t id;
};

struct view_key {
    struct view_entry *entries;
    uint32_t count, room;
    int64_t touched_us;
};

struct view_frame {
    const struct over_frame *spec;
    struct agg_set *sets[OVER_WAYS];
    uint32_t at[OVER_WAYS]; /* of the states in a side's */
};

struct view_side {
    struct view_key *key;
    uint32_t skip;          /* entry left out; UINT32_MAX: none */
    uint32_t count;         /* entries shown */
    uint32_t ranked, dense; /* DENSE_RANK of entry @ranked; UINT32_MAX: of none yet */
    struct view_bounds {    /* entries in the states of a frame: low .. high - 1 */
        uint32_t low, high;
    } * frames;
    char *states;
    bool open;
};

struct over_view {
    struct op op;
    const struct over_node *node;
    const struct mill_schema *input, *schema;
    bool changelog, updating; /* results change; rows of the input do */
    struct view_frame *frames;
    uint32_t state_bytes;
    uint32_t *kept_at; /* per input column: among the kept ones; UINT32_MAX: not kept */
    uint32_t *shown;   /* kept columns that aggregates read */
    uint32_t shown_count;
    struct key_layout keys;
    struct key_batch batch_keys;
    struct table table; /* state: struct view_key */
    struct row_store rows;
    struct batch stored; /* shows one kept row */
    uint32_t stored_place;
    struct emitter emit;
    struct view_side sides[2]; /* before and after a row; final rows: the first one */
    struct batch *scratch;     /* computed columns, before and after */
    uint32_t scratch_uses;
    /* the batch being taken, as changes: from live row @next on */
    struct batch *batch;
    uint32_t next, row;
    /* what row @row changes: entry @place of @key has come (@added) or goes, entries @at .. @end - 1 are yet to be looked at */
    struct view_key *key;
    uint32_t place, at, end;
    bool added, changing;
    uint32_t gone[2], gone_count; /* rows to free when all is given */
    struct view_change {
        uint32_t id;
        uint8_t side;
        int8_t kind;
    } pending[2];
    uint32_t pending_count, given;
    /* at the end */
    uint64_t rows_in;
    bool ending, sorting;
    struct sorter sorter;
    uint32_t group, entry;
    char *place_key;
    uint32_t place_room;
    void *found[BATCH_ROWS_MAX];
    uint32_t ids[BATCH_ROWS_MAX], new_ids[BATCH_ROWS_MAX];
    uint64_t prefixes[BATCH_ROWS_MAX];
};

static inline const struct view_entry *side_entry(const struct view_side *side, uint32_t i)
{
    return &side->key->entries[i + (i >= side->skip)];
}

/* ---- over_view_keys.c ---- */

uint64_t view_prefix(const struct over_view *o, uint32_t id);
/* The first entry above @e (@after), or not below it; entries must be sorted. */
uint32_t view_bound(const struct over_view *o, const struct view_key *key,
                    const struct view_entry *e, bool after);
bool view_insert(struct over_view *o, struct view_key *key, uint32_t at,
                 const struct view_entry *e);
void view_remove(struct view_key *key, uint32_t at);
/* The first entry that is equal to row @row of @batch, which has been stored as @e; UINT32_MAX: there is none. */
uint32_t view_find(const struct over_view *o, const struct view_key *key,
                   const struct view_entry *e, const struct batch *batch, uint32_t row);
bool view_sort(struct over_view *o, struct view_key *key);
void view_forget(struct over_view *o, struct view_key *key);
bool view_sorted(const struct over_view *o, const struct view_key *key);
/* Entries of the side that equal its entry @i in order: first, and one behind the last. */
uint32_t view_first_peer(const struct over_view *o, const struct view_side *side, uint32_t i);
uint32_t view_past_peers(const struct over_view *o, const struct view_side *side, uint32_t i);
/* The frame of entry @i. */
struct view_bounds view_frame_of(const struct over_view *o, const struct view_side *side,
                                 const struct over_frame *frame, uint32_t i);
/* Entries whose results entry @i has part in, itself among them. */
struct view_bounds view_reach(const struct over_view *o, const struct view_side *side, uint32_t i);

/* ---- over_view_values.c ---- */

/* Shows the key without entry @skip (UINT32_MAX: all of it). */
void view_show(struct over_view *o, struct view_side *side, struct view_key *key, uint32_t skip);
void view_hide(struct over_view *o, struct view_side *side);
/* The computed columns of entry @i into row @row of columns[0 ..) of @to, which are valid there. */
bool view_compute(struct over_view *o, struct view_side *side, uint32_t i, struct batch *to,
                  struct column *columns, uint32_t row);
/* Given columns of rows ids[0 .. count) into rows @at .. of the batch being filled. */
bool view_put_given(struct over_view *o, const uint32_t *ids, uint32_t count, uint32_t at);

/* ---- over_view_fire.c ---- */

enum op_progress view_fire(struct over_view *o, const struct step_time *t, int64_t *budget);

/* ---- op_over_view.c ---- */

enum op_progress view_no_memory(struct over_view *o);

#endif
