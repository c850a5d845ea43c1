/* core/ops/op_set_operation.c - INTERSECT [ALL] and EXCEPT [ALL].
 *
 * Per row value it is counted how many each side has. As a changelog each row of the input adds or takes away at most one row: +I
 * or -D. As final rows they come at the end of the input, by value, equal ones behind each other.
 *   a row that is taken back without being there is ignored, and counted as filtered
 *
 * State: one entry per row value. 'table.exec.state.ttl': one that no row has touched for so long begins anew.
 * Threads: one shard.   Errors: MILL_E_MEMORY.
 */
#include "core/ops/set_operation.h"
#include "core/ops/emit.h"
#include "core/plan/physical.h"
#include "core/state/sorter.h"

struct set_counts {
    int64_t sides[2], touched_us;
};

struct set_op {
    struct op op;
    const struct set_node *node;
    bool changelog;
    struct key_layout keys;
    struct key_batch batch_keys;
    struct table table; /* state: struct set_counts */
    struct emitter emit;
    struct batch *batch; /* being taken, as changes: from live row @next on */
    uint32_t next;
    int8_t kind; /* of the result of the row before @next that is yet to be given; -1: none */
    uint64_t rows_in;
    bool ending, sorting;
    struct sorter sorter;
    uint32_t group;
    int64_t copy;
    char *key; /* of a final row */
    uint32_t key_room;
    void *states[BATCH_ROWS_MAX];
};

static enum op_progress no_memory(struct set_op *s)
{
    return op_no_memory(&s->op, "it keeps each row value that it has seen: SET "
                                "'table.exec.state.ttl', or");
}

/* ---- rows ---- */

/* Counts live row @i; what it adds to the result, -1 to 1. */
static int64_t take_row(struct set_op *s, const struct batch *batch, uint32_t i,
                        const struct step_time *t)
{
    struct set_counts *c = s->states[i];
    const uint32_t row = batch_row(batch, i);
    const struct column *side = &batch->columns[s->node->key_count];
    int64_t *count = &c->sides[((const uint8_t *)side->values)[side->constant ? 0 : row] != 0];
    const int weight = row_kind_weight(batch_kind(batch, row));
    int64_t before;

    if (s->node->ttl_us > 0 && time_add(c->touched_us, s->node->ttl_us) < t->clock_us)
        c->sides[0] = c->sides[1] = 0;
    c->touched_us = t->clock_us;
    if (weight < 0 && *count == 0) {
        s->op.counters.filtered++;
        return 0;
    }
    before = set_copies(s->node, c->sides);
    *count += weight;
    if (s->changelog)
        s->op.counters.consumed++;
    else
        s->rows_in++;
    return set_copies(s->node, c->sides) - before;
}

static bool put_row(struct set_op *s, uint32_t group, uint32_t row)
{
    struct batch *out = s->emit.out;

    for (uint32_t k = 0; k < s->node->key_count; k++)
        if (!table_key_value(&s->table, group, k, out, &out->columns[k], row))
            return false;
    return true;
}

static enum op_progress give(struct set_op *s, const struct step_time *t)
{
    const void *state = s->kind >= 0 ? s->states[s->next - 1] : NULL;
    enum op_progress p = OP_READY;
    int32_t row;

    if (state == NULL)
        return OP_READY;
    if (emit_full(&s->emit))
        p = emit_flush(&s->emit, t);
    if (p != OP_READY)
        return p;
    row = emit_row(&s->emit, batch_row(s->batch, s->next - 1), s->kind);
    s->kind = -1;
    if (row < 0 ||
        !put_row(s, (uint32_t)(((const char *)state - s->table.states) / s->table.state_bytes),
                 (uint32_t)row))
        return no_memory(s);
    return OP_READY;
}

static enum op_progress go_on(struct set_op *s, const struct step_time *t)
{
    struct batch *done = s->batch;
    enum op_progress p;

