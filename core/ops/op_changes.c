/* core/ops/op_changes.c - GROUP BY without windows, and SELECT DISTINCT, as a changelog.
 *
 * Each row changes its group at once: +I for the first, then -U with the old values and +U with the new ones, nothing where they
 * are the same, -D when the group's last row has been taken back. Without keys the one group stays, with the values of no rows.
 * 'table.exec.state.ttl': a group that no row has touched for so long, by the clocks of steps, is forgotten: the next row begins anew.
 *
 *   state = that of the aggregates | rows, clock of the last change | given: there is a row of it downstream
 *   a row taken back of a group that is not there is ignored, and counted as filtered
 */
#include "core/ops/emit.h"
#include "core/ops/window.h"
#include "core/plan/physical.h"

struct group_head {
    int64_t rows, touched_us;
};

struct changes_op {
    struct op op;
    const struct aggregate_node *node;
    struct agg_set *set;
    struct key_layout keys;
    struct key_batch batch_keys;
    struct table table;
    struct emitter emit;
    const struct mill_schema *op_schema, *input_schema;
    struct batch *scratch; /* the old and the new result: aggregates, then keys */
    struct batch *batch;   /* being taken, from live row @next on */
    uint32_t next;
    uint32_t row; /* whose results are pending */
    struct pending {
        uint8_t row; /* of the scratch */
        int8_t kind;
    } pending[2];
    uint32_t pending_count, given;
    uint32_t heads; /* offset in the state */
    int64_t ttl_us, swept_us;
    bool keyless;
    void *states[BATCH_ROWS_MAX];
};

static enum op_progress no_memory(struct changes_op *g)
{
    return op_no_memory(&g->op, "its groups stay as long as the query runs: group by windows, SET "
                                "'table.exec.state.ttl', or");
}

static struct group_head *head_of(const struct changes_op *g, void *state)
{
    return (struct group_head *)((char *)state + g->heads);
}

static const struct mill_type *key_type(const struct changes_op *g, uint32_t key)
{
    return &g->input_schema->fields[g->node->keys[key]].type;
}

/* ---- results ---- */

/* Room for two results, the old and the new one; for each batch anew, for texts add up in it. */
static bool scratch_begin(struct changes_op *g)
{
    const struct aggregate_node *a = g->node;
    const uint32_t n = a->agg_count + a->key_count;

    if (g->scratch == NULL)
        g->scratch = batch_new(g->op.heap, 2, n);
    else
        batch_reset(g->scratch, n);
    if (g->scratch == NULL || (n > 0 && g->scratch->columns == NULL))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!column_own(g->scratch, &g->scratch->columns[i],
                        i < a->agg_count ? &a->aggs[i].result_type : key_type(g, i - a->agg_count)))
            return false;
    return true;
}

/* The group as it is now, into row @row of the scratch. */
static bool keep(struct changes_op *g, void *state, uint32_t row)
{
    const uint32_t id =
        (uint32_t)((size_t)((char *)state - g->table.states) / g->table.state_bytes);
    struct column *columns = g->scratch->columns;

    for (uint32_t i = 0; i < g->scratch->column_count; i++)
        column_set_valid(&columns[i], row);
    if (!agg_values(g->set, state, g->scratch, columns, row))
        return false;
    for (uint32_t k = 0; k < g->node->key_count; k++)
        if (!table_key_value(&g->table, id, k, g->scratch, &columns[g->node->agg_count + k], row))
            return false;
    return true;
}

/* Whether the old and the new result say the same. */
static bool results_same(const struct changes_op *g)
{
    for (uint32_t i = 0; i < g->node->agg_count; i++)
        if (!column_same(&g->scratch->columns[i], 0, 1, &g->node->aggs[i].result_type))
            return false;
    return true;
}

static void will_give(struct changes_op *g, uint32_t row, int8_t kind)
{
    g->pending[g->pending_count++] = (struct pending){(uint8_t)row, kind};
}

/* Hands on what the current row has changed. */
static enum op_progress give(struct changes_op *g, const struct step_time *t)
{
    const struct aggregate_node *a = g->node;

    for (; g->given < g->pending_count; g->given++) {
        const struct pending *p = &g->pending[g->given];
        int32_t r;

        if (emit_full(&g->emit)) {
            const enum op_progress progress = emit_flush(&g->emit, t);

            if (progress != OP_READY)
                return progress;
        }
        r = emit_row(&g->emit, g->row, p->kind);
        for (uint32_t c = 0; r >= 0 && c < g->emit.out->column_count; c++) {
            const struct out_column *o = &a->outs[c];

            if (!column_put(g->emit.out, &g->emit.out->columns[c], (uint32_t)r,
                            &g->scratch
                                 ->columns[o->kind == OUT_AGG ? o->index : a->agg_count + o->index],
                            p->row, &g->op_schema->fields[c].type))
                r = -1;
        }
        if (r < 0)
            return no_memory(g);
    }
    g->given = g->pending_count = 0;
    return OP_READY;
}

