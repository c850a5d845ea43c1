/* core/ops/op_first.c - deduplication that keeps the first row of each key.
 *
 * In event time rows wait in time order until the watermark has reached them; the first one of its key goes on, the others are
 * dropped. A row is late when its time is before the watermark just before it; of equal times the earlier place wins. In
 * processing time the first row that comes goes on at once. Either way rows that have been given stay.
 *
 * State: one entry per key, as long as the query runs or by 'table.exec.state.ttl'; rows before the watermark.
 * Threads: one shard.   Errors: MILL_E_MEMORY.
 */
#include "core/ops/emit.h"
#include "core/ops/rank.h"
#include "core/plan/physical.h"
#include "core/state/table.h"

#define BLOCK_ROWS 1024u
#define GIVEN INT64_MIN /* as a candidate's time */

struct first_key {
    int64_t time; /* of the candidate that waits, or GIVEN */
    int64_t touched_us;
};

struct first_op {
    struct op op;
    const struct rank_node *node;
    const struct mill_schema *input;
    struct key_layout keys;
    struct key_batch batch_keys;
    struct table table;
    struct order order;
    struct emitter emit;
    bool ending;
    int64_t swept_us;
    struct order_ref ref; /* to be given next; block NULL: none */
    void *found[BATCH_ROWS_MAX];
};

static enum op_progress no_memory(struct first_op *f)
{
    return op_no_memory(&f->op, "it remembers each key: SET 'table.exec.state.ttl', or");
}

static bool find_keys(struct first_op *f, const struct batch *batch, const uint16_t *rows,
                      uint32_t count, const struct step_time *t)
{
    const uint32_t before = f->table.groups;
    bool ok;

    if (f->keys.count == 0) {
        ok = f->table.groups > 0 || table_single(&f->table);
        for (uint32_t i = 0; ok && i < count; i++)
            f->found[i] = table_state(&f->table, 0);
    } else {
        ok = keys_prepare(&f->keys, batch, rows, count, &f->batch_keys) &&
             table_lookup(&f->table, &f->batch_keys, NULL, count, f->found);
    }
    for (uint32_t id = before; id < f->table.groups; id++)
        *(struct first_key *)table_state(&f->table, id) =
            (struct first_key){INT64_MAX, t->clock_us};
    return ok;
}

/* A key that has been given long ago begins anew. */
static struct first_key *touch(struct first_op *f, uint32_t i, const struct step_time *t)
{
    struct first_key *key = f->found[i];

    if (key->time == GIVEN && ttl_is_over(key->touched_us, f->node->ttl_us, t->clock_us))
        key->time = INT64_MAX;
    return key;
}

struct moment {
    int64_t ttl_us, clock_us;
};

static bool is_gone(const void *state, const void *user)
{
    const struct first_key *key = state;
    const struct moment *m = user;

    return key->time == GIVEN && ttl_is_over(key->touched_us, m->ttl_us, m->clock_us);
}

/* Keys that have been given long ago, and that no row asks for. */
static void sweep(struct first_op *f, const struct step_time *t)
{
    if (ttl_sweeps(&f->swept_us, f->node->ttl_us, t->clock_us))
        table_tidy(&f->table, is_gone, &(struct moment){f->node->ttl_us, t->clock_us});
    f->op.counters.state_rows = f->table.groups;
}

/* ---- processing time ---- */

static enum op_progress push_now(struct first_op *f, struct batch *batch, const struct step_time *t)
{
    const uint32_t given = f->node->given;
    struct column *columns;
    uint16_t rows[BATCH_ROWS_MAX];
    uint32_t n = 0;

