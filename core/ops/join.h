/* core/ops/join.h - what a join does, for all kinds of joins.
 *
 * Input 0 is the left side, input 1 the right one; both come by exchanges with the key columns (none: all rows to one
 * shard). A side's own columns come first in its input; columns that only the join needs (computed keys) stand behind
 * them and are not given on. The node's schema: own columns of the left, then of the right; semi and anti: of the left.
 *
 * Includes: expr.h
 */
#ifndef MILL_JOIN_H
#define MILL_JOIN_H

#include "core/expr/expr.h"

enum join_type {
    JOIN_TYPE_INNER,
    JOIN_TYPE_LEFT,
    JOIN_TYPE_RIGHT,
    JOIN_TYPE_FULL,
    JOIN_TYPE_SEMI, /* left rows with a partner */
    JOIN_TYPE_ANTI  /* left rows without one */
};

static inline bool join_pads(enum join_type type,
                             uint32_t side) /* rows of @side without a partner stay */
{
    return type == JOIN_TYPE_FULL || (side == 0 && type == JOIN_TYPE_LEFT) ||
           (side == 1 && type == JOIN_TYPE_RIGHT);
}

struct join_node {
    enum join_type type;
    const uint32_t *keys[2]; /* columns of each side; pairs have the same type */
    uint32_t key_count;
    const bool *null_safe; /* IS NOT DISTINCT FROM, per pair; else NULL equals nothing */
    uint32_t own[2];       /* columns of each side that are given on */
    /* What else must be true of a pair: over the left's input columns followed by the right's; NULL: nothing. */
    struct expr *residual;
    /* Columns of the result that somebody reads, set with what sources must decode; NULL: all. The others have no values. */
    const bool *wanted;

    int32_t time[2]; /* column of each side's time attribute, -1: none (or processing time) */
    bool processing_time;
    int64_t unit; /* u */
    int64_t lower,
        upper; /* interval join: lower <= time of the left - time of the right <= upper, in the column's unit;
                           * ASOF: 0 <= and the tolerance */
    uint32_t start[2], end[2]; /* window join: columns of the windows' bounds */
    bool local_zone;           /* they are in the session zone */
    struct mill_type time_type;
    bool upserts;   /* lookup join: the keys are the right's PRIMARY KEY */
    int64_t ttl_us; /* table.exec.state.ttl; 0: none */

    /* Regular join: */
    bool ends[2]; /* a side's rows have all come when its sources have ended */
    /* own columns that are read: by the results' consumers or the residual condition (plan_needs()) */
    uint32_t *kept[2], kept_count[2];
};

#endif
