/* core/state/table.h - groups by key: open addressing, batched.
 *
 * A key layout says which columns make the key. One number column is a *narrow* key (an int64, looked up as it is); anything
 * else is *wide*: its memcmp-able encoding (NULL first, ascending) is the key, looked up by hash and compared as bytes. A single text is
 * looked up as it lies in the batch: its encoding's hash is that of the bytes between the marks.
 * Keys of a batch are prepared once (keys_prepare) and then looked up in any number of tables.
 *
 *   buckets of 8 words and 8 ids fill from the left, so an empty id ends the search
 *   while all narrow keys lie in a small range, an array by key stands for the buckets: index[key - base] = id + 1
 *   group ids are dense: 0 .. groups-1 in order of appearance; state of group id = states + id * state_bytes
 *   state pointers are good until the next table_lookup()
 *
 * Keys that are made to meet in one place (more than 64 full buckets in a row) make the table take another, seeded hash.
 * NULL is one group, NaN is one group, -0.0 is 0.0. Strings are copied into the table.
 * Threads: one shard.   Errors: false without memory; the caller names the operator.   Includes: batch.h, snapshot.h
 */
#ifndef MILL_TABLE_H
#define MILL_TABLE_H

#include "core/batch.h"
#include "core/state/shape.h"
#include "core/state/snapshot.h"

#define TABLE_NO_GROUP UINT32_MAX

struct key_part {
    uint32_t column;
    struct mill_type type;
};

struct key_layout {
    struct heap *heap;
    struct key_part *parts;
    uint32_t count;
    bool narrow;                    /* one column of up to 8 bytes */
    bool text;                      /* wide: one column of texts */
    uint32_t stride;                /* wide, numbers only: bytes of a key without NULLs; else 0 */
    enum phys phys;                 /* of a narrow key */
    const struct mk_table *kernels; /* the plain ones, until the owner sets better ones */
};

bool key_layout_open(struct key_layout *layout, struct heap *heap, const struct mill_schema *schema,
                     const uint32_t *columns, uint32_t count);
void key_layout_close(struct key_layout *layout);

/* The prepared keys of up to BATCH_ROWS_MAX rows. */
struct key_batch {
    struct heap *heap;
    const int64_t *words; /* narrow: the key (may lie in the batch); wide: its hash */
    int64_t *own_words, *picked;
    uint8_t *nulls; /* narrow: 1 where the key is NULL */
    bool any_null;
    struct mill_view *views; /* wide: the encoded key, */
    bool raw;                /* or (text) the texts themselves: none is NULL or holds a zero byte */
    uint32_t *ids;           /* scratch of table_lookup() */
    char *bytes;             /* of the encoded keys */
    size_t byte_capacity;
};

bool key_batch_open(struct key_batch *keys, struct heap *heap);
void key_batch_close(struct key_batch *keys);
/* Keys of rows[0 .. count) (NULL: rows 0 .. count-1) at positions 0 .. count-1. */
bool keys_prepare(const struct key_layout *layout, const struct batch *batch, const uint16_t *rows,
                  uint32_t count, struct key_batch *keys);

struct table {
    struct heap *heap;
    const struct key_layout *layout;
    uint64_t seed;
    uint64_t view_seed; /* wide: 0, or of the hash that took over when too many keys met */
    uint32_t state_bytes;
    uint32_t groups, capacity; /* room for states and group keys: the least of the three below */
    uint32_t state_room, word_room, view_room;
    uint32_t null_group; /* narrow: id of NULL, or TABLE_NO_GROUP */
    uint32_t shift;      /* bucket = hash >> shift */
    uint64_t buckets;    /* power of two, 0: none yet */
    int64_t *words;      /* buckets x 8 */
    uint32_t *ids;       /* buckets x 8: id + 1, 0 = empty */
    uint32_t *index;     /* by key, NULL: buckets */
    int64_t index_base;
    uint32_t index_room;
    char *states;
    int64_t *group_words;          /* narrow key or hash of each group */
    struct mill_view *group_views; /* wide keys */
    struct arena bytes;            /* long wide keys */
};

