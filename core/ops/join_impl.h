/* core/ops/join_impl.h - inside of the regular join: op_join.c, join_match.c, join_rest.c.
 *
 * A group of the table is one key with a chain of rows of each side. Of a batch of one side the other side's chains do not
 * change, so its keys are looked up at once and its rows are put into their own chains when all their results are made.
 *
 *   a row of the batch -> candidates (row, id of the other side) of its chain, then the end of the row
 *                      -> those for which the residual condition is TRUE
 *                      -> results: at most two of a candidate, one of an end
 *   mark of a kept row = its partners on the other side, where somebody asks for them (side.marks)
 *   held = rows kept; in = consumed + held
 * Includes: emit.h, join_condition.h, ports.h, rows.h, sorter.h, table.h
 */
#ifndef MILL_JOIN_IMPL_H
#define MILL_JOIN_IMPL_H

#include "core/ops/emit.h"
#include "core/ops/join_condition.h"
#include "core/ops/join_plain.h"
#include "core/ops/ports.h"
#include "core/plan/physical.h"
#include "core/state/rows.h"
#include "core/state/sorter.h"
#include "core/state/table.h"

#define JOIN_CANDIDATES 1024u

struct join_state { /* of a group */
    struct row_chain chain[2];
};

struct join_side {
    struct row_store rows;
    struct key_layout layout;
    struct key_batch keys;
    bool marks;      /* its rows count their partners */
    bool may_end;    /* what comes by its port has come when its sources have ended */
    bool ended;      /* so it has */
    bool plain;      /* every group with rows of it has one, whose id is the group's */
    int32_t *kept;   /* per own column: its number in rows, -1: nobody reads it */
    bool any_unsafe; /* some key column's NULL equals nothing */
};

/* Candidates of rows of the batch, in order. */
struct join_candidates {
    uint16_t row[JOIN_CANDIDATES];
    uint32_t id[JOIN_CANDIDATES]; /* ROW_NONE: the row has no more */
    bool fails[JOIN_CANDIDATES];  /* the residual condition is not TRUE */
    uint32_t count;
};

struct join_results {
    uint16_t row[2 * JOIN_CANDIDATES]; /* of the batch: the cause */
    uint32_t id[2 * JOIN_CANDIDATES];  /* of the other side, ROW_NONE: NULLs */
    bool bare[2 * JOIN_CANDIDATES];    /* NULLs in place of the row of the batch */
    int8_t kind[2 * JOIN_CANDIDATES];
    uint32_t count, given;
};

/* Rows without a partner at the end, grouped and ordered by value: key columns first. */
struct join_rest {
    bool open, sorted;
    uint32_t side;
    uint32_t group, id; /* next row to look at */
    struct key_layout layout;
    struct key_batch keys;
    struct table table; /* state: a chain of rows of the side */
    struct sorter sorter;
    uint32_t next;   /* of the sorter's order; */
    uint32_t row, n; /* next row of its chain, and how many went before it */
};

struct join_op {
    struct op op;
    const struct phys_node *plan;
    const struct join_node *node;
    struct ports ports;
    struct emitter out;
    struct join_side side[2];
    struct table table;
    struct residual residual;
    bool pairs;         /* results are pairs; else rows of the left */
    bool all_inserts;   /* of both inputs */
    uint64_t unmatched; /* retractions of rows that are not there */
    uint64_t removed;   /* rows taken out since the table was last tidied */
    int64_t swept_us;
    bool ending;
    struct join_plain plain; /* rows of the other side than the plain one, once that has ended */

    /* the batch that is being taken; NULL: none */
    struct batch *batch;
    uint32_t port;
    uint32_t live;
    uint16_t rows[BATCH_ROWS_MAX];
    bool keyless[BATCH_ROWS_MAX];              /* its key equals nothing */
    struct join_state *states[BATCH_ROWS_MAX]; /* by live row; NULL: there is no group */
    uint32_t matches[BATCH_ROWS_MAX];
    uint32_t first, end; /* live rows of the run: inserts, or one that is taken back */
    uint32_t result_row; /* live row of the last result */
    uint32_t next;       /* live row whose candidates are next, */
    uint32_t at;         /* its next candidate, */
    bool within;         /* which is not its first */
    struct join_candidates candidates;
    struct join_results results;
    struct join_rest rest;
    uint32_t ids[BATCH_ROWS_MAX]; /* scratch */
};

static inline bool join_takes_back(const struct join_op *j)
{
    return j->batch->row_kinds != NULL &&
           row_kind_weight(j->batch->row_kinds[j->rows[j->first]]) < 0;
}
/* No row of @side is to come any more; rows of the other side need not be kept for it. */
static inline bool join_over(const struct join_op *j, uint32_t side)
{
    return j->side[side].ended;
}
/* Final rows only, and row @id of @side has to be given at the end if it has no partner. */
static inline bool join_waits(const struct join_op *j, uint32_t side)
{
    return !j->plan->changelog &&
           (join_pads(j->node->type, side) || (j->node->type == JOIN_TYPE_ANTI && side == 0));
}

enum op_progress join_no_memory(struct join_op *j);

/* join_match.c: the results of the run. OP_BUSY: again in resume(). */
enum op_progress join_run(struct join_op *j, const struct step_time *t);
/* Column @column of side @side may be left out: nobody reads it. Then it has no values. */
static inline bool join_left_out(const struct join_op *j, uint32_t side, uint32_t column,
                                 struct column *into)
{
    if (j->side[side].kept[column] >= 0)
        return false;
    *into = (struct column){0};
    return true;
}

/* join_rest.c */
bool rest_open(struct join_op *j);
/* OP_BUSY: more of it in the next turn. */
enum op_progress rest_turn(struct join_op *j, const struct step_time *t);
void rest_close(struct join_op *j);

#endif
