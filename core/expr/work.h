/* core/expr/work.h - what functions of ARRAY, MAP and MULTISET share: lists of a row's items.
 *
 *     work_open(&w, e);   FOR_ROWS(e, row) { work_load(...); ...; work_give(...); }   work_close(&w);
 *
 * Cells lie in memory that is used again for the next row; their bytes lie in the arguments, or in w.bytes until the row is given.
 * Threads: one.   Errors: the run ends (eval_no_memory()).   Includes: functions.h
 */
#ifndef MILL_WORK_H
#define MILL_WORK_H

#include "core/expr/functions.h"

struct list {
    struct cell *cells;
    uint32_t count, room;
};

/* Of one call: lists for a row. */
struct work {
    struct eval *e;
    struct list lists[3];
    struct arena bytes; /* of the row */
};

void work_open(struct work *w, struct eval *e);
void work_close(struct work *w);
/* Room for @more cells behind those of list @k; NULL: no memory. */
struct cell *work_room(struct work *w, uint32_t k, uint32_t more);
bool work_add(struct work *w, uint32_t k, const struct cell *cell);
bool work_add_items(struct work *w, uint32_t k, const struct items *it);
/* List @list of argument @a of the row, which is not NULL, into list @k. */
bool work_load(struct work *w, uint32_t k, const struct column *args, uint32_t a, uint32_t row,
               uint32_t list);
/* Elements or keys of argument @a, which is not NULL. */
struct items work_items(const struct eval *e, const struct column *args, uint32_t a, uint32_t row);
/* The value of argument @a. False: no memory. */
bool work_cell(struct work *w, const struct column *args, uint32_t a, uint32_t row,
               struct cell *out);
/* These cells as the row's result, and the end of w->bytes. */
void work_give(struct work *w, struct column *out, uint32_t row, const struct cell *first,
               const struct cell *second, uint32_t count);
/* An item as the row's result, whatever its type. */
void work_give_cell(struct eval *e, struct column *out, uint32_t row, const struct cell *cell);

/* ---- for resolve ---- */

static inline bool is_array(const struct call *c, uint32_t i)
{
    return arg_type(c, i)->kind == MILL_ARRAY;
}
/* ARRAY<a> (or MULTISET), MAP<a, b>. */
struct mill_type nested_type(struct call *c, enum mill_kind kind, const struct mill_type *a,
                             const struct mill_type *b);
/* Texts of fixed lengths are STRING as items. */
struct mill_type nested_item_type(const struct mill_type *type);
/* The first argument is an array: its elements' type, which may be NULL, becomes the result's. */
bool array_element(struct call *c);

#endif
