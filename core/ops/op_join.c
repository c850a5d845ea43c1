/* core/ops/op_join.c - regular join: every row of one side with all rows of the other, ever; semi and anti joins.
 *
 * Rows of both sides are kept by key. As a changelog a row without a partner is given with NULLs at once and taken back when
 * one comes; as final rows it is given at the end. What no row of the other side can ask for any more is not kept: when
 * one side's sources have ended, rows of the other pass.
 */
#include "core/ops/join_impl.h"

static const char *const advice = "it keeps the rows of both sides: SET 'table.exec.state.ttl', "
                                  "join by time or windows, or";

enum op_progress join_no_memory(struct join_op *j)
{
    return op_no_memory(&j->op, advice);
}

static void count(struct join_op *j)
{
    struct op_counters *c = &j->op.counters;

    c->held = c->state_rows = j->side[0].rows.rows + j->side[1].rows.rows;
    c->consumed = c->in - c->held;
}

/* ---- what goes ---- */

static void take_out(struct join_op *j, struct join_state *state, uint32_t side, uint32_t before)
{
    const uint32_t id = chain_take(&j->side[side].rows, &state->chain[side], before);

    rows_free(&j->side[side].rows, &id, 1);
    j->removed++;
}

/* Rows not written for longer than 'table.exec.state.ttl': a chain is in the order of writing. */
static void expire(struct join_op *j, struct join_state *state, int64_t clock_us)
{
    for (uint32_t side = 0; side < 2; side++) {
        const struct row_store *rows = &j->side[side].rows;

        while (state->chain[side].count > 0 &&
               ttl_is_over(*rows_time(rows, state->chain[side].head), j->node->ttl_us, clock_us))
            take_out(j, state, side, ROW_NONE);
    }
}

static bool is_empty(const void *state)
{
    const struct join_state *s = state;

    return s->chain[0].count == 0 && s->chain[1].count == 0;
}

/* Groups without rows leave. Without memory for the new table the old one stays. */
static void tidy_table(struct join_op *j)
{
    uint32_t empty = 0;

    j->removed = 0;
    for (uint32_t id = 0; id < j->table.groups; id++)
        empty += is_empty(table_state(&j->table, id));
    if (empty < 1024 || empty < j->table.groups / 2)
        return;
    if (table_compact(&j->table, empty, is_empty))
        j->side[0].plain = j->side[1].plain = false;
}

/* Nobody asks for rows of @side any more. */
static void forget(struct join_op *j, uint32_t side)
{
    if (j->side[side].rows.rows == 0)
        return;
    rows_reset(&j->side[side].rows);
    for (uint32_t id = 0; id < j->table.groups; id++)
        chain_open(&((struct join_state *)table_state(&j->table, id))->chain[side]);
    j->removed += j->table.groups;
    count(j);
}

static void see_ends(struct join_op *j, const struct step_time *t)
{
    for (uint32_t side = 0; side < 2; side++) {
        struct join_side *s = &j->side[side];

        if (s->ended || !s->may_end || (j->plan->inputs[side]->sources & ~t->ended) != 0)
            continue;
        s->ended = true;
        if (j->all_inserts && !join_waits(j, !side))
            forget(j, !side);
    }
}

/* ---- one batch ---- */

/* Rows whose key has a NULL or a NaN, which equal nothing. */
static void find_keyless(struct join_op *j)
{
    memset(j->keyless, 0, j->live * sizeof *j->keyless);
    for (uint32_t k = 0; k < j->node->key_count; k++) {
        const uint32_t column = j->node->keys[j->port][k];
        const struct column *c = &j->batch->columns[column];
        const enum phys phys = type_phys(&j->plan->inputs[j->port]->schema.fields[column].type);
        const bool may_be_nan = phys == PHYS_F32 || phys == PHYS_F64;

        if (j->node->null_safe[k] || (c->validity == NULL && !may_be_nan))
            continue;
        for (uint32_t i = 0; i < j->live; i++)
            j->keyless[i] |= may_be_nan
                                 ? join_equals_nothing(j->plan, j->port, j->batch, j->rows[i])
                                 : !column_valid(c, j->rows[i]);
    }
}

