/* core/ops/op_group.c - GROUP BY without windows, and SELECT DISTINCT, over bounded input.
 *
 * One group per key until the last step, whose end emits the final rows in key order, a few batches per call. Without keys
 * there is one group, also for empty input (on the shard that all rows go to).
 *   held = rows in the groups; all are consumed once their groups have left
 */
#include "core/ops/op.h"
#include "core/ops/window.h"
#include "core/state/sorter.h"

#define BATCH_COST 1024 /* a batch of a few groups costs as much as that many */
#define GATHER_SHARD 0u /* where an exchange without keys sends its rows */

struct group_op {
    struct op op;
    const struct aggregate_node *node;
    struct mill_schema output;
    struct agg_set *set;
    struct key_layout keys;
    struct key_batch batch_keys;
    struct table table;
    bool retracts; /* input rows have kinds: a count of rows follows the aggregates' state */
    bool firing;
    struct sorter sorter;
    uint32_t count, next; /* order has count entries */
    void *states[BATCH_ROWS_MAX];
};

static enum op_progress no_memory(struct group_op *g)
{
    return op_no_memory(&g->op, "its groups stay until the end of input: group by windows, or");
}

static int64_t *rows_of(const struct group_op *g, void *state)
{
    return (int64_t *)((char *)state + agg_state_bytes(g->set));
}

/* Rows that change: one by one. One taken back of a group without rows is ignored, and counted as filtered. */
static bool take_changes(struct group_op *g, const struct batch *batch, uint32_t before)
{
    for (; before < g->table.groups; before++)
        *rows_of(g, table_state(&g->table, before)) = 0;
    for (uint32_t i = 0; i < batch->live; i++) {
        const uint16_t row = (uint16_t)batch_row(batch, i);
        void *state = g->states[g->keys.count == 0 ? 0 : i];
        const int weight = row_kind_weight(batch_kind(batch, row));

        if (weight < 0 && *rows_of(g, state) == 0) {
            g->op.counters.filtered++;
            g->op.counters.held--;
            continue;
        }
        *rows_of(g, state) += weight;
        if (weight > 0 ? !agg_add(g->set, &state, batch, &row, 1)
                       : !agg_retract(g->set, state, batch, row))
            return false;
    }
    return true;
}

static enum op_progress group_push(struct op *op, uint32_t port, struct batch *batch,
                                   const struct step_time *t)
{
    struct group_op *g = (struct group_op *)op;
    const uint16_t *rows = batch->selection;
    const uint32_t n = batch->live, before = g->table.groups;
    bool ok = true;

    (void)port;
    (void)t;
    op->counters.in += n;
    op->counters.held += n;
    if (n > 0 && g->retracts)
        ok = (g->keys.count == 0 || keys_prepare(&g->keys, batch, rows, n, &g->batch_keys)) &&
             groups_lookup(g->set, &g->table, &g->batch_keys, NULL, g->keys.count == 0 ? 1 : n,
                           g->states) &&
             take_changes(g, batch, before);
    else if (n > 0 && g->keys.count == 0)
        ok = groups_lookup(g->set, &g->table, &g->batch_keys, NULL, 1, g->states) &&
             agg_add_one(g->set, g->states[0], batch, rows, n);
    else if (n > 0)
        ok = keys_prepare(&g->keys, batch, rows, n, &g->batch_keys) &&
             groups_lookup(g->set, &g->table, &g->batch_keys, NULL, n, g->states) &&
             agg_add(g->set, g->states, batch, rows, n);
    batch_release(batch);
    op->counters.state_rows = g->table.groups;
    return ok ? OP_READY : no_memory(g);
}

static void open_table(struct group_op *g)
{
    table_open(&g->table, g->op.heap, &g->keys,
               agg_state_bytes(g->set) + (g->retracts ? (uint32_t)sizeof(int64_t) : 0),
               g->op.context->seed);
}

/* ---- results ---- */

