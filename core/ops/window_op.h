/* core/ops/window_op.h - inside of the window operator: what op_window.c (rows) and window_fire.c (results) share.
 *
 *   held = rows in slices; sides are empty between steps; no window with end - u <= fired is open
 *
 * A firing goes through its phases in turns of about op_context.turn_work groups, so that neither the merging of 60 slices nor
 * the sorting of a million groups nor 150,000 windows at once hold up the shard:
 *
 *   NONE -> SIDES -> CUMULATE | MERGE | ENTER -> FOLD -> SORT -> EMIT -> CLEAR -> DROP -> NONE
 *
 * Nothing is pushed and nothing is snapshotted until all windows that the step closes have fired.
 *
 * Threads: one shard.   Errors: false or NULL without memory.   Includes: op.h, window.h, sorter.h
 */
#ifndef MILL_WINDOW_OP_H
#define MILL_WINDOW_OP_H

#include "core/ops/op.h"
#include "core/ops/window.h"
#include "core/ops/window_slide.h"
#include "core/state/sorter.h"

#define SPARE_SLICES 64u
#define SPARE_BYTES (1u << 16) /* of each but the first */

enum fire_phase {
    FIRE_NONE,
    FIRE_SIDES,    /* side slices whose first open window is this one go into the slices */
    FIRE_CUMULATE, /* CUMULATE: slices of the window become one */
    FIRE_MERGE,    /* HOP: slices of the window are added up in merged */
    FIRE_ENTER,    /* HOP: or new ones are added to what is carried on */
    FIRE_FOLD,     /* what cannot be carried on is folded anew */
    FIRE_SORT,
    FIRE_EMIT,
    FIRE_CLEAR, /* merged is emptied */
    FIRE_DROP   /* slices whose last window this was go */
};

struct firing {
    enum fire_phase phase;
    uint32_t view;         /* of several: the next whose window with that end fires */
    int64_t end;           /* TIME_MAX: the windows have fired, the rest of the sides is put away */
    struct slice *side;    /* SIDES: where side i goes, NULL: not begun */
    uint32_t i, kept;      /* SIDES: next side, sides that stay; CUMULATE, MERGE: slice */
    uint32_t first;        /* first slice of the window */
    int64_t stop;          /* its slices start before that */
    uint32_t group;        /* next of the one that is merged */
    bool filled;           /* CLEAR, DROP: the memory is worth keeping */
    bool sorting;          /* SORT, EMIT: the sorter has been opened */
    bool dropping;         /* DROP: slice 0 has begun to go */
    struct table *table;   /* of the one slice, merged, or carried on */
    const uint32_t *order; /* EMIT: its groups ascending by key */
    uint32_t blank;        /* FOLD: next group that is emptied */
    uint32_t count, next;  /* groups; the next to be shown */
};

struct window_op {
    struct op op;
    const struct aggregate_node *node;
    struct mill_schema input, output;
    struct windows windows;
    struct agg_set *set;
    uint32_t *key_columns; /* keys, and window_start where attached */
    uint32_t key_count;
    struct key_layout keys, partial_keys;
    struct key_batch batch_keys;
    struct slice_list slices, sides;
    struct firing firing;
    struct sorter sorter;               /* its memory stays from firing to firing */
    struct table merged;                /* of a window of several slices */
    struct slide slide;                 /* of one that is carried on */
    struct slice *spares[SPARE_SLICES]; /* the last ones dropped: their memory serves the next */
    uint32_t spare_count;
    int64_t fired;     /* watermark up to which windows have fired */
    int64_t fired_end; /* and, in this step, up to which end */
    int64_t clock;     /* greatest processing time seen */
    uint32_t groups_hint, merged_hint;
    bool ending;   /* end_step() has begun: resume() goes on firing */
    void *partial; /* a state, for restoring partials */
    /* scratch of one batch */
    uint16_t rows[BATCH_ROWS_MAX];
    int64_t times[BATCH_ROWS_MAX];
    int64_t starts[BATCH_ROWS_MAX];
    struct slice *slice_of[BATCH_ROWS_MAX];
    struct slice_rows by_slice;
    uint16_t agg_rows[BATCH_ROWS_MAX];
    void *states[BATCH_ROWS_MAX];
    uint16_t late[BATCH_ROWS_MAX];
    uint32_t late_count;
};

enum op_progress window_no_memory(struct window_op *w);
/* The slice of @list for (class, start), made if it is not there. NULL without memory. */
struct slice *window_slice(struct window_op *w, struct slice_list *list, int64_t class_,
                           int64_t start);
/* Fires what the watermark after the step closes, one turn. OP_READY: all of it, and ending is false again. */
enum op_progress window_fire_turn(struct window_op *w, const struct step_time *t);
/* Of several views: those that have fired the end at hand are past it. See op.h. */
bool window_to_come(const struct op *op, uint32_t link, char *key);
void window_fire_close(struct window_op *w); /* gives back what a firing in progress holds */

#endif