/* The group of each row; new ones only where rows are to be kept. */
static bool look_up(struct join_op *j)
{
    struct key_batch *keys = &j->side[j->port].keys;
    uint16_t which[BATCH_ROWS_MAX];
    uint32_t n = 0, groups = j->table.groups;
    struct join_state *found[BATCH_ROWS_MAX];

    for (uint32_t i = 0; i < j->live; i++)
        if (!j->keyless[i])
            which[n++] = (uint16_t)i;
    memset(j->states, 0, j->live * sizeof *j->states);
    if (!keys_prepare(&j->side[j->port].layout, j->batch, j->rows, j->live, keys))
        return false;
    if (j->side[!j->port].ended) {
        table_find(&j->table, keys, which, n, j->ids);
        for (uint32_t i = 0; i < n; i++)
            j->states[which[i]] =
                j->ids[i] != TABLE_NO_GROUP ? table_state(&j->table, j->ids[i]) : NULL;
        return true;
    }
    if (!table_lookup(&j->table, keys, which, n, (void **)found))
        return false;
    for (; groups < j->table.groups; groups++) {
        struct join_state *state = table_state(&j->table, groups);

        chain_open(&state->chain[0]);
        chain_open(&state->chain[1]);
    }
    for (uint32_t i = 0; i < n; i++)
        j->states[which[i]] = found[i];
    return true;
}

/* A row that is taken back leaves its chain. False: it is not there. */
static bool take_back(struct join_op *j, uint32_t k)
{
    const struct row_store *rows = &j->side[j->port].rows;
    struct join_state *state = j->states[k];
    uint32_t before = ROW_NONE;

    for (uint32_t id = state != NULL ? state->chain[j->port].head : ROW_NONE; id != ROW_NONE;
         id = *rows_next(rows, id)) {
        if (rows_equal(rows, id, j->batch, j->rows[k])) {
            take_out(j, state, j->port, before);
            return true;
        }
        before = id;
    }
    return j->keyless[k] || j->side[!j->port].ended; /* such rows are not kept */
}

/* The next rows whose results can be made together: inserts, or one that is taken back. False: there are none. */
static bool begin_run(struct join_op *j)
{
    j->first = j->end;
    while (j->first < j->live && join_takes_back(j)) {
        if (take_back(j, j->first)) {
            j->end = j->first + 1;
            break;
        }
        j->unmatched++;
        j->end = ++j->first;
    }
    if (j->first == j->live)
        return false;
    if (j->end <= j->first)
        for (j->end = j->first; j->end < j->live; j->end++)
            if (j->batch->row_kinds != NULL &&
                row_kind_weight(j->batch->row_kinds[j->rows[j->end]]) < 0)
                break;
    j->next = j->result_row = j->first;
    j->within = false;
    memset(j->matches + j->first, 0, (j->end - j->first) * sizeof *j->matches);
    return true;
}

/* Inserts that the other side may ask for are kept. */
static bool end_run(struct join_op *j, const struct step_time *t)
{
    struct join_side *side = &j->side[j->port];
    struct row_chain *chains[BATCH_ROWS_MAX];
    uint16_t rows[BATCH_ROWS_MAX];
    uint32_t n = 0, which[BATCH_ROWS_MAX];

    if (join_takes_back(j) || j->side[!j->port].ended)
        return true;
    for (uint32_t k = j->first; k < j->end; k++)
        if (!j->keyless[k]) {
            which[n] = k;
            chains[n] = &j->states[k]->chain[j->port];
            rows[n++] = j->rows[k];
        }
    if (n > 0 && !rows_append(&side->rows, j->batch, rows, n, j->ids))
        return false;
    for (uint32_t i = 0; side->marks && i < n; i++)
        *rows_mark(&side->rows, j->ids[i]) = j->matches[which[i]];
    for (uint32_t i = 0; j->node->ttl_us > 0 && i < n; i++)
        *rows_time(&side->rows, j->ids[i]) = t->clock_us;
    for (uint32_t i = 0; side->plain && i < n; i++)
        side->plain =
            chains[i]->count == 0 && j->states[which[i]] == table_state(&j->table, j->ids[i]);
    chain_push_all(&side->rows, chains, j->ids, n);
    return true;
}

static enum op_progress batch_done(struct join_op *j, const struct step_time *t)
{
    batch_release(j->batch);
    j->batch = NULL;
    count(j);
    return emit_flush(&j->out, t);
}

static enum op_progress go_on(struct join_op *j, const struct step_time *t)
{
    for (;;) {
        const enum op_progress p = join_run(j, t);

        if (p != OP_READY)
            return p;
        if (j->end > j->first && !end_run(j, t))
            return join_no_memory(j);
        if (!begin_run(j))
            return batch_done(j, t);
    }
}

/* The other side has ended and no key of it stands twice. */
static bool take_plain(struct join_op *j, uint32_t port, struct batch *batch,
                       const struct step_time *t, enum op_progress *p)
{
    struct join_side *other = &j->side[!port];
    const struct plain_sides sides = {.port = port,
                                      .layout = &j->side[port].layout,
                                      .keys = &j->side[port].keys,
                                      .rows = &other->rows,
                                      .kept = other->kept};

    return j->pairs && j->residual.program == NULL && j->all_inserts && j->node->ttl_us == 0 &&
           !other->marks && other->ended && other->plain && j->out.out == NULL &&
           join_plain_push(&j->plain, &sides, batch, t, p);
}