/* @hint: groups to expect. Allocates nothing before the first group. */
void table_open(struct table *table, struct heap *heap, const struct key_layout *layout,
                uint32_t state_bytes, uint64_t seed);
void table_close(struct table *table); /* frees no state's hangings */
/* Forgets all groups and keeps the memory for about as many again. Frees no state's hangings. */
void table_reset(struct table *table);
/* Its memory is not far too large for what is in it. */
bool table_is_filled(const struct table *table);
bool table_reserve(struct table *table, uint32_t groups);
/* Finds or adds the keys at which[0 .. count) (NULL: 0 .. count-1) of @keys; states[i] receives the state of the i-th.
 * New groups have the ids from the old table->groups on; their states are not initialised. */
bool table_lookup(struct table *table, const struct key_batch *keys, const uint16_t *which,
                  uint32_t count, void **states);
/* Only finds: ids[i] is the id of the group of the i-th, or TABLE_NO_GROUP. */
void table_find(const struct table *table, const struct key_batch *keys, const uint16_t *which,
                uint32_t count, uint32_t *ids);
/* Finds or adds group @id of @from (same layout); its id here, or TABLE_NO_GROUP without memory. */
uint32_t table_adopt(struct table *table, const struct table *from, uint32_t id);
/* A table of the groups whose state is not @is_empty takes the place of this one: their states come along, all ids change.
 * @empty: how many go. False without memory for it: the old one serves on. */
bool table_compact(struct table *table, uint32_t empty, bool (*is_empty)(const void *state));
/* The same, if it is worth it: those that are @gone are many, and at least half. */
void table_tidy(struct table *table, bool (*gone)(const void *state, const void *user),
                const void *user);
/* Adds the one group of a table without key columns. */
bool table_single(struct table *table);
bool table_valid(const struct table *table);

/* Adds to @shape; looks for about @sample groups, evenly spread (0: for none). */
void table_inspect(const struct table *table, uint32_t sample, struct table_shape *shape);
uint64_t table_bytes(const struct table *table);

static inline void *table_state(const struct table *table, uint32_t id)
{
    return table->states + (size_t)id * table->state_bytes;
}

/* Soon the state, or the key, of a group is read. */
static inline void *table_prefetch(const struct table *table, uint32_t id)
{
    void *state = table_state(table, id);

    __builtin_prefetch(state);
    return state;
}
static inline void table_prefetch_key(const struct table *table, uint32_t id)
{
    __builtin_prefetch(&table->group_words[id]);
}

/* Encoded key of a group: appended to @to (with room for table_key_bytes()); returns the bytes written. */
uint32_t table_key_bytes(const struct table *table, uint32_t id);
uint32_t table_key_put(const struct table *table, uint32_t id, char *to);
/* Key part @part of group @id into row @row of an owned column. False without memory. */
bool table_key_value(const struct table *table, uint32_t id, uint32_t part, struct batch *batch,
                     struct column *column, uint32_t row);

/* The same of ids[0 .. count) into rows 0 .. count-1. */
bool table_key_values(const struct table *table, const uint32_t *ids, uint32_t count, uint32_t part,
                      struct batch *batch, struct column *column);

void table_key_snapshot(const struct table *table, uint32_t id, struct snapshot_writer *to);
/* Adds a group from a snapshot; its id, or TABLE_NO_GROUP. */
uint32_t table_key_restore(struct table *table, struct snapshot_reader *from);

/* Big-endian with the sign flipped: orders as bytes. */
static inline uint32_t key_put_i64(char *to, int64_t value)
{
    const uint64_t be = __builtin_bswap64((uint64_t)value ^ 1ull << 63);

    memcpy(to, &be, 8);
    return 8;
}

#endif