static bool fill(struct group_op *g, struct batch *out, uint32_t count)
{
    const struct aggregate_node *node = g->node;
    struct column *columns = arena_array(&out->bytes, struct column, max_u32(node->agg_count, 1));

    if (columns == NULL || !batch_own_columns(out, &g->output))
        return false;
    for (uint32_t a = 0; a < node->agg_count; a++)
        if (!column_own(out, &columns[a], &node->aggs[a].result_type))
            return false;
    for (uint32_t i = 0; i < count; i++) {
        g->states[i] = table_prefetch(&g->table, g->sorter.order[g->next + i]);
        table_prefetch_key(&g->table, g->sorter.order[g->next + i]);
    }

    if (!agg_values_of(g->set, g->states, 0, count, out, columns))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t id = g->sorter.order[g->next + i];

        for (uint32_t c = 0; c < g->output.field_count; c++)
            if (node->outs[c].kind == OUT_KEY &&
                !table_key_value(&g->table, id, node->outs[c].index, out, &out->columns[c], i))
                return false;
    }
    for (uint32_t c = 0; c < g->output.field_count; c++)
        if (node->outs[c].kind == OUT_AGG)
            out->columns[c] = columns[node->outs[c].index];
    return true;
}

static bool put_order(struct group_op *g, struct batch *out, uint32_t count)
{
    size_t bytes = 16;
    char *next;

    if (g->op.context->shard_count == 1) /* nothing is merged */
        return true;
    for (uint32_t i = 0; i < count; i++)
        bytes += table_key_bytes(&g->table, g->sorter.order[g->next + i]);
    out->order_keys = arena_alloc(&out->bytes, out->capacity * sizeof *out->order_keys);
    next = arena_alloc(&out->bytes, bytes);
    for (uint32_t i = 0; out->order_keys != NULL && next != NULL && i < count; i++) {
        const uint32_t n = table_key_put(&g->table, g->sorter.order[g->next + i], next);

        out->order_keys[i] = view_of(next, n);
        next += n;
    }
    return out->order_keys != NULL && next != NULL;
}

static enum op_progress emit_results(struct group_op *g, const struct step_time *t)
{
    struct op_context *context = g->op.context;
    struct batch *out = context->take_batch(context, g->output.field_count);
    uint32_t count;

    if (out == NULL)
        return context->error->code != 0 ? OP_FAILED : OP_BUSY;
    count = min_u32(min_u32(g->count - g->next, out->capacity), context->batch_rows);
    if (!fill(g, out, count) || !put_order(g, out, count)) {
        batch_release(out);
        return no_memory(g);
    }
    out->step = t->step;
    out->split = t->split;
    out->rows = out->live = count;
    out->class_ = CLASS_FIRED;
    out->origin = g->op.id;
    g->next += count;
    g->op.counters.sum_overflow = agg_overflows(g->set);
    return op_emit(&g->op, out, t);
}

/* Groups all of whose rows have been taken back; once, before the first result. */
static void leave_out_empty(struct group_op *g)
{
    uint32_t n = 0;

    if (!g->retracts || g->next > 0 || g->keys.count == 0)
        return;
    for (uint32_t i = 0; i < g->count; i++)
        if (*rows_of(g, table_state(&g->table, g->sorter.order[i])) > 0)
            g->sorter.order[n++] = g->sorter.order[i];
    g->count = n;
}

static enum op_progress fire_turn(struct group_op *g, const struct step_time *t, int64_t *budget)
{
    if (!sorter_turn(&g->sorter, budget))
        return OP_BUSY;
    leave_out_empty(g);
    while (*budget > 0 && g->next < g->count) {
        const uint32_t before = g->next;
        const enum op_progress p = emit_results(g, t);

        *budget -= max_u32(g->next - before, BATCH_COST);
        if (p != OP_READY)
            return p;
    }
    if (*budget <= 0 || !groups_shed(g->set, &g->table, budget))
        return OP_BUSY;
    sorter_close(&g->sorter);
    g->firing = false;
    g->op.counters.consumed += g->op.counters.held;
    g->op.counters.held = g->op.counters.state_rows = 0;
    groups_close(g->set, &g->table);
    open_table(g);
    return OP_READY;
}

