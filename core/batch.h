/* core/batch.h - columnar micro-batches: columns, selection vector, place, pool.
 *
 * Who holds the pointer of a batch is alone with it; pushing it into a ring gives it away.
 *   live <= rows <= BATCH_ROWS_MAX       selection[0 .. live) strictly ascending, < rows
 *   selection == NULL: all rows live, live == rows
 *   home never changes: the memory returns to that shard's pool
 * A column's values stand at their row's index; a filter changes the selection and copies nothing.
 *
 * Threads: one at a time.   Errors: NULL without memory.   Includes: types.h, memory.h
 */
#ifndef MILL_BATCH_H
#define MILL_BATCH_H

#include "core/memory.h"
#include "core/types.h"

/* One column. @constant: row 0's value (and validity) stands for every row.
 * Unlike public mill_column, values may be written by the batch's holder. Columns may *borrow* values
 * (of a memory table, a raw columnar file, another column of the same batch): never free them, and
 * write only into columns that column_own() gave. */
struct column {
    void *values;            /* rows x width; ROW: NULL */
    uint64_t *validity;      /* bit r: row r is not NULL; NULL: no NULLs */
    struct column *children; /* ROW: one per field; a NULL ROW's children are NULL too */
    uint32_t child_count;
    bool constant;
};

/* What a row of an updating stream does; as in Flink's changelogs. */
enum row_kind { ROW_INSERT = 0, ROW_UPDATE_BEFORE = 1, ROW_UPDATE_AFTER = 2, ROW_DELETE = 3 };
/* +1: the row is there from now on; -1: it is no more. */
static inline int row_kind_weight(int8_t kind)
{
    return kind == ROW_INSERT || kind == ROW_UPDATE_AFTER ? 1 : -1;
}

/* What class of result the rows are; batches of one step leave a stage in this order. */
enum batch_class { CLASS_ROWS = 0, CLASS_FIRED = 1, CLASS_PASSED = 2 /* of markers: all */ };

struct batch {
    uint64_t step;
    uint32_t rows, live;
    uint32_t capacity; /* rows that owned columns have room for */
    uint16_t home, at; /* shard of its pool; shard that holds it now */
    uint16_t column_count;
    uint16_t *selection;       /* NULL: all rows */
    uint16_t *selection_store; /* room for capacity entries; selection points here or is NULL */
    struct column *columns;
    int8_t *row_kinds; /* enum row_kind of each row; NULL: all inserts */

    /* Place and time: docs/ARCHITECTURE.md, "The one order". */
    uint8_t class_;      /* enum batch_class */
    uint16_t edge;       /* plan edge that it travels on, set by the exchange */
    uint32_t origin;     /* CLASS_FIRED: id of the operator that fired */
    uint32_t split;      /* global split number of the step */
    uint32_t place_base; /* place of row r is place ? place[r] : place_base + r */
    uint32_t *place;
    int64_t *behind; /* g of each row (TIME_MIN: not behind), or NULL: no row is */
    /* memcmp-able position of each row: CLASS_FIRED instead of its place, CLASS_ROWS behind it (core/ops/emit.h) */
    struct mill_view *order_keys;
    uint64_t *hashes; /* hash of the exchange's key columns per row, or NULL */

    /* the values of rows 0 .. rows-1 in the column that begins at @bounded lie between least and greatest; NULL: not known */
    const void *bounded;
    int64_t least, greatest;

    struct batch *base; /* a shell borrows its columns from base and releases it with itself */
    struct batch *
        lent; /* travels in place of copies: the share of it that comes back when this batch is home */
    uint32_t shares;    /* further holders: release() only counts down until it is 0 */
    bool marker;        /* no rows: says only which position its sender has reached */
    bool of_row;        /* marker: its sender has or had a row of that very position */
    struct batch *next; /* of a list of the holder */
    struct pool *pool;  /* NULL: batch_free() frees it */
    struct arena bytes; /* string bytes, owned columns; reset when the batch goes home */
};

/* A new batch outside any pool. All its columns are empty; see batch_own_columns(). */
struct batch *batch_new(struct heap *heap, uint32_t capacity, uint32_t column_count);
void batch_free(struct batch *batch);
/* Makes @shell (reset, any column count) show the rows of @base without a copy: its own column table,
 * selection and place over borrowed values. Takes a share of @base, which @shell's release gives back. False
 * without memory (no share taken). Both belong to one shard. */
bool batch_borrow(struct batch *shell, struct batch *base);
/* Makes @to (of a shared pool) show the live rows[0 .. count) of @base to another shard. The share of @base comes back
 * when @to is home again, so @base is counted by its own shard only. False without memory (no share taken). */
