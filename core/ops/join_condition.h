/* core/ops/join_condition.h - when a pair of rows is true: the residual condition, and keys that equal nothing.
 *
 * The residual condition is what is left of ON beside the equal keys. It reads the columns of the left input followed by
 * those of the right one; who tests it makes a batch of such rows, of which only those in reads[] need values.
 *
 * Threads: one shard.   Errors: false without memory, or with context->error filled.   Includes: join.h, op.h
 */
#ifndef MILL_JOIN_CONDITION_H
#define MILL_JOIN_CONDITION_H

#include "core/ops/join.h"
#include "core/ops/op.h"

struct residual {
    struct mill_schema both; /* the inputs' columns, one after the other */
    bool *reads;             /* per column of both */
    struct program *program; /* NULL: every pair is true */
};

/* The caller closes also after false. */
bool residual_open(struct residual *r, struct op *op, const struct phys_node *node);
void residual_close(struct residual *r, struct heap *heap); /* zeroed, or opened */

/* Row @row of side @side has a key that equals no other: NULL or NaN somewhere, but for IS NOT DISTINCT FROM. */
bool join_equals_nothing(const struct phys_node *node, uint32_t side, const struct batch *batch,
                         uint32_t row);

#endif
