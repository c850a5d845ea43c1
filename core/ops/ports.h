/* core/ops/ports.h - an operator of several inputs takes the rows of a step port by port.
 *
 * Two branches over one source bring rows of the same step batch by batch, in turns that depend on the batch size. So
 * that the order does not, rows of port 0 pass at once and those of later ports wait in queues until the step has no
 * more rows; where the step belongs to a source that feeds no port before theirs they pass at once too. Results of
 * firings come behind all rows, port by port: those of port 0 once the rows have passed, the others when the step ends.
 * What waits is a copy where it belongs to another shard: a batch of an exchange kept here could be the one that its
 * sender needs to get to the end of the step.
 *
 *   push() -> ports_push()      rows_ended() -> ports_rows_ended()      end_step() -> ports_end()
 *   resume(): first what take() left undone, then ports_resume()        begin_step() -> ports_begin()
 *
 * Threads: one shard.   Errors: context->error.   Includes: op.h
 */
#ifndef MILL_PORTS_H
#define MILL_PORTS_H

#include "core/ops/op.h"

/* As push(): takes @batch whole. OP_BUSY: resume me first. */
typedef enum op_progress (*ports_take)(struct op *op, uint32_t port, struct batch *batch,
                                       const struct step_time *t);

struct ports_queue {
    struct batch *first, **last;
};

struct ports {
    struct op *op;
    const struct phys_node *node;
    ports_take take;
    uint32_t count;
    /* Ports 0 .. silent - 1 get no rows in this step: those of port silent pass at once. */
    uint32_t silent;
    enum { PORTS_OPEN, PORTS_ROWS_ENDED, PORTS_ENDING } phase;
    struct ports_queue *rows, *fired; /* by port */
};

bool ports_open(struct ports *ports, struct op *op, const struct phys_node *node, ports_take take);
void ports_close(struct ports *ports);
void ports_begin(struct ports *ports, const struct step_time *t);
enum op_progress ports_push(struct ports *ports, uint32_t port, struct batch *batch,
                            const struct step_time *t);
/* All rows have been taken when this, or what resumes it, says OP_READY. */
enum op_progress ports_rows_ended(struct ports *ports, const struct step_time *t);
/* The same for the results of firings. */
enum op_progress ports_end(struct ports *ports, const struct step_time *t);
enum op_progress ports_resume(struct ports *ports, const struct step_time *t);
/* Nothing waits: the operator may fire. */
bool ports_empty(const struct ports *ports);

#endif
