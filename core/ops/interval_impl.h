/* core/ops/interval_impl.h - inside of the interval join: op_interval_join.c joins and keeps rows, interval_fire.c lets
 * them go, interval_snapshot.c saves them.
 *
 * Threads: one shard.   Errors: false without memory.   Includes: join_base.h, expiry.h
 */
#ifndef MILL_INTERVAL_IMPL_H
#define MILL_INTERVAL_IMPL_H

#include "core/ops/join_base.h"
#include "core/plan/physical.h"
#include "core/state/expiry.h"

/* of a kept row: what its mark says */
#define MARK_MET (1u << 31)
#define MARK_DEAD (1u << 30)
#define MARK_GROUP (MARK_DEAD - 1) /* its group; all ones: none */

struct listed {
    int64_t time;
    uint32_t id;
};

/* rows items[first .. end), room items allocated; room 0: at most the one. */
struct list {
    struct listed *items, one;
    uint32_t first, end, room;
};

struct group {
    struct list list[2];
};

struct fired {
    int64_t time;
    uint64_t step;
    uint32_t place, side, id, arrival;
};

struct interval_join {
    struct join_base base; /* the table's states: struct group */
    uint32_t empty;        /* groups without rows */
    struct expiry expiry[2];
    int64_t reach[2]; /* last partner's time - own time */
    bool pads[2];     /* a row of the side that meets nobody gives a result */

    /* the batch being joined */
    struct batch *in;
    uint32_t port, count, at; /* rows, and the next one to look for partners of */
    uint32_t cursor;          /* in the list of partners of the row at */
    bool started;
    uint16_t rows[BATCH_ROWS_MAX];
    int64_t times[BATCH_ROWS_MAX], w[BATCH_ROWS_MAX];
    struct group *groups[BATCH_ROWS_MAX]; /* NULL: equals nothing */
    bool keep[BATCH_ROWS_MAX], met[BATCH_ROWS_MAX];
    uint16_t found_of[BATCH_ROWS_MAX]; /* number in rows of each pair found */

    /* at the end of a step */
    bool ending;
    int64_t limit[2]; /* rows up to this time go */
    struct fired *fired;
    uint32_t fired_count, fired_at, fired_room;

    void *states[BATCH_ROWS_MAX];
    uint16_t keyed[BATCH_ROWS_MAX], keyed_rows[BATCH_ROWS_MAX];
    uint32_t ids[BATCH_ROWS_MAX];
};

static inline struct row_store *interval_store(struct interval_join *j, uint32_t side)
{
    return &j->base.pairs.side[side].store;
}

static inline struct group *interval_group(const struct interval_join *j, uint32_t id)
{
    return table_state(&j->base.table, id);
}

static inline uint32_t interval_list_count(const struct list *list)
{
    return list->end - list->first;
}

static inline struct listed *interval_list_items(struct list *list)
{
    return list->room > 0 ? list->items : &list->one;
}

static inline int64_t interval_clock(const struct interval_join *j, const struct step_time *t)
{
    return floor_div(t->clock_us, j->base.join->unit) * j->base.join->unit;
}

/* ---- op_interval_join.c ---- */

/* Behind those of its time. */
bool interval_list_add(struct interval_join *j, struct list *list, int64_t time, uint32_t id);
void interval_list_close(struct interval_join *j, struct list *list);
/* Groups from id @from on are new. */
void interval_groups_init(struct interval_join *j, uint32_t from);
/* A group (its state) without rows. */
bool interval_is_empty(const void *group);

/* ---- interval_fire.c ---- */

/* Rows up to the limits go. OP_BUSY: more of it in the next turn. */
enum op_progress interval_fire(struct interval_join *j, const struct step_time *t);

/* ---- interval_snapshot.c ---- */

void interval_snapshot(struct op *op, struct snapshot_writer *to);
bool interval_restore(struct op *op, struct snapshot_reader *from);

#endif
