/* core/ops/join_base.h - what interval, window and lookup joins have in common; the first member of each.
 *
 *   found pairs: refs[0][n], refs[1][n], n < found <= rows of a batch; once tested only those that give results.
 *   Results have been made of the first @handed of them: join_hand_on() goes on there after OP_BUSY.
 *
 * Threads: one shard.   Errors: join_base_no_memory(), which says what to do.   Includes: join_pairs.h, ports.h, table.h
 */
#ifndef MILL_JOIN_BASE_H
#define MILL_JOIN_BASE_H

#include "core/ops/join_pairs.h"
#include "core/ops/ports.h"
#include "core/state/table.h"

struct join_base {
    struct op op;
    const struct join_node *join;
    const char *advice; /* when memory runs out, a literal: see op_no_memory() */
    struct ports ports;
    struct pairs pairs;
    struct key_layout keys[2];
    struct key_batch batch_keys;
    struct table table; /* by key; each kind of join has states of its own */

    uint32_t found, handed;
    uint32_t refs[2][BATCH_ROWS_MAX];
    bool is_true[BATCH_ROWS_MAX];

    char *key; /* scratch of positions */
    size_t key_room;
};

/* Of a zeroed one; the caller closes it also after false, and opens the table. */
void join_base_init(struct join_base *b, const struct op_vtable *vtable, struct op_context *context,
                    const struct phys_node *node, const char *advice);
bool join_base_open(struct join_base *b, const struct phys_node *node, ports_take take,
                    const uint32_t *const columns[2], uint32_t column_count);
void join_base_close(struct join_base *b);

enum op_progress join_base_no_memory(struct join_base *b);
/* Scratch of at least @bytes; NULL: no memory. */
char *join_key_scratch(struct join_base *b, size_t bytes);
/* Position of the result of pair @n; length UINT32_MAX: no memory. */
typedef struct mill_view (*join_position)(struct join_base *b, uint32_t n);
/* Makes the results of the pairs found: released, @position tells their positions; NULL: caused by their rows of pairs.cause. */
enum op_progress join_hand_on(struct join_base *b, join_position position,
                              const struct step_time *t);

/* For vtables. */
enum op_progress join_base_begin_step(struct op *op, const struct step_time *t);
enum op_progress join_base_push(struct op *op, uint32_t port, struct batch *batch,
                                const struct step_time *t);
enum op_progress join_base_rows_ended(struct op *op, const struct step_time *t);
void join_base_inspect(const struct op *op, uint32_t sample, struct op_state *state);

#endif