    for (uint32_t i = 0; i < batch->live; i++)
        rows[i] = (uint16_t)batch_row(batch, i);
    columns = arena_array(&batch->bytes, struct column, given + 1);
    if (columns == NULL || !find_keys(f, batch, rows, batch->live, t) ||
        !column_own(batch, &columns[given], &(struct mill_type){.kind = MILL_BIGINT})) {
        batch_release(batch);
        return no_memory(f);
    }
    memcpy(columns, batch->columns, given * sizeof *columns);
    *(int64_t *)columns[given].values = 1;
    columns[given].constant = true;
    for (uint32_t i = 0; i < batch->live; i++) {
        struct first_key *key = touch(f, i, t);

        if (key->time == GIVEN)
            continue;
        *key = (struct first_key){GIVEN, t->clock_us};
        batch->selection_store[n++] = rows[i];
    }
    batch->columns = columns;
    batch->column_count = (uint16_t)(given + 1);
    batch->hashes = NULL;
    f->op.counters.consumed += batch->live;
    if (n < batch->live)
        batch->selection = batch->selection_store;
    batch->live = n;
    f->op.counters.state_rows = f->table.groups;
    if (n == 0) {
        batch_release(batch);
        return OP_READY;
    }
    return op_emit(&f->op, batch, t);
}

/* ---- event time ---- */

static uint32_t judge_rows(struct first_op *f, const struct batch *batch, const struct step_time *t,
                           uint16_t *rows, int64_t *times)
{
    const struct column *column = &batch->columns[f->node->time];
    uint32_t n = 0;

    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);

        if (!column_valid(column, row)) {
            f->op.counters.filtered++;
            f->op.counters.null_time++;
            continue;
        }
        times[n] = ((const int64_t *)column->values)[column->constant ? 0 : row];
        if (times[n] < row_watermark(t, batch, row))
            f->op.counters.late++;
        else
            rows[n++] = (uint16_t)row;
    }
    return n;
}

/* Those that come before the candidate of their key. */
static uint32_t candidates(struct first_op *f, uint16_t *rows, int64_t *times, uint32_t count,
                           const struct step_time *t)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < count; i++) {
        struct first_key *key = touch(f, i, t);

        if (key->time == GIVEN || key->time <= times[i])
            continue;
        *key = (struct first_key){times[i], t->clock_us};
        rows[n] = rows[i];
        times[n++] = times[i];
    }
    f->op.counters.consumed += count - n;
    return n;
}

static enum op_progress first_push(struct op *op, uint32_t port, struct batch *batch,
                                   const struct step_time *t)
{
    struct first_op *f = (struct first_op *)op;
    uint16_t rows[BATCH_ROWS_MAX];
    int64_t times[BATCH_ROWS_MAX];
    uint32_t n;
    bool ok;

    (void)port;
    CHECK(!f->ending);
    op->counters.in += batch->live;
    if (f->node->how == RANK_FIRST_NOW)
        return push_now(f, batch, t);
    n = judge_rows(f, batch, t, rows, times);
    ok = n == 0 || find_keys(f, batch, rows, n, t);
    n = ok ? candidates(f, rows, times, n, t) : 0;
    op->counters.held += n;
    ok = ok && order_push(&f->order, batch, rows, times, n);
    batch_release(batch);
    return ok ? OP_READY : no_memory(f);
}

/* The row if it is still the first of its key. */
static bool give(struct first_op *f, const struct step_time *t)
{
    const struct batch *rows = f->ref.block->rows;
    const uint16_t row = (uint16_t)f->ref.row;
    struct first_key *key;
    struct mill_view place;
    int32_t at;

    if (!find_keys(f, rows, &row, 1, t))
        return false;
    key = f->found[0];
    if (key->time == GIVEN)
        return true;
    *key = (struct first_key){GIVEN, t->clock_us};
    place = emit_ref_key(&f->emit, &f->ref);
    at = place.length != UINT32_MAX ? emit_fired(&f->emit, t, &place, ROW_INSERT) : -1;
    if (at < 0)
        return false;
    for (uint32_t c = 0; c < f->node->given; c++)
        if (!column_put(f->emit.out, &f->emit.out->columns[c], (uint32_t)at, &rows->columns[c], row,
                        &f->input->fields[c].type))
            return false;
    ((int64_t *)f->emit.out->columns[f->node->given].values)[at] = 1;
    return true;
}

static enum op_progress first_turn(struct op *op, const struct step_time *t)
{
    struct first_op *f = (struct first_op *)op;
    int64_t budget = op->context->turn_work;

