/* core/ops/agg_impl.h - how the states of aggregates lie in memory; for aggregate.c and its agg_*.c only.
 *
 *   state = seen words (bit i: aggregate i has a value) | step, row of the step (float sums) | slots
 * A float sum is { total, partial[lanes] }; both start at -0.0, the one value that adds nothing to any other.
 * Threads: one shard.   Errors: false without memory.   Includes: aggregate.h
 */
#ifndef MILL_AGG_IMPL_H
#define MILL_AGG_IMPL_H

#include "core/ops/aggregate.h"
#include "kernels/agg.h"

#define AGG_LANES 8u   /* keyless float sums, on every machine */
#define AGG_BLOCK 512u /* rows per pass over the slots: their states stay in L1 */
#define AGG_NO_STEP UINT64_MAX
#define AGG_FOLD_WORDS_MIN 3u /* fewer words: slot by slot is as fast, and the state stays small */
#define AGG_FOLD_LINES_MAX 16u

typedef int128 __attribute__((aligned(8))) int128_at8;
typedef uint128 __attribute__((aligned(8))) uint128_at8;

enum acc {
    ACC_COUNT, /* int64 */
    ACC_SUM64,
    ACC_SUM128,
    ACC_SUM192,   /* integers, exact; a count follows for AVG */
    ACC_FSUM,     /* total, partial[lanes]; a count follows for AVG */
    ACC_MOMENTS,  /* count, sum (128), squares (192), all exact */
    ACC_FMOMENTS, /* count, sum, squares as FSUM */
    ACC_MIN64,
    ACC_MAX64, /* int64 that orders like the value */
    ACC_MIN128,
    ACC_MAX128,
    ACC_MINVIEW,
    ACC_MAXVIEW,
    ACC_FIRST,
    ACC_LAST,    /* step, place, value of up to 16 bytes */
    ACC_LIST,    /* struct agg_list * */
    ACC_USER,    /* the function's own */
    ACC_DISTINCT /* struct agg_distinct * */
};

struct agg_slot {
    struct agg_spec spec;
    enum acc acc;
    enum acc plain;       /* ACC_DISTINCT: how its values are then aggregated */
    enum phys phys;       /* of the argument */
    uint32_t at;          /* offset in the state */
    uint32_t count_at;    /* offset of the count, 0: none */
    uint32_t plain_bytes; /* ACC_DISTINCT: a slot of the plain kind */
    uint32_t separator_bytes;
};

/* An argument of the block at hand as 64-bit values. */
struct agg_source {
    int32_t arg;
    bool ordered; /* doubles as integers that order like them */
    const int64_t *values;
};

/* What one block adds: states[i] gets row rows[i] in lane lane[i]. */
struct agg_block {
    const struct batch *batch;
    char *const *states;
    const uint16_t *rows;
    const uint8_t *lane;
    uint32_t count;
    bool one;        /* all states are states[0]; lane[i] = (lane[0] + i) % AGG_LANES */
    bool contiguous; /* rows[i] = rows[0] + i */
    uint64_t marked; /* aggregates whose seen bits are set already */
};

/* With fold_lines > 0 the state is that many lines of 64 bytes, and no sum lies across two. */
struct agg_set {
    struct heap *heap;
    const struct mk_table *kernels;
    struct agg_slot *slots;
    uint32_t count, seen_words, state_bytes;
    char *blank; /* a state without rows */
    bool flat;
    bool retracts;             /* of agg_set_new_retractable() */
    uint32_t step_at;          /* offset of { step, rows of the step }, 0: no float sums */
    uint32_t lanes;            /* 1 or AGG_LANES */
    uint32_t *sums, sum_count; /* offsets of all float sums, at most 2 per slot */
    uint32_t fold_lines;       /* 0: slot by slot */
    uint64_t overflows;
    bool rounds; /* sliding: a float sum may have rounded */
    /* Scratch of one block. */
    uint16_t rows_in_turn[BATCH_ROWS_MAX], kept_rows[AGG_BLOCK], zeros[AGG_BLOCK];
    char *kept[AGG_BLOCK];
    uint8_t lane[AGG_BLOCK], kept_lane[AGG_BLOCK], lanes_in_turn[AGG_BLOCK + AGG_LANES];
    int32_t bounded_arg; /* doubles of the block whose order keys have these bounds; -1: none */
    int64_t bounds[2];
    uint32_t source_count;
    struct agg_source sources[MK_FOLD_WORDS];
    int64_t scratch[MK_FOLD_WORDS + 1][AGG_BLOCK];
};

/* Values of one group in order of arrival (until one is taken back), each once. Normalised: see agg_normal(). */
struct agg_distinct {
    uint32_t count, capacity, slots;
    uint32_t *index; /* slots entries: element + 1, 0: empty */
    char *elements;  /* capacity x width */
    int64_t
        *numbers; /* capacity: of rows with each value, where rows can be taken back; else NULL */
    uint32_t extreme; /* element + 1 that is the MIN or MAX, 0: not known */
};

struct agg_item {
    uint64_t step;
    uint32_t place, length;
    char *text;
};
/* Texts of LISTAGG; sorted: items ascend by (step, place). */
struct agg_list {
    uint32_t count, capacity;
    bool sorted;
    struct agg_item *items;
};

static inline int64_t *agg_i64(void *state, uint32_t at)
{
    return (int64_t *)((char *)state + at);
}
static inline double *agg_f64(void *state, uint32_t at)
{
    return (double *)((char *)state + at);
}
static inline uint64_t *agg_seen(void *state, uint32_t i)
{
    return (uint64_t *)state + (i >> 6);
}
static inline bool agg_is_seen(const void *state, uint32_t i)
{
    return (((const uint64_t *)state)[i >> 6] >> (i & 63) & 1) != 0;
}