    for (;;) {
        p = give(s, t);
        if (p != OP_READY)
            return p;
        if (s->next == done->live)
            break;
        const int64_t more = take_row(s, done, s->next++, t);

        s->op.counters.held--;
        s->kind = more > 0 ? ROW_INSERT : more < 0 ? ROW_DELETE : -1;
    }
    p = emit_flush(&s->emit, t);
    batch_release(done);
    s->batch = NULL;
    return p;
}

static enum op_progress set_push(struct op *op, uint32_t port, struct batch *batch,
                                 const struct step_time *t)
{
    struct set_op *s = (struct set_op *)op;
    const uint32_t before = s->table.groups;
    enum op_progress p;

    (void)port;
    CHECK(!s->ending && s->batch == NULL);
    op->counters.in += batch->live;
    op->counters.held += batch->live;
    s->batch = batch;
    s->next = 0;
    s->kind = -1;
    if (batch->live > 0 &&
        (!keys_prepare(&s->keys, batch, batch->selection, batch->live, &s->batch_keys) ||
         !table_lookup(&s->table, &s->batch_keys, NULL, batch->live, s->states)))
        return no_memory(s);
    for (uint32_t id = before; id < s->table.groups; id++)
        *(struct set_counts *)table_state(&s->table, id) =
            (struct set_counts){.touched_us = t->clock_us};
    op->counters.state_rows = s->table.groups;
    if (s->changelog) {
        p = emit_cause(&s->emit, batch, 0, t);
        return p == OP_READY ? go_on(s, t) : p;
    }
    for (uint32_t i = 0; i < batch->live; i++) {
        const uint64_t filtered = op->counters.filtered;

        take_row(s, batch, i, t);
        op->counters.held -= op->counters.filtered - filtered;
    }
    s->batch = NULL;
    batch_release(batch);
    return OP_READY;
}

/* ---- final rows ---- */

static bool emit_copy(struct set_op *s, const struct step_time *t, uint32_t group)
{
    const uint32_t bytes = table_key_bytes(&s->table, group) + 8;
    struct mill_view place = view_of("", 0);
    int32_t row;

    if (s->emit.keyed) {
        uint32_t n;

        if (bytes > s->key_room) {
            heap_free(s->op.heap, s->key, s->key_room);
            s->key = heap_alloc(s->op.heap, bytes);
            s->key_room = s->key != NULL ? bytes : 0;
            if (s->key == NULL)
                return false;
        }
        n = table_key_put(&s->table, group, s->key);
        n += key_put_i64(s->key + n, s->copy);
        place = view_of(s->key, n);
    }
    row = emit_fired(&s->emit, t, &place, ROW_INSERT);
    return row >= 0 && put_row(s, group, (uint32_t)row);
}

static enum op_progress fire(struct set_op *s, const struct step_time *t, int64_t *budget)
{
    if (!s->sorting && !sorter_open(&s->sorter, &s->table))
        return no_memory(s);
    s->sorting = true;
    if (!sorter_turn(&s->sorter, budget))
        return OP_BUSY;
    for (; s->group < s->table.groups; s->group++, s->copy = 0, --*budget) {
        const uint32_t group = s->sorter.order[s->group];
        const struct set_counts *c = table_state(&s->table, group);
        const int64_t copies = set_copies(s->node, c->sides);

        for (; s->copy < copies; s->copy++, --*budget) {
            enum op_progress p = OP_READY;

            if (*budget <= 0)
                return OP_BUSY;
            if (emit_full(&s->emit))
                p = emit_flush(&s->emit, t);
            if (p != OP_READY)
                return p;
            if (!emit_copy(s, t, group))
                return no_memory(s);
        }
        if (*budget <= 0 && copies == 0)
            return OP_BUSY;
    }
    sorter_close(&s->sorter);
    s->ending = s->sorting = false;
    s->op.counters.consumed += s->rows_in;
    s->op.counters.held -= s->rows_in;
    s->rows_in = 0;
    return emit_flush(&s->emit, t);
}

static enum op_progress set_turn(struct op *op, const struct step_time *t)
{
    struct set_op *s = (struct set_op *)op;
    int64_t budget = op->context->turn_work;
    enum op_progress p;

