/* core/state/rows.h - the row store: rows by 32-bit id, column by column, and chains of them per key.
 *
 * Rows lie in blocks of ROWS_BLOCK; a block is one piece of memory, all of one layout, so a value is found by its block's
 * address, its cell's offset and its number: data[id / ROWS_BLOCK] + offset + (id % ROWS_BLOCK) * width. A column is a cell; a
 * ROW column is a cell without values, then its fields'. Texts are copied into the block's arena.
 *
 *   an id stays what it is until rows_free(); a block whose rows are all gone gives its memory back, its number is used again
 *   the open block takes new rows in ascending slots; when it is full, a block at least half of whose slots are free comes
 *   next (the texts of its dead rows are dropped then), else a new one: so slots < 2 x (rows + ROWS_BLOCK) + those of blocks more than half full
 *   a chain is singly linked through the rows' next ids, in the order of chain_push(); head, tail and count stand with its owner, usually
 *   the state of a group of core/state/table.h
 *
 * For joins and whatever keeps rows per key. Threads: one shard.   Errors: false without memory: what was there stays.
 * Includes: batch.h, snapshot.h
 */
#ifndef MILL_ROWS_H
#define MILL_ROWS_H

#include "core/batch.h"
#include "core/state/snapshot.h"

#define ROWS_BLOCK 1024u /* rows of a block */
#define ROWS_BLOCK_BITS 10u
#define ROW_NONE UINT32_MAX

/* What is kept beside the columns, one value per row; or them. */
enum rows_extra {
    ROWS_TIME = 1,  /* int64 */
    ROWS_PLACE = 2, /* step, and place in it */
    ROWS_MARK = 4   /* uint32 for the owner: 0 at first, copied into no snapshot but rows_save() */
};

struct rows_cell {
    struct mill_type type;
    uint32_t width; /* 0: a ROW, only validity */
    uint32_t cells; /* of a column, with its fields' */
    size_t offset;  /* of its values, */
    size_t nulls;   /* and of its bits: 1 is NULL */
    bool any_null;  /* some row had NULL here */
};

struct rows_block {
    struct arena bytes; /* of texts */
    uint64_t used[ROWS_BLOCK / 64];
    uint32_t live;
    uint32_t before, after; /* in the list of blocks with room, or ROW_NONE */
    bool with_room;
};

struct row_store {
    struct heap *heap;
    uint32_t column_count;
    const uint32_t *columns; /* kept columns of the batches that are appended; NULL: all */
    uint32_t *first_cell;    /* per kept column */
    struct rows_cell *cells;
    uint32_t cell_count;
    uint32_t extra;
    size_t times, steps, places, marks; /* offsets; next ids stand first */
    size_t block_bytes;
    char **data; /* per block; NULL: its number is free */
    struct rows_block *blocks;
    uint32_t block_count, block_room, blocks_held;
    uint32_t free_numbers; /* list through after */
    uint32_t roomy;        /* list of blocks with room */
    uint32_t open, cursor; /* block that takes rows, and its next slot to look at; ROW_NONE: none */
    char *spare;           /* a block's memory, or NULL */
    uint64_t rows;
};

struct row_chain {
    uint32_t head, tail, count;
};

/* Keeps columns[0 .. count) (input columns of @schema; NULL: all), both of which must outlive the store. Allocates the layout only. */
bool rows_open(struct row_store *store, struct heap *heap, const struct mill_schema *schema,
               const uint32_t *columns, uint32_t count, uint32_t extra);
void rows_close(struct row_store *store); /* zeroed, or opened */
/* Forgets all rows. */
void rows_reset(struct row_store *store);

/* Copies rows[0 .. count) (NULL: rows 0 .. count-1) of @batch; their ids go to ids[0 .. count). With ROWS_PLACE step and place come from
 * the batch; times are set by the caller (rows_time()), marks are 0. False: no memory, none of them stays. */
bool rows_append(struct row_store *store, const struct batch *batch, const uint16_t *rows,
                 uint32_t count, uint32_t *ids);
/* The rows must be live, and no chain may hold them any more. */
void rows_free(struct row_store *store, const uint32_t *ids, uint32_t count);
/* Kept column @column of ids[0 .. count), ROW_NONE: NULL, into rows at .. at + count of an owned column of @to, texts copied. */
bool rows_gather(const struct row_store *store, const uint32_t *ids, uint32_t count,
                 uint32_t column, struct batch *to, struct column *into, uint32_t at);