static enum op_progress join_take(struct op *op, uint32_t port, struct batch *batch,
                                  const struct step_time *t)
{
    struct join_op *j = (struct join_op *)op;
    enum op_progress p;

    CHECK(j->batch == NULL);
    if (batch->live == 0) {
        batch_release(batch);
        return OP_READY;
    }
    op->counters.in += batch->live;
    if (take_plain(j, port, batch, t, &p)) {
        count(j);
        return p;
    }
    j->batch = batch;
    j->port = port;
    j->live = batch->live;
    j->first = j->end = j->next = 0;
    j->results.count = j->results.given = 0;
    for (uint32_t i = 0; i < batch->live; i++)
        j->rows[i] = (uint16_t)batch_row(batch, i);
    find_keyless(j);
    if (!look_up(j))
        return join_no_memory(j);
    for (uint32_t i = 0; j->node->ttl_us > 0 && i < j->live; i++)
        if (j->states[i] != NULL)
            expire(j, j->states[i], t->clock_us);
    p = emit_cause(&j->out, batch, port, t);
    return p == OP_READY ? go_on(j, t) : p;
}

/* ---- the step ---- */

static enum op_progress join_begin(struct op *op, const struct step_time *t)
{
    struct join_op *j = (struct join_op *)op;

    j->ending = false;
    see_ends(j, t);
    ports_begin(&j->ports, t);
    return OP_READY;
}

static enum op_progress join_push(struct op *op, uint32_t port, struct batch *batch,
                                  const struct step_time *t)
{
    return ports_push(&((struct join_op *)op)->ports, port, batch, t);
}

static enum op_progress join_rows_ended(struct op *op, const struct step_time *t)
{
    return ports_rows_ended(&((struct join_op *)op)->ports, t);
}

static void sweep(struct join_op *j, const struct step_time *t)
{
    if (ttl_sweeps(&j->swept_us, j->node->ttl_us, t->clock_us)) {
        for (uint32_t id = 0; id < j->table.groups; id++)
            expire(j, table_state(&j->table, id), t->clock_us);
        count(j);
    }
    if (j->removed > max_u32(1024, j->table.groups / 2))
        tidy_table(j);
}

/* All rows of the step have been taken. */
static enum op_progress finish(struct join_op *j, const struct step_time *t)
{
    if (!t->last) {
        sweep(j, t);
        return OP_READY;
    }
    if (!j->rest.open && !rest_open(j))
        return join_no_memory(j);
    const enum op_progress p = rest_turn(j, t);

    if (p != OP_READY)
        return p;
    rows_reset(&j->side[0].rows);
    rows_reset(&j->side[1].rows);
    table_reset(&j->table);
    j->ending = false;
    count(j);
    return OP_READY;
}

static enum op_progress join_end(struct op *op, const struct step_time *t)
{
    struct join_op *j = (struct join_op *)op;
    const enum op_progress p = ports_end(&j->ports, t);

    j->ending = true;
    return p == OP_READY ? finish(j, t) : p;
}

static enum op_progress join_resume(struct op *op, const struct step_time *t)
{
    struct join_op *j = (struct join_op *)op;
    enum op_progress p = j->batch != NULL ? go_on(j, t) : OP_READY;

    if (p == OP_READY)
        p = ports_resume(&j->ports, t);
    if (p == OP_READY && j->ending)
        p = finish(j, t);
    return p;
}

/* ---- life ---- */

static void join_snapshot(struct op *op, struct snapshot_writer *to)
{
    struct join_op *j = (struct join_op *)op;

    CHECK(j->batch == NULL && !j->rest.open && ports_empty(&j->ports));
    snapshot_put(to, &op->counters, sizeof op->counters);
    snapshot_u64(to, j->unmatched);
    snapshot_u64(to, (uint64_t)j->swept_us);
    snapshot_u32(to, j->table.groups);
    for (uint32_t id = 0; id < j->table.groups; id++) {
        const struct join_state *state = table_state(&j->table, id);

        table_key_snapshot(&j->table, id, to);
        for (uint32_t side = 0; side < 2; side++)
            chain_save(&j->side[side].rows, &state->chain[side], to);
    }
}

static bool join_restore(struct op *op, struct snapshot_reader *from)
{
    struct join_op *j = (struct join_op *)op;
    uint32_t groups;

    snapshot_get(from, &op->counters, sizeof op->counters);
    j->unmatched = snapshot_get_u64(from);
    j->swept_us = (int64_t)snapshot_get_u64(from);
    groups = snapshot_get_u32(from);
    for (uint32_t i = 0; i < groups; i++) {
        const uint32_t id = table_key_restore(&j->table, from);

        if (id != i)
            return false;
        for (uint32_t side = 0; side < 2; side++) {
            struct row_chain chain;
            const bool ok = chain_restore(&j->side[side].rows, &chain, from);

            ((struct join_state *)table_state(&j->table, id))->chain[side] = chain;
            j->side[side].plain =
                j->side[side].plain && (chain.count == 0 || (chain.count == 1 && chain.head == id));
            if (!ok)
                return false;
        }
    }
    return !from->failed;
}