/* ---- rows ---- */

static void forget(struct changes_op *g, void *state)
{
    agg_close(g->set, state);
    agg_init(g->set, state);
    head_of(g, state)->rows = 0;
}

static bool apply(struct changes_op *g, void *state, uint16_t row, int weight)
{
    head_of(g, state)->rows += weight;
    return weight > 0 ? agg_add(g->set, &state, g->batch, &row, 1)
                      : agg_retract(g->set, state, g->batch, row);
}

/* Changes the group of live row @i; the results are pending. */
static enum op_progress take_row(struct changes_op *g, uint32_t i, const struct step_time *t)
{
    void *state = g->states[i];
    struct group_head *head = head_of(g, state);
    const uint32_t row = batch_row(g->batch, i);
    const int weight = row_kind_weight(batch_kind(g->batch, row));
    bool there;

    if (head->rows > 0 && ttl_is_over(head->touched_us, g->ttl_us, t->clock_us))
        forget(g, state);
    /* without keys the group is there from its first row on, also while it is empty */
    there = head->rows > 0 || (g->keyless && head->touched_us != TIME_MIN);
    if (weight < 0 && head->rows == 0) {
        g->op.counters.filtered++;
        return OP_READY;
    }
    g->op.counters.consumed++;
    g->row = row;
    head->touched_us = t->clock_us;
    if (g->node->agg_count == 0 && there && head->rows + weight > 0) { /* it says the same */
        head->rows += weight;
        return OP_READY;
    }
    if ((there && !keep(g, state, 0)) || !apply(g, state, (uint16_t)row, weight))
        return no_memory(g);
    if (head->rows == 0 && !g->keyless) {
        will_give(g, 0, ROW_DELETE);
        forget(g, state);
        return OP_READY;
    }
    if (!keep(g, state, 1))
        return no_memory(g);
    if (!there) {
        will_give(g, 1, ROW_INSERT);
    } else if (!results_same(g)) {
        will_give(g, 0, ROW_UPDATE_BEFORE);
        will_give(g, 1, ROW_UPDATE_AFTER);
    }
    return OP_READY;
}

static enum op_progress take_rows(struct changes_op *g, const struct step_time *t)
{
    struct batch *done = g->batch;
    enum op_progress p;

    if (done == NULL)
        return OP_READY;
    for (;;) {
        p = give(g, t);
        if (p == OP_READY && g->next < done->live)
            p = take_row(g, g->next++, t);
        else if (p == OP_READY)
            break;
        if (p != OP_READY)
            return p;
    }
    g->batch = NULL;
    g->op.counters.sum_overflow = agg_overflows(g->set);
    p = emit_flush(&g->emit, t);
    batch_release(done);
    return p;
}

static void new_heads(struct changes_op *g, uint32_t from)
{
    for (; from < g->table.groups; from++)
        *head_of(g, table_state(&g->table, from)) = (struct group_head){0, TIME_MIN};
}

static bool is_empty(const void *state, const void *user)
{
    return head_of(user, (void *)(uintptr_t)state)->rows == 0;
}

/* Groups that no row has touched for 'table.exec.state.ttl', and that none asks for. */
static enum op_progress changes_end_step(struct op *op, const struct step_time *t)
{
    struct changes_op *g = (struct changes_op *)op;

    if (g->keyless || !ttl_sweeps(&g->swept_us, g->ttl_us, t->clock_us))
        return OP_READY;
    for (uint32_t id = 0; id < g->table.groups; id++) {
        void *state = table_state(&g->table, id);

        if (head_of(g, state)->rows > 0 &&
            ttl_is_over(head_of(g, state)->touched_us, g->ttl_us, t->clock_us))
            forget(g, state);
    }
    table_tidy(&g->table, is_empty, g);
    op->counters.state_rows = g->table.groups;
    return OP_READY;
}

