/* core/items.h - values of ARRAY, MAP and MULTISET: each one string of bytes, the same for equal values.
 *
 * A value lies in a column as a view, as a text does, so keys, state, exchanges and snapshots take it for one. Numbers stand
 * in the machine's order, unaligned.
 *
 *   value    count (u32), then a list of ARRAY's elements, or: bytes of the first list (u32), its keys, a list of their values
 *   list     bit i of the first (count + 7) / 8 bytes: item i is not NULL; then count items of a type of fixed width (zeros
 *            for NULL), or count ends (u32) and the items' bytes behind each other
 *   item     of a text: its bytes; of a nested type: a value; of a ROW: a bit per field that is not NULL, then those fields:
 *            fixed width, or length (u32) and bytes
 *
 * Keys of MAP and MULTISET are not NULL, ascend and are all different; what a MULTISET has as values is how often, INT. NaN has
 * one form. So two values are equal where their bytes are (but -0.0 and 0.0 in them differ).
 * Threads: pure.   Errors: false without memory.   Includes: batch.h
 */
#ifndef MILL_ITEMS_H
#define MILL_ITEMS_H

#include "core/batch.h"

#define ITEMS_BYTES_MAX (1u << 30) /* of one value */

static inline bool type_is_nested(const struct mill_type *t)
{
    return t->kind >= MILL_ARRAY;
}

/* Where new bytes come from: 16-byte aligned, not zeroed; NULL: no memory. */
struct supply {
    void *(*alloc)(void *context, size_t bytes);
    void *context;
};
struct supply arena_supply(struct arena *arena);

/* An item: the bytes of a fixed width, of a text, of a nested value or of a ROW. */
struct cell {
    const char *bytes;
    uint32_t length;
    bool null;
};

struct items {
    const struct mill_type *type; /* of the items */
    uint32_t count, width;        /* width 0: ends tell */
    const char *valid, *ends, *cells;
};

/* Lists of a value: 1, or 2 for MAP and MULTISET. */
static inline uint32_t items_lists(const struct mill_type *type)
{
    return type->kind == MILL_ARRAY ? 1 : 2;
}
/* Of the elements or keys (0), of a MAP's or MULTISET's values (1). */
const struct mill_type *items_type(const struct mill_type *type, uint32_t list);

static inline uint32_t items_count(const struct mill_view *value)
{
    uint32_t count;

    memcpy(&count, mill_view_data(value), 4);
    return count;
}
/* List @list of a value, which must outlive it (a short one too: its bytes lie in the view). */
struct items items_of(const struct mill_type *type, const struct mill_view *value, uint32_t list);
struct cell items_cell(const struct items *items, uint32_t i);
/* Field @i of a ROW's bytes, from 0 on in turn; @at: NULL, then what the call before returned. */
const char *row_field(const struct mill_type *type, const struct cell *row, uint32_t i,
                      const char *at, struct cell *out);
/* Whether bytes that come from outside are a value. */
bool items_valid(const struct mill_type *type, const char *bytes, size_t length);

/* Order of items of @type: numbers by value (-0.0 before 0.0, NaN last), texts and all else by bytes, NULL first. 0: the same. */
int cell_compare(const struct mill_type *type, const struct cell *a, const struct cell *b);
/* The value at @row; fields of a ROW that are not there are NULL. A ROW's bytes are made, others stay where they are. */
bool cell_of(struct supply supply, const struct column *c, uint32_t row,
             const struct mill_type *type, struct cell *out);
/* Into row @row of an owned column of @to. @lasts: the item's bytes live as long as @to's; else they are copied. */
bool cell_put(struct batch *to, struct column *into, uint32_t row, const struct mill_type *type,
              const struct cell *cell, bool lasts);

/* A value of @count items, in new bytes where it is long. @second: MAP's values; keys must be in order (items_unite()). Length
 * UINT32_MAX: no memory, or more than ITEMS_BYTES_MAX. */
struct mill_view items_make(struct supply supply, const struct mill_type *type,
                            const struct cell *first, const struct cell *second, uint32_t count);
/* Puts the keys of a MAP or MULTISET in order; of equal ones the last stays, MULTISET: with the sum of all. Returns how many are
 * left; UINT32_MAX: no memory. */
uint32_t items_unite(struct supply supply, const struct mill_type *type, struct cell *keys,
                     struct cell *values, uint32_t count);

/* A cell as bytes that others can follow: length (u32, UINT32_MAX: NULL) and bytes. For what aggregates collect. */
static inline size_t cell_packed_bytes(const struct cell *cell)
{
    return 4 + (cell->null ? 0 : (size_t)cell->length);
}
char *cell_pack(char *to, const struct mill_type *type, const struct cell *cell);
/* The next of them; returns behind it. */
const char *cell_unpack(const char *from, struct cell *out);

#endif
