/* core/ops/emit.h - result batches of operators that make rows: positions, kinds, handing on.
 *
 * A result is either *caused* by an input row and takes that row's place in the one order, or it is *released* by the
 * watermark or the end of input and is ordered by a key. With several shards each result also carries, in order_keys, what
 * tells it from the others at its place, so that the pieces of a step that shards make side by side merge the same way
 * for any number of them (docs/ARCHITECTURE.md, "Positions of results"):
 *
 *   result of            class   origin                                          place        order key
 *   a row                ROWS    the row's + the first of its port               the row's    origin, key of the row, number
 *   a row of a firing    FIRED   this operator                                   none         00, port, its origin, its key, number
 *   the watermark        FIRED   this operator                                   none         01, the key given
 *
 * where the number counts the results of one row from 0. With one shard nothing is merged and no keys are made.
 *
 *     emit_cause(e, batch, port, t)
 *     for each row: while it has results:   if (emit_full(e)) emit_flush(e, t) ...;   r = emit_row(e, row, kind);   fill r
 *     emit_flush(e, t)
 *
 * Threads: one shard.   Errors: context->error.   Includes: op.h, order.h
 */
#ifndef MILL_EMIT_H
#define MILL_EMIT_H

#include "core/ops/op.h"
#include "core/state/order.h"

struct emitter {
    struct op *op;
    const struct phys_node *node;
    bool keyed;        /* several shards: results carry order keys */
    struct batch *out; /* being filled, or NULL; its columns are owned */
    const struct batch *cause;
    uint32_t port, last_row, number;
    char *key; /* scratch */
    size_t key_room;
};

void emit_open(struct emitter *e, struct op *op, const struct phys_node *node);
/* Releases what was not handed on. */
void emit_close(struct emitter *e);

/* Results from here on are caused by rows of @in, pushed at @port; @in must live until the last of them is made. What was
 * begun for another class or origin is handed on. OP_BUSY: all is well, but hand nothing more on before resume(). */
enum op_progress emit_cause(struct emitter *e, const struct batch *in, uint32_t port,
                            const struct step_time *t);
static inline bool emit_full(const struct emitter *e)
{
    return e->out != NULL && e->out->rows == e->out->capacity;
}
/* A result of row @row of the cause: its row in e->out, every column of which the caller fills. <0: no memory. */
int32_t emit_row(struct emitter *e, uint32_t row, int8_t kind);
/* Takes back the last @count results, which were made since the last flush. */
void emit_undo(struct emitter *e, uint32_t count);
/* A released result, keys ascending within a step. What rows have caused must have been handed on. */
int32_t emit_fired(struct emitter *e, const struct step_time *t, const struct mill_view *key,
                   int8_t kind);
/* Key (time, step, place) of a row that waited in an order; good until the next call. Length UINT32_MAX: no memory. */
struct mill_view emit_ref_key(struct emitter *e, const struct order_ref *ref);
/* Hands on what there is. OP_BUSY: go on in resume(). */
enum op_progress emit_flush(struct emitter *e, const struct step_time *t);

#endif
