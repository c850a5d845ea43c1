/* core/ops/aggregate.h - the aggregates of one operator as one fixed-size state per group.
 *
 * A set lays the states of its aggregates side by side in state_bytes (multiple of 8, 8-aligned). What does
 * not fit (DISTINCT sets, LISTAGG text, long strings of MIN and MAX) hangs off it, in the set's heap.
 *
 * FLOAT and DOUBLE sums: { total, partial, step }: values are added to partial in place order; when the step changes,
 * total += partial. So a sum is grouped by step whether it was made by one shard directly or by partials of the
 * front that agg_merge() adds. (No key: 8 lanes by live row of the step, then folded pairwise.)
 *
 * Threads: one shard.   Errors: false without memory.   Includes: batch.h, snapshot.h
 */
#ifndef MILL_AGGREGATE_H
#define MILL_AGGREGATE_H

#include "core/batch.h"
#include "core/state/snapshot.h"

enum agg_kind {
    AGG_COUNT_STAR,
    AGG_COUNT,
    AGG_SUM,
    AGG_MIN,
    AGG_MAX,
    AGG_AVG,
    AGG_STDDEV_POP,
    AGG_STDDEV_SAMP,
    AGG_VAR_POP,
    AGG_VAR_SAMP,
    AGG_FIRST,
    AGG_LAST,
    AGG_LISTAGG,
    AGG_USER,  /* of a library: spec->user */
    AGG_ARRAY, /* ARRAY_AGG and COLLECT: names only, planned as LISTAGG (core/plan/bind_collect.c) */
    AGG_COLLECT
};

#define AGG_USER_ARGS_MAX 64u

struct agg_spec {
    enum agg_kind kind;
    bool distinct;
    int32_t arg;    /* input column, -1: COUNT(*) */
    int32_t filter; /* BOOLEAN input column: FILTER (WHERE ...), -1: none */
    struct mill_type arg_type, result_type;
    const char *separator;            /* LISTAGG */
    bool unordered;                   /* LISTAGG for COLLECT: texts may come in any order */
    const struct mill_function *user; /* USER: arg is a ROW of its arguments */
    const char *name;                 /* for EXPLAIN: "SUM(price)" */
};

/* Flink's result type of an aggregate; false: that argument type does not fit. */
bool agg_result_type(enum agg_kind kind, const struct mill_type *arg, struct mill_type *out);
/* Name as in SQL ("SUM", "STDDEV_SAMP", "FIRST_VALUE" ...) to kind; false: not an aggregate. */
bool agg_find(const char *name, enum agg_kind *out);

struct agg_set;
/* Copies @specs (their strings must outlive the set). NULL without memory. @keyless: fixed lanes for floats. */
struct agg_set *agg_set_new(struct heap *heap, const struct mk_table *kernels,
                            const struct agg_spec *specs, uint32_t count, bool keyless);
/* A set whose rows can be taken back: exact whatever came between. Integer and decimal sums and counts go down again; all
 * else keeps its values with their numbers, float sums add them in ascending order. Not for FIRST, LAST and LISTAGG. */
struct agg_set *agg_set_new_retractable(struct heap *heap, const struct mk_table *kernels,
                                        const struct agg_spec *specs, uint32_t count);
bool agg_retracts(const struct agg_spec *spec);
void agg_set_free(struct agg_set *set);
uint32_t agg_state_bytes(const struct agg_set *set);
/* False where a front must not pre-aggregate: LISTAGG, FIRST/LAST are place bound but mergeable, see agg_merge(). */
bool agg_can_merge_partials(const struct agg_set *set);

void agg_init(const struct agg_set *set, void *state);
void agg_close(struct agg_set *set, void *state); /* frees what hangs off */
/* Adds live row @i of rows[0 .. count) to the state states[i]; rows of equal state come in place order. */
bool agg_add(struct agg_set *set, void *const *states, const struct batch *batch,
             const uint16_t *rows, uint32_t count);
/* Adds all of rows[0 .. count) (NULL: 0 .. count-1) to one state: the keyless and hot-key path. */
bool agg_add_one(struct agg_set *set, void *state, const struct batch *batch, const uint16_t *rows,
                 uint32_t count);
/* Takes back row @row of @batch, which an equal one has been added before (else the result is undefined, not unsafe). */
bool agg_retract(struct agg_set *set, void *state, const struct batch *batch, uint32_t row);
/* @into += @from, where every row of @from came later than those of @into for FIRST/LAST/LISTAGG purposes unless
 * states carry their place. @from stays as it is. Sessions, slices, partials. */
bool agg_merge(struct agg_set *set, void *into, const void *from);
/* A state for another set of the same aggregates in this process: where nothing hangs off it the bytes themselves. @copy as for
 * agg_snapshot(); gives the bytes, good until the state or @copy changes; NULL: no memory. */
const void *agg_pack(const struct agg_set *set, const void *state, struct snapshot_writer *copy,
                     uint32_t *length);
/* agg_merge() with what agg_pack() gave; @scratch is room for a state. False: no memory. */
bool agg_merge_packed(struct agg_set *set, void *into, const char *bytes, uint32_t length,
                      void *scratch);
/* Writes the result of each aggregate into row @row of @out[0 .. count) (owned columns with validity). */
bool agg_values(struct agg_set *set, const void *state, struct batch *batch, struct column *out,
                uint32_t row);
/* The same for rows @first .. @end-1 and the states states[first .. end). */
bool agg_values_of(struct agg_set *set, void *const *states, uint32_t first, uint32_t end,
                   struct batch *batch, struct column *out);
/* ---- sliding states: sums of slices that are added and taken away again (agg_slide.c) ---- */

bool agg_can_slide(const struct agg_set *set);
/* A sliding state begins with a state, whose values agg_values_of() writes. */
uint32_t agg_slide_bytes(const struct agg_set *set);
void agg_slide_init(const struct agg_set *set, void *sliding);
void agg_slide_add(struct agg_set *set, void *sliding, const void *from);
/* Takes away what was added: the same bytes of @from. */
void agg_slide_take(struct agg_set *set, void *sliding, const void *from);
/* Some aggregates cannot be taken away: agg_slide_blank(), then agg_slide_fold() the slices in ascending order. Once true it stays. */
bool agg_slide_folds(const struct agg_set *set);
void agg_slide_blank(const struct agg_set *set, void *sliding);
/* State from + k * agg_state_bytes() goes to sliding state into + ids[k] * into_bytes. */
struct agg_pairs {
    uint32_t count;
    const uint32_t *ids;
    const char *from;
    char *into;
    size_t into_bytes;
};
bool agg_slide_fold(struct agg_set *set, const struct agg_pairs *pairs);

/* Nothing ever hangs off a state: it needs no agg_close(). */
bool agg_is_flat(const struct agg_set *set);
uint64_t agg_overflows(const struct agg_set *set); /* sums that left their type, so far */
void agg_snapshot(const struct agg_set *set, const void *state, struct snapshot_writer *to);
bool agg_restore(struct agg_set *set, void *state, struct snapshot_reader *from);

#endif