static bool join_valid(const struct op *op)
{
    const struct join_op *j = (const struct join_op *)op;
    uint64_t rows[2] = {0, 0};

    if (!table_valid(&j->table) || !rows_valid(&j->side[0].rows) || !rows_valid(&j->side[1].rows))
        return false;
    for (uint32_t id = 0; id < j->table.groups; id++)
        for (uint32_t side = 0; side < 2; side++) {
            const struct join_state *state = table_state(&j->table, id);

            if (!chain_valid(&j->side[side].rows, &state->chain[side]))
                return false;
            rows[side] += state->chain[side].count;
        }
    return rows[0] == j->side[0].rows.rows && rows[1] == j->side[1].rows.rows;
}

static void join_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    const struct join_op *j = (const struct join_op *)op;

    table_inspect(&j->table, sample, &state->tables);
    state->tables.bytes += rows_bytes(&j->side[0].rows) + rows_bytes(&j->side[1].rows);
    state->table_count++;
}

static void join_close(struct op *op)
{
    struct join_op *j = (struct join_op *)op;

    batch_release(j->batch);
    emit_close(&j->out);
    ports_close(&j->ports);
    rest_close(j);
    join_plain_close(&j->plain);
    table_close(&j->table);
    for (uint32_t side = 0; side < 2; side++) {
        rows_close(&j->side[side].rows);
        key_layout_close(&j->side[side].layout);
        key_batch_close(&j->side[side].keys);
        heap_free(op->heap, j->side[side].kept,
                  (j->node->own[side] + 1) * sizeof *j->side[side].kept);
    }
    residual_close(&j->residual, op->heap);
    heap_free(op->heap, j, sizeof *j);
}

static const struct op_vtable join_vtable = {.name = "join",
                                             .begin_step = join_begin,
                                             .push = join_push,
                                             .rows_ended = join_rows_ended,
                                             .end_step = join_end,
                                             .resume = join_resume,
                                             .snapshot = join_snapshot,
                                             .restore = join_restore,
                                             .valid = join_valid,
                                             .inspect = join_inspect,
                                             .close = join_close};

static bool open_side(struct join_op *j, uint32_t side)
{
    const struct join_node *node = j->node;
    const struct mill_schema *schema = &j->plan->inputs[side]->schema;
    struct join_side *s = &j->side[side];
    uint32_t extra;

    s->kept = heap_zalloc(j->op.heap, (node->own[side] + 1) * sizeof *s->kept);
    if (s->kept == NULL)
        return false;
    for (uint32_t c = 0; c < node->own[side]; c++)
        s->kept[c] = -1;
    for (uint32_t k = 0; k < node->kept_count[side]; k++)
        s->kept[node->kept[side][k]] = (int32_t)k;
    s->marks = join_pads(node->type, side) || (!j->pairs && side == 0);
    s->may_end = node->ends[side];
    s->plain = true;
    extra = (s->marks ? ROWS_MARK : 0u) | (node->ttl_us > 0 ? ROWS_TIME : 0u);
    if (!rows_open(&s->rows, j->op.heap, schema, node->kept[side], node->kept_count[side], extra) ||
        !key_layout_open(&s->layout, j->op.heap, schema, node->keys[side], node->key_count) ||
        !key_batch_open(&s->keys, j->op.heap))
        return false;
    s->layout.kernels = j->op.context->kernels;
    return true;
}

struct op *op_join_new(struct op_context *context, const struct phys_node *node)
{
    struct join_op *j = heap_zalloc(context->heap, sizeof *j);

    if (j == NULL)
        goto fail;
    j->op = (struct op){.vtable = &join_vtable,
                        .context = context,
                        .heap = context->heap,
                        .id = node->id};
    j->plan = node;
    j->node = node->join;
    j->pairs = j->node->type < JOIN_TYPE_SEMI;
    j->all_inserts = !node->inputs[0]->updating && !node->inputs[1]->updating;
    emit_open(&j->out, &j->op, node);
    if (!ports_open(&j->ports, &j->op, node, join_take) || !open_side(j, 0) || !open_side(j, 1) ||
        !residual_open(&j->residual, &j->op, node))
        goto fail;
    table_open(&j->table, context->heap, &j->side[0].layout, sizeof(struct join_state),
               context->seed);
    join_plain_open(&j->plain, &j->op, node, &j->table, advice);
    return &j->op;
fail:
    if (context->error->code == MILL_OK)
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a join");
    if (j != NULL)
        join_close(&j->op);
    return NULL;
}