    if (s->batch != NULL)
        return go_on(s, t);
    if (!s->ending)
        return OP_READY;
    p = fire(s, t, &budget);
    op->context->work += (uint64_t)(op->context->turn_work - budget);
    return p;
}

static enum op_progress set_end_step(struct op *op, const struct step_time *t)
{
    struct set_op *s = (struct set_op *)op;

    s->ending = !s->changelog && t->last;
    return set_turn(op, t);
}

/* ---- life ---- */

static void set_snapshot(struct op *op, struct snapshot_writer *to)
{
    const struct set_op *s = (const struct set_op *)op;

    CHECK(!s->ending && s->batch == NULL);
    snapshot_put(to, &op->counters, sizeof op->counters);
    snapshot_u64(to, s->rows_in);
    snapshot_u32(to, s->table.groups);
    for (uint32_t id = 0; id < s->table.groups; id++) {
        table_key_snapshot(&s->table, id, to);
        snapshot_put(to, table_state(&s->table, id), sizeof(struct set_counts));
    }
}

static bool set_restore(struct op *op, struct snapshot_reader *from)
{
    struct set_op *s = (struct set_op *)op;
    uint32_t groups;

    snapshot_get(from, &op->counters, sizeof op->counters);
    s->rows_in = snapshot_get_u64(from);
    groups = snapshot_get_u32(from);
    for (uint32_t i = 0; i < groups && !from->failed; i++) {
        if (table_key_restore(&s->table, from) != i)
            return false;
        snapshot_get(from, table_state(&s->table, i), sizeof(struct set_counts));
    }
    return !from->failed;
}

static bool set_valid(const struct op *op)
{
    const struct set_op *s = (const struct set_op *)op;
    const struct op_counters *n = &op->counters;

    for (uint32_t id = 0; id < s->table.groups; id++) {
        const struct set_counts *c = table_state(&s->table, id);

        if (c->sides[0] < 0 || c->sides[1] < 0)
            return false;
    }
    return table_valid(&s->table) &&
           n->in == n->consumed + n->filtered + n->late + n->dead + n->held;
}

static void set_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    table_inspect(&((const struct set_op *)op)->table, sample, &state->tables);
    state->table_count++;
}

static void set_close(struct op *op)
{
    struct set_op *s = (struct set_op *)op;

    batch_release(s->batch);
    emit_close(&s->emit);
    sorter_close(&s->sorter);
    if (s->table.heap != NULL)
        table_close(&s->table);
    heap_free(op->heap, s->key, s->key_room);
    key_layout_close(&s->keys);
    key_batch_close(&s->batch_keys);
    heap_free(op->heap, s, sizeof *s);
}

static const struct op_vtable set_vtable = {.name = "set operation",
                                            .push = set_push,
                                            .end_step = set_end_step,
                                            .resume = set_turn,
                                            .snapshot = set_snapshot,
                                            .restore = set_restore,
                                            .valid = set_valid,
                                            .inspect = set_inspect,
                                            .close = set_close};

struct op *op_set_operation_new(struct op_context *context, const struct phys_node *node)
{
    struct set_op *s = heap_zalloc(context->heap, sizeof *s);

    if (s != NULL) {
        s->op = (struct op){.vtable = &set_vtable,
                            .context = context,
                            .heap = context->heap,
                            .id = node->id};
        s->node = node->set;
        s->changelog = node->changelog;
        emit_open(&s->emit, &s->op, node);
        if (key_layout_open(&s->keys, context->heap, &node->inputs[0]->schema, s->node->keys,
                            s->node->key_count) &&
            key_batch_open(&s->batch_keys, context->heap)) {
            s->keys.kernels = context->kernels;
            table_open(&s->table, context->heap, &s->keys, sizeof(struct set_counts),
                       context->seed);
            return &s->op;
        }
        set_close(&s->op);
    }
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for INTERSECT or EXCEPT");
    return NULL;
}