bool batch_lend(struct batch *to, struct batch *base, const uint16_t *rows, uint32_t count);
/* Takes @batch: to its pool, or frees it. */
void batch_release(struct batch *batch);
/* Forgets rows, columns, place and bytes; keeps memory. */
void batch_reset(struct batch *batch, uint32_t column_count);

/* Gives @column storage of its own for batch->capacity rows of @type from the batch's arena, no validity,
 * ROW children too. Old content is forgotten. False without memory. */
bool column_own(struct batch *batch, struct column *column, const struct mill_type *type);
bool batch_own_columns(struct batch *batch, const struct mill_schema *schema);
/* All-valid bitmap to clear bits in. False without memory. */
bool column_own_validity(struct batch *batch, struct column *column);
/* Kinds to write for all rows that @batch has room for, ROW_INSERT at first. False without memory. */
bool batch_own_kinds(struct batch *batch);
/* Copies bytes into the batch; short ones lie in the view. A view of length UINT32_MAX: no memory. */
struct mill_view batch_view(struct batch *batch, const char *data, uint32_t length);

static inline bool column_valid(const struct column *c, uint32_t row)
{
    const uint32_t r = c->constant ? 0 : row;

    return c->validity == NULL || (c->validity[r >> 6] >> (r & 63) & 1) != 0;
}
static inline void column_set_null(struct column *c, uint32_t row)
{
    c->validity[row >> 6] &= ~(1ull << (row & 63));
}
static inline uint32_t batch_row(const struct batch *b, uint32_t i) /* the i-th live row */
{
    return b->selection != NULL ? b->selection[i] : i;
}
static inline uint32_t batch_place(const struct batch *b, uint32_t row)
{
    return b->place != NULL ? b->place[row] : b->place_base + row;
}
/* Appends the live rows first .. first+count of @from to @to (owned columns, same schema); far string
 * bytes are copied into @to. Also copies kinds, place, behind, hashes and order keys where @from has them.
 * Returns how many fitted; 0 when full, -1 without memory. */
int batch_append(struct batch *to, const struct batch *from, const uint16_t *rows, uint32_t count,
                 const struct mill_schema *schema);
/* Copies the value (or NULL) of row @from_row into row @row of an owned column of @to; far bytes too. */
bool column_put(struct batch *to, struct column *into, uint32_t row, const struct column *from,
                uint32_t from_row, const struct mill_type *type);
/* The same for rows[0 .. count) (NULL: 0 .. count-1) of @from to rows at .. at + count - 1. */
bool column_gather(struct batch *to, struct column *into, uint32_t at, const struct column *from,
                   const uint16_t *rows, uint32_t count, const struct mill_type *type);
/* Makes row @row of an owned column NULL, and what lies in a ROW. */
bool column_put_null(struct batch *to, struct column *into, uint32_t row);
/* A row that is written anew: it, and what lies in a ROW, may have been NULL. */
void column_set_valid(struct column *column, uint32_t row);
/* Whether two rows have the same value, bit by bit, or are NULL both. Not of a ROW. */
bool column_same(const struct column *column, uint32_t a, uint32_t b, const struct mill_type *type);
static inline int8_t batch_kind(const struct batch *b, uint32_t row)
{
    return b->row_kinds != NULL ? b->row_kinds[row] : ROW_INSERT;
}
/* Walker for tests and MILL_DEBUG=2. */
bool batch_valid(const struct batch *batch, const struct mill_schema *schema);

/* ---- pools: a bounded number of batches, which go home -------------------------------------- */

struct pool;
/* @least batches now, up to @most when they are needed. */
struct pool *pool_new(struct heap *heap, uint32_t least, uint32_t most, uint32_t capacity,
                      uint16_t home);
/* For batches that stay in one shard: takes more memory instead of running empty. */
struct pool *pool_new_growing(struct heap *heap, uint32_t capacity, uint16_t home);
/* Opens one return ring per shard of the program; before any other thread touches the pool. */
bool pool_share(struct pool *pool, uint32_t shard_count);
/* NULL: empty, that is back-pressure; or, if it is not exhausted, no memory. */
struct batch *pool_take(struct pool *pool);
bool pool_exhausted(const struct pool *pool); /* has all the batches it may have */
/* Takes @batch, given back by shard @by_shard (its own: no ring). */
void pool_return(struct pool *pool, struct batch *batch, uint16_t by_shard);
void pool_free(struct pool *pool); /* CHECKs that all batches are home */

#endif
