/* core/ops/op_sort.c - ORDER BY: rows in event-time order as the watermark passes them, or all of them sorted at the end of the input.
 *
 * In event time a row is late when its time is at or before the watermark just before it; rows of one time are sorted by the rest
 * of ORDER BY. Equal rows keep the order in which they came. All rows come to one shard.
 *   held = rows that wait
 */
#include "core/ops/sort.h"
#include "core/ops/emit.h"
#include "core/plan/physical.h"
#include "core/state/table.h"

#define RUN_ROWS 1024u

struct sort_op {
    struct op op;
    const struct sort_node *node;
    const struct mill_schema *schema;
    struct order order;
    struct emitter emit;
    struct order_ref *refs; /* the run: rows of whole times */
    struct sort_item *items;
    uint32_t count, room, next;
    struct order_ref ahead; /* taken, of the next run; block NULL: none */
    uint64_t given;         /* results, ever */
    bool ending;
};

static enum op_progress no_memory(struct sort_op *s)
{
    return op_no_memory(&s->op, s->node->time >= 0
                                    ? "it holds rows until the watermark: use a shorter delay, or"
                                    : "it holds all rows: filter them, or");
}

/* ---- rows in ---- */

static uint32_t judge_rows(struct sort_op *s, const struct batch *batch, const struct step_time *t,
                           uint16_t *rows, int64_t *times)
{
    const struct column *column = s->node->time >= 0 ? &batch->columns[s->node->time] : NULL;
    uint32_t n = 0;

    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);

        if (column != NULL && !column_valid(column, row)) {
            s->op.counters.filtered++;
            s->op.counters.null_time++;
            continue;
        }
        times[n] =
            column == NULL ? 0 : ((const int64_t *)column->values)[column->constant ? 0 : row];
        if (column != NULL && times[n] <= row_watermark(t, batch, row))
            s->op.counters.late++;
        else
            rows[n++] = (uint16_t)row;
    }
    return n;
}

static enum op_progress sort_push(struct op *op, uint32_t port, struct batch *batch,
                                  const struct step_time *t)
{
    struct sort_op *s = (struct sort_op *)op;
    uint16_t rows[BATCH_ROWS_MAX];
    int64_t times[BATCH_ROWS_MAX];
    uint32_t n;
    bool ok;

    (void)port;
    CHECK(!s->ending);
    op->counters.in += batch->live;
    n = judge_rows(s, batch, t, rows, times);
    op->counters.held += n;
    ok = order_push(&s->order, batch, rows, times, n);
    batch_release(batch);
    return ok ? OP_READY : no_memory(s);
}

/* ---- runs ---- */

static void drop_run(struct sort_op *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        order_drop(&s->order, s->refs[i].block);
    s->count = s->next = 0;
}

static bool run_add(struct sort_op *s, const struct order_ref *ref)
{
    struct heap *heap = s->op.heap;

    if (s->count == s->room) {
        const uint32_t room = s->room == 0 ? RUN_ROWS : s->room * 2;
        struct order_ref *refs =
            heap_grow(heap, s->refs, s->room * sizeof *refs, room * sizeof *refs);

        if (refs == NULL)
            return false;
        s->refs = refs;
        heap_free(heap, s->items, s->room * sizeof *s->items);
        s->items = heap_alloc(heap, room * sizeof *s->items);
        s->room = s->items != NULL ? room : 0;
        if (s->items == NULL) {
            heap_free(heap, s->refs, room * sizeof *refs);
            s->refs = NULL;
            s->count = 0;
            return false;
        }
    }
    s->refs[s->count++] = *ref;
    return true;
}

static bool sort_part(struct sort_op *s, uint32_t first, uint32_t end)
{
    const struct sort_node *node = s->node;

    return end - first < 2 || node->column_count == 0 ||
           sort_items(s->op.heap, node->columns, node->column_count, &s->items[first], end - first);
}

/* Rows up to @w, and all of the last one's time. */
static bool take_run(struct sort_op *s, int64_t w)
{
    const struct sort_node *node = s->node;
    uint32_t first = 0;

    drop_run(s);
    for (;;) {
        struct order_ref ref = s->ahead;

        if (ref.block == NULL && !order_next(&s->order, w, &ref))
            break;
        s->ahead = ref;
        if (s->count >= RUN_ROWS && ref.time != s->refs[s->count - 1].time)
            break;
        if (!run_add(s, &ref))
            return false;
        s->ahead.block = NULL;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        s->items[i] =
            sort_item(node->columns, node->column_count, s->refs[i].block->rows, s->refs[i].row, i);
        if (s->refs[i].time != s->refs[first].time) {
            if (!sort_part(s, first, i))
                return false;
            first = i;
        }
    }
    return sort_part(s, first, s->count);
}