/* Order of doubles as integers: -inf < ... < -0.0 < 0.0 < ... < +inf < NaN (every NaN is the same). */
static inline int64_t agg_order_f64(double v)
{
    int64_t bits;

    if (UNLIKELY(v != v))
        return 0x7ff8000000000000;
    memcpy(&bits, &v, 8);
    return bits ^ (int64_t)((uint64_t)(bits >> 63) >> 1);
}
static inline double agg_unorder_f64(int64_t key)
{
    const int64_t bits = key ^ (int64_t)((uint64_t)(key >> 63) >> 1);
    double v;

    memcpy(&v, &bits, 8);
    return v;
}

static inline double agg_fold(const double *lane, uint32_t lanes)
{
    if (lanes == 1)
        return lane[0];
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) +
           ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

static inline void agg_add192(void *at, int128 value)
{
    uint128_at8 *low = at;
    int64_t *high = (int64_t *)at + 2;
    const uint128 old = *low;

    *low = old + (uint128)value;
    *high += (value < 0 ? -1 : 0) + (*low < old);
}

/* aggregate.c. Bytes of a slot. */
uint32_t agg_acc_bytes(enum acc acc, enum phys phys, uint32_t lanes);
static inline uint32_t agg_slot_bytes(const struct agg_set *set, const struct agg_slot *slot)
{
    return slot->acc == ACC_USER ? ALIGN_UP(slot->spec.user->state_bytes, 8u)
                                 : agg_acc_bytes(slot->acc, slot->phys, set->lanes);
}

/* agg_user.c: aggregates of libraries. */
void agg_user_add(const struct agg_slot *slot, const struct agg_block *b);
void agg_user_retract(const struct agg_slot *slot, void *at, const struct batch *batch,
                      uint32_t row);
/* 1: has a value, 0: NULL, -1: no memory. */
int agg_user_value(const struct agg_slot *slot, const char *at, struct batch *batch,
                   struct column *out, uint32_t row);

/* agg_fold.c */
bool agg_slot_folds(const struct agg_slot *slot);
const int64_t *agg_block_values(struct agg_set *set, const struct agg_slot *slot,
                                const struct agg_block *b);
/* Adds the block to all slots that the kernel can fold; returns their bits. */
uint64_t agg_fold_block(struct agg_set *set, const struct agg_block *b);
/* agg_add.c. The seen bits and the step of each state, and the lanes of its rows. */
void agg_enter_step(struct agg_set *set, const struct agg_block *b);
/* Puts total and partial of all float sums of @state into total: its step is over. */
void agg_roll(const struct agg_set *set, void *state, uint64_t step);
/* Sets a slot to no rows. */
void agg_slot_init(const struct agg_set *set, const struct agg_slot *slot, enum acc acc, char *at);
/* Adds one value (int64 order key or number, double, int128, as the accumulator takes it). */
void agg_slot_add(const struct agg_set *set, const struct agg_slot *slot, enum acc acc, char *at,
                  uint32_t count_at, const void *normal);

/* @a += @b, slots of two states; @into_seen: @a has a value. False without memory. */
bool agg_slot_merge(struct agg_set *set, const struct agg_slot *slot, char *a, const char *b,
                    bool into_seen);

/* agg_distinct.c. Width of normalised values: 8 (integers, order keys), 16 (decimals, views). */
uint32_t agg_normal_width(enum phys phys);
/* The value at @row: -0.0 becomes 0.0, all NaN one; views still point into the column. */
void agg_normal(enum phys phys, const struct column *column, uint32_t row, void *to);
/* 1: new, 0: was there, -1: no memory. Copies far bytes. */
int agg_distinct_add(const struct agg_set *set, const struct agg_slot *slot,
                     struct agg_distinct **at, const void *normal);
/* The values of a block's rows, each to the set of its state. False: no memory. */
bool agg_distinct_add_block(const struct agg_set *set, const struct agg_slot *slot,
                            const struct agg_block *b, const struct column *column);
/* Takes one row with the value back. False: there is none. */
bool agg_distinct_remove(const struct agg_set *set, const struct agg_slot *slot,
                         struct agg_distinct *d, const void *normal);
/* The element that is the MIN (@most false) or MAX of at least one. */
const char *agg_distinct_extreme(const struct agg_slot *slot, struct agg_distinct *d, bool most);
bool agg_distinct_merge(const struct agg_set *set, const struct agg_slot *slot,
                        struct agg_distinct **into, const struct agg_distinct *from);
void agg_distinct_free(const struct agg_set *set, const struct agg_slot *slot,
                       struct agg_distinct *distinct);
/* Sorts a copy of the elements' numbers by value into @order (count entries). */
void agg_distinct_order(const struct agg_slot *slot, const struct agg_distinct *distinct,
                        uint32_t *order);

bool agg_list_add(const struct agg_set *set, struct agg_list **at, uint64_t step, uint32_t place,
                  const char *text, uint32_t length);
bool agg_list_merge(const struct agg_set *set, struct agg_list **into, const struct agg_list *from);
void agg_list_free(const struct agg_set *set, struct agg_list *list);
/* The joined text, in @batch. View of length UINT32_MAX: no memory. */
struct mill_view agg_list_value(const struct agg_set *set, const struct agg_slot *slot,
                                struct agg_list *list, struct batch *batch);

/* A view whose far bytes are the state's own. */
bool agg_view_set(const struct agg_set *set, struct mill_view *own, const struct mill_view *value);
void agg_view_free(const struct agg_set *set, struct mill_view *own);

#endif