/* All kept columns of row @id are as those of row @row of @batch, NULL like NULL, numbers bit by bit. */
bool rows_equal(const struct row_store *store, uint32_t id, const struct batch *batch,
                uint32_t row);

/* One row with its extras; restoring gives it an id, ROW_NONE: damaged or no memory. */
void rows_save(const struct row_store *store, uint32_t id, struct snapshot_writer *to);
uint32_t rows_restore(struct row_store *store, struct snapshot_reader *from);

uint64_t rows_bytes(const struct row_store *store); /* held now */
bool rows_valid(const struct row_store *store);

/* ---- what belongs to one row ---- */

static inline char *rows_data(const struct row_store *store, uint32_t id)
{
    return store->data[id >> ROWS_BLOCK_BITS];
}
static inline uint32_t *rows_next(const struct row_store *store, uint32_t id)
{
    return (uint32_t *)rows_data(store, id) + id % ROWS_BLOCK;
}
static inline int64_t *rows_time(const struct row_store *store, uint32_t id)
{
    return (int64_t *)(rows_data(store, id) + store->times) + id % ROWS_BLOCK;
}
static inline uint64_t *rows_step(const struct row_store *store, uint32_t id)
{
    return (uint64_t *)(rows_data(store, id) + store->steps) + id % ROWS_BLOCK;
}
static inline uint32_t *rows_place(const struct row_store *store, uint32_t id)
{
    return (uint32_t *)(rows_data(store, id) + store->places) + id % ROWS_BLOCK;
}
static inline uint32_t *rows_mark(const struct row_store *store, uint32_t id)
{
    return (uint32_t *)(rows_data(store, id) + store->marks) + id % ROWS_BLOCK;
}
/* Value of kept column @column (not a ROW) of a row, and whether it is one. */
static inline const void *rows_value(const struct row_store *store, uint32_t id, uint32_t column)
{
    const struct rows_cell *cell = &store->cells[store->first_cell[column]];

    return rows_data(store, id) + cell->offset + (size_t)(id % ROWS_BLOCK) * cell->width;
}
static inline bool rows_value_valid(const struct row_store *store, uint32_t id, uint32_t column)
{
    const struct rows_cell *cell = &store->cells[store->first_cell[column]];
    const uint64_t *nulls = (const uint64_t *)(rows_data(store, id) + cell->nulls);

    return (nulls[id % ROWS_BLOCK >> 6] >> (id & 63) & 1) == 0;
}

/* ---- chains ---- */

static inline void chain_open(struct row_chain *chain)
{
    *chain = (struct row_chain){ROW_NONE, ROW_NONE, 0};
}
static inline void chain_push(const struct row_store *store, struct row_chain *chain, uint32_t id)
{
    *rows_next(store, id) = ROW_NONE;
    if (chain->count++ == 0)
        chain->head = id;
    else
        *rows_next(store, chain->tail) = id;
    chain->tail = id;
}
/* Takes the row behind @before (ROW_NONE: the head) out of the chain; its id. The row stays in the store. */
static inline uint32_t chain_take(const struct row_store *store, struct row_chain *chain,
                                  uint32_t before)
{
    const uint32_t id = before == ROW_NONE ? chain->head : *rows_next(store, before);
    const uint32_t after = *rows_next(store, id);

    if (before == ROW_NONE)
        chain->head = after;
    else
        *rows_next(store, before) = after;
    if (chain->tail == id)
        chain->tail = before;
    chain->count--;
    return id;
}
/* chains[i] takes ids[i], in order; the same chain may stand many times. */
void chain_push_all(const struct row_store *store, struct row_chain *const *chains,
                    const uint32_t *ids, uint32_t count);
/* Frees the rows of the chain and empties it. */
void chain_free(struct row_store *store, struct row_chain *chain);
/* All rows of a chain in order. Restoring fills an empty one; false: damaged or no memory. */
void chain_save(const struct row_store *store, const struct row_chain *chain,
                struct snapshot_writer *to);
bool chain_restore(struct row_store *store, struct row_chain *chain, struct snapshot_reader *from);
bool chain_valid(const struct row_store *store, const struct row_chain *chain);

#endif
