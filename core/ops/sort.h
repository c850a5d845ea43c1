/* core/ops/sort.h - ORDER BY: how rows compare, and what SORT and LIMIT do.
 *
 * NULL is the least value unless NULLS FIRST or LAST says where it goes; texts compare by bytes; -0.0 < 0.0 < ... < NaN.
 *
 * Includes: batch.h
 */
#ifndef MILL_SORT_H
#define MILL_SORT_H

#include "core/batch.h"
#include "core/memory.h"

struct sort_column {
    uint32_t column;
    struct mill_type type; /* not a ROW */
    bool descending;
    bool nulls_last;
};

struct sort_node { /* SORT, LIMIT */
    const struct sort_column *columns;
    uint32_t column_count;
    int32_t
        time; /* SORT: input column of the event time that comes first, ascending; -1: sorted at the end of the input */
    struct mill_type time_type;
    uint64_t offset, limit; /* rows offset .. offset + limit - 1 leave; limit UINT64_MAX: all */
};

/* Below, equal, above: a value (NULL: not @a_valid) of row a against that of row b. */
int sort_compare_value(const struct sort_column *by, const void *a, bool a_valid, const void *b,
                       bool b_valid);
/* Rows of two batches (columns by by[i].column). */
int sort_compare(const struct sort_column *by, uint32_t count, const struct batch *a,
                 uint32_t a_row, const struct batch *b, uint32_t b_row);
/* The first 64 bits of how a value compares: a < b if its prefix is less. Equal prefixes: compare. */
uint64_t sort_prefix(const struct sort_column *by, const void *value, bool valid);

struct sort_item {
    uint64_t prefix;
    const struct batch *rows;
    uint32_t row, index; /* index: the caller's */
};

static inline struct sort_item sort_item(const struct sort_column *by, uint32_t count,
                                         const struct batch *rows, uint32_t row, uint32_t index)
{
    const struct column *c = count > 0 ? &rows->columns[by[0].column] : NULL;
    const char *value = c != NULL ? (const char *)c->values +
                                        (size_t)(c->constant ? 0 : row) * type_width(&by[0].type)
                                  : NULL;

    return (struct sort_item){.prefix =
                                  c != NULL ? sort_prefix(&by[0], value, column_valid(c, row)) : 0,
                              .rows = rows,
                              .row = row,
                              .index = index};
}
/* Merge sort; equal rows keep their order. False without memory: as they were. */
bool sort_items(struct heap *heap, const struct sort_column *by, uint32_t count,
                struct sort_item *items, uint64_t item_count);

#endif
