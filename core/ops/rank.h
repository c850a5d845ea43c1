/* core/ops/rank.h - Top-N and deduplication: rows of a key by rank, the first ones given.
 *
 * The node's schema: the input's first columns, then the rank.
 *
 * Includes: sort.h
 */
#ifndef MILL_RANK_H
#define MILL_RANK_H

#include "core/ops/sort.h"

enum rank_function { RANK_ROW_NUMBER, RANK_RANK, RANK_DENSE_RANK };

enum rank_how {
    RANK_OPEN,      /* being planned: no limit yet */
    RANK_TOP,       /* rows come and go: changes, or final rows at the end of the input */
    RANK_WINDOW,    /* per window: when it closes */
    RANK_FIRST,     /* the first row of a key in event time, when the watermark has reached it */
    RANK_FIRST_NOW, /* the first one that comes */
};

struct rank_node {
    enum rank_how how;
    enum rank_function function;
    const uint32_t *keys; /* input columns */
    uint32_t key_count;
    const struct sort_column *order;
    uint32_t order_count;
    bool event_time, processing_time; /* of the first column of the order */
    bool as_it_comes; /* ordered by processing time: no column to compare, later rows are greater */
    bool
        later_wins; /* of rows that are equal in order the later one comes first: the last row of a key */
    int64_t limit; /* greatest rank that is given */
    int32_t time;  /* FIRST: input column */
    struct mill_type time_type;
    int32_t window_end; /* WINDOW: input column */
    bool local;         /* its windows stand on the session's clock */
    bool numbered;      /* somebody reads the rank */
    uint32_t given;     /* input columns that are handed on */
    uint32_t
        *kept; /* input columns that are kept of each row: those read, and those of the order */
    uint32_t kept_count;
    int64_t ttl_us; /* 0: none */
};

#endif