static enum op_progress changes_push(struct op *op, uint32_t port, struct batch *batch,
                                     const struct step_time *t)
{
    struct changes_op *g = (struct changes_op *)op;
    const uint32_t before = g->table.groups;
    enum op_progress p;
    bool ok;

    op->counters.in += batch->live;
    if (batch->live == 0) {
        batch_release(batch);
        return OP_READY;
    }
    p = emit_cause(&g->emit, batch, port, t);
    g->batch = batch;
    g->next = 0;
    if (g->keyless) {
        ok = groups_lookup(g->set, &g->table, &g->batch_keys, NULL, 1, g->states);
        for (uint32_t i = 1; i < batch->live; i++)
            g->states[i] = g->states[0];
    } else {
        ok = keys_prepare(&g->keys, batch, batch->selection, batch->live, &g->batch_keys) &&
             groups_lookup(g->set, &g->table, &g->batch_keys, NULL, batch->live, g->states);
    }
    op->counters.state_rows = g->table.groups;
    new_heads(g, before);
    if (!ok || !scratch_begin(g))
        return no_memory(g);
    return p == OP_READY ? take_rows(g, t) : p;
}

static enum op_progress changes_resume(struct op *op, const struct step_time *t)
{
    return take_rows((struct changes_op *)op, t);
}

/* ---- life ---- */

static void changes_snapshot(struct op *op, struct snapshot_writer *to)
{
    const struct changes_op *g = (const struct changes_op *)op;

    snapshot_put(to, &op->counters, sizeof op->counters);
    groups_snapshot(g->set, &g->table, to);
    for (uint32_t id = 0; id < g->table.groups; id++)
        snapshot_put(to, head_of(g, table_state(&g->table, id)), sizeof(struct group_head));
}

static bool changes_restore(struct op *op, struct snapshot_reader *from)
{
    struct changes_op *g = (struct changes_op *)op;

    snapshot_get(from, &op->counters, sizeof op->counters);
    if (!groups_restore(g->set, &g->table, from))
        return false;
    for (uint32_t id = 0; id < g->table.groups; id++)
        snapshot_get(from, head_of(g, table_state(&g->table, id)), sizeof(struct group_head));
    return !from->failed;
}

static bool changes_valid(const struct op *op)
{
    const struct op_counters *c = &op->counters;

    return table_valid(&((const struct changes_op *)op)->table) &&
           c->in == c->consumed + c->filtered + c->late + c->dead + c->held;
}

static void changes_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    table_inspect(&((const struct changes_op *)op)->table, sample, &state->tables);
    state->table_count++;
}

static void changes_close(struct op *op)
{
    struct changes_op *g = (struct changes_op *)op;

    batch_release(g->batch);
    batch_free(g->scratch);
    emit_close(&g->emit);
    if (g->set != NULL) {
        groups_close(g->set, &g->table);
        agg_set_free(g->set);
    }
    key_layout_close(&g->keys);
    key_batch_close(&g->batch_keys);
    heap_free(op->heap, g, sizeof *g);
}

static const struct op_vtable changes_vtable = {.name = "changes",
                                                .push = changes_push,
                                                .end_step = changes_end_step,
                                                .resume = changes_resume,
                                                .snapshot = changes_snapshot,
                                                .restore = changes_restore,
                                                .valid = changes_valid,
                                                .inspect = changes_inspect,
                                                .close = changes_close};

struct op *op_changes_new(struct op_context *context, const struct phys_node *node)
{
    struct changes_op *g = heap_zalloc(context->heap, sizeof *g);
    const struct aggregate_node *a = &node->aggregate;

    if (g == NULL)
        goto fail;
    g->op = (struct op){.vtable = &changes_vtable,
                        .context = context,
                        .heap = context->heap,
                        .id = node->id};
    g->node = a;
    g->op_schema = &node->schema;
    g->input_schema = &node->inputs[0]->schema;
    g->keyless = a->key_count == 0;
    g->ttl_us = a->ttl_us;
    emit_open(&g->emit, &g->op, node);
    if (!key_layout_open(&g->keys, context->heap, &node->inputs[0]->schema, a->keys,
                         a->key_count) ||
        !key_batch_open(&g->batch_keys, context->heap))
        goto fail;
    g->keys.kernels = context->kernels;
    g->set = node->inputs[0]->updating
                 ? agg_set_new_retractable(context->heap, context->kernels, a->aggs, a->agg_count)
                 : agg_set_new(context->heap, context->kernels, a->aggs, a->agg_count, g->keyless);
    if (g->set == NULL)
        goto fail;
    g->heads = agg_state_bytes(g->set);
    table_open(&g->table, context->heap, &g->keys, g->heads + (uint32_t)sizeof(struct group_head),
               context->seed);
    return &g->op;
fail:
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for GROUP BY");
    if (g != NULL)
        changes_close(&g->op);
    return NULL;
}