    if (!f->ending)
        return OP_READY;
    while (f->ref.block != NULL ||
           order_next(&f->order, t->last ? TIME_MAX : t->w_after, &f->ref)) {
        enum op_progress p = OP_READY;

        if (emit_full(&f->emit))
            p = emit_flush(&f->emit, t);
        if (p != OP_READY)
            return p;
        if (!give(f, t))
            return no_memory(f);
        order_drop(&f->order, f->ref.block);
        f->ref.block = NULL;
        op->counters.held--;
        op->counters.consumed++;
        op->context->work++;
        if (--budget <= 0)
            return OP_BUSY;
    }
    f->ending = false;
    sweep(f, t);
    op->counters.waits = f->order.rows > 0;
    op->counters.waits_for = order_least(&f->order);
    return emit_flush(&f->emit, t);
}

static enum op_progress first_end_step(struct op *op, const struct step_time *t)
{
    ((struct first_op *)op)->ending = true;
    return first_turn(op, t);
}

/* ---- life ---- */

static void first_snapshot(struct op *op, struct snapshot_writer *to)
{
    const struct first_op *f = (const struct first_op *)op;

    CHECK(!f->ending && f->ref.block == NULL);
    snapshot_put(to, &op->counters, sizeof op->counters);
    order_snapshot(&f->order, to);
    snapshot_u32(to, f->table.groups);
    for (uint32_t id = 0; id < f->table.groups; id++) {
        table_key_snapshot(&f->table, id, to);
        snapshot_put(to, table_state(&f->table, id), sizeof(struct first_key));
    }
}

static bool first_restore(struct op *op, struct snapshot_reader *from)
{
    struct first_op *f = (struct first_op *)op;
    uint32_t groups;

    snapshot_get(from, &op->counters, sizeof op->counters);
    if (!order_restore(&f->order, from))
        return false;
    groups = snapshot_get_u32(from);
    for (uint32_t i = 0; i < groups && !from->failed; i++) {
        if (table_key_restore(&f->table, from) != i)
            return false;
        snapshot_get(from, table_state(&f->table, i), sizeof(struct first_key));
    }
    return !from->failed;
}

static bool first_valid(const struct op *op)
{
    const struct first_op *f = (const struct first_op *)op;
    const struct op_counters *n = &op->counters;

    return f->order.rows == n->held && order_valid(&f->order) && table_valid(&f->table) &&
           n->in == n->consumed + n->filtered + n->late + n->dead + n->held;
}

static void first_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    table_inspect(&((const struct first_op *)op)->table, sample, &state->tables);
    state->table_count++;
}

static void first_close(struct op *op)
{
    struct first_op *f = (struct first_op *)op;

    if (f->ref.block != NULL)
        order_drop(&f->order, f->ref.block);
    emit_close(&f->emit);
    if (f->table.heap != NULL)
        table_close(&f->table);
    order_close(&f->order);
    key_layout_close(&f->keys);
    key_batch_close(&f->batch_keys);
    heap_free(op->heap, f, sizeof *f);
}

static const struct op_vtable first_vtable = {.name = "deduplication",
                                              .push = first_push,
                                              .end_step = first_end_step,
                                              .resume = first_turn,
                                              .snapshot = first_snapshot,
                                              .restore = first_restore,
                                              .valid = first_valid,
                                              .inspect = first_inspect,
                                              .close = first_close};

struct op *op_first_new(struct op_context *context, const struct phys_node *node)
{
    struct first_op *f = heap_zalloc(context->heap, sizeof *f);

    if (f != NULL) {
        f->op = (struct op){.vtable = &first_vtable,
                            .context = context,
                            .heap = context->heap,
                            .id = node->id};
        f->node = node->rank;
        f->input = &node->inputs[0]->schema;
        emit_open(&f->emit, &f->op, node);
        if (key_layout_open(&f->keys, context->heap, f->input, f->node->keys, f->node->key_count) &&
            key_batch_open(&f->batch_keys, context->heap)) {
            f->keys.kernels = context->kernels;
            order_open(&f->order, context->heap, f->input, BLOCK_ROWS);
            table_open(&f->table, context->heap, &f->keys, sizeof(struct first_key), context->seed);
            return &f->op;
        }
        first_close(&f->op);
    }
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a deduplication");
    return NULL;
}