static enum op_progress group_go_on(struct op *op, const struct step_time *t)
{
    struct group_op *g = (struct group_op *)op;
    int64_t budget = op->context->turn_work;
    enum op_progress p;

    if (!g->firing)
        return OP_READY;
    p = fire_turn(g, t, &budget);
    op->context->work += (uint64_t)(op->context->turn_work - budget);
    return p;
}

static enum op_progress group_end_step(struct op *op, const struct step_time *t)
{
    struct group_op *g = (struct group_op *)op;

    if (!t->last)
        return OP_READY;
    if (g->keys.count == 0 && op->context->shard == GATHER_SHARD &&
        !groups_lookup(g->set, &g->table, &g->batch_keys, NULL, 1, g->states))
        return no_memory(g);
    g->count = g->table.groups;
    g->next = 0;
    if (!sorter_open(&g->sorter, &g->table))
        return no_memory(g);
    g->firing = true;
    return group_go_on(op, t);
}

/* ---- life ---- */

static void group_snapshot(struct op *op, struct snapshot_writer *to)
{
    const struct group_op *g = (const struct group_op *)op;

    CHECK(!g->firing);
    snapshot_put(to, &op->counters, sizeof op->counters);
    groups_snapshot(g->set, &g->table, to);
    for (uint32_t id = 0; g->retracts && id < g->table.groups; id++)
        snapshot_u64(to, (uint64_t)*rows_of(g, table_state(&g->table, id)));
}

static bool group_restore(struct op *op, struct snapshot_reader *from)
{
    struct group_op *g = (struct group_op *)op;

    snapshot_get(from, &op->counters, sizeof op->counters);
    if (!groups_restore(g->set, &g->table, from))
        return false;
    for (uint32_t id = 0; g->retracts && id < g->table.groups; id++)
        *rows_of(g, table_state(&g->table, id)) = (int64_t)snapshot_get_u64(from);
    return !from->failed;
}

static bool group_valid(const struct op *op)
{
    const struct op_counters *c = &op->counters;

    return table_valid(&((const struct group_op *)op)->table) &&
           c->in == c->consumed + c->filtered + c->late + c->dead + c->held;
}

static void group_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    table_inspect(&((const struct group_op *)op)->table, sample, &state->tables);
    state->table_count++;
}

static void group_close(struct op *op)
{
    struct group_op *g = (struct group_op *)op;

    sorter_close(&g->sorter);
    if (g->set != NULL) {
        groups_close(g->set, &g->table);
        agg_set_free(g->set);
    }
    key_layout_close(&g->keys);
    key_batch_close(&g->batch_keys);
    heap_free(op->heap, g, sizeof *g);
}

static const struct op_vtable group_vtable = {.name = "group",
                                              .push = group_push,
                                              .end_step = group_end_step,
                                              .resume = group_go_on,
                                              .snapshot = group_snapshot,
                                              .restore = group_restore,
                                              .valid = group_valid,
                                              .inspect = group_inspect,
                                              .close = group_close};

struct op *op_group_new(struct op_context *context, const struct phys_node *node)
{
    struct group_op *g = heap_zalloc(context->heap, sizeof *g);
    const struct aggregate_node *a = &node->aggregate;

    if (g == NULL)
        goto fail;
    g->op = (struct op){.vtable = &group_vtable,
                        .context = context,
                        .heap = context->heap,
                        .id = node->id};
    g->node = a;
    g->output = node->schema;
    if (!key_layout_open(&g->keys, context->heap, &node->inputs[0]->schema, a->keys,
                         a->key_count) ||
        !key_batch_open(&g->batch_keys, context->heap))
        goto fail;
    g->keys.kernels = context->kernels;
    g->retracts = node->inputs[0]->updating;
    g->set = g->retracts
                 ? agg_set_new_retractable(context->heap, context->kernels, a->aggs, a->agg_count)
                 : agg_set_new(context->heap, context->kernels, a->aggs, a->agg_count,
                               a->key_count == 0);
    if (g->set == NULL)
        goto fail;
    open_table(g);
    return &g->op;
fail:
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for GROUP BY");
    if (g != NULL)
        group_close(&g->op);
    return NULL;
}
