/* core/ops/over.h - what an OVER aggregation does: frames of rows around the current one, and what is computed of them.
 *
 * OVER takes rows in time order and gives each one once. OVER_VIEW keeps all rows of a key sorted, so it has any order, any frame
 * and rows that are taken back; it gives changes, or the final rows at the end of the input.
 *
 * The node's schema: the input's first columns, then results. Aggregates of one frame stand together, by the way in which they slide.
 *
 * Includes: aggregate.h, sort.h
 */
#ifndef MILL_OVER_H
#define MILL_OVER_H

#include "core/ops/aggregate.h"
#include "core/ops/sort.h"

enum over_way {
    OVER_ADDS,     /* frames without a lower bound: rows only come */
    OVER_RETRACTS, /* rows that leave are taken back: exact numbers, values with DISTINCT */
    OVER_MERGES,   /* two stacks: MIN, MAX, FIRST, LAST, sums of FLOAT and DOUBLE */
    OVER_AGAIN,    /* computed anew for each row: LISTAGG */
    OVER_WAYS
};

struct over_frame {
    bool range;        /* by time, rows of one time together; else by rows */
    bool bounded;      /* from @preceding on */
    int64_t preceding; /* rows before the current one, or time, in the unit of the time column */
    /* of OVER_VIEW; else frames end at the current row. Below 0: @preceding rows behind, @following rows before it */
    bool to_end;
    int64_t following;
    const struct agg_spec *specs[OVER_WAYS];
    uint32_t counts[OVER_WAYS];
    uint32_t first[OVER_WAYS]; /* column of the node's schema of the first one */
};

enum over_function {
    OVER_ROW_NUMBER,
    OVER_RANK,
    OVER_DENSE_RANK,
    OVER_LAG,
    /* of OVER_VIEW */
    OVER_LEAD,
    OVER_NTILE,
    OVER_PERCENT_RANK,
    OVER_CUME_DIST
};

struct over_call {
    enum over_function function;
    uint32_t out;  /* column of the node's schema */
    int32_t frame; /* LAG: of as many rows before the current one; its own row: -1 */
    uint32_t arg;  /* LAG, LEAD: input column */
    int32_t
        fallback; /* LAG, LEAD: input column with the value where there is no such row, -1: NULL */
    int64_t distance;      /* LAG, LEAD: rows; NTILE: tiles */
    struct mill_type type; /* of the result */
};

struct over_node {
    const uint32_t *keys; /* input columns */
    uint32_t key_count;
    int32_t time; /* input column, -1: processing time */
    bool at_end;  /* ordered by any columns, at the end of the input; results by (key, order) */
    const struct sort_column *order;
    uint32_t order_count;
    struct mill_type time_type;
    const struct over_frame *frames;
    uint32_t frame_count;
    const struct over_call *calls;
    uint32_t call_count;
    const uint32_t *
        kept; /* input columns that bounded frames need of the rows in them; OVER_VIEW: of all rows */
    uint32_t kept_count;
    uint32_t given; /* input columns that are handed on */
    int64_t ttl_us; /* 0: none */
};

#endif
