/* core/ops/window_changes.h - inside of the window operator that revises its results: what op_window_changes.c (rows),
 * window_changes_session.c, window_changes_give.c (results), window_changes_fire.c and window_changes_snapshot.c share.
 *
 * A *pane* is what lies in one window of one key: an aggregates' state, and which result of it stands downstream. Its life:
 *
 *     early phase   the watermark has not reached end - u:  results by 'table.exec.emit.early-fire.*'
 *     on time       it reaches it: the result is told of, or put right
 *     late phase    until it reaches end - u + allowed lateness: results by 'table.exec.emit.late-fire.*'
 *
 * A row that finds its pane's time come before the step has ended makes it tell of itself first: so each row's results are
 * those that it would cause had all windows fired between rows.
 *
 *   given: one result of the pane stands downstream, its values are row given_row of the store of given results
 *   held = sum of taken over all panes;   in = consumed + filtered + late + held
 *   a key's due <= the next event time of each of its panes; an entry of @closing with another time is stale (as of due_us, @timers)
 *   sessions over rows that are taken back keep their rows as points, ascending by time
 *
 * Threads: one shard.   Errors: false without memory.   Includes: emit.h, window.h, expiry.h, rows.h
 */
#ifndef MILL_WINDOW_CHANGES_H
#define MILL_WINDOW_CHANGES_H

#include "core/ops/emit.h"
#include "core/ops/window.h"
#include "core/state/expiry.h"
#include "core/state/rows.h"

/* A row changes at most this many results: a session that joins two others, each of which is told of first. */
#define PENDING_MAX 8u

struct point {
    int64_t time;
    uint32_t row; /* in the store of rows; ROW_NONE: nothing of it is needed */
};

struct pane {
    struct pane *next;
    int64_t start, end; /* as struct windows counts; a session: first time, last time + gap */
    int64_t rows;       /* in it: 0 when all have been taken back */
    uint64_t taken;     /* input rows that are consumed when it goes */
    int64_t given_start, given_end;
    int64_t base_us,
        due_us; /* clock at the phase's first change, -1: none; when it is to be told of, TIME_MAX: not */
    uint32_t group, given_row;
    uint32_t point_count, point_room;
    struct point *points;
    bool given, queued;
    bool fired; /* it is in its late phase */
    /* the aggregates' state follows */
};

struct panes { /* per key */
    struct pane *list;
    int64_t due, due_us;
};

struct pending {
    int8_t kind;
    uint32_t group;
    int64_t start, end;
};

struct fired_pane {
    struct pane *pane;
    char *order;
    uint32_t length; /* without the last byte, the result's number */
};

struct window_changes {
    struct op op;
    const struct aggregate_node *node;
    const struct mill_schema *input, *output;
    struct windows windows;
    bool session, attached;
    int64_t lateness;
    struct agg_set *set;
    struct key_layout keys;
    struct key_batch batch_keys;
    struct table table; /* state: struct panes */
    uint32_t empty;     /* keys without panes */
    uint64_t pane_count;
    struct expiry closing, timers; /* keys by event time, by clock */
    struct emitter emit;
    bool revises; /* results may be told of more than once: they are remembered */
    struct mill_field *given_fields;
    struct mill_schema given_schema;
    struct row_store given;
    bool keeps_points, keeps_rows;
    uint32_t *row_columns, row_column_count;
    struct row_store rows;
    struct batch *moved; /* rows on their way from one session to another */
    /* results of the row, or the firing, at hand: row i of the scratch is pending[i] */
    struct batch *scratch;
    struct pending pending[PENDING_MAX];
    uint32_t pending_count, told;
    /* the batch being taken */
    struct batch *batch;
    uint32_t next, row;
    int64_t row_w, next_end,
        last_end; /* of the row: W, the windows to be done; next_end TIME_MAX: none */
    int64_t row_start;
    int64_t clock; /* greatest processing time seen */
    void *lists[BATCH_ROWS_MAX];
    uint16_t late[BATCH_ROWS_MAX];
    uint32_t late_count;
    /* rows that wait to be added to their panes, in place order */
    uint32_t waiting;
    uint16_t waiting_rows[BATCH_ROWS_MAX];
    void *waiting_states[BATCH_ROWS_MAX];
    /* a firing */
    struct fired_pane *fired;
    uint32_t fired_count, fired_room, fired_next;
    struct arena order_bytes;
    bool firing;
    int64_t fire_w;
};

static inline void *pane_state(struct pane *pane)
{
    return pane + 1;
}
static inline struct panes *panes_of(const struct window_changes *s, uint32_t group)
{
    return table_state(&s->table, group);
}
/* The watermark that ends its early phase, and the one that ends it. */
static inline int64_t pane_closing(const struct window_changes *s, int64_t end)
{
    return s->session ? time_add(end, -s->windows.spec.unit) : windows_closing(&s->windows, end);
}
static inline int64_t pane_dropping(const struct window_changes *s, int64_t end)
{
    return time_add(pane_closing(s, end), s->lateness);
}
static inline int64_t pane_event(const struct window_changes *s, const struct pane *pane)
{
    return pane->fired ? pane_dropping(s, pane->end) : pane_closing(s, pane->end);
}

enum op_progress changes_no_memory(struct window_changes *s);

/* ---- panes (op_window_changes.c) ---- */

struct pane *pane_new(struct window_changes *s, uint32_t group, int64_t start, int64_t end);
/* Frees what is out of every list; its rows are consumed. */
void pane_free(struct window_changes *s, struct pane *pane);
void pane_unlink(struct window_changes *s, struct panes *of, struct pane *pane);
/* Adds what waits; before states are read, merged or freed. */
bool changes_add_waiting(struct window_changes *s);
bool pane_add(struct window_changes *s, struct pane *pane, uint32_t row);
/* The late phase begins, where watermark @w has passed its end: what came on time is told of. */
bool pane_on_time(struct window_changes *s, struct pane *pane, int64_t w);
/* A row has changed it: its result is told of now, later, or when its time comes. */
bool pane_changed(struct window_changes *s, struct panes *of, struct pane *pane,
                  const struct step_time *t);
/* The key is looked at when the pane's next event comes. */
bool panes_note(struct window_changes *s, struct panes *of, const struct pane *pane);
/* After a restore or a sweep: ids are new. */
bool panes_rebuild(struct window_changes *s);

/* ---- sessions (window_changes_session.c) ---- */

bool session_take(struct window_changes *s, struct panes *of, int64_t time,
                  const struct step_time *t);

/* ---- results (window_changes_give.c) ---- */

bool scratch_begin(struct window_changes *s);
/* The pane's result as it is against the one that was given: the changes are pending. */
bool pane_revise(struct window_changes *s, struct pane *pane);
/* Its result is taken back. */
bool pane_take_back(struct window_changes *s, struct pane *pane, int8_t kind);
/* Hands pending results on, as caused by the row at hand or as fired. */
enum op_progress give_pending(struct window_changes *s, const struct step_time *t);

/* ---- firing (window_changes_fire.c) ---- */

enum op_progress changes_fire(struct window_changes *s, const struct step_time *t);
enum op_progress changes_fire_on(struct window_changes *s, const struct step_time *t);
void changes_fire_close(struct window_changes *s);

/* ---- window_changes_snapshot.c ---- */

void window_changes_snapshot(struct op *op, struct snapshot_writer *to);
bool window_changes_restore(struct op *op, struct snapshot_reader *from);

#endif