/* ---- results ---- */

/* Rows from next on that lie in one block, as many as the batch takes. */
static bool emit_rows(struct sort_op *s, const struct step_time *t)
{
    const struct batch *from = s->items[s->next].rows;
    uint16_t rows[BATCH_ROWS_MAX];
    uint32_t n = 0, at = 0;
    struct batch *out;

    for (; s->next < s->count && s->items[s->next].rows == from && n < BATCH_ROWS_MAX &&
           !emit_full(&s->emit);
         s->next++, n++) {
        char key[8] = {0};
        struct mill_view place = view_of(key, key_put_i64(key, (int64_t)s->given++));
        const int32_t row = emit_fired(&s->emit, t, &place, ROW_INSERT);

        if (row < 0)
            return false;
        at = n == 0 ? (uint32_t)row : at;
        rows[n] = (uint16_t)s->items[s->next].row;
    }
    out = s->emit.out;
    for (uint32_t c = 0; c < s->schema->field_count; c++)
        if (!column_gather(out, &out->columns[c], at, &from->columns[c], rows, n,
                           &s->schema->fields[c].type))
            return false;
    s->op.counters.consumed += n;
    s->op.counters.held -= n;
    return true;
}

static enum op_progress sort_turn(struct op *op, const struct step_time *t)
{
    struct sort_op *s = (struct sort_op *)op;
    const bool event_time = s->node->time >= 0;
    int64_t budget = op->context->turn_work;

    if (!s->ending)
        return OP_READY;
    while (event_time || t->last) {
        while (s->next < s->count && budget > 0) {
            const uint32_t before = s->next;
            enum op_progress p = OP_READY;

            if (emit_full(&s->emit))
                p = emit_flush(&s->emit, t);
            if (p != OP_READY)
                return p;
            if (!emit_rows(s, t))
                return no_memory(s);
            budget -= s->next - before;
        }
        op->context->work += (uint64_t)(op->context->turn_work - budget);
        if (budget <= 0)
            return OP_BUSY;
        if (!take_run(s, t->last ? TIME_MAX : t->w_after))
            return no_memory(s);
        if (s->count == 0)
            break;
    }
    s->ending = false;
    op->counters.waits = event_time && s->order.rows > 0;
    op->counters.waits_for = order_least(&s->order);
    return emit_flush(&s->emit, t);
}

static enum op_progress sort_end_step(struct op *op, const struct step_time *t)
{
    ((struct sort_op *)op)->ending = true;
    return sort_turn(op, t);
}

/* ---- life ---- */

static void sort_snapshot(struct op *op, struct snapshot_writer *to)
{
    const struct sort_op *s = (const struct sort_op *)op;

    CHECK(!s->ending && s->ahead.block == NULL);
    snapshot_put(to, &op->counters, sizeof op->counters);
    snapshot_u64(to, s->given);
    order_snapshot(&s->order, to);
}

static bool sort_restore(struct op *op, struct snapshot_reader *from)
{
    struct sort_op *s = (struct sort_op *)op;

    snapshot_get(from, &op->counters, sizeof op->counters);
    s->given = snapshot_get_u64(from);
    return order_restore(&s->order, from);
}

static bool sort_valid(const struct op *op)
{
    const struct sort_op *s = (const struct sort_op *)op;

    return s->order.rows == op->counters.held && order_valid(&s->order);
}

static void sort_close(struct op *op)
{
    struct sort_op *s = (struct sort_op *)op;

    drop_run(s);
    if (s->ahead.block != NULL)
        order_drop(&s->order, s->ahead.block);
    emit_close(&s->emit);
    order_close(&s->order);
    heap_free(op->heap, s->refs, s->room * sizeof *s->refs);
    heap_free(op->heap, s->items, s->room * sizeof *s->items);
    heap_free(op->heap, s, sizeof *s);
}

static const struct op_vtable sort_vtable = {.name = "sort",
                                             .push = sort_push,
                                             .end_step = sort_end_step,
                                             .resume = sort_turn,
                                             .snapshot = sort_snapshot,
                                             .restore = sort_restore,
                                             .valid = sort_valid,
                                             .close = sort_close};

struct op *op_sort_new(struct op_context *context, const struct phys_node *node)
{
    struct sort_op *s = heap_zalloc(context->heap, sizeof *s);

    if (s == NULL) {
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for ORDER BY");
        return NULL;
    }
    s->op = (struct op){.vtable = &sort_vtable,
                        .context = context,
                        .heap = context->heap,
                        .id = node->id};
    s->node = node->sort;
    s->schema = &node->schema;
    order_open(&s->order, context->heap, s->schema, RUN_ROWS);
    emit_open(&s->emit, &s->op, node);
    return &s->op;
}
